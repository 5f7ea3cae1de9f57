//! Ways in which a plugin fails or vanishes under Istio. With the belt in place nothing passes that
//! must not, and the doctor says what has happened.

use super::{broken, with};
use crate::guard;
use crate::sources;
use crate::world::{CLOSED, FAILED, GUARDED, OPEN, World};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Applies this under fire, and waits until the callers are answered so.
fn then(world: &World, object: &Value, wanted: [u16; 5]) -> Result<()> {
    let act = |world: &World| world.kube.apply([object]).and_then(|()| world.becomes(wanted));
    world.under_fire(act).map(drop)
}

/// The doctor says exactly this of the manifests.
fn examined(world: &World, objects: &[Value], wanted: &[&str]) -> Result<()> {
    let found = world.portcullis.examine(objects)?;
    let wanted: BTreeSet<String> = wanted.iter().map(|code| (*code).to_owned()).collect();
    ensure!(found == wanted, "the doctor says {found:?} of the manifests, not {wanted:?}");
    Ok(())
}

/// A plugin whose first configuration is refused answers 500 to everything, also where Envoy starts
/// with it; a good one heals it.
pub fn a_refused_first_configuration(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.kube.apply([&belt])?;
    world.becomes(CLOSED)?;
    let refusals = world.istiod.refusals()?;
    then(world, &broken(&plugin), FAILED)?;
    world.until("istiod's count of refusals", || world.istiod.refusals().is_ok_and(|now| now > refusals))?;
    ensure!(world.istiod.log().contains("ADS:ECDS: ACK ERROR"), "istiod's log does not tell");
    examined(world, &[broken(&plugin), belt], &["configuration_refused"])?;
    world.doctor_says(&["configuration_refused"])?;
    world.restart_gateway()?;
    world.becomes(FAILED)?;
    then(world, &plugin, GUARDED)
}

/// A refused update leaves what was.
pub fn a_refused_update(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.guarded_by(&[plugin.clone(), belt])?;
    let refusals = world.istiod.refusals()?;
    let ((), fire) = world.under_fire(|world| {
        world.kube.apply([&broken(&plugin)])?;
        world.until("the refusal", || world.istiod.refusals().is_ok_and(|now| now > refusals))?;
        world.becomes(GUARDED)
    })?;
    fire.answered_right()?;
    world.doctor_says(&["configuration_refused"])?;
    then(world, &plugin, GUARDED)
}

/// A module that cannot be fetched, or is another than the digest says, takes the place of a good one:
/// everything is refused, until the object is right again.
pub fn a_module_that_cannot_be_fetched(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let plugin = with(&plugin, "/spec/url", world.registry.url().into());
    world.guarded_by(&[plugin.clone(), belt])?;
    let missing = with(&plugin, "/spec/url", format!("{}23", world.registry.url()).into());
    let other = with(&plugin, "/spec/sha256", "0".repeat(64).into());
    for object in [missing, other] {
        then(world, &object, CLOSED)?;
        world.doctor_says(&["filter_missing"])?;
        world.kube.delete(&plugin)?;
        then(world, &plugin, GUARDED)?;
    }
    Ok(())
}

/// A registry that is away when the gateway starts: everything is refused. When it is back, a change of
/// the object, or a new start, heals it.
pub fn a_registry_that_is_away_at_start(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let plugin = with(&plugin, "/spec/url", world.registry.url().into());
    world.kube.apply([&belt])?;
    world.becomes(CLOSED)?;
    world.registry.stop();
    world.kube.apply([&plugin])?;
    world.restart_gateway()?;
    let replaced = || world.gateway().config_dump().is_ok_and(|dump| dump.to_string().contains("\"ecds_filters\""));
    world.until("what the agent puts in the module's place", replaced)?;
    world.doctor_says(&["filter_missing"])?;
    world.under_fire(|world| {
        world.becomes(CLOSED)?;
        world.registry.resume()
    })?;
    then(world, &with(&plugin, "/metadata/labels", json!({"touched": "once"})), GUARDED)
}

