//! Manifests for Istio.

use super::Parts;
use crate::suite::SuiteError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Schemes by which Istio loads a module.
const SCHEMES: [&str; 4] = ["oci", "https", "http", "file"];
/// The filter that the belt stands before.
const ROUTER: &str = "envoy.filters.http.router";

/// A WasmPlugin and the belt.
pub fn plugin(parts: &Parts<'_>) -> Result<Vec<Value>, SuiteError> {
    let mut spec = target(parts, "selector", "matchLabels")?;
    spec.insert("phase".into(), json!("AUTHN"));
    spec.extend(module(parts)?);
    Ok(vec![object(parts, "extensions.istio.io/v1alpha1", "WasmPlugin", &parts.arguments.name, spec), belt(parts)?])
}

/// A TrafficExtension (Istio 1.30 and newer) and the belt.
pub fn extension(parts: &Parts<'_>) -> Result<Vec<Value>, SuiteError> {
    let mut spec = target(parts, "selector", "matchLabels")?;
    spec.insert("phase".into(), json!("AUTHN"));
    spec.insert("wasm".into(), Value::Object(module(parts)?));
    let name = &parts.arguments.name;
    Ok(vec![object(parts, "extensions.istio.io/v1alpha1", "TrafficExtension", name, spec), belt(parts)?])
}

/// Filter and belt as EnvoyFilters: the only form in which Istio can hold headers until a body is
/// judged. The module is a file that the proxy can read.
pub fn filters(parts: &Parts<'_>) -> Result<Vec<Value>, SuiteError> {
    let file = parts.url(&["file"])?.trim_start_matches("file://");
    let filter = json!({
        "name": "portcullis",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "portcullis",
                "root_id": "portcullis",
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": true,
                "vm_config": {
                    "vm_id": "portcullis",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": file}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": parts.configuration.to_string(),
                },
            },
        },
    });
    let patch = |place: Value, operation: &str, value: Value| {
        json!({
            "applyTo": "HTTP_FILTER",
            "match": place,
            "patch": {"operation": operation, "value": value},
        })
    };
    let mut spec = target(parts, "workloadSelector", "labels")?;
    let mut patches = Vec::new();
    for context in contexts(parts) {
        // A held body waits in the listener's buffer, for which Envoy's default is 1 MiB.
        patches.push(json!({
            "applyTo": "LISTENER",
            "match": listeners(parts, context),
            "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": parts.buffer()}},
        }));
        patches.push(patch(place(parts, context, None), "INSERT_FIRST", filter.clone()));
        patches.push(patch(place(parts, context, Some(ROUTER)), "INSERT_BEFORE", parts.belt()));
    }
    spec.insert("configPatches".into(), json!(patches));
    Ok(vec![envoy_filter(parts, &parts.arguments.name, spec)])
}

fn module(parts: &Parts<'_>) -> Result<Map<String, Value>, SuiteError> {
    let mut wasm = Map::new();
    wasm.insert("url".into(), json!(parts.url(&SCHEMES)?));
    wasm.extend(parts.arguments.sha256.as_ref().map(|sha256| ("sha256".to_owned(), json!(sha256))));
    wasm.insert("failStrategy".into(), json!("FAIL_RELOAD"));
    wasm.insert("pluginName".into(), json!("portcullis"));
    wasm.insert("pluginConfig".into(), parts.configuration.clone());
    Ok(wasm)
}

/// AuthorizationPolicy cannot demand filter state, so the belt is an EnvoyFilter.
fn belt(parts: &Parts<'_>) -> Result<Value, SuiteError> {
    let mut spec = target(parts, "workloadSelector", "labels")?;
    let patches = contexts(parts).iter().map(|context| {
        json!({
            "applyTo": "HTTP_FILTER",
            "match": place(parts, context, Some(ROUTER)),
            "patch": {"operation": "INSERT_BEFORE", "value": parts.belt()},
        })
    });
    spec.insert("configPatches".into(), patches.collect());
    let name = format!("{}-belt", parts.arguments.name);
    Ok(envoy_filter(parts, &name, spec))
}

