//! Routes: where a request may go on to, and whether it has been judged then.

use super::belt::{self, AtClusters, Rules};
use super::chain::{Filter, Manager, Tunnel, field, list, text};
use super::finding::Finding;
use super::plugin::{Guard, switches_off};
use super::route::{Leads, Route};
use std::collections::BTreeSet;

/// Members of a route's action that make the cluster see another path than the one that was judged.
const PATH_CHANGES: [&str; 4] = ["prefix_rewrite", "regex_rewrite", "path_rewrite", "path_rewrite_policy"];
/// Headers that a route must not set: they would make another request of the one that was judged.
const TELLING: [&str; 9] = [
    ":method",
    ":path",
    ":authority",
    "authorization",
    "cookie",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-forwarded-prefix",
];

/// What is wrong with the routes of a chain that has our filter; `nowhere`: no route of any chain is judged.
pub fn examine(
    manager: &Manager<'_>,
    guards: &[Guard],
    guarded: &BTreeSet<&str>,
    belts: &AtClusters<'_>,
    nowhere: bool,
    findings: &mut Vec<Finding>,
) {
    let Some(last) = guards.last() else { return };
    let Some(filter) = manager.filters.get(last.place) else { return };
    let belt = belt_of(manager);
    examine_elsewhere(manager, findings);
    if manager.routes_elsewhere.is_some() {
        let at_clusters = !guarded.is_empty() && guarded.iter().all(|cluster| belts.contains_key(cluster));
        for switched in [Some(filter).filter(|_| !at_clusters), belt].into_iter().flatten().filter(|f| f.disabled) {
            findings.push(Finding::warning(
                "disabled_unknown",
                &manager.at,
                format!("`{}` is off until a route switches it on, and the routes were not examined", switched.name),
                "Take `disabled` out, or give a /config_dump of the running Envoy.",
            ));
        }
    }
    for route in &manager.routes {
        let judging = guards.iter().rev().find(|guard| guard.covers(route) && is_on(manager, guard, route));
        let guard = judging.unwrap_or(last);
        let Some(filter) = manager.filters.get(guard.place) else { continue };
        if !guard.covers(route) && !is_off(filter, route) {
            examine_out_of_scope(belt, route, guarded, belts, findings);
            continue;
        }
        examine_changes(route, findings);
        let off = is_off(filter, route);
        let held = held(belt, route, guarded, belts);
        let at = &route.at;
        match (off, held) {
            (false, true) => {
                if let Some(Rules::Demands(values)) = belt.and_then(|belt| brought(belt, route)) {
                    belt::examine_values(at, guard, &values, findings);
                }
            }
            (false, false) if belt.is_none() => {}
            (false, false) => findings.push(Finding::critical(
                "route_without_belt",
                at,
                "the belt is switched off, or overridden, on this route",
                "Take the override of the belt out of `typed_per_filter_config`.",
            )),
            (true, true) => findings.push(Finding::warning(
                "route_refuses_all",
                at,
                "the filter is switched off on this route and the belt is not: every request is refused",
                "Switch the filter on again, or switch off both where the route does not lead to the cluster.",
            )),
            (true, false) => {
                let leads = if nowhere { Leads::Surely } else { route.destination.leads_to(guarded) };
                findings.push(unguarded(at, leads, "the filter is switched off on this route"));
            }
        }
    }
}

/// The belt of a chain.
fn belt_of<'a>(manager: &'a Manager<'_>) -> Option<&'a Filter<'a>> {
    belt::place(manager).and_then(|place| manager.filters.get(place))
}

/// Whether one of our filters is on on a route.
fn is_on(manager: &Manager<'_>, guard: &Guard, route: &Route<'_>) -> bool {
    manager.filters.get(guard.place).is_some_and(|filter| !is_off(filter, route))
}

/// Whether a filter is switched off on a route.
fn is_off(filter: &Filter<'_>, route: &Route<'_>) -> bool {
    route.override_of(filter.name).map_or(filter.disabled, switches_off)
}

/// Whether a belt of the chain lets only judged requests pass on a route.
fn holds(belt: &Filter<'_>, route: &Route<'_>) -> bool {
    let demanded = brought(belt, route).unwrap_or_else(|| belt::on_route(belt, None));
    !is_off(belt, route) && matches!(demanded, Rules::Demands(_))
}

