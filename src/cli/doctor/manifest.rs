//! Manifests that bring our filter to Istio or Envoy Gateway, before they are applied. Both drop or
//! replace a plugin silently in more ways than Envoy alone does; what can be seen in the manifest is
//! found here.

use super::carrier;
use super::chain::{field, list, text};
use super::finding::Finding;
use super::gateway;
use super::plugin;
use super::security;
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
    Istio { at: String, object: &'a Value, spec: &'a Value, wasm: &'a Value },
    /// An EnvoyExtensionPolicy and one entry of its `wasm`.
    Gateway { at: String, object: &'a Value, spec: &'a Value, wasm: &'a Value },
}

/// Finds the manifests among documents.
pub fn among<'a>(documents: &[&'a Value]) -> Manifests<'a> {
    let mut ours = Vec::new();
    for document in documents {
        let (kind, spec) = (text(document, "kind"), document.get("spec").unwrap_or(&Value::Null));
        let name = document.get("metadata").map(|m| text(m, "name")).unwrap_or_default();
        let at = format!("{kind} {name}");
        match kind {
            "WasmPlugin" => ours.push(Manifest::Istio { at, object: document, spec, wasm: spec }),
            "TrafficExtension" => {
                if let Some(wasm) = spec.get("wasm") {
                    ours.push(Manifest::Istio { at, object: document, spec, wasm });
                }
            }
            "EnvoyExtensionPolicy" => {
                for (number, wasm) in list(spec, "wasm").iter().enumerate() {
                    ours.push(Manifest::Gateway { at: format!("{at}, wasm {number}"), object: document, spec, wasm });
                }
            }
            _ => {}
        }
    }
    // Plugins of others beside ours are none of our business; where none is known for ours, any may be.
    if ours.iter().any(is_ours) {
        ours.retain(is_ours);
    }
    Manifests { ours, all: documents.to_vec() }
}

/// Whether a manifest brings our filter: a configuration of our shape, or our name.
fn is_ours(manifest: &Manifest<'_>) -> bool {
    let (object, wasm, given) = match manifest {
        Manifest::Istio { object, wasm, .. } => (object, wasm, wasm.get("pluginConfig")),
        Manifest::Gateway { object, wasm, .. } => (object, wasm, wasm.get("config")),
    };
    // A policy of Envoy Gateway can bring several plugins.
    let own = if is_gateway(manifest) { "" } else { gateway::name(object) };
    let names = [own, text(wasm, "pluginName"), text(wasm, "name"), text(wasm, "rootID"), text(wasm, "url")];
    given.is_some_and(plugin::is_shaped) || names.iter().any(|name| name.contains("portcullis"))
}

/// What is wrong with the manifests.
pub fn examine(manifests: &Manifests<'_>, policy: Option<&Value>, findings: &mut Vec<Finding>) {
    for manifest in &manifests.ours {
        let (at, object, given) = match manifest {
            Manifest::Istio { at, object, wasm, .. } => (at, object, wasm.get("pluginConfig")),
            Manifest::Gateway { at, object, wasm, .. } => (at, object, wasm.get("config")),
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
            Manifest::Istio { at, spec, wasm, .. } => istio(at, spec, wasm, findings),
            Manifest::Gateway { at, spec, wasm, .. } => gateway::examine(at, spec, wasm, findings),
        }
        if is_gateway(manifest) {
            gateway::examine_routes(object, &manifests.all, findings);
            gateway::examine_conflicts(object, &manifests.all, findings);
        }
        if is_gateway(manifest) && security::examine(at, object, &guard, &manifests.all, findings) {
            continue;
        }
        carrier::examine(at, object, &guard, &manifests.all, findings);
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
    if !matches!(text(wasm, "type"), "" | "HTTP" | "UNSPECIFIED_PLUGIN_TYPE") {
        findings.push(Finding::critical(
            "plugin_type",
            at,
            format!("with `type: {}` the plugin sees connections, and no request", text(wasm, "type")),
            "Leave `type` out.",
        ));
    }
    unknown(at, &[spec, wasm], &KNOWN, "Istio", findings);
}

/// Members that are none of these.
pub fn unknown(at: &str, owners: &[&Value], known: &[&str], whose: &str, findings: &mut Vec<Finding>) {
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

pub fn digest(at: &str, digest: Option<&Value>, findings: &mut Vec<Finding>) {
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
