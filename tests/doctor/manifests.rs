//! Manifests for Istio and Envoy Gateway, before they are applied, and what Envoy Gateway makes of them.

use super::{after, at, doctor, doctor_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Manifests of Istio: the plugin with its belt.
fn istio(plugin: &str, belt: &str) -> String {
    let jwk = portcullis::suite::PLACEHOLDER_JWK;
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: portcullis}}\nspec:\n{plugin}\n\
         \x20 pluginConfig:\n    version: 1\n    name: orders\n    policy: {{}}\n    body: {{gate: stream}}\n    issuers:\n\
         \x20   - {{issuer: https://issuer.example, audiences: [x], jwks: {{inline: {{keys: [{jwk}]}}}}}}\n---\n{belt}"
    )
}

const GOOD: &str = "  url: oci://registry.example/portcullis:1\n  phase: AUTHN\n  failStrategy: FAIL_RELOAD";

fn envoy_filter(values: &[&str]) -> String {
    let principal =
        |v: &&str| format!("{{filter_state: {{key: wasm.portcullis_belt, string_match: {{exact: \"{v}\"}}}}}}");
    let principals = values.iter().map(principal).collect::<Vec<_>>().join(", ");
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: belt}}\nspec:\n  configPatches:\n\
         \x20 - patch: {{value: {{typed_config: {{rules: {{policies: {{judged: {{principals: [{principals}]}}}}}}}}}}}}\n"
    )
}

/// As `kubectl apply` takes them.
#[test]
fn plugin_and_belt_may_stand_in_two_files() {
    let belt = envoy_filter(&["orders:allow", "orders:pending"]);
    let together = istio(GOOD, &belt);
    let (plugin, _) = together.split_once("---\n").unwrap();
    assert_eq!(doctor_of("two-files", &[plugin, &belt], &[]), (0, BTreeSet::new()));
    assert_eq!(doctor_of("two-files-turned", &[&belt, plugin], &[]), (0, BTreeSet::new()));
    let alone = doctor_of("two-files-alone", &[plugin], &[]);
    assert_eq!(alone, (1, BTreeSet::from(["critical belt_missing".into()])));
}

#[test]
fn manifests_that_vanish_silently_are_found_before() {
    let belt = envoy_filter(&["orders:allow", "orders:pending"]);
    assert_eq!(doctor("istio-good", &istio(GOOD, &belt), &[]), (0, BTreeSet::new()));
    let cases = [
        (GOOD.replace("oci://", ""), "critical url_without_scheme"),
        (GOOD.replace("oci://registry.example", "10.0.0.1:5000"), "critical url_without_scheme"),
        (GOOD.replace("oci", "ftp"), "critical url_scheme"),
        (GOOD.replace("FAIL_RELOAD", "FAIL_CLOSED"), "critical fail_strategy_unknown"),
        (GOOD.replace("FAIL_RELOAD", "FAIL_OPEN"), "critical fail_open"),
        (GOOD.replace("FAIL_RELOAD", "FAIL_CLOSE"), "warning no_reload"),
        (GOOD.replace("\n  phase: AUTHN", ""), "critical phase_missing"),
        (GOOD.replace("AUTHN", "STATS"), "warning phase_late"),
        (GOOD.replace("AUTHN", "AUTHENTICATION"), "critical phase_unknown"),
        (format!("{GOOD}\n  sha256: 0123"), "critical sha256_wrong"),
        (format!("{GOOD}\n  match: [{{ports: [{{number: 0}}]}}]"), "critical port_wrong"),
        (format!("{GOOD}\n  selector: {{}}\n  targetRefs: []"), "critical two_targets"),
        (format!("{GOOD}\n  failstrategy: x"), "warning field_unknown"),
    ];
    for (number, (plugin, expected)) in cases.iter().enumerate() {
        let (status, codes) = doctor(&format!("istio-{number}"), &istio(plugin, &belt), &[]);
        assert!(status == 1 && codes.contains(*expected), "{expected} is not among {codes:?}");
    }
    let (_, codes) = doctor("istio-beltless", &istio(GOOD, "{}"), &[]);
    assert_eq!(codes, BTreeSet::from(["critical belt_missing".to_owned()]));
    let (_, codes) = doctor("istio-belt-name", &istio(GOOD, &envoy_filter(&["orders:allow"])), &[]);
    assert_eq!(codes, BTreeSet::from(["critical belt_without_pending".to_owned()]));
    let held = istio(GOOD, &belt).replace("gate: stream", "gate: hold");
    assert!(doctor("istio-hold", &held, &[]).1.contains("critical hold_unsupported"));
}

