//! An EnvoyExtensionPolicy of Envoy Gateway, and what it is attached to.

use super::chain::{field, flag, list, text};
use super::finding::Finding;
use super::manifest::{digest, unknown};
use super::patch::{Patch, namespace, same_namespace};
use super::routes::is_telling;
use serde_json::Value;

/// Members of an EnvoyExtensionPolicy's `spec`, and of an entry of its `wasm`.
const KNOWN_TO_GATEWAY: [&str; 8] =
    ["targetRef", "targetRefs", "targetSelectors", "mergeType", "wasm", "extProc", "lua", "dynamicModule"];
const KNOWN_OF_WASM: [&str; 6] = ["name", "rootID", "code", "config", "failOpen", "env"];

/// What is wrong with one entry of its `wasm`.
pub fn examine(at: &str, spec: &Value, wasm: &Value, findings: &mut Vec<Finding>) {
    if flag(wasm, "failOpen") {
        findings.push(Finding::critical(
            "fail_open",
            at,
            "when the module cannot be fetched or refuses its configuration, requests pass unjudged",
            "Take `failOpen` out.",
        ));
    }
    let code = wasm.get("code").unwrap_or(&Value::Null);
    let source = match text(code, "type") {
        "HTTP" => code.get("http"),
        "Image" => code.get("image"),
        other => {
            findings.push(Finding::critical(
                "code_type",
                at,
                format!("`code.type: {other}` is none of HTTP and Image"),
                "Name the module's source.",
            ));
            None
        }
    };
    let source = source.unwrap_or(&Value::Null);
    let url = text(source, "url");
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    if (text(code, "type") == "HTTP") != is_http || url.contains("oci://") {
        findings.push(Finding::critical(
            "url_scheme",
            at,
            format!("Envoy Gateway cannot load the module from `{url}`"),
            "Write https:// or http:// where `code.type` is HTTP, and no scheme where it is Image.",
        ));
    }
    digest(at, source.get("sha256"), findings);
    if source.get("sha256").is_none() {
        findings.push(Finding::warning(
            "sha256_missing",
            at,
            "whatever the module's address serves is run",
            "Pin it by `sha256`.",
        ));
    }
    unknown(at, &[spec], &KNOWN_TO_GATEWAY, "Envoy Gateway", findings);
    unknown(at, &[wasm], &KNOWN_OF_WASM, "Envoy Gateway", findings);
    if targets(spec).filter(|t| text(t, "kind") == "Gateway").count() > 0 {
        findings.push(Finding::warning(
            "gateway_level",
            at,
            "a policy on the Gateway is overridden, without a word, by any other policy on one of its routes",
            "Attach it to each route, or demand the belt on the Gateway.",
        ));
    }
}

/// What a policy is attached to.
pub fn targets(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "targetRefs").iter().chain(spec.get("targetRef"))
}

/// The routes among documents that a policy is attached to.
pub fn routes<'a>(policy: &Value, documents: &[&'a Value]) -> Vec<&'a Value> {
    let spec = field(policy, "spec").unwrap_or(&Value::Null);
    let is = |target: &Value, route: &Value| {
        text(target, "kind") == text(route, "kind") && text(target, "name") == name(route)
    };
    let mut routes = documents.to_vec();
    routes.retain(|d| same_namespace(namespace(d), namespace(policy)) && targets(spec).any(|target| is(target, d)));
    routes
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    field(object, "metadata").map(|m| text(m, "name")).unwrap_or_default()
}

