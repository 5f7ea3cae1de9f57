//! The filter itself: its configuration, its failure policy, what it is allowed to call.

use super::chain::{Filter, Manager, WASM, choice, field, flag, list, text, typed};
use super::finding::Finding;
use super::route::Route;
use crate::config::{self, Gate, Plan, Scope};
use serde_json::Value;

/// Callbacks and calls without which requests are refused, or bodies pass unjudged.
const NEEDED: [&str; 13] = [
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_memory_allocate",
    "proxy_on_tick",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_property",
    "proxy_send_local_response",
];

/// What Envoy does when a module fails, by its number.
const POLICIES: [&str; 4] = ["UNSPECIFIED", "FAIL_RELOAD", "FAIL_CLOSED", "FAIL_OPEN"];

/// Our filter in a chain.
#[derive(Debug)]
pub struct Guard {
    /// Its place in the chain.
    pub place: usize,
    /// The `name` of its configuration; empty where that cannot be read.
    pub name: String,
    /// The gate for bodies, as far as its configuration says.
    pub gate: Option<Gate>,
    /// The longest body that is read, in bytes.
    pub max_body: u64,
    /// The clusters whose requests are judged, where not all are.
    pub clusters: Vec<String>,
    /// The hosts whose requests are judged, beside those clusters.
    pub authorities: Vec<String>,
    /// Decisions are not enforced until some time.
    pub shadow: bool,
    /// What was found while its configuration was read.
    configuration: Configuration,
}

#[derive(Debug)]
enum Configuration {
    Usable(Box<Value>),
    Refused(String),
    Missing,
}

/// Our filters in a chain, in their order: wasm plugins with a configuration of our shape, or with our name.
pub fn find(manager: &Manager<'_>) -> Vec<Guard> {
    let ours = manager.filters.iter().enumerate().filter(|(_, filter)| is_ours(filter));
    let given = |filter: &Filter<'_>| {
        let plugin = field(filter.config, "config")?;
        field(plugin, "configuration").and_then(configuration)
    };
    ours.map(|(place, filter)| guard(place, given(filter))).collect()
}

/// Whether a configuration has the shape of ours.
pub fn is_shaped(given: &Value) -> bool {
    given.get("issuers").is_some() && (given.get("policy").is_some() || given.get("table").is_some())
}

fn is_ours(filter: &Filter<'_>) -> bool {
    if !filter.kind.ends_with(WASM) {
        return false;
    }
    let Some(plugin) = field(filter.config, "config") else { return false };
    let given = field(plugin, "configuration").and_then(configuration);
    let shaped = given.is_some_and(|given| serde_json::from_str::<Value>(&given).is_ok_and(|v| is_shaped(&v)));
    let code = field(plugin, "vm_config").and_then(|vm| field(vm, "code"));
    let file = code.and_then(|c| field(c, "local")).map(|l| text(l, "filename")).unwrap_or_default();
    // Envoy Gateway names the filters of all plugins of a policy after that policy.
    let own = if filter.name.starts_with("envoy.filters.http.wasm/") { "" } else { filter.name };
    let names = [own, text(plugin, "name"), text(plugin, "root_id"), file];
    shaped || names.iter().any(|name| name.contains("portcullis"))
}

/// The configuration as the module gets it.
fn configuration(any: &Value) -> Option<String> {
    let (kind, inner) = typed(any);
    if kind.ends_with(".StringValue") {
        return inner.get("value").and_then(Value::as_str).map(Into::into);
    }
    // A Struct arrives as protobuf; the module says so.
    Some("\n".into())
}

/// Reads what a configuration says of the rest of the chain.
pub fn guard(place: usize, given: Option<String>) -> Guard {
    let unread = |configuration| Guard {
        place,
        name: String::new(),
        gate: None,
        max_body: 0,
        clusters: Vec::new(),
        authorities: Vec::new(),
        shadow: false,
        configuration,
    };
    match given.as_deref().map(|given| (given, config::read(given.as_bytes()))) {
        None => unread(Configuration::Missing),
        Some(("\n", _)) => unread(Configuration::Refused(
            "the configuration is a protobuf message, not text: give it as google.protobuf.StringValue".into(),
        )),
        Some((_, Err(error))) => unread(Configuration::Refused(error.to_string())),
        Some((given, Ok((plan, _)))) => usable(place, &plan, serde_json::from_str(given).unwrap_or_default()),
    }
}