/// A registry that goes away while all is well: policies still change, for the agent has the module. A tag that it does
/// not have closes the gateway; the one before opens it again without the registry. After a new start with nothing
/// kept everything is refused, until it is back and the object changes.
pub fn a_registry_that_goes_away_later(world: &mut World) -> Result<()> {
    let url = world.registry.url();
    let rendered = |world: &World, processes: &[&str]| {
        let digest = world.registry.digest.clone();
        let mut rendering = world.rendering(&["istio", "--url", &url, "--sha256", &digest]);
        rendering.policy = guard::policy(processes);
        world.portcullis.render(&rendering)
    };
    let good = rendered(world, &["invoice"])?;
    world.guarded_by(&good)?;
    world.registry.stop();
    let ((), fire) = world.under_fire(|world| {
        world.kube.apply(&rendered(world, &["invoice", "holidays"])?)?;
        world.until("the policy", || world.dora_may("holidays"))?;
        world.becomes(GUARDED)
    })?;
    fire.answered_right()?;
    let other = with(&good[0], "/spec/sha256", "0".repeat(64).into());
    let other = with(&other, "/spec/url", format!("{url}23").into());
    then(world, &other, CLOSED)?;
    world.doctor_says(&["filter_missing"])?;
    then(world, &good[0], GUARDED)?;
    world.restart_gateway()?;
    let replaced = || world.gateway().config_dump().is_ok_and(|dump| dump.to_string().contains("\"ecds_filters\""));
    world.until("what the agent puts in the module's place", replaced)?;
    world.under_fire(|world| {
        world.becomes(CLOSED)?;
        world.registry.resume()
    })?;
    world.doctor_says(&["filter_missing"])?;
    then(world, &with(&good[0], "/metadata/labels", json!({"touched": "once"})), GUARDED)
}

/// A plugin of others, before ours, after it, and where those without a phase stand: it guards the same; the doctor
/// says what another plugin could do behind ours.
pub fn a_plugin_of_others(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let ours = with(&plugin, "/spec/priority", 10.into());
    world.guarded_by(&[ours, belt])?;
    let foreign = |place: &str, value: Value| {
        let spec = json!({
            "selector": {"matchLabels": {"istio": "ingressgateway"}}, "pluginName": "noop", "phase": "AUTHN",
            "url": format!("file://{}", sources::noop().display()),
        });
        let plugin = json!({
            "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
            "metadata": {"name": "foreign", "namespace": "default"}, "spec": spec,
        });
        with(&plugin, place, value)
    };
    for (what, place, value, doctor) in [
        ("before ours", "/spec/priority", json!(20), &[][..]),
        ("after ours", "/spec/priority", json!(1), &["filter_after_changes"]),
        ("without a phase", "/spec/phase", Value::Null, &["filter_after_changes"]),
    ] {
        let ((), fire) = world.under_fire(|world| {
            world.kube.apply([&foreign(place, value.clone())])?;
            let codes = doctor.iter().map(|code| (*code).to_owned()).collect::<BTreeSet<String>>();
            let (source, notice) = (format!("http://{}", world.gateway().admin), "other_plugins");
            world.until(what, || world.portcullis.found(&source).is_ok_and(|all| all.contains(notice)))?;
            world.until(what, || world.portcullis.doctor(&source).is_ok_and(|found| found == codes))?;
            world.becomes(GUARDED)
        })?;
        fire.answered_right()?;
        world.kube.delete(&foreign(place, value.clone()))?;
        world.until("its end", || world.doctor_says(&[]).is_ok())?;
    }
    Ok(())
}

/// An address without a scheme, with a port: the API server takes it, and istiod drops the plugin. The
/// belt refuses everything; without it, everything would pass.
pub fn an_address_without_a_scheme(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.guarded_by(&[plugin.clone(), belt.clone()])?;
    let bare = with(&plugin, "/spec/url", world.registry.url().replace("oci://", "").into());
    let (valid, _) = world.istioctl(std::slice::from_ref(&bare))?;
    ensure!(valid, "istioctl has learned to refuse it: say so in the docs");
    examined(world, &[bare.clone(), belt.clone()], &["url_without_scheme"])?;
    then(world, &bare, CLOSED)?;
    world.doctor_says(&["filter_missing"])?;
    world.kube.delete(&belt)?;
    world.becomes(OPEN)
}

/// `match` leaves a port without the plugin; the belt stands on all.
pub fn a_port_without_the_plugin(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let ports = json!([{"ports": [{"number": world.ports[0].port()}]}]);
    world.guarded_by(&[with(&plugin, "/spec/match", ports), belt])?;
    world.becomes_at(world.ports[1], CLOSED)?;
    world.doctor_says(&["route_refuses_all"])?;
    // A port that the gateway does not have: no listener is guarded, none passes anything.
    then(world, &with(&plugin, "/spec/match", json!([{"ports": [{"number": 9}]}])), CLOSED)
}