#[test]
fn policies_of_envoy_gateway_are_examined() {
    let jwk = portcullis::suite::PLACEHOLDER_JWK;
    let config = format!(
        "{{version: 1, name: orders, policy: {{}}, body: {{gate: stream}}, issuers: [{{issuer: https://issuer.example, \
         audiences: [x], jwks: {{inline: {{keys: [{jwk}]}}}}}}]}}"
    );
    let policy = |wasm: &str, kind: &str, sha: &str| {
        format!(
            "kind: EnvoyExtensionPolicy\nmetadata: {{name: portcullis}}\nspec:\n  targetRefs: [{{kind: {kind}, name: x}}]\n\
             \x20 wasm:\n  - name: portcullis\n{wasm}    code: {{type: HTTP, http: {{url: https://x.example/m.wasm{sha}}}}}\n\
             \x20   config: {config}\n---\n{}",
            envoy_filter(&["orders:allow", "orders:pending"]).replace("EnvoyFilter", "EnvoyPatchPolicy")
        )
    };
    let sha = format!(", sha256: \"{}\"", "0a".repeat(32));
    assert_eq!(doctor("eg-good", &policy("", "HTTPRoute", &sha), &[]), (0, BTreeSet::new()));
    for (number, (document, expected)) in [
        (policy("    failOpen: true\n", "HTTPRoute", &sha), "critical fail_open"),
        (policy("", "Gateway", &sha), "warning gateway_level"),
        (policy("", "HTTPRoute", ""), "warning sha256_missing"),
        (policy("", "HTTPRoute", ", sha256: 12345678"), "critical sha256_wrong"),
        (policy("    failopen: true\n", "HTTPRoute", &sha), "warning field_unknown"),
        (policy("", "HTTPRoute", &sha).replace("https://", ""), "critical url_scheme"),
        (
            policy("", "HTTPRoute", &sha).replace("HTTP, http: {url: https", "Image, image: {url: oci"),
            "critical url_scheme",
        ),
        (policy("", "HTTPRoute", &sha).replace("type: HTTP", "type: ConfigMap"), "critical code_type"),
    ]
    .iter()
    .enumerate()
    {
        let (status, codes) = doctor(&format!("eg-{number}"), document, &[]);
        assert!(status == 1 && codes.contains(*expected), "{expected} is not among {codes:?}");
    }
}

/// An EnvoyExtensionPolicy on two routes, and a SecurityPolicy as its belt.
fn by_security_policy(belt: &str) -> String {
    let jwk = portcullis::suite::PLACEHOLDER_JWK;
    let sha = "0a".repeat(32);
    format!(
        "kind: EnvoyExtensionPolicy\nmetadata: {{name: portcullis}}\nspec:\n  targetRefs:\n  - {{kind: HTTPRoute, name: rest}}\n\
         \x20 - {{kind: GRPCRoute, name: grpc}}\n  wasm:\n  - name: portcullis\n\
         \x20   code: {{type: HTTP, http: {{url: https://x.example/m.wasm, sha256: \"{sha}\"}}}}\n\
         \x20   config: {{version: 1, name: orders, policy: {{}}, body: {{gate: stream}}, issuers: [{{issuer: https://issuer.example, \
         audiences: [x], jwks: {{inline: {{keys: [{jwk}]}}}}}}]}}\n---\n{belt}"
    )
}

