//! Filters after ours that could make another request of the one that was judged.

use super::belt::{KEY, is_rbac};
use super::chain::{Filter, Manager, Named, filter, flag, list};
use super::finding::Finding;
use super::plugin::{self, Guard};

/// Filters that can change method, path, host or credentials, clear the route cache, or answer
/// for themselves, by their types, and what they can do.
const CHANGERS: [(&str, &str); 15] = [
    ("filters.http.lua.", "a script can change everything"),
    ("filters.http.wasm.", "another wasm plugin can change everything, our filter state included"),
    ("filters.http.golang.", "a plugin can change everything"),
    ("filters.http.dynamic_modules.", "a module can change everything"),
    ("filters.http.ext_proc.", "an external processor can change headers and body"),
    ("filters.http.ext_authz.", "an external service can change headers and clear the route cache"),
    ("filters.http.header_mutation.", "it can change method, path and host"),
    ("filters.http.grpc_json_transcoder.", "it makes another call of the one that was judged"),
    ("filters.http.grpc_web.", "it makes another call of the one that was judged"),
    ("filters.http.grpc_http1_bridge.", "it changes the call"),
    ("filters.http.grpc_http1_reverse_bridge.", "it changes the call"),
    ("filters.http.connect_grpc_bridge.", "it makes another call of the one that was judged"),
    ("filters.http.decompressor.", "the cluster gets another body than the one that was judged"),
    ("filters.http.oauth2.", "it sets a credential that was not judged"),
    ("filters.http.credential_injector.", "it sets a credential that was not judged"),
];

/// The filter that writes filter state.
const SETTER: &str = "filters.http.set_filter_state.";

/// Filters that leave a request as it is.
const HARMLESS: [&str; 21] = [
    "filters.http.router.",
    "filters.http.rbac.",
    "filters.http.fault.",
    "filters.http.cors.",
    "filters.http.csrf.",
    "filters.http.buffer.",
    "filters.http.compressor.",
    "filters.http.grpc_stats.",
    "filters.http.health_check.",
    "filters.http.local_ratelimit.",
    "filters.http.ratelimit.",
    "filters.http.rate_limit_quota.",
    "filters.http.bandwidth_limit.",
    "filters.http.tap.",
    "filters.http.adaptive_concurrency.",
    "filters.http.admission_control.",
    "filters.http.alpn.",
    "filters.http.peer_metadata.",
    "filters.http.ip_tagging.",
    "filters.http.upstream_codec.",
    "stats.PluginConfig",
];

/// What is wrong with the rest of a chain.
pub fn examine(manager: &Manager<'_>, guard: &Guard, findings: &mut Vec<Finding>) {
    let at = &manager.at;
    for other in manager.filters.iter().skip(guard.place.saturating_add(1)) {
        stands_after(at, other, findings);
        // What the router runs stands behind the chain.
        for upstream in list(other.config, "upstream_http_filters") {
            stands_after(at, &filter(upstream, &Named::default()), findings);
        }
    }
    let before: Vec<&str> = plugin::others(manager).collect();
    if !before.is_empty() {
        findings.push(Finding::notice(
            "other_plugins",
            at,
            format!("other wasm plugins run in this chain: {}", before.join(", ")),
            "Run only plugins that you trust: they can set the filter state that the belt demands.",
        ));
    }
    for upgrade in manager.upgrades.iter().filter(|upgrade| plugin::find(&upgrade.chain).is_empty()) {
        findings.push(Finding::critical(
            "upgrade_has_own_chain",
            at,
            format!("requests to upgrade to `{}` go through filters of their own, past Portcullis", upgrade.kind),
            "Take `filters` out of `upgrade_configs`, so that upgrades go through the chain, or put filter and belt there.",
        ));
    }
}

/// What is wrong with one filter that a request passes after it was judged.
fn stands_after(at: &str, filter: &Filter<'_>, findings: &mut Vec<Finding>) {
    if let Some((code, what, advice)) = judge(filter) {
        let name = filter.name;
        let what = format!("filter `{name}` stands after Portcullis: {what}");
        findings.push(if code == "filter_after_unknown" {
            Finding::notice(code, at, what, advice)
        } else {
            Finding::warning(code, at, what, advice)
        });
    }
}

/// What is wrong with the filters of a cluster, which its belt is among.
pub fn examine_cluster(name: &str, filters: &[Filter<'_>], findings: &mut Vec<Finding>) {
    for filter in filters.iter().filter(|filter| !filter.config.to_string().contains(KEY)) {
        stands_after(&format!("cluster {name}"), filter, findings);
    }
}

/// Filters that write what the belt demands: with them anything passes it.
pub fn examine_forged(manager: &Manager<'_>, findings: &mut Vec<Finding>) {
    let writes = |filter: &&Filter<'_>| filter.kind.contains(SETTER) && filter.config.to_string().contains(KEY);
    for filter in manager.filters.iter().filter(writes) {
        findings.push(Finding::critical(
            "belt_open",
            &manager.at,
            format!(
                "filter `{}` writes the filter state that the belt demands, for requests that nobody has judged",
                filter.name
            ),
            "Take it out: the filter alone writes it.",
        ));
    }
}

type Judged = (&'static str, &'static str, &'static str);

fn judge(filter: &Filter<'_>) -> Option<Judged> {
    let kind = filter.kind;
    if let Some((_, what)) = CHANGERS.iter().find(|(name, _)| kind.contains(name)) {
        return Some((
            "filter_after_changes",
            what,
            "Move it before Portcullis, so that what is judged is what is forwarded.",
        ));
    }
    if kind.contains("filters.http.jwt_authn.") {
        let clears = filter.config.to_string().contains("clear_route_cache") && clears_route_cache(filter);
        return clears.then_some((
            "filter_after_clears_route",
            "it clears the route cache, and the request can take a route that was not meant",
            "Move it before Portcullis.",
        ));
    }
    if is_rbac(filter) || HARMLESS.iter().any(|name| kind.contains(name)) {
        return None;
    }
    Some((
        "filter_after_unknown",
        "it is not known whether it changes method, path, host or body",
        "If it does, move it before Portcullis.",
    ))
}

fn clears_route_cache(filter: &Filter<'_>) -> bool {
    let providers = super::chain::field(filter.config, "providers").and_then(|p| p.as_object());
    providers.into_iter().flat_map(|all| all.values()).any(|provider| {
        flag(provider, "clear_route_cache")
            || list(provider, "claim_to_headers").iter().any(|h| flag(h, "clear_route_cache"))
    })
}
