//! Manifests that bring our filter to Istio or Envoy Gateway, before they are applied. Both drop or
//! replace a plugin silently in more ways than Envoy alone does; what can be seen in the manifest is
//! found here.

use super::belt::{self, KEY};
use super::cel;
use super::chain::{field, flag, list, text};
use super::finding::Finding;
use super::plugin::{self, Guard};
use crate::config::Gate;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Members of a WasmPlugin's `spec`, and of the `wasm` of a TrafficExtension.
const KNOWN: [&str; 18] = [
    "selector",
    "targetRef",
    "targetRefs",
    "url",
    "sha256",
    "imagePullPolicy",
    "imagePullSecret",
    "verificationKey",
    "pluginConfig",
    "pluginName",
    "phase",
    "priority",
    "failStrategy",
    "vmConfig",
    "match",
    "type",
    "wasm",
    "lua",
];

/// Members of an EnvoyExtensionPolicy's `spec`, and of an entry of its `wasm`.
const KNOWN_TO_GATEWAY: [&str; 8] =
    ["targetRef", "targetRefs", "targetSelectors", "mergeType", "wasm", "extProc", "lua", "dynamicModule"];
const KNOWN_OF_WASM: [&str; 6] = ["name", "rootID", "code", "config", "failOpen", "env"];

/// Manifests of our filter, and all that stand beside them.
pub struct Manifests<'a> {
    ours: Vec<Manifest<'a>>,
    /// Everything that was given, for the belt.
    all: Vec<&'a Value>,
}

impl Manifests<'_> {
    pub const fn is_empty(&self) -> bool {
        self.ours.is_empty()
    }

    /// Whether an EnvoyPatchPolicy sets a member of that name.
    fn patches(&self, member: &str) -> bool {
        let mut policies = self.all.iter().filter(|d| text(d, "kind") == "EnvoyPatchPolicy");
        policies.any(|policy| policy.to_string().contains(&format!("/{member}\"")))
    }
}

const fn is_gateway(manifest: &Manifest<'_>) -> bool {
    matches!(manifest, Manifest::Gateway { .. })
}

enum Manifest<'a> {
    /// A WasmPlugin or TrafficExtension: where it stands, its `spec`, and the part on the module.
    Istio { at: String, spec: &'a Value, wasm: &'a Value },
    /// An EnvoyExtensionPolicy and one entry of its `wasm`.
    Gateway { at: String, spec: &'a Value, wasm: &'a Value },
}

/// Finds the manifests among documents.
pub fn among<'a>(documents: &[&'a Value]) -> Manifests<'a> {
    let mut ours = Vec::new();
    for document in documents {
        let (kind, spec) = (text(document, "kind"), document.get("spec").unwrap_or(&Value::Null));
        let name = document.get("metadata").map(|m| text(m, "name")).unwrap_or_default();
        let at = format!("{kind} {name}");
        match kind {
            "WasmPlugin" => ours.push(Manifest::Istio { at, spec, wasm: spec }),
            "TrafficExtension" => {
                if let Some(wasm) = spec.get("wasm") {
                    ours.push(Manifest::Istio { at, spec, wasm });
                }
            }
            "EnvoyExtensionPolicy" => {
                for (number, wasm) in list(spec, "wasm").iter().enumerate() {
                    ours.push(Manifest::Gateway { at: format!("{at}, wasm {number}"), spec, wasm });
                }
            }
            _ => {}
        }
    }
    Manifests { ours, all: documents.to_vec() }
}

/// What is wrong with the manifests.
pub fn examine(manifests: &Manifests<'_>, policy: Option<&Value>, findings: &mut Vec<Finding>) {
    for manifest in &manifests.ours {
        let (at, given) = match manifest {
            Manifest::Istio { at, wasm, .. } => (at, wasm.get("pluginConfig")),
            Manifest::Gateway { at, wasm, .. } => (at, wasm.get("config")),
        };
        let guard = plugin::guard(0, given.map(Value::to_string));
        plugin::examine_configuration(at, &guard, policy, findings);
        if guard.gate == Some(Gate::Hold)
            && !(is_gateway(manifest) && manifests.patches("allow_on_headers_stop_iteration"))
        {
            findings.push(Finding::critical(
                "hold_unsupported",
                at,
                "`body.gate: hold` needs `allow_on_headers_stop_iteration`, which this manifest cannot set: requests \
                 whose body decides end in 503",
                "Set `body: {gate: stream}`, and let the belt pass `<name>:pending` as well.",
            ));
        }
        match manifest {
            Manifest::Istio { at, spec, wasm } => istio(at, spec, wasm, findings),
            Manifest::Gateway { at, spec, wasm } => gateway(at, spec, wasm, findings),
        }
        if let Manifest::Gateway { spec, .. } = manifest
            && by_security_policies(at, spec, &guard, &manifests.all, findings)
        {
            continue;
        }
        belt(at, &guard, &manifests.all, findings);
    }
}

