//! The belt: an RBAC filter after ours that lets only judged requests pass.

use super::cel;
use super::chain::{Filter, Manager, choice, field, list, text, typed};
use super::cluster::Clusters;
use super::finding::Finding;
use super::plugin::Guard;
use super::routes;
use crate::config::Gate;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const RBAC: &str = "filters.http.rbac.v3.RBAC";
/// What RBAC does with what matches, by its number.
const ACTIONS: [&str; 3] = ["ALLOW", "DENY", "LOG"];
/// A filter that can stop what RBAC at a cluster does not see.
const LUA: &str = "filters.http.lua.v3.Lua";
/// The filter state that the belt demands.
pub const KEY: &str = "wasm.portcullis_belt";

/// What RBAC rules demand.
#[derive(PartialEq, Eq, Debug)]
pub enum Rules {
    /// Nothing of ours.
    NoBelt,
    /// Every way through demands one of these values.
    Demands(BTreeSet<String>),
    /// A value of ours is named, but there is a way past it.
    Open,
}

/// What the `matcher`, or the `rules`, of an RBAC filter demand. Envoy ignores the second beside the first.
pub fn rules(rbac: &Value) -> Rules {
    if let Some(tree) = field(rbac, "matcher") {
        return matcher(tree);
    }
    let Some(rules) = field(rbac, "rules") else { return Rules::NoBelt };
    if !rules.to_string().contains(KEY) {
        return Rules::NoBelt;
    }
    if !matches!(choice(rules, "action", &ACTIONS), "" | "ALLOW") {
        return Rules::Open;
    }
    let mut values = BTreeSet::new();
    let policies = field(rules, "policies").and_then(Value::as_object);
    let tight = policies.is_some_and(|all| {
        all.values().all(|policy| {
            let principals = list(policy, "principals");
            !principals.is_empty() && principals.iter().all(|p| demands(p, &mut values))
        })
    });
    if tight { Rules::Demands(values) } else { Rules::Open }
}

/// Whether a principal can only be one that the filter has judged; its values are collected.
fn demands(principal: &Value, values: &mut BTreeSet<String>) -> bool {
    if let Some(state) = field(principal, "filter_state") {
        let exact = field(state, "string_match").map(|m| text(m, "exact")).unwrap_or_default();
        values.extend((!exact.is_empty()).then(|| exact.to_owned()));
        return text(state, "key") == KEY && !exact.is_empty();
    }
    if let Some(all) = field(principal, "and_ids") {
        return list(all, "ids").iter().any(|p| demands(p, values));
    }
    if let Some(any) = field(principal, "or_ids") {
        let ids = list(any, "ids");
        return !ids.is_empty() && ids.iter().all(|p| demands(p, values));
    }
    false
}

/// What the tree of matchers of an RBAC filter demands, as Envoy Gateway makes it of a SecurityPolicy.
fn matcher(matcher: &Value) -> Rules {
    let Some(matchers) = field(matcher, "matcher_list").map(|list_of| list(list_of, "matchers")) else {
        return Rules::NoBelt;
    };
    if !matchers.iter().any(|one| one.to_string().contains(KEY)) {
        return Rules::NoBelt;
    }
    let mut values = BTreeSet::new();
    let tight = matchers.iter().all(|one| {
        field(one, "on_match").is_some_and(denies)
            || field(one, "predicate").is_some_and(|predicate| fulfilled(predicate, &mut values))
    });
    // What no matcher matches is denied, unless it says otherwise.
    if tight && field(matcher, "on_no_match").is_none_or(denies) { Rules::Demands(values) } else { Rules::Open }
}

/// Whether the action of a matcher refuses the request.
fn denies(on_match: &Value) -> bool {
    let action = field(on_match, "action").and_then(|action| field(action, "typed_config"));
    action.map(typed).is_some_and(|(_, action)| choice(action, "action", &ACTIONS) == "DENY")
}

/// Whether a predicate can only be fulfilled by a request that the filter has judged.
fn fulfilled(predicate: &Value, values: &mut BTreeSet<String>) -> bool {
    let parts = |name: &str| field(predicate, name).map(|inner| list(inner, "predicate"));
    if let Some(all) = parts("and_matcher") {
        return all.iter().any(|part| fulfilled(part, values));
    }
    if let Some(any) = parts("or_matcher") {
        return !any.is_empty() && any.iter().all(|part| fulfilled(part, values));
    }
    expression(predicate).is_some_and(|expression| cel::parsed(expression, values))
}