fn usable(place: usize, plan: &Plan, given: Value) -> Guard {
    let hosts = field(&given, "scope").map(|scope| list(scope, "authorities")).unwrap_or_default();
    Guard {
        place,
        name: plan.name.clone(),
        gate: Some(plan.gate),
        max_body: plan.max_body,
        clusters: plan.scope.iter().flat_map(Scope::clusters).map(Into::into).collect(),
        authorities: hosts.iter().filter_map(Value::as_str).map(Into::into).collect(),
        shadow: plan.shadow_until.is_some(),
        configuration: Configuration::Usable(Box::new(given)),
    }
}

impl Guard {
    /// Whether requests on a route are judged where the filter is on, as far as its scope decides that.
    pub fn covers(&self, route: &Route<'_>) -> bool {
        self.clusters.is_empty() && self.authorities.is_empty()
            || route.clusters().iter().any(|cluster| self.clusters.iter().any(|own| own == cluster))
            || route.destination.unnamed.is_some()
            || self.authorities.iter().any(|host| route.serves(host))
    }

    /// Whether two filters of a chain judge requests for clusters of their own.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        let scoped = |guard: &Self| !guard.clusters.is_empty() && guard.authorities.is_empty();
        scoped(self) && scoped(other) && !self.clusters.iter().any(|cluster| other.clusters.contains(cluster))
    }

    /// Whether its configuration says nothing, since it cannot be read.
    pub const fn is_unread(&self) -> bool {
        !matches!(self.configuration, Configuration::Usable(_))
    }
}

/// What is wrong with the filter.
pub fn examine(manager: &Manager<'_>, guard: &Guard, policy: Option<&Value>, findings: &mut Vec<Finding>) {
    let at = &manager.at;
    examine_configuration(at, guard, policy, findings);
    let Some(filter) = manager.filters.get(guard.place) else { return };
    let Some(plugin) = field(filter.config, "config") else { return };
    examine_failure(at, plugin, findings);
    examine_code(at, plugin, findings);
    examine_capabilities(at, plugin, findings);
    if guard.gate == Some(Gate::Hold) {
        if !flag(plugin, "allow_on_headers_stop_iteration") {
            findings.push(Finding::critical(
                "hold_without_flag",
                at,
                "`body.gate: hold` without `allow_on_headers_stop_iteration: true`: requests whose body decides end in 503",
                "Set `allow_on_headers_stop_iteration: true` beside the plugin's name, or `body.gate: stream` in its \
                 configuration.",
            ));
        }
        let ((buffer, setting), body) = (manager.buffer, guard.max_body);
        if buffer < body {
            findings.push(Finding::warning(
                "buffer_too_small",
                at,
                format!(
                    "a held body may take {buffer} bytes, `body.maxBytes` is {body}: Envoy answers 413 between them"
                ),
                format!("Set `{setting}` above {body}, or `body.maxBytes` below {buffer}."),
            ));
        }
    }
    if manager.filters.iter().take(guard.place).any(is_ours) {
        findings.push(Finding::notice(
            "filter_twice",
            at,
            "the chain has Portcullis more than once; the last is examined, whose verdict the belt sees",
            "Leave one of them out unless both are meant: then both have to allow, and the belt demands the last one.",
        ));
    }
}

/// What is wrong with a configuration of ours, wherever it stands.
pub fn examine_configuration(at: &str, guard: &Guard, policy: Option<&Value>, findings: &mut Vec<Finding>) {
    let given = match &guard.configuration {
        Configuration::Usable(given) => given,
        Configuration::Missing => {
            findings.push(Finding::critical(
                "configuration_missing",
                at,
                "the plugin has no configuration",
                "Give it one; docs/configuration.schema.json is its schema.",
            ));
            return;
        }
        Configuration::Refused(why) => {
            findings.push(Finding::critical(
                "configuration_refused",
                at,
                format!("the module refuses this configuration: {why}"),
                "Correct the field. Until then Envoy keeps the previous configuration, or answers 500 or 503 where \
                 there is none.",
            ));
            return;
        }
    };
    if guard.shadow {
        findings.push(Finding::warning(
            "shadow",
            at,
            "the filter is in shadow mode: what it would deny is forwarded",
            "Set `mode: enforce` when the counted denials are as expected.",
        ));
    }
    if let Some(policy) = policy
        && let Some((actual, expected)) = digests(given, policy)
        && actual != expected
    {
        findings.push(Finding::warning(
            "table_differs",
            at,
            format!("the table in use is {actual}, the given policy makes {expected}"),
            "Push the policy, or compare the two with `portcullis diff`.",
        ));
    }
}