/// A plugin that is deleted leaves the belt, which refuses everything. Made again under its name with a
/// broken configuration, it serves the one before, as long as Envoy has it.
pub fn a_plugin_deleted_and_made_again(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.guarded_by(&[plugin.clone(), belt])?;
    world.under_fire(|world| {
        world.kube.delete(&plugin)?;
        world.becomes(CLOSED)
    })?;
    world.doctor_says(&["filter_missing"])?;
    let refusals = world.istiod.refusals()?;
    world.under_fire(|world| {
        world.kube.apply([&broken(&plugin)])?;
        world.until("the refusal", || world.istiod.refusals().is_ok_and(|now| now > refusals))?;
        world.becomes(GUARDED)
    })?;
    world.doctor_says(&["configuration_refused"])?;
    then(world, &plugin, GUARDED)
}

/// Envoy remembers that a name was broken when the object is gone. A good plugin and its belt, applied
/// together under that name for the first time, do not arrive: Envoy refuses the whole listener. With
/// the belt there before, nothing passes meanwhile; and the doctor tells.
pub fn a_name_that_envoy_remembers_as_broken(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.kube.apply([&belt])?;
    world.becomes(CLOSED)?;
    then(world, &broken(&plugin), FAILED)?;
    world.kube.delete(&plugin)?;
    world.becomes(CLOSED)?;
    let rejections = |world: &World| world.istiod.log().matches("ADS:LDS: ACK ERROR").count();
    let before = rejections(world);
    world.under_fire(|world| {
        world.kube.apply([&plugin])?;
        world.until("the refusal", || rejections(world) > before)?;
        world.becomes(CLOSED)
    })?;
    world.doctor_says(&["filter_missing"])?;
    // Any change of the object makes istiod send the listener again.
    then(world, &with(&plugin, "/spec/priority", 1.into()), GUARDED)
}

/// A route-level override of another EnvoyFilter: switched off on a route, the belt refuses it. One that
/// switches off the belt, too, opens the route; only the doctor tells.
pub fn a_route_that_switches_the_filter_off(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.guarded_by(&[plugin.clone(), belt])?;
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    let name = plugin["metadata"]["name"].as_str().unwrap_or_default();
    let filter = format!("extensions.istio.io/trafficextension/default.{name}~istio-translated-wasmplugin");
    let without = |filters: &[&str]| {
        let filters: serde_json::Map<String, Value> = filters.iter().map(|f| ((*f).into(), off.clone())).collect();
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
            "metadata": {"name": "override", "namespace": "default"},
            "spec": {
                "workloadSelector": {"labels": {"istio": "ingressgateway"}},
                "configPatches": [{
                    "applyTo": "HTTP_ROUTE", "match": {"context": "GATEWAY"},
                    "patch": {"operation": "MERGE", "value": {"typed_per_filter_config": filters}},
                }],
            },
        })
    };
    then(world, &without(&[&filter]), CLOSED)?;
    world.doctor_says(&["route_refuses_all"])?;
    world.kube.apply([&without(&[&filter, "portcullis-belt"])])?;
    world.becomes(OPEN)?;
    world.doctor_says(&["route_unguarded"])?;
    world.kube.delete(&without(&[]))?;
    world.becomes(GUARDED)
}

/// A second plugin of ours with another name: before ours, both have to allow; after it, the belt finds
/// the wrong name, and refuses everything.
pub fn a_second_plugin(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let ours = with(&plugin, "/spec/priority", 10.into());
    world.guarded_by(&[ours.clone(), belt])?;
    let second = with(&ours, "/metadata/name", "second".into());
    let second = with(&second, "/spec/pluginConfig/name", "second".into());
    then(world, &with(&second, "/spec/priority", 20.into()), GUARDED)?;
    world.doctor_says(&[])?;
    then(world, &with(&second, "/spec/priority", 1.into()), [403, 403, 403, 401, 401])?;
    world.doctor_says(&["belt_name", "belt_without_pending"])?;
    world.kube.delete(&second)?;
    world.becomes(GUARDED)
}