/// What a belt demands that the route brings.
fn brought(belt: &Filter<'_>, route: &Route<'_>) -> Option<Rules> {
    route.override_of(belt.name).and_then(belt::brought)
}

/// Copies of requests that nobody has judged: RBAC at a cluster does not see what is mirrored, so the
/// belt of the chain must hold the request that is copied, or the cluster's other half of it.
pub fn examine_mirrors(
    manager: &Manager<'_>,
    guarded: &BTreeSet<&str>,
    stopping: &BTreeSet<&str>,
    findings: &mut Vec<Finding>,
) {
    let belt = belt_of(manager);
    for route in manager.routes.iter().filter(|route| !belt.is_some_and(|belt| holds(belt, route))) {
        let open = |cluster: &str| guarded.contains(cluster) && !stopping.contains(cluster);
        let any_open = || guarded.iter().any(|cluster| open(cluster));
        let what = match route.mirrors.iter().find(|mirror| mirror.map_or_else(any_open, open)) {
            Some(Some(cluster)) => format!("copies of requests go to `{cluster}`"),
            Some(None) => "copies of requests go to a cluster that a header names".into(),
            None => continue,
        };
        findings.push(Finding::critical(
            "mirror_unguarded",
            &route.at,
            format!("{what}, and no belt stops them: RBAC at a cluster does not see copies"),
            "Take the `request_mirror_policies` out, lead them elsewhere, or give the cluster both halves of the belt; \
             envoy/shared.yaml has them.",
        ));
    }
}

/// Whether a belt stops what has not been judged on a route: that of its chain, or of all clusters that it may lead to.
fn held(belt: Option<&Filter<'_>>, route: &Route<'_>, guarded: &BTreeSet<&str>, belts: &AtClusters<'_>) -> bool {
    let has = |cluster: &&str| belts.contains_key(cluster);
    let unnamed = route.destination.unnamed.is_some();
    let at_clusters = (unnamed && !guarded.is_empty() || !route.clusters().is_empty())
        && route.clusters().iter().all(has)
        && (!unnamed || guarded.iter().all(has));
    at_clusters || belt.is_some_and(|belt| holds(belt, route))
}

/// Whether the filter judges some route of a chain.
pub fn judges(manager: &Manager<'_>, guard: &Guard) -> bool {
    let judges = |filter: &Filter<'_>| {
        manager.routes_elsewhere.is_some() && !filter.disabled || manager.routes.iter().any(|r| !is_off(filter, r))
    };
    manager.filters.get(guard.place).is_some_and(judges)
}

/// The clusters that are to be reached only through the filter: those of its scope, and where what it judges goes;
/// with `everywhere`, all that its chain leads to.
pub fn guarded<'a>(manager: &'a Manager<'a>, guard: &'a Guard, everywhere: bool) -> impl Iterator<Item = &'a str> {
    let filter = manager.filters.get(guard.place);
    let judged = move |route: &&Route<'_>| everywhere || filter.is_some_and(|filter| !is_off(filter, route));
    let judged = manager.routes.iter().filter(judged).filter(|route| guard.covers(route));
    // Of the parts of a route only those of the scope.
    let is_meant = |cluster: &&str| {
        guard.clusters.is_empty() || !guard.authorities.is_empty() || guard.clusters.iter().any(|own| own == cluster)
    };
    guard.clusters.iter().map(String::as_str).chain(judged.flat_map(|r| r.clusters()).copied().filter(is_meant))
}

/// A route that passes by, but leads where only judged requests are to go.
fn examine_out_of_scope(
    belt: Option<&Filter<'_>>,
    route: &Route<'_>,
    guarded: &BTreeSet<&str>,
    belts: &AtClusters<'_>,
    findings: &mut Vec<Finding>,
) {
    if route.destination.leads_to(guarded) == Leads::No {
        return;
    }
    findings.push(if held(belt, route, guarded, belts) {
        Finding::warning(
            "route_refuses_all",
            &route.at,
            "the filter's `scope` leaves this route out and the belt does not: every request is refused",
            "Name the route's cluster in `scope.clusters`.",
        )
    } else {
        unguarded(&route.at, Leads::Surely, "the filter's `scope` leaves this route out")
    });
}