/// The digest of the table in use, and of the one that a policy makes.
fn digests(given: &Value, policy: &Value) -> Option<(String, String)> {
    let digest = |configuration: &Value| -> Option<String> {
        let (plan, _): (Plan, _) = config::read(configuration.to_string().as_bytes()).ok()?;
        Some((*plan.table_digest).into())
    };
    let mut other = given.clone();
    let members = other.as_object_mut()?;
    members.remove("table");
    members.insert("policy".into(), policy.clone());
    Some((digest(given)?, digest(&other)?))
}

fn examine_failure(at: &str, plugin: &Value, findings: &mut Vec<Finding>) {
    let policy = choice(plugin, "failure_policy", &POLICIES);
    if policy == "FAIL_OPEN" || flag(plugin, "fail_open") {
        findings.push(Finding::critical(
            "fail_open",
            at,
            "when the module fails, requests pass unjudged",
            "Set `failure_policy: FAIL_RELOAD`.",
        ));
    } else if policy != "FAIL_RELOAD" {
        findings.push(Finding::warning(
            "no_reload",
            at,
            "when the module fails, its worker answers 503 until the next change of configuration",
            "Set `failure_policy: FAIL_RELOAD`.",
        ));
    }
}

/// Envoy looks for a VM before it has downloaded the code, by `vm_id` alone: what runs there already goes on.
fn examine_code(at: &str, plugin: &Value, findings: &mut Vec<Finding>) {
    let Some(vm) = field(plugin, "vm_config") else { return };
    let is_downloaded = field(vm, "code").is_some_and(|code| field(code, "remote").is_some());
    let vm_id = text(vm, "vm_id");
    if is_downloaded && !names_a_version(vm_id) {
        findings.push(Finding::warning(
            "vm_id_fixed",
            at,
            format!(
                "the module is downloaded, and `vm_id` ({vm_id:?}) names neither its digest nor its version: where another \
                 module runs under it already, Envoy goes on with that one until the next change"
            ),
            "Put the digest or the version of the module into `vm_id`, and change both together.",
        ));
    }
}

/// Whether a text has a part of a digest, or a number with a point in it. Envoy Gateway's own names end in a number that
/// is none.
fn names_a_version(vm_id: &str) -> bool {
    let digest = |part: &str| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let version =
        |part: &str| part.split('.').filter(|number| number.bytes().any(|b| b.is_ascii_digit())).nth(1).is_some();
    vm_id.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').any(|part| digest(part) || version(part))
}

fn examine_capabilities(at: &str, plugin: &Value, findings: &mut Vec<Finding>) {
    let restriction = [Some(plugin), field(plugin, "vm_config")]
        .into_iter()
        .flatten()
        .find_map(|owner| field(owner, "capability_restriction_config"));
    let Some(allowed) = restriction.and_then(|r| field(r, "allowed_capabilities")).and_then(Value::as_object) else {
        return;
    };
    if allowed.is_empty() {
        return;
    }
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !allowed.contains_key(*name)).collect();
    if !missing.is_empty() {
        findings.push(Finding::critical(
            "capability_missing",
            at,
            format!("the capability restriction withholds {}", missing.join(", ")),
            "List them in `allowed_capabilities`, or leave the restriction out. With `body.gate: stream`, bodies would \
             pass unjudged without proxy_on_request_body and proxy_on_request_trailers.",
        ));
    }
}

/// Other wasm plugins of a chain, by name.
pub fn others<'a>(manager: &'a Manager<'_>) -> impl Iterator<Item = &'a str> {
    manager.filters.iter().filter(|f| f.kind.ends_with(WASM) && !is_ours(f)).map(|f| f.name)
}

/// Whether a per-filter configuration switches its filter off.
pub fn switches_off(given: &Value) -> bool {
    flag(given, "disabled")
}