const SECURITY_POLICY: &str = "kind: SecurityPolicy
metadata: {name: belt}
spec:
  targetRefs: [{kind: HTTPRoute, name: rest}, {kind: GRPCRoute, name: grpc}]
  authorization:
    defaultAction: Deny
    rules:
    - name: judged
      action: Allow
      cel: \"filter_state['wasm.portcullis_belt'] in [b'orders:allow', b'orders:pending']\"
";

#[test]
fn a_security_policy_can_be_the_belt() {
    assert_eq!(doctor("sp-good", &by_security_policy(SECURITY_POLICY), &[]), (0, BTreeSet::new()));
    for (number, (from, to, expected)) in [
        ("defaultAction: Deny", "defaultAction: Allow", "critical belt_open"),
        (" in [", " in ['x', request.path, ", "critical belt_open"),
        ("pending']", "pending'] || true", "critical belt_open"),
        ("action: Allow\n", "action: Allow\n    - {name: ops, action: Allow, principal: {clientCIDRs: [10.0.0.0/8]}}\n    - action: Allow\n", "critical belt_open"),
        ("b'orders:allow', ", "'orders:allow', ", "critical belt_name"),
        ("b'orders:allow'", "b'shop:allow'", "critical belt_name"),
        (", b'orders:pending'", "", "critical belt_without_pending"),
        (", {kind: GRPCRoute, name: grpc}", "", "critical belt_missing"),
        ("wasm.portcullis_belt", "wasm.other", "critical belt_missing"),
        ("[{kind: HTTPRoute, name: rest}, {kind: GRPCRoute, name: grpc}]", "[{kind: Gateway, name: eg}]", "warning gateway_level"),
    ]
    .into_iter()
    .enumerate()
    {
        let changed = SECURITY_POLICY.replace(from, to);
        assert_ne!(changed, SECURITY_POLICY, "{from}");
        let found = doctor(&format!("sp-{number}"), &by_security_policy(&changed), &[]);
        assert_eq!(found, (1, BTreeSet::from([expected.to_owned()])), "{to}");
    }
    // A rule that denies takes nothing away, and a patch stands on all routes.
    let denies = SECURITY_POLICY
        .replace("    - name: judged", "    - {name: old, action: Deny, cel: 'true'}\n    - name: judged");
    assert_eq!(doctor("sp-denies", &by_security_policy(&denies), &[]), (0, BTreeSet::new()));
    let patch = envoy_filter(&["orders:allow", "orders:pending"]).replace("EnvoyFilter", "EnvoyPatchPolicy");
    let open = SECURITY_POLICY.replace("Deny", "Allow");
    assert_eq!(doctor("sp-and-patch", &by_security_policy(&format!("{open}---\n{patch}")), &[]), (0, BTreeSet::new()));
}

