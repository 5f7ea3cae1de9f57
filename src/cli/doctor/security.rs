//! SecurityPolicies of Envoy Gateway as the belt.

use super::belt::{self, KEY};
use super::cel;
use super::chain::{field, list, text};
use super::finding::Finding;
use super::gateway::{name, routes, targets};
use super::patch::{namespace, same_namespace};
use super::plugin::Guard;
use serde_json::Value;
use std::collections::BTreeSet;

/// Examines the belt where SecurityPolicies of Envoy Gateway are it; `false` where none of them is, or
/// where a patch is it, too, which stands on all routes.
pub fn examine(at: &str, object: &Value, guard: &Guard, all: &[&Value], findings: &mut Vec<Finding>) -> bool {
    let with_belt = |kind: &str| -> Vec<&Value> {
        let of_kind = all.iter().filter(|d| text(d, "kind") == kind && d.to_string().contains(KEY));
        of_kind.copied().collect()
    };
    let policies = with_belt("SecurityPolicy");
    if policies.is_empty() || !with_belt("EnvoyPatchPolicy").is_empty() {
        return false;
    }
    for policy in &policies {
        let name = policy.get("metadata").map(|m| text(m, "name")).unwrap_or_default();
        let place = format!("SecurityPolicy {name}");
        match demanded(policy) {
            Some(values) => belt::examine_values(&place, guard, &values, findings),
            None => findings.push(Finding::critical(
                "belt_open",
                &place,
                "the belt has a way past: a rule that allows without our filter state, or `defaultAction: Allow`",
                "Have one rule, whose `cel` is `filter_state['wasm.portcullis_belt'] in [b'<name>:allow', \
                 b'<name>:pending']`, and `defaultAction: Deny`.",
            )),
        }
    }
    let own = field(object, "spec").unwrap_or(&Value::Null);
    let held: Vec<&Value> = policies.iter().filter_map(|p| field(p, "spec")).flat_map(targets).collect();
    let near = policies.iter().filter(|policy| same_namespace(namespace(policy), namespace(object)));
    let near: Vec<&Value> = near.filter_map(|p| field(p, "spec")).flat_map(targets).collect();
    let is_gateway = |target: &Value| text(target, "kind") == "Gateway";
    let selected = policies.iter().any(|p| p.get("spec").is_some_and(|spec| !list(spec, "targetSelectors").is_empty()));
    if held.iter().any(|target| is_gateway(target)) {
        findings.push(Finding::warning(
            "gateway_level",
            at,
            "a SecurityPolicy on the Gateway is overridden, without a word, by any other one on a route",
            "Name the routes in it, or make the belt an EnvoyPatchPolicy.",
        ));
    } else if !selected {
        for target in targets(own).filter(|target| !near.iter().any(|held| covers(held, target))) {
            let (kind, name) = (text(target, "kind"), text(target, "name"));
            findings.push(Finding::critical(
                "belt_missing",
                at,
                format!("no SecurityPolicy with the belt names the whole of {kind} {name} in its namespace"),
                "Name each route of the plugin in the belt's `targetRefs`, without a `sectionName`.",
            ));
        }
        examine_others(object, &near, all, findings);
    }
    examine_conflicts(&policies, all, findings);
    true
}

/// Whether a target of the belt is the whole of a target of the plugin.
fn covers(held: &Value, target: &Value) -> bool {
    let section = text(held, "sectionName");
    ["kind", "name"].iter().all(|m| text(held, m) == text(target, m))
        && (section.is_empty() || section == text(target, "sectionName"))
}

/// Other SecurityPolicies on what the belt stands on: of two, the older holds, or that of a section.
fn examine_conflicts(belts: &[&Value], all: &[&Value], findings: &mut Vec<Finding>) {
    let spec = |policy: &Value| field(policy, "spec").cloned().unwrap_or_default();
    for other in all.iter().filter(|d| text(d, "kind") == "SecurityPolicy" && !belts.iter().any(|belt| belt == *d)) {
        let (theirs, place) = (spec(other), format!("SecurityPolicy {}", name(other)));
        let near = belts.iter().filter(|belt| same_namespace(namespace(belt), namespace(other)));
        let same = |one: &Value, other: &Value| ["kind", "name"].iter().all(|m| text(one, m) == text(other, m));
        let mut near = near.map(|belt| spec(belt));
        if near.any(|own| targets(&own).any(|one| targets(&theirs).any(|other| same(one, other)))) {
            findings.push(Finding::warning(
                "policy_conflict",
                &place,
                "it is attached to a route of the belt, and of two SecurityPolicies only one holds",
                "Write both into one SecurityPolicy, or make the belt an EnvoyPatchPolicy.",
            ));
        }
    }
}

/// Routes beside those of the plugin that lead to the same services.
fn examine_others(policy: &Value, held: &[&Value], all: &[&Value], findings: &mut Vec<Finding>) {
    let judged = routes(policy, all);
    let services: BTreeSet<String> = judged.iter().flat_map(|route| backends(route)).collect();
    let is_route = |d: &&&Value| matches!(text(d, "kind"), "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute");
    let is_held = |route: &Value| {
        held.iter().any(|target| text(target, "kind") == text(route, "kind") && text(target, "name") == name(route))
    };
    for route in all.iter().filter(is_route).filter(|route| !judged.contains(*route) && !is_held(route)) {
        if backends(route).iter().any(|service| services.contains(service)) {
            findings.push(Finding::warning(
                "route_beside",
                &format!("{} {}", text(route, "kind"), name(route)),
                "the route leads to a service of the plugin's routes, and neither plugin nor belt names it",
                "Name it in the `targetRefs` of both, or make the belt an EnvoyPatchPolicy, which stands on all routes.",
            ));
        }
    }
}

/// The services that a route leads to, with their namespaces.
fn backends(route: &Value) -> Vec<String> {
    let rules = field(route, "spec").map(|spec| list(spec, "rules")).unwrap_or_default();
    let references = rules.iter().flat_map(|rule| list(rule, "backendRefs"));
    let of = |reference: &Value| {
        let own = Some(text(reference, "namespace")).filter(|own| !own.is_empty());
        format!("{} {}/{}", text(reference, "kind"), own.unwrap_or_else(|| namespace(route)), text(reference, "name"))
    };
    references.map(of).collect()
}

/// The values that a SecurityPolicy demands; `None` where there is a way past it.
fn demanded(policy: &Value) -> Option<BTreeSet<String>> {
    let authorization = policy.get("spec")?.get("authorization")?;
    let mut values = BTreeSet::new();
    let tight = matches!(text(authorization, "defaultAction"), "" | "Deny")
        && list(authorization, "rules")
            .iter()
            .all(|rule| text(rule, "action") == "Deny" || cel::written(text(rule, "cel"), &mut values));
    tight.then_some(values)
}