fn istio(at: &str, spec: &Value, wasm: &Value, findings: &mut Vec<Finding>) {
    url(at, text(wasm, "url"), findings);
    digest(at, wasm.get("sha256"), findings);
    match text(wasm, "failStrategy") {
        "FAIL_RELOAD" => {}
        "FAIL_OPEN" => findings.push(Finding::critical(
            "fail_open",
            at,
            "when the module fails or cannot be fetched, requests pass unjudged",
            "Set `failStrategy: FAIL_RELOAD`.",
        )),
        "" | "FAIL_CLOSE" => findings.push(Finding::warning(
            "no_reload",
            at,
            "when the module fails, its worker answers 503 until the next change of configuration",
            "Set `failStrategy: FAIL_RELOAD`.",
        )),
        other => findings.push(Finding::critical(
            "fail_strategy_unknown",
            at,
            format!("`failStrategy: {other}` is no value of Istio's"),
            "Write FAIL_RELOAD (or FAIL_CLOSE, without a D).",
        )),
    }
    let phase = [wasm, spec].into_iter().map(|owner| text(owner, "phase")).find(|p| !p.is_empty()).unwrap_or_default();
    match phase {
        "AUTHN" => {}
        "" | "UNSPECIFIED_PHASE" => findings.push(Finding::critical(
            "phase_missing",
            at,
            "without a phase the plugin stands after Istio's authorization and after a belt among it",
            "Set `phase: AUTHN`.",
        )),
        "AUTHZ" | "STATS" => findings.push(Finding::warning(
            "phase_late",
            at,
            format!("in phase {phase} other filters act on requests that nobody has judged"),
            "Set `phase: AUTHN`.",
        )),
        other => findings.push(Finding::critical(
            "phase_unknown",
            at,
            format!("`phase: {other}` is no value of Istio's"),
            "Set `phase: AUTHN`.",
        )),
    }
    for owner in [wasm, spec] {
        for port in list(owner, "match").iter().flat_map(|m| list(m, "ports")) {
            let number = field(port, "number").and_then(Value::as_u64).unwrap_or(0);
            if !(1..=65_535).contains(&number) {
                findings.push(Finding::critical(
                    "port_wrong",
                    at,
                    format!("`match` names port {}, which is none", field(port, "number").unwrap_or(&Value::Null)),
                    "Name the target port of the gateway, or leave `match` out.",
                ));
            }
        }
    }
    if !list(wasm, "match").is_empty() || !list(spec, "match").is_empty() {
        findings.push(Finding::notice(
            "match_limits",
            at,
            "`match` limits the plugin to some traffic; on a gateway it compares the target port",
            "Leave it out, unless the belt stands on all ports.",
        ));
    }
    if spec.get("selector").is_some() && (spec.get("targetRefs").is_some() || spec.get("targetRef").is_some()) {
        findings.push(Finding::critical(
            "two_targets",
            at,
            "`selector` and `targetRefs` exclude each other; the API server refuses both",
            "Use `targetRefs` for waypoints and Gateway API, `selector` otherwise.",
        ));
    }
    unknown(at, &[spec, wasm], &KNOWN, "Istio", findings);
}

/// Members that are none of these.
fn unknown(at: &str, owners: &[&Value], known: &[&str], whose: &str, findings: &mut Vec<Finding>) {
    let members = owners.iter().filter_map(|owner| owner.as_object()).flat_map(Map::keys);
    let unknown: BTreeSet<&String> = members.filter(|name| !known.contains(&name.as_str())).collect();
    for name in unknown {
        findings.push(Finding::warning(
            "field_unknown",
            at,
            format!("`{name}` is not a field of it: it is dropped, or the object refused"),
            format!("Compare the spelling with {whose}'s reference."),
        ));
    }
}