/// What is wrong with a chain that does not have our filter, beside others that do.
pub fn examine_unguarded(
    manager: &Manager<'_>,
    guarded: &BTreeSet<&str>,
    belts: &AtClusters<'_>,
    findings: &mut Vec<Finding>,
) {
    if !guarded.is_empty() && !guarded.iter().all(|cluster| belts.contains_key(cluster)) {
        examine_elsewhere(manager, findings);
    }
    for route in &manager.routes {
        let leads = route.destination.leads_to(guarded);
        if leads == Leads::No {
            continue;
        }
        if !held(belt_of(manager), route, guarded, belts) {
            findings.push(unguarded(&route.at, leads, "this chain does not have the filter"));
        } else if route.destination.unnamed.is_none() {
            findings.push(Finding::warning(
                "route_refuses_all",
                &route.at,
                "this chain has the belt and not the filter: every request is refused",
                "Let the filter stand in this chain, too, or lead the route elsewhere.",
            ));
        }
    }
}

fn examine_elsewhere(manager: &Manager<'_>, findings: &mut Vec<Finding>) {
    if let Some(name) = manager.routes_elsewhere {
        findings.push(Finding::notice(
            "routes_unknown",
            &manager.at,
            format!("the routes (`{name}`) are not in what was given, and were not examined"),
            "Give a /config_dump of the running Envoy.",
        ));
    }
}

/// Proxies of plain connections to clusters that are to be reached only through the filter. No belt holds there, not even
/// that of a cluster's own HTTP filters.
pub fn examine_tunnels(tunnels: &[Tunnel<'_>], guarded: &BTreeSet<&str>, findings: &mut Vec<Finding>) {
    for tunnel in tunnels {
        let Some(cluster) = tunnel.clusters.iter().find(|cluster| guarded.contains(*cluster)) else { continue };
        findings.push(if tunnel.internal {
            Finding::notice(
                "route_not_judged",
                &tunnel.at,
                format!(
                    "an internal listener leads connections that are not taken for HTTP to `{cluster}`, past filter and belt"
                ),
                "Nothing, if what listens there speaks HTTP alone and is reached by its service.",
            )
        } else {
            Finding::critical(
                "route_unguarded",
                &tunnel.at,
                format!("a TCP proxy leads to `{cluster}`: neither the filter nor any belt sees what goes through it"),
                "Make it an HTTP connection manager with the filter and the belt, or lead it elsewhere.",
            )
        });
    }
}

fn unguarded(at: &str, leads: Leads, why: &str) -> Finding {
    match leads {
        Leads::Surely => Finding::critical(
            "route_unguarded",
            at,
            format!("{why}, and the route leads to a cluster that is to be reached only through it"),
            "Let the route go through the filter and the belt, or lead it elsewhere.",
        ),
        Leads::Perhaps => Finding::warning(
            "route_open_ended",
            at,
            format!(
                "{why}, and a plugin says where the route leads: perhaps to a cluster that is to be reached only through it"
            ),
            "Let the route go through the filter and the belt, or name its clusters.",
        ),
        Leads::No => Finding::notice(
            "route_not_judged",
            at,
            format!("{why}; it leads to clusters that no judged route leads to"),
            "Nothing, if no orchestration cluster is behind it.",
        ),
    }
}

fn examine_changes(route: &Route<'_>, findings: &mut Vec<Finding>) {
    let Some(action) = route.action() else { return };
    if let Some(change) = PATH_CHANGES.into_iter().find(|name| field(action, name).is_some_and(|v| v != "")) {
        findings.push(Finding::warning(
            "route_rewrites_path",
            &route.at,
            format!("`{change}`: the cluster gets another path than the one that is judged"),
            "Take it out; where the cluster stands under a prefix, set `api.basePath`.",
        ));
    }
    for place in route.places() {
        let added = list(place, "request_headers_to_add").iter().filter_map(|h| field(h, "header"));
        let added = added.map(|header| text(header, "key")).map(|name| ("sets", name));
        let removed = list(place, "request_headers_to_remove").iter().filter_map(serde_json::Value::as_str);
        for (what, name) in added.chain(removed.map(|name| ("removes", name))).filter(|(_, name)| is_telling(name)) {
            findings.push(Finding::warning(
                "route_sets_header",
                &route.at,
                format!("the route, or what stands above it, {what} `{name}` after the request was judged"),
                "Take it out.",
            ));
        }
    }
}

/// Whether a header tells what is asked for, or by whom.
pub fn is_telling(name: &str) -> bool {
    TELLING.iter().any(|telling| telling.eq_ignore_ascii_case(name))
}