/// The expression in CEL that a predicate evaluates.
fn expression(predicate: &Value) -> Option<&Value> {
    let single = field(predicate, "single_predicate")?;
    let (_, matcher) = typed(field(field(single, "custom_match")?, "typed_config")?);
    let expression = field(matcher, "expr_match")?;
    field(field(expression, "cel_expr_parsed").or_else(|| field(expression, "cel_expr_checked"))?, "expr")
}

/// Whether a filter is an RBAC filter.
pub fn is_rbac(filter: &Filter<'_>) -> bool {
    filter.kind.ends_with(RBAC)
}

/// What an RBAC filter demands on a route: the rules that the route brings, else its own.
pub fn on_route(filter: &Filter<'_>, given: Option<&Value>) -> Rules {
    given.and_then(brought).unwrap_or_else(|| rules(filter.config))
}

/// What a per-filter configuration demands in place of the filter's own; `None` where it only switches the filter on.
pub fn brought(given: &Value) -> Option<Rules> {
    let (kind, inner) = typed(given);
    let inner = if kind.ends_with(".FilterConfig") {
        typed(field(inner, "config").filter(|c| !text(c, "@type").is_empty())?).1
    } else {
        inner
    };
    Some(field(inner, "rbac").map_or(Rules::NoBelt, rules))
}

/// Where the belt stands in the chain: the first RBAC filter that has to do with us, on its own or
/// on some route.
pub fn place(manager: &Manager<'_>) -> Option<usize> {
    manager.filters.iter().position(|filter| {
        let named = |given: Option<&Value>| on_route(filter, given) != Rules::NoBelt;
        is_rbac(filter)
            && (named(None)
                || manager.routes.iter().any(|r| r.override_of(filter.name).is_some_and(|g| named(Some(g)))))
    })
}

const HOW: &str = "Put Envoy's RBAC filter after it, with the one principal `filter_state: {key: wasm.portcullis_belt, \
                   string_match: {exact: \"<name>:allow\"}}`; envoy/envoy.yaml has it.";

/// Clusters that demand the belt themselves, by their own filters, and what they demand.
pub type AtClusters<'a> = BTreeMap<&'a str, Rules>;

/// The clusters that have a belt of their own.
pub fn at_clusters<'a>(clusters: &BTreeMap<&'a str, Vec<Filter<'a>>>) -> AtClusters<'a> {
    let demands = |filters: &Vec<Filter<'_>>| {
        let found = filters.iter().filter(|f| is_rbac(f) && !f.disabled).map(|f| rules(f.config));
        found.into_iter().find(|rules| *rules != Rules::NoBelt)
    };
    clusters.iter().filter_map(|(name, filters)| Some((*name, demands(filters)?))).collect()
}

/// The clusters that also stop what Envoy itself makes, such as copies: RBAC there does not see it.
pub fn stopping_copies<'a>(clusters: &BTreeMap<&'a str, Vec<Filter<'a>>>) -> BTreeSet<&'a str> {
    let stops = |filter: &Filter<'_>| {
        let code = filter.config.to_string();
        filter.kind.ends_with(LUA) && !filter.disabled && code.contains(KEY) && code.contains(":respond(")
    };
    clusters.iter().filter(|(_, filters)| filters.iter().any(stops)).map(|(name, _)| *name).collect()
}