/// The schemes of a module's address. Without one, istiod can drop the plugin and say nothing to
/// whoever applied it.
fn url(at: &str, url: &str, findings: &mut Vec<Finding>) {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("oci" | "http" | "https" | "file") => {}
        Some(other) => findings.push(Finding::critical(
            "url_scheme",
            at,
            format!("`{other}://` is no scheme that Istio loads a module by"),
            "Write oci://, https://, http:// or file://.",
        )),
        None if url.is_empty() => {
            findings.push(Finding::critical("url_missing", at, "there is no `url`", "Name the module, with oci://."));
        }
        None => findings.push(Finding::critical(
            "url_without_scheme",
            at,
            format!("`{url}` has no scheme: where it has a port, istiod drops the plugin, and traffic flows unguarded"),
            format!("Write `oci://{url}`."),
        )),
    }
}

fn digest(at: &str, digest: Option<&Value>, findings: &mut Vec<Finding>) {
    let wrong = match digest {
        None | Some(Value::Null) => return,
        Some(Value::String(text)) => {
            let hex = text.strip_prefix("sha256:").unwrap_or(text);
            hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit())
        }
        Some(_) => true,
    };
    if wrong {
        findings.push(Finding::critical(
            "sha256_wrong",
            at,
            "`sha256` is not text of 64 hexadecimal digits",
            "Quote it. For an image it is the manifest's digest, for http the module's.",
        ));
    }
}

fn gateway(at: &str, spec: &Value, wasm: &Value, findings: &mut Vec<Finding>) {
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

/// Examines the belt where SecurityPolicies of Envoy Gateway are it; `false` where none of them is, or
/// where a patch is it, too, which stands on all routes.
fn by_security_policies(at: &str, spec: &Value, guard: &Guard, all: &[&Value], findings: &mut Vec<Finding>) -> bool {
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
    let held: Vec<&Value> = policies.iter().filter_map(|p| p.get("spec")).flat_map(targets).collect();
    let same = |one: &Value, other: &Value| ["kind", "name"].iter().all(|m| text(one, m) == text(other, m));
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
        for target in targets(spec).filter(|target| !held.iter().any(|h| same(h, target))) {
            findings.push(Finding::critical(
                "belt_missing",
                at,
                format!("no SecurityPolicy with the belt names {} {}", text(target, "kind"), text(target, "name")),
                "Name each route of the plugin in the belt's `targetRefs`.",
            ));
        }
    }
    true
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

/// What a policy of Envoy Gateway is attached to.
fn targets(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "targetRefs").iter().chain(spec.get("targetRef"))
}

/// The belt stands in another object: an EnvoyFilter, or an EnvoyPatchPolicy.
fn belt(at: &str, guard: &Guard, all: &[&Value], findings: &mut Vec<Finding>) {
    let carriers: Vec<String> = all
        .iter()
        .filter(|d| matches!(text(d, "kind"), "EnvoyFilter" | "EnvoyPatchPolicy"))
        .map(|d| d.to_string())
        .filter(|text| text.contains(KEY))
        .collect();
    if carriers.is_empty() {
        findings.push(Finding::critical(
            "belt_missing",
            at,
            "no belt stands beside it: where the plugin is dropped, everything passes",
            "Give the belt's manifest (an EnvoyFilter, EnvoyPatchPolicy or SecurityPolicy) in the same call, or write one.",
        ));
        return;
    }
    if guard.name.is_empty() {
        return;
    }
    let mut needed = vec!["allow"];
    needed.extend((guard.gate == Some(Gate::Stream)).then_some("pending"));
    for verdict in needed {
        let value = format!("{}:{verdict}", guard.name);
        if !carriers
            .iter()
            .any(|text| text.contains(&format!("\"{value}\"")) || text.contains(&format!("\\\"{value}\\\"")))
        {
            findings.push(Finding::critical(
                "belt_name",
                at,
                format!("the belt does not pass `{value}`: requests are refused"),
                format!("Add a principal with `{value}`."),
            ));
        }
    }
}
