//! The belt of a manifest, where it stands in another object: an EnvoyFilter, or an EnvoyPatchPolicy.

use super::belt::{self, Rules};
use super::chain::{field, list, text};
use super::finding::Finding;
use super::gateway;
use super::patch::{self, Patch};
use super::plugin::{Guard, switches_off};
use serde_json::Value;
use std::collections::BTreeSet;

const HOW: &str = "Compare it with what `portcullis render` writes.";

/// What is wrong with the belt of a plugin that an object brings.
pub fn examine(at: &str, object: &Value, guard: &Guard, documents: &[&Value], findings: &mut Vec<Finding>) {
    let patches = patch::among(documents);
    let named: Vec<&Patch<'_>> = patches.iter().filter(|p| p.has_key()).collect();
    if named.is_empty() {
        findings.push(Finding::critical(
            "belt_missing",
            at,
            "no belt stands beside it: where the plugin is dropped, everything passes",
            "Give the belt's manifest (an EnvoyFilter, EnvoyPatchPolicy or SecurityPolicy) in the same call, or write one.",
        ));
        return;
    }
    let mut belts: Vec<(&Patch<'_>, BTreeSet<String>)> = Vec::new();
    for patch in named {
        match patch.rules() {
            Rules::Demands(values) => belts.push((patch, values)),
            Rules::Open => findings.push(Finding::critical(
                "belt_open",
                &patch.at(),
                "the belt has a way past: a policy or principal that does not demand our filter state, or an action other \
                 than ALLOW",
                HOW,
            )),
            Rules::NoBelt => findings.push(Finding::critical(
                "belt_not_enforced",
                &patch.at(),
                "the belt stands in shadow rules, in a matcher or beside one, and stops nothing there",
                HOW,
            )),
        }
    }
    let reasons: Vec<Option<&str>> = belts.iter().map(|(patch, _)| misses(patch, object)).collect();
    if let Some(Some(why)) = reasons.first()
        && reasons.iter().all(Option::is_some)
    {
        findings.push(Finding::warning(
            "belt_elsewhere",
            at,
            format!("the belt may not stand where the plugin does: {why}"),
            "Let both select the same proxies, and leave ports and names of listeners out of the belt.",
        ));
        return;
    }
    let near = belts.iter().zip(&reasons).filter(|(_, why)| why.is_none()).map(|(belt, _)| belt);
    let (near, values): (Vec<&Patch<'_>>, Vec<&BTreeSet<String>>) =
        near.map(|(patch, values)| (*patch, values)).unzip();
    examine_all(guard, &near, &values, findings);
    if text(object, "kind") == "EnvoyExtensionPolicy" {
        gateway::examine_listeners(object, &near, documents, findings);
    }
    // Istio names the filter after the object.
    let own = gateway::name(object);
    examine_overrides(object, &|name| name.contains(own), &patches, findings);
}

/// What is wrong with belts that stand where the plugin does.
fn examine_all(guard: &Guard, near: &[&Patch<'_>], values: &[&BTreeSet<String>], findings: &mut Vec<Finding>) {
    for patch in near.iter().filter(|patch| patch.is_first()) {
        findings.push(Finding::critical(
            "belt_before_filter",
            &patch.at(),
            "the belt is put before all filters, where nothing has been judged: every request is refused",
            "Put it before the router.",
        ));
    }
    // Beside belts of other plugins of ours, the one that knows this one.
    let allow = format!("{}:allow", guard.name);
    let (own, others): (Vec<_>, Vec<_>) = near.iter().zip(values).partition(|(_, values)| values.contains(&allow));
    let mut seen: BTreeSet<&BTreeSet<String>> = BTreeSet::new();
    for (patch, values) in if own.is_empty() { &others } else { &own } {
        if seen.insert(values) {
            belt::examine_values(&patch.at(), guard, values, findings);
        }
    }
    for (patch, _) in others.iter().filter(|(patch, _)| own.iter().any(|(own, _)| own.shares_chains_with(patch))) {
        findings.push(Finding::critical(
            "belt_name",
            &patch.at(),
            format!(
                "it stands in one chain with the belt of `{}` and does not pass `{allow}`: every request is refused",
                guard.name
            ),
            "Put filters and belts of two configurations into chains of their own, or the belts at their clusters \
             (docs/shared-gateway.md).",
        ));
    }
}

/// Why a belt may not stand everywhere where an object brings the plugin.
fn misses(patch: &Patch<'_>, object: &Value) -> Option<&'static str> {
    if text(object, "kind") == "EnvoyExtensionPolicy" {
        return misses_gateway(patch);
    }
    if let Some(why) = patch::misses(patch.object, object) {
        return Some(why);
    }
    let spec = field(object, "spec").unwrap_or(&Value::Null);
    let context = patch.context();
    let on_gateway = field(spec, "selector").and_then(|s| field(s, "matchLabels")).and_then(Value::as_object);
    let on_gateway = on_gateway.is_some_and(|labels| {
        let names = |value: &Value| value.as_str().is_some_and(|value| value.contains("gateway"));
        labels.get("istio").is_some_and(names) || labels.contains_key("gateway.networking.k8s.io/gateway-name")
    });
    if context == "SIDECAR_OUTBOUND" || context == "SIDECAR_INBOUND" && on_gateway {
        return Some("it is for another context");
    }
    let matches = [Some(spec), field(spec, "wasm")].into_iter().flatten().flat_map(|owner| list(owner, "match"));
    let ports: Vec<&Value> = matches.flat_map(|m| list(m, "ports")).filter_map(|port| field(port, "number")).collect();
    if patch.port().is_some_and(|port| ports.is_empty() || ports.iter().any(|own| *own != port)) {
        return Some("it is for one port");
    }
    patch.is_narrow().then_some("it is for some listeners or chains")
}

/// A JSON patch names a listener with its Gateway, whose policy it must be.
fn misses_gateway(patch: &Patch<'_>) -> Option<&'static str> {
    let target = field(patch.object, "spec").and_then(|spec| field(spec, "targetRef"))?;
    let mut parts = patch.name().split('/');
    let (Some(_), Some(gateway), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    (text(target, "kind") == "Gateway" && text(target, "name") != gateway)
        .then_some("it is attached to another Gateway than the one whose listener it names")
}

/// Patches of routes that switch the belt off, or plugin and belt.
fn examine_overrides(
    object: &Value,
    is_plugin: &dyn Fn(&str) -> bool,
    patches: &[Patch<'_>],
    findings: &mut Vec<Finding>,
) {
    let belts = patches.iter().filter(|patch| patch.rules() != Rules::NoBelt);
    let names: BTreeSet<&str> = belts.map(|belt| text(belt.value, "name")).filter(|name| !name.is_empty()).collect();
    for patch in patches.iter().filter(|patch| patch::misses(patch.object, object).is_none()) {
        let Some((overrides, everywhere)) = patch.overrides() else { continue };
        let opens = |given: &Value| {
            switches_off(given) || belt::brought(given).is_some_and(|rules| !matches!(rules, Rules::Demands(_)))
        };
        let off = overrides.iter().any(|(name, given)| names.contains(name.as_str()) && opens(given));
        if !off {
            continue;
        }
        let is_plugin = |name: &str| !names.contains(name) && is_plugin(name);
        let both = overrides.iter().any(|(name, given)| is_plugin(name) && switches_off(given));
        let what = if both { "the plugin and the belt are" } else { "the belt is" };
        findings.push(if everywhere && both {
            Finding::critical("route_unguarded", &patch.at(), format!("{what} switched off on routes"), "Take it out.")
        } else if everywhere {
            Finding::critical(
                "route_without_belt",
                &patch.at(),
                format!("{what} switched off on routes"),
                "Take it out.",
            )
        } else {
            Finding::warning(
                "route_open_ended",
                &patch.at(),
                format!("{what} switched off on routes that it names, which may lead to the cluster"),
                "Make sure that no route to the cluster is among them.",
            )
        });
    }
}

/// The same where the plugin is a patch itself.
pub fn examine_patched(documents: &[&Value], findings: &mut Vec<Finding>) {
    let patches = patch::among(documents);
    for (object, plugins) in patch::with_plugins(&patches) {
        examine_overrides(object, &|name| plugins.contains(&name), &patches, findings);
    }
}