/// What Envoy Gateway makes of that policy: an RBAC filter without rules, and a tree of matchers on the route.
#[test]
fn what_becomes_of_a_security_policy_is_known() {
    let constant = |value: &str| {
        use base64::Engine as _;
        json!({"const_expr": {"bytes_value": base64::engine::general_purpose::STANDARD.encode(value)}})
    };
    let state = json!({"call_expr": {"function": "_[_]", "args": [
        {"ident_expr": {"name": "filter_state"}}, {"const_expr": {"string_value": "wasm.portcullis_belt"}},
    ]}});
    let judged = json!({"call_expr": {"function": "@in", "args": [state, {"list_expr": {"elements": [
        constant("orders:allow"),
    ]}}]}});
    let action = |action: &str| {
        let action = json!({"@type": "type.googleapis.com/envoy.config.rbac.v3.Action", "name": "x", "action": action});
        json!({"action": {"name": "x", "typed_config": action}})
    };
    let with = |expression: &Value, otherwise: &str| {
        let matcher = json!({
            "@type": "type.googleapis.com/xds.type.matcher.v3.CelMatcher",
            "expr_match": {"cel_expr_parsed": {"expr": expression}},
        });
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
            "rbac": {"matcher": {
                "matcher_list": {"matchers": [{
                    "predicate": {"single_predicate": {"custom_match": {"name": "cel", "typed_config": matcher}}},
                    "on_match": action("ALLOW"),
                }]},
                "on_no_match": action(otherwise),
            }},
        })
    };
    let found = |name: &str, per_route: Value| {
        after(name, |envoy| {
            let belt = at(envoy, "/http_filters/1");
            belt["typed_config"].as_object_mut().unwrap().retain(|key, _| key == "@type");
            let name = belt["name"].as_str().unwrap().to_owned();
            for host in at(envoy, "/route_config/virtual_hosts").as_array_mut().unwrap() {
                for route in host["routes"].as_array_mut().unwrap() {
                    route["typed_per_filter_config"] = json!({name.as_str(): per_route});
                }
            }
        })
    };
    let codes = |all: &[&str]| all.iter().map(|code| (*code).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(found("sp-live", with(&judged, "DENY")), codes(&[]));
    assert_eq!(found("sp-live-open", with(&judged, "ALLOW")), codes(&["critical route_without_belt"]));
    let or = json!({"call_expr": {"function": "_||_", "args": [judged, {"const_expr": {"bool_value": true}}]}});
    assert_eq!(found("sp-live-or", with(&or, "DENY")), codes(&["critical route_without_belt"]));
    let and = json!({"call_expr": {"function": "_&&_", "args": [judged, {"const_expr": {"bool_value": true}}]}});
    assert_eq!(found("sp-live-and", with(&and, "DENY")), codes(&[]));
    let text = judged.to_string().replace("bytes_value", "string_value");
    assert_eq!(
        found("sp-live-text", with(&serde_json::from_str(&text).unwrap(), "DENY")),
        codes(&["critical belt_name"])
    );
    let foreign = judged.to_string().replace("wasm.portcullis_belt", "wasm.other");
    assert_eq!(
        found("sp-live-other", with(&serde_json::from_str(&foreign).unwrap(), "DENY")),
        codes(&["critical belt_missing"])
    );
}

/// A SecurityPolicy is a belt only for the whole of what it names, in its own namespace, where no other one is.
#[test]
fn a_security_policy_must_stand_where_the_plugin_does() {
    let found = |name: &str, belt: &str| doctor(&format!("sp-{name}"), &by_security_policy(belt), &[]).1;
    let codes = |code: &str| BTreeSet::from([code.to_owned()]);
    let section = SECURITY_POLICY.replace("name: rest}", "name: rest, sectionName: one}");
    assert_eq!(found("section", &section), codes("critical belt_missing"));
    let elsewhere = SECURITY_POLICY.replace("{name: belt}", "{name: belt, namespace: other}");
    let plugin = by_security_policy(&elsewhere).replace("{name: portcullis}", "{name: portcullis, namespace: camunda}");
    assert_eq!(doctor("sp-namespace", &plugin, &[]).1, codes("critical belt_missing"));
    let same = plugin.replace("namespace: other", "namespace: camunda");
    assert_eq!(doctor("sp-same-namespace", &same, &[]).1, BTreeSet::new());
    let second = |target: &str| {
        format!(
            "{SECURITY_POLICY}---\nkind: SecurityPolicy\nmetadata: {{name: cors}}\nspec: {{targetRefs: [{target}]}}\n"
        )
    };
    assert_eq!(found("conflict", &second("{kind: HTTPRoute, name: rest}")), codes("warning policy_conflict"));
    assert_eq!(found("beside", &second("{kind: HTTPRoute, name: shop}")), BTreeSet::new());
    let routes = |other: &str| {
        let route = |name: &str, service: &str| {
            format!(
                "---\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec: {{rules: [{{backendRefs: [{{name: {service}, port: 1}}]}}]}}\n"
            )
        };
        format!("{SECURITY_POLICY}{}{}", route("rest", "orchestration"), route("legacy", other))
    };
    assert_eq!(found("third", &routes("orchestration")), codes("warning route_beside"));
    assert_eq!(found("fourth", &routes("shop")), BTreeSet::new());
}