/// An EnvoyFilter. A waypoint knows no clusters but those of its services, unless one of these names further hosts: those
/// that keys are fetched from.
fn envoy_filter(parts: &Parts<'_>, name: &str, spec: Map<String, Value>) -> Value {
    let mut object = object(parts, "networking.istio.io/v1alpha3", "EnvoyFilter", name, spec);
    let hosts = key_hosts(&parts.configuration);
    if !parts.arguments.target_ref.is_empty() && !hosts.is_empty() {
        let hosts = hosts.into_iter().collect::<Vec<_>>().join(",");
        if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.insert("annotations".into(), json!({"envoyfilter.istio.io/referenced-services": hosts}));
        }
    }
    object
}

/// The hosts of the clusters that keys are fetched through, as Istio names clusters: `outbound|PORT|SUBSET|HOST`.
fn key_hosts(configuration: &Value) -> BTreeSet<&str> {
    let issuers = configuration.get("issuers").and_then(Value::as_array);
    let sources = issuers.into_iter().flatten().filter_map(|issuer| issuer.get("jwks")?.as_object());
    let clusters = sources.flat_map(Map::values).filter_map(|source| source.get("cluster")?.as_str());
    clusters.filter_map(|cluster| cluster.strip_prefix("outbound|")?.split('|').nth(2)).collect()
}

/// Where filters are put. What is attached by reference may be a gateway or a waypoint, and a waypoint
/// has the listeners of a sidecar.
const fn contexts(parts: &Parts<'_>) -> &'static [&'static str] {
    if parts.arguments.sidecar {
        &["SIDECAR_INBOUND"]
    } else if parts.arguments.target_ref.is_empty() {
        &["GATEWAY"]
    } else {
        &["GATEWAY", "SIDECAR_INBOUND"]
    }
}

/// The listeners of a context. Of a waypoint's, one ends the tunnels, for which nothing has judged anything; requests are
/// in the other.
fn listeners(parts: &Parts<'_>, context: &str) -> Value {
    if context == "SIDECAR_INBOUND" && !parts.arguments.sidecar {
        return json!({"context": context, "listener": {"name": "main_internal"}});
    }
    json!({"context": context})
}

fn place(parts: &Parts<'_>, context: &str, before: Option<&str>) -> Value {
    let mut filter = json!({"name": "envoy.filters.network.http_connection_manager"});
    if let (Some(before), Some(members)) = (before, filter.as_object_mut()) {
        members.insert("subFilter".into(), json!({"name": before}));
    }
    let mut place = listeners(parts, context);
    if let Some(members) = place.as_object_mut()
        && let Some(listener) = members.entry("listener").or_insert_with(|| json!({})).as_object_mut()
    {
        listener.insert("filterChain".into(), json!({"filter": filter}));
    }
    place
}

/// What the object applies to: proxies with these labels, or the objects that are named.
fn target(parts: &Parts<'_>, selector: &str, labels: &str) -> Result<Map<String, Value>, SuiteError> {
    let mut spec = Map::new();
    if parts.arguments.target_ref.is_empty() {
        let given = parts.labels()?;
        let default = json!({"istio": "ingressgateway"});
        let given = if given.as_object().is_some_and(Map::is_empty) { default } else { given };
        spec.insert(selector.into(), json!({labels: given}));
        return Ok(spec);
    }
    if !parts.arguments.label.is_empty() {
        return Err(SuiteError("--label and --target-ref exclude each other".into()));
    }
    let reference = |text: &String| {
        let (kind, name) =
            text.split_once('/').ok_or_else(|| SuiteError(format!("--target-ref: `{text}` is not KIND/NAME")))?;
        let group = match kind {
            "Gateway" | "GatewayClass" => "gateway.networking.k8s.io",
            "Service" => "",
            "ServiceEntry" => "networking.istio.io",
            _ => return Err(SuiteError(format!("--target-ref: `{kind}` is no kind that Istio attaches a plugin to"))),
        };
        Ok(json!({"group": group, "kind": kind, "name": name}))
    };
    let references = parts.arguments.target_ref.iter().map(reference).collect::<Result<Vec<_>, _>>()?;
    spec.insert("targetRefs".into(), json!(references));
    Ok(spec)
}

fn object(parts: &Parts<'_>, version: &str, kind: &str, name: &str, spec: Map<String, Value>) -> Value {
    json!({"apiVersion": version, "kind": kind, "metadata": parts.metadata(name), "spec": spec})
}