/// Listeners among documents by which requests come to the plugin, and that no patch brings the belt to.
pub fn examine_listeners(policy: &Value, belts: &[&Patch<'_>], documents: &[&Value], findings: &mut Vec<Finding>) {
    let names: Vec<Vec<&str>> = belts.iter().map(|belt| belt.name().split('/').collect()).collect();
    // Names of another scheme say nothing of their Gateway.
    if names.is_empty() || names.iter().any(|parts| parts.len() != 3) {
        return;
    }
    let held = |gateway: &str, listener: Option<&str>| {
        let mut names = names.iter().filter_map(|parts| Some((*parts.get(1)?, *parts.get(2)?)));
        names.any(|(owner, own)| owner == gateway && listener.is_none_or(|listener| listener == own))
    };
    let spec = field(policy, "spec").unwrap_or(&Value::Null);
    let routes = routes(policy, documents);
    let parents: Vec<&Value> =
        routes.iter().filter_map(|route| field(route, "spec")).flat_map(|spec| list(spec, "parentRefs")).collect();
    for parent in parents.iter().filter(|parent| !held(text(parent, "name"), None)) {
        findings.push(Finding::warning(
            "belt_elsewhere",
            &format!("Gateway {}", text(parent, "name")),
            "a route of the plugin is attached to this Gateway, whose listeners no patch brings the belt to",
            "Name the Gateway's listeners in the belt's patches.",
        ));
    }
    for gateway in documents.iter().filter(|d| text(d, "kind") == "Gateway") {
        let listeners = field(gateway, "spec").map(|spec| list(spec, "listeners")).unwrap_or_default();
        let whole = targets(spec).any(|t| text(t, "kind") == "Gateway" && text(t, "name") == name(gateway));
        let here: Vec<&&Value> = parents.iter().filter(|parent| text(parent, "name") == name(gateway)).collect();
        let serves = |listener: &&Value| matches!(text(listener, "protocol"), "HTTP" | "HTTPS");
        for listener in listeners.iter().filter(serves).map(|listener| text(listener, "name")) {
            let reached =
                |parent: &&&Value| matches!(text(parent, "sectionName"), "") || text(parent, "sectionName") == listener;
            if held(name(gateway), None) && !held(name(gateway), Some(listener)) && (whole || here.iter().any(reached))
            {
                findings.push(Finding::critical(
                    "belt_missing",
                    &format!("Gateway {}, listener {listener}", name(gateway)),
                    "requests come to the plugin by this listener, too, and no patch brings the belt to it",
                    "Give `portcullis render` a `--listener` for it, or attach the routes to other listeners alone.",
                ));
            }
        }
    }
}

/// What routes change after their requests were judged.
pub fn examine_routes(policy: &Value, documents: &[&Value], findings: &mut Vec<Finding>) {
    for route in routes(policy, documents) {
        let at = format!("{} {}", text(route, "kind"), name(route));
        let rules = field(route, "spec").map(|spec| list(spec, "rules")).unwrap_or_default();
        let backends = rules.iter().flat_map(|rule| list(rule, "backendRefs"));
        let filters: Vec<&Value> = rules.iter().chain(backends).flat_map(|owner| list(owner, "filters")).collect();
        if filters.iter().filter_map(|filter| field(filter, "urlRewrite")).any(|change| field(change, "path").is_some())
        {
            findings.push(Finding::warning(
                "route_rewrites_path",
                &at,
                "`urlRewrite.path`: the cluster gets another path than the one that is judged",
                "Take it out; where the cluster stands under a prefix, set `api.basePath`.",
            ));
        }
        for change in filters.iter().filter_map(|filter| field(filter, "requestHeaderModifier")) {
            let given = list(change, "set").iter().chain(list(change, "add")).map(|header| text(header, "name"));
            let removed = list(change, "remove").iter().filter_map(Value::as_str);
            for header in given.chain(removed).filter(|header| is_telling(header)) {
                findings.push(Finding::warning(
                    "route_sets_header",
                    &at,
                    format!("the route changes `{header}` after the request was judged"),
                    "Take it out.",
                ));
            }
        }
    }
}

/// Other policies of its kind on what a policy is attached to: of two only the older holds.
pub fn examine_conflicts(policy: &Value, documents: &[&Value], findings: &mut Vec<Finding>) {
    let nothing = &Value::Null;
    let same = |one: &Value, other: &Value| ["kind", "name"].iter().all(|m| text(one, m) == text(other, m));
    for other in documents.iter().filter(|d| text(d, "kind") == text(policy, "kind") && **d != policy) {
        let [own, theirs] = [policy, *other].map(|object| field(object, "spec").unwrap_or(nothing));
        if same_namespace(namespace(policy), namespace(other))
            && targets(own).any(|one| targets(theirs).any(|other| same(one, other)))
        {
            findings.push(Finding::warning(
                "policy_conflict",
                &format!("{} {}", text(other, "kind"), name(other)),
                "it is attached to a route of the plugin's policy, and of two only one holds",
                "Write both into one policy.",
            ));
        }
    }
}
