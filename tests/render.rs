//! `portcullis render`: what it writes is what was given, the belt fits, and the doctor finds nothing.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

/// A configuration file with these members over the least that is needed.
fn configuration(name: &str, more: &Value) -> PathBuf {
    let key: Value = serde_json::from_str(portcullis::suite::PLACEHOLDER_JWK).unwrap();
    let mut configuration = json!({
        "version": 1, "name": "cam", "policy": {},
        "issuers": [{"issuer": "https://issuer.example", "audiences": ["x"], "jwks": {"inline": {"keys": [key]}}}],
    });
    configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let file = folder().join(format!("render-{name}.json"));
    fs::write(&file, configuration.to_string()).unwrap();
    file
}

/// What is rendered, as it stands and as documents, after the doctor has found nothing in it.
fn rendered(name: &str, arguments: &[&str], more: &Value) -> (String, Vec<Value>) {
    let file = configuration(name, more);
    let output = run(&[&["render"], arguments, &["--config", file.to_str().unwrap()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest = folder().join(format!("render-{name}.yaml"));
    fs::write(&manifest, &text).unwrap();
    let examined = run(&["doctor", manifest.to_str().unwrap()]);
    assert_eq!(examined.status.code(), Some(0), "{}", String::from_utf8_lossy(&examined.stdout));
    let part = |(number, part): (usize, &str)| {
        let file = folder().join(format!("render-{name}-{number}.yaml"));
        fs::write(&file, part).unwrap();
        portcullis::suite::document(Path::new(&file)).unwrap()
    };
    let documents = text.split("---\n").filter(|part| !part.trim().is_empty()).enumerate().map(part);
    let documents: Vec<Value> = documents.collect();
    // As `kubectl get --output json` prints them.
    let list = folder().join(format!("render-{name}-list.json"));
    fs::write(&list, json!({"kind": "List", "items": documents}).to_string()).unwrap();
    if kinds(&documents).iter().all(|kind| !kind.is_empty()) {
        let examined = run(&["doctor", list.to_str().unwrap()]);
        assert_eq!(examined.status.code(), Some(0), "{}", String::from_utf8_lossy(&examined.stdout));
    }
    (text, documents)
}

fn kinds(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|d| d["kind"].as_str().unwrap_or_default()).collect()
}

const DIGITS: &str = "1234567890123456789012345678901234567890123456789012345678901234";

#[test]
fn istio_gets_a_plugin_and_a_belt() {
    let arguments = ["istio", "--url", "oci://r.example/portcullis:1", "--sha256", DIGITS, "--label", "app=gw"];
    let (_, documents) = rendered("istio", &arguments, &json!({}));
    assert_eq!(kinds(&documents), ["WasmPlugin", "EnvoyFilter"]);
    let spec = &documents[0]["spec"];
    assert_eq!((&spec["phase"], &spec["failStrategy"]), (&json!("AUTHN"), &json!("FAIL_RELOAD")));
    assert_eq!(spec["sha256"], json!(DIGITS), "a digest of digits alone stays text");
    assert_eq!(spec["selector"], json!({"matchLabels": {"app": "gw"}}));
    assert_eq!(documents[1]["spec"]["workloadSelector"], json!({"labels": {"app": "gw"}}));
    assert_eq!(spec["pluginConfig"]["body"], json!({"gate": "stream"}));
    assert!(documents[1].to_string().contains("cam:pending"));

    let arguments = ["traffic-extension", "--url", "https://r.example/p.wasm", "--target-ref", "Gateway/edge"];
    let (_, documents) = rendered("extension", &arguments, &json!({}));
    assert_eq!(kinds(&documents), ["TrafficExtension", "EnvoyFilter"]);
    assert_eq!(documents[0]["spec"]["targetRefs"][0]["name"], "edge");
    assert_eq!(documents[0]["spec"]["wasm"]["pluginName"], "portcullis");
    // It may be a waypoint, which has the listeners of a sidecar.
    let patches = documents[1]["spec"]["configPatches"].as_array().unwrap();
    let contexts: Vec<&Value> = patches.iter().map(|patch| &patch["match"]["context"]).collect();
    assert_eq!(contexts, ["GATEWAY", "SIDECAR_INBOUND"]);
    // The listener that ends a waypoint's tunnels has nothing that judges.
    let listeners: Vec<&Value> = patches.iter().map(|patch| &patch["match"]["listener"]["name"]).collect();
    assert_eq!(listeners, [&Value::Null, &json!("main_internal")]);
    assert_eq!(documents[1]["metadata"]["annotations"], Value::Null);
}

/// Filter and belt for gateways, and the same for waypoints: the doctor takes them for two chains.
#[test]
fn istio_can_hold_in_a_waypoint() {
    let arguments = ["istio", "--hold", "--target-ref", "Gateway/waypoint", "--url", "file:///etc/portcullis.wasm"];
    let (_, documents) = rendered("hold-waypoint", &arguments, &json!({}));
    assert_eq!(documents[0]["spec"]["configPatches"].as_array().unwrap().len(), 6);
}

/// Keys that are fetched come through a cluster that a waypoint has only where it is named.
#[test]
fn a_waypoint_is_told_where_keys_come_from() {
    let remote =
        |host: &str| json!({"remote": {"uri": "https://x.example/k", "cluster": format!("outbound|443||{host}")}});
    let issuer = |name: &str, jwks: Value| json!({"issuer": name, "audiences": ["x"], "jwks": jwks});
    let more = json!({"issuers": [
        issuer("https://a.example", remote("login.b.example")), issuer("https://b.example", remote("login.a.example")),
        issuer("https://c.example", json!({"discovery": {"cluster": "outbound|443||login.a.example"}})),
    ]});
    let hosts = |name: &str, arguments: &[&str]| {
        let (_, documents) = rendered(name, &[&["istio", "--url", "oci://r.example/p"], arguments].concat(), &more);
        documents[1]["metadata"]["annotations"]["envoyfilter.istio.io/referenced-services"].clone()
    };
    assert_eq!(hosts("keys-waypoint", &["--target-ref", "Gateway/waypoint"]), "login.a.example,login.b.example");
    assert_eq!(hosts("keys-gateway", &[]), Value::Null);
}

#[test]
fn istio_can_hold_by_an_envoy_filter() {
    let arguments = ["istio", "--hold", "--sidecar", "--url", "file:///etc/portcullis.wasm"];
    let (text, documents) = rendered("hold", &arguments, &json!({"body": {"maxBytes": 8_388_608}}));
    assert_eq!(kinds(&documents), ["EnvoyFilter"]);
    for part in ["allow_on_headers_stop_iteration: true", "SIDECAR_INBOUND", "9437184", "/etc/portcullis.wasm"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("cam:pending"));
}

#[test]
fn envoy_gateway_gets_a_policy_for_each_route_and_a_belt() {
    let arguments =
        ["envoy-gateway", "--url", "oci://r.example/p:1", "--sha256", DIGITS, "--route", "a", "--route", "b"];
    let arguments = [&arguments[..], &["--listener", "http", "--gateway", "edge", "--namespace", "cam"]].concat();
    let (_, documents) = rendered("gateway", &arguments, &json!({}));
    assert_eq!(kinds(&documents), ["EnvoyExtensionPolicy", "EnvoyPatchPolicy"]);
    let wasm = &documents[0]["spec"]["wasm"][0];
    assert_eq!(wasm["code"], json!({"type": "Image", "image": {"url": "r.example/p:1", "sha256": DIGITS}}));
    assert_eq!(wasm["failOpen"], false);
    assert_eq!(documents[0]["spec"]["targetRefs"].as_array().unwrap().len(), 2);
    let patches = documents[1]["spec"]["jsonPatches"].as_array().unwrap();
    assert!(patches.iter().all(|patch| patch["name"] == "cam/edge/http"));
    assert_eq!(patches[0]["operation"]["value"]["name"], "portcullis-belt", "it comes first");
    assert_eq!(patches[1]["operation"]["value"], "FAIL_RELOAD");
    let vm_id = patches[2]["operation"]["value"].as_str().unwrap();
    assert_eq!(vm_id, format!("portcullis/cam/portcullis/{}", &DIGITS[..16]), "another module, another VM");
    assert_eq!(patches.len(), 3);
}

#[test]
fn envoy_gateway_can_hold_by_its_patches() {
    let arguments = ["envoy-gateway", "--hold", "--url", "https://r.example/p.wasm", "--sha256", DIGITS];
    let arguments = [&arguments[..], &["--listener", "http", "--route", "GRPCRoute/a"]].concat();
    let (text, documents) = rendered("gateway-hold", &arguments, &json!({"body": {"maxBytes": 8_388_608}}));
    assert_eq!(documents[0]["spec"]["targetRefs"][0]["kind"], "GRPCRoute");
    assert_eq!(documents[0]["spec"]["wasm"][0]["config"]["body"]["gate"], "hold");
    for part in ["/allow_on_headers_stop_iteration", "/per_connection_buffer_limit_bytes", "9437184"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("cam:pending"));
}

#[test]
fn envoy_gets_the_shipped_configuration_with_what_was_given() {
    let policy = folder().join("render-policy.json");
    fs::write(&policy, r#"{"roles": [{"roleId": "r", "users": ["u"]}]}"#).unwrap();
    let arguments = ["envoy", "--policy", policy.to_str().unwrap()];
    let (text, documents) = rendered("envoy", &arguments, &json!({"body": {"gate": "stream", "maxBytes": 1000}}));
    let manager = &documents[0]["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let given = &manager["http_filters"][0]["typed_config"]["config"]["configuration"]["value"];
    let given: Value = serde_json::from_str(given.as_str().unwrap()).unwrap();
    assert_eq!((&given["name"], &given["policy"]), (&json!("cam"), &Value::Null));
    assert!(given["table"].is_string(), "the policy is compiled");
    let principals = &manager["http_filters"][1]["typed_config"]["rules"]["policies"]["judged"]["principals"];
    assert_eq!(principals.as_array().unwrap().len(), 2);
    assert!(text.contains("# The belt.") && !text.contains("orders:allow"));
}

#[test]
fn what_cannot_be_rendered_is_named() {
    let hold = configuration("bad-hold", &json!({"body": {"gate": "hold"}}));
    let plain = configuration("bad-plain", &json!({}));
    let refused = configuration("bad-refused", &json!({"issuers": []}));
    for (arguments, file, part) in [
        (&["istio", "--url", "oci://r/p"][..], &hold, "body.gate"),
        (&["istio"], &plain, "--url"),
        (&["istio", "--url", "r.example:5000/p"], &plain, "must begin with"),
        (&["istio", "--hold", "--url", "oci://r/p"], &plain, "must begin with file://"),
        (&["istio", "--url", "oci://r/p", "--label", "x"], &plain, "--label"),
        (&["istio", "--url", "oci://r/p", "--target-ref", "Pod/x"], &plain, "--target-ref"),
        (&["istio", "--url", "oci://r/p", "--target-ref", "Gateway/x", "--label", "a=b"], &plain, "exclude"),
        (&["istio", "--url", "oci://r/p"], &refused, "issuers"),
        (&["envoy-gateway", "--url", "oci://r/p", "--route", "a", "--listener", "http"], &plain, "--sha256"),
        (&["envoy-gateway", "--url", "oci://r/p", "--listener", "http"], &plain, "--route"),
        (
            &["envoy-gateway", "--url", "oci://r/p", "--sha256", DIGITS, "--listener", "http", "--route", "TCPRoute/a"],
            &plain,
            "--route",
        ),
        (&["traffic-extension", "--hold"], &plain, "--hold"),
    ] {
        let output = run(&[&["render"], arguments, &["--config", file.to_str().unwrap()]].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
}
