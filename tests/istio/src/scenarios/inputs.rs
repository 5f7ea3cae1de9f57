//! Configurations as Istio hands them over: mangled, empty, large.

use super::with;
use crate::guard;
use crate::world::{CLOSED, FAILED, GUARDED, World};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Istio's Struct turns integers into doubles, sorts members and escapes `<`, `>` and `&`; the filter
/// decides the same.
pub fn what_istio_makes_of_a_configuration(world: &mut World) -> Result<()> {
    let odd = "a<b>&\"c\" é";
    let mut rendering = world.rendering(&["istio", "--url", &world.file_url]);
    rendering.configuration["policy"] = guard::policy(&["invoice", odd]);
    rendering.configuration["version"] = json!(1.0);
    rendering.configuration["body"] = json!({"maxBytes": 4_194_304.0, "gate": "stream"});
    rendering.policy = Value::Null;
    let objects = world.portcullis.render(&rendering)?;
    world.guarded_by(&objects)?;
    ensure!(world.dora_may(odd), "an id with odd characters is another one");
    let dump = world.gateway().config_dump()?.to_string();
    ensure!(dump.contains(r"u003cb"), "Istio no longer escapes: say so in the docs");
    Ok(())
}

/// No configuration, a member that YAML makes of `yes:`, a number that a double cannot hold, a list, a
/// text: as updates they leave what was; as first ones they pass nothing.
pub fn configurations_that_are_none(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let member = |name: &str, value: Value| with(&plugin, &format!("/spec/pluginConfig/{name}"), value);
    let odd = [
        ("none", with(&plugin, "/spec/pluginConfig", Value::Null)),
        ("empty", with(&plugin, "/spec/pluginConfig", json!({}))),
        ("`yes:`", member("true", json!(1))),
        ("a large number", member("version", json!(9_007_199_254_740_993_u64))),
        ("a damaged table", member("table", json!("AAAA"))),
    ];
    for (what, object) in &odd {
        let found = world.portcullis.examine(&[object.clone(), belt.clone()])?;
        let expected = if *what == "none" { "configuration_missing" } else { "configuration_refused" };
        ensure!(found.contains(expected), "{what}: the doctor says {found:?}");
        world.guarded_by(&[plugin.clone(), belt.clone()])?;
        let refusals = world.istiod.refusals()?;
        world.under_fire(|world| {
            world.kube.apply([object])?;
            world.until(what, || world.istiod.refusals().is_ok_and(|now| now > refusals))?;
            world.becomes(GUARDED)
        })?;
    }
    for (number, (what, object)) in odd.iter().enumerate() {
        let renamed = with(object, "/metadata/name", format!("first-{number}").into());
        world.reset()?;
        world.kube.apply([&belt])?;
        world.becomes(CLOSED)?;
        world.under_fire(|world| world.kube.apply([&renamed]).and_then(|()| world.becomes(FAILED))).context(*what)?;
    }
    let text = with(&plugin, "/spec/pluginConfig", json!("{\"version\": 1}"));
    let answer = world.kube.try_apply(&text)?;
    ensure!(answer.status >= 400, "a text is taken as pluginConfig: {answer:?}");
    Ok(())
}

/// A configuration of 1.4 MB is taken, and arrives; one of 1.6 MB is refused by the API server, and what
/// was remains.
pub fn large_objects(world: &mut World) -> Result<()> {
    let of_size = |world: &World, bytes: usize| {
        let mut policy = guard::policy(&["invoice"]);
        let one = json!({
            "ownerType": "USER", "ownerId": "someone", "resourceType": "PROCESS_DEFINITION",
            "resourceId": "x".repeat(200), "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        });
        let count = bytes / one.to_string().len();
        let more = (0..count).map(|number| with(&one, "/resourceId", format!("{number:0200}").into()));
        policy["authorizations"].as_array_mut().expect("a list").extend(more);
        let mut rendering = world.rendering(&["istio", "--url", &world.file_url]);
        rendering.configuration["policy"] = policy;
        rendering.policy = Value::Null;
        world.portcullis.render(&rendering)
    };
    world.guarded_by(&of_size(world, 1_390_000)?)?;
    let larger = of_size(world, 1_600_000)?;
    let answer = world.kube.try_apply(&larger[0])?;
    ensure!(answer.status == 500 && answer.message.contains("too large"), "it was answered {answer:?}");
    world.becomes(GUARDED)
}
