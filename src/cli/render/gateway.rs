//! Manifests for Envoy Gateway.

use super::Parts;
use crate::suite::SuiteError;
use serde_json::{Value, json};

/// An EnvoyExtensionPolicy on each route, and the belt as an EnvoyPatchPolicy on the gateway: a
/// policy on the gateway would be overridden, without a word, by any other one of a route.
pub fn policies(parts: &Parts<'_>) -> Result<Vec<Value>, SuiteError> {
    let arguments = parts.arguments;
    let need = |list: &[String], option: &str| {
        if list.is_empty() { Err(SuiteError(format!("{option}: at least one"))) } else { Ok(()) }
    };
    need(&arguments.route, "--route")?;
    need(&arguments.listener, "--listener")?;
    let route = |name: &String| json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name});
    let policy = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyExtensionPolicy",
        "metadata": parts.metadata(&arguments.name),
        "spec": {
            "targetRefs": arguments.route.iter().map(route).collect::<Vec<_>>(),
            "wasm": [{
                "name": "portcullis",
                "rootID": "portcullis",
                "failOpen": false,
                "code": code(parts)?,
                "config": parts.configuration,
            }],
        },
    });
    Ok(vec![policy, belt(parts)])
}

fn code(parts: &Parts<'_>) -> Result<Value, SuiteError> {
    let url = parts.url(&["oci", "https", "http"])?;
    let sha256 = parts.arguments.sha256.as_ref();
    let sha256 = sha256.ok_or_else(|| SuiteError("--sha256: Envoy Gateway runs what it pins".into()))?;
    Ok(match url.strip_prefix("oci://") {
        Some(image) => json!({"type": "Image", "image": {"url": image, "sha256": sha256}}),
        None => json!({"type": "HTTP", "http": {"url": url, "sha256": sha256}}),
    })
}

/// The belt stands before the router of each listener, as Envoy Gateway names its listeners:
/// `<namespace>/<gateway>/<listener>`.
fn belt(parts: &Parts<'_>) -> Value {
    let arguments = parts.arguments;
    let patch = |listener: &String| {
        json!({
            "type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": format!("{}/{}/{listener}", arguments.namespace, arguments.gateway),
            "operation": {
                "op": "add",
                "jsonPath": "..http_filters[?(@.name=='envoy.filters.http.router')]",
                "value": parts.belt(),
            },
        })
    };
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyPatchPolicy",
        "metadata": parts.metadata(&format!("{}-belt", arguments.name)),
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": arguments.gateway},
            "type": "JSONPatch",
            "jsonPatches": arguments.listener.iter().map(patch).collect::<Vec<_>>(),
        },
    })
}
