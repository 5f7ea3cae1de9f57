//! Manifests for Envoy Gateway.

use super::Parts;
use crate::suite::SuiteError;
use serde_json::{Value, json};

/// The name that Envoy is told for the plugin.
const PLUGIN: &str = "portcullis";

/// An EnvoyExtensionPolicy on each route, and the belt as an EnvoyPatchPolicy on the gateway: a
/// policy on the gateway would be overridden, without a word, by any other one of a route.
pub fn policies(parts: &Parts<'_>) -> Result<Vec<Value>, SuiteError> {
    let arguments = parts.arguments;
    let need = |list: &[String], option: &str| {
        if list.is_empty() { Err(SuiteError(format!("{option}: at least one"))) } else { Ok(()) }
    };
    need(&arguments.route, "--route")?;
    need(&arguments.listener, "--listener")?;
    let targets = arguments.route.iter().map(|route| target(route)).collect::<Result<Vec<_>, _>>()?;
    let policy = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyExtensionPolicy",
        "metadata": parts.metadata(&arguments.name),
        "spec": {
            "targetRefs": targets,
            "wasm": [{
                "name": PLUGIN,
                "rootID": "portcullis",
                "failOpen": false,
                "code": code(parts)?,
                "config": parts.configuration,
            }],
        },
    });
    Ok(vec![policy, patches(parts)])
}

/// A route by its name, with its kind before it where it is no HTTPRoute.
fn target(route: &str) -> Result<Value, SuiteError> {
    let (kind, name) = route.split_once('/').unwrap_or(("HTTPRoute", route));
    if !matches!(kind, "HTTPRoute" | "GRPCRoute") || name.is_empty() {
        return Err(SuiteError(format!("--route: `{route}` is neither NAME, HTTPRoute/NAME nor GRPCRoute/NAME")));
    }
    Ok(json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": name}))
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

/// A name for the VM that changes with the module. Envoy looks for a VM before it has downloaded the code, by the VM's name
/// alone: under the name that Envoy Gateway gives (of policy and place in it), another module would run in the VM of the
/// one before.
fn vm_id(parts: &Parts<'_>) -> String {
    let arguments = parts.arguments;
    let digest = arguments.sha256.as_deref().unwrap_or_default();
    format!("portcullis/{}/{}/{}", arguments.namespace, arguments.name, digest.get(..16).unwrap_or(digest))
}

/// For each listener, as Envoy Gateway names it (`<namespace>/<gateway>/<listener>`): the belt before
/// the router, and of the filter what an EnvoyExtensionPolicy has no field for. The belt comes first:
/// it stands also where the other patches find nothing.
fn patches(parts: &Parts<'_>) -> Value {
    let arguments = parts.arguments;
    let plugin = format!("..http_filters[?(@.typed_config.config.name=='{PLUGIN}')].typed_config.config");
    let plugin = |path: &str, value: Value| json!({"op": "add", "jsonPath": plugin, "path": path, "value": value});
    let mut operations = vec![
        json!({
            "op": "add",
            "jsonPath": "..http_filters[?(@.name=='envoy.filters.http.router')]",
            "value": parts.belt(),
        }),
        plugin("/failure_policy", json!("FAIL_RELOAD")),
        plugin("/vm_config/vm_id", json!(vm_id(parts))),
    ];
    if arguments.hold {
        operations.push(plugin("/allow_on_headers_stop_iteration", json!(true)));
        // A held body waits in the listener's buffer; Envoy Gateway's default is 32 KiB.
        let buffer = json!({"op": "add", "path": "/per_connection_buffer_limit_bytes", "value": parts.buffer()});
        operations.push(buffer);
    }
    let patch = |listener: &String, operation: &Value| {
        json!({
            "type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": format!("{}/{}/{listener}", arguments.namespace, arguments.gateway),
            "operation": operation,
        })
    };
    let patches = arguments.listener.iter().flat_map(|l| operations.iter().map(move |operation| patch(l, operation)));
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyPatchPolicy",
        "metadata": parts.metadata(&format!("{}-belt", arguments.name)),
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": arguments.gateway},
            "type": "JSONPatch",
            "jsonPatches": patches.collect::<Vec<_>>(),
        },
    })
}