/// What is wrong with the belt of a chain.
pub fn examine(
    manager: &Manager<'_>,
    guard: &Guard,
    clusters: &Clusters<'_>,
    belts: &AtClusters<'_>,
    findings: &mut Vec<Finding>,
) {
    let at = &manager.at;
    let Some(place) = place(manager) else {
        if examine_clusters(manager, guard, clusters, belts, findings) {
            return;
        }
        let shadow_only = manager.filters.iter().any(|f| is_rbac(f) && f.config.to_string().contains(KEY));
        let (code, what) = if shadow_only {
            (
                "belt_not_enforced",
                "the belt stands in shadow rules, in a matcher or beside one, and stops nothing there",
            )
        } else {
            ("belt_missing", "there is no belt: where the filter is dropped or switched off, everything passes")
        };
        findings.push(Finding::critical(code, at, what, HOW));
        return;
    };
    if place < guard.place {
        findings.push(Finding::critical(
            "belt_before_filter",
            at,
            "the belt stands before the filter, where nothing has been judged: every request is refused",
            "Move the belt behind the filter, right before the router.",
        ));
    }
    let Some(filter) = manager.filters.get(place) else { return };
    match rules(filter.config) {
        Rules::Demands(values) => examine_values(at, guard, &values, findings),
        Rules::Open => findings.push(Finding::critical(
            "belt_open",
            at,
            "the belt has a way past: a policy or principal that does not demand our filter state, or action DENY",
            HOW,
        )),
        // It is brought by routes, and examined there.
        Rules::NoBelt => {}
    }
    // What one belt passes another behind it must pass as well.
    let behind = manager.filters.iter().skip(place.saturating_add(1)).filter(|f| is_rbac(f) && !f.disabled);
    for other in behind {
        if let Rules::Demands(values) = rules(other.config)
            && !values.contains(&format!("{}:allow", guard.name))
        {
            examine_values(&format!("{at}, filter `{}`", other.name), guard, &values, findings);
        }
    }
}

/// What is wrong with the belts of the clusters that a chain judges requests for; `false` where none
/// of them has one.
fn examine_clusters(
    manager: &Manager<'_>,
    guard: &Guard,
    clusters: &Clusters<'_>,
    belts: &AtClusters<'_>,
    findings: &mut Vec<Finding>,
) -> bool {
    let mut judged: BTreeSet<&str> = routes::guarded(manager, guard, false).collect();
    let used = |aggregate: &&str| manager.routes.iter().any(|route| route.clusters().contains(aggregate));
    judged.extend(clusters.aggregates_of(&judged).into_iter().filter(used));
    // A configuration that is refused does not say for which it is.
    if !judged.iter().any(|name| belts.contains_key(name)) || guard.is_unread() {
        return guard.is_unread() && !belts.is_empty();
    }
    for name in judged {
        let at = format!("cluster {name}");
        match belts.get(name) {
            Some(Rules::Demands(values)) => examine_values(&at, guard, values, findings),
            Some(_) => findings.push(Finding::critical("belt_open", &at, "the cluster's belt has a way past", HOW)),
            None => findings.push(Finding::critical(
                "belt_missing",
                &at,
                "other clusters behind this chain have a belt, this one has none; an aggregate needs its own",
                "Give it the same `http_filters`, or lead no route to it.",
            )),
        }
    }
    true
}

/// What is wrong with the values that a belt demands.
pub fn examine_values(at: &str, guard: &Guard, values: &BTreeSet<String>, findings: &mut Vec<Finding>) {
    if guard.name.is_empty() {
        return;
    }
    let has = |verdict: &str| values.contains(&format!("{}:{verdict}", guard.name));
    let listed = || values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    let name = &guard.name;
    if !has("allow") {
        findings.push(Finding::critical(
            "belt_name",
            at,
            format!("the belt demands {}, the filter says `{name}:allow`: every request is refused", listed()),
            format!("Write `{name}:allow` into the belt, or give the configuration the name that the belt has."),
        ));
    }
    match (guard.gate, has("pending")) {
        (Some(Gate::Stream), false) => findings.push(Finding::critical(
            "belt_without_pending",
            at,
            "with `body.gate: stream` the belt sees requests before their body is judged, and refuses them",
            format!("Add a second principal, `{name}:pending`, or set `body.gate: hold`."),
        )),
        (Some(Gate::Hold), true) => findings.push(Finding::notice(
            "belt_with_pending",
            at,
            format!("the belt passes `{name}:pending`, which `body.gate: hold` never sets"),
            "Take it out.",
        )),
        _ => {}
    }
    if has("shadow") {
        findings.push(Finding::warning(
            "belt_passes_shadow",
            at,
            format!("the belt passes `{name}:shadow`: in shadow mode what would be denied gets through"),
            "Take it out when shadow mode ends.",
        ));
    }
    let strangers: Vec<&String> = values.iter().filter(|v| v.split(':').next() != Some(name.as_str())).collect();
    if has("allow") && !strangers.is_empty() {
        findings.push(Finding::warning(
            "belt_passes_others",
            at,
            format!("the belt also passes what another configuration allows: {}", listed()),
            "Give each listener's belt the one name of its own filter.",
        ));
    }
}
