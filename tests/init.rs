//! `portcullis init`: the first configuration says what the cluster's own configuration says.

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn run(name: &str, source: &str, arguments: &[&str]) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("init-{name}.yaml"));
    fs::write(&file, source).unwrap();
    let command = [&["init", "--from-camunda", file.to_str().unwrap()], arguments].concat();
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(command).output().unwrap()
}

fn written(name: &str, source: &str, arguments: &[&str]) -> (Value, String) {
    let output = run(name, source, arguments);
    let messages = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{messages}");
    (serde_json::from_slice(&output.stdout).unwrap(), messages)
}

const SPRING: &str = "
server: {servlet: {context-path: /camunda}}
camunda.security:
  multiTenancy: {checksEnabled: true}
  authorizations: {enabled: false}
  authentication:
    method: oidc
    oidc:
      issuerUri: https://idp.example/realms/one
      audiences: [orchestration-api, other]
      username-claim: preferred_username
      CLIENT_ID_CLAIM: azp
      prefer-username-claim: true
      clock-skew: PT30S
      client-secret: ${SECRET}
    providers:
      oidc:
        two: {issuer-uri: https://two.example, jwk-set-uri: https://two.example/keys, audiences: 'a, b', groups-claim: $.groups}
";

#[test]
fn spring_configuration_is_read_by_relaxed_names() {
    let (configuration, messages) = written("spring", SPRING, &["--name", "orders", "--api-version", "8.8"]);
    assert_eq!(
        configuration,
        json!({
            "version": 1,
            "name": "orders",
            "issuers": [
                {"issuer": "https://idp.example/realms/one", "audiences": ["orchestration-api", "other"],
                    "jwks": {"discovery": {"cluster": "idp"}}, "clockSkew": "30s",
                    "claims": {"username": "preferred_username", "clientId": "azp", "preferUsername": true}},
                {"issuer": "https://two.example", "audiences": ["a", "b"],
                    "jwks": {"remote": {"uri": "https://two.example/keys", "cluster": "idp"}},
                    "claims": {"groups": "$.groups"}},
            ],
            "api": {"version": "8.8", "basePath": "/camunda", "multiTenancy": true},
            "policy": {},
        })
    );
    assert!(messages.contains("authorizations.enabled is false"), "{messages}");
    assert!(!messages.contains("SECRET"));
}

const INITIALIZATION: &str = "
      defaultRoles: {admin: {users: [demo]}, connectors: {clients: [connectors]}}
      mappingRules: [{mappingRuleId: ops, claimName: team, claimValue: ops}]
      authorizations:
      - {ownerType: MAPPING_RULE, ownerId: ops, resourceType: MESSAGE, resourceId: '*', permissions: [CREATE]}
";

#[test]
fn the_policy_is_what_the_cluster_begins_with() {
    let spring = format!(
        "camunda:\n  security:\n    authentication: {{oidc: {{issuer-uri: 'https://idp.example', audiences: [x]}}}}\n    \
         initialization:{INITIALIZATION}"
    );
    let helm = format!(
        "global: {{identity: {{auth: {{issuer: 'https://idp.example'}}}}}}\norchestration:\n  security:\n    \
         initialization:{INITIALIZATION}"
    );
    for (name, source, place) in [("first-spring", spring, "camunda"), ("first-helm", helm, "orchestration")] {
        let (configuration, messages) = written(name, &source, &[]);
        let policy = &configuration["policy"];
        let roles =
            json!([{"roleId": "admin", "users": ["demo"]}, {"roleId": "connectors", "clients": ["connectors"]}]);
        assert_eq!(policy["roles"], roles, "{name}");
        assert_eq!(policy["authorizations"][0]["permissionTypes"], json!(["CREATE"]), "{name}");
        assert_eq!(policy["mappingRules"][0]["claimName"], "team", "{name}");
        let at = format!("{place}.security.initialization.default-roles.admin: what the role is granted");
        assert!(messages.contains(&at) && messages.contains("what the cluster began with"), "{messages}");

        // What cannot be known is not guessed.
        let (configuration, messages) = written(name, &source.replace("ownerId: ops", "ownerId: '${OWNER}'"), &[]);
        assert_eq!(configuration["policy"], json!({}), "{name}");
        let at = format!("{place}.security.initialization.authorizations[0].owner-id: is missing, or not known");
        assert!(messages.contains(&at) && messages.contains("the policy is empty"), "{messages}");
    }
}

#[test]
fn helm_values_have_the_defaults_of_the_chart() {
    let values = "
global:
  identity: {auth: {publicIssuerUrl: https://idp.example/realms/camunda-platform}}
orchestration:
  contextPath: /orchestration
  multitenancy: {checks: {enabled: true}}
  security: {authentication: {method: oidc, oidc: {groupsClaim: '', audience: orchestration}}}
";
    let (configuration, _) = written("helm", values, &[]);
    assert_eq!(
        configuration["issuers"],
        json!([{
            "issuer": "https://idp.example/realms/camunda-platform",
            "audiences": ["orchestration", "web-modeler-api"],
            "jwks": {"discovery": {"cluster": "idp"}},
            "claims": {"username": "preferred_username", "clientId": "client_id"},
        }])
    );
    assert_eq!(configuration["api"], json!({"version": "8.9", "basePath": "/orchestration", "multiTenancy": true}));
}

#[test]
fn what_is_missing_is_named() {
    let basic = "camunda: {security: {authentication: {method: basic}}}";
    let bare = "camunda.security.authentication.oidc.issuer-uri: https://idp.example";
    for (name, source, arguments, part) in [
        ("basic", basic, vec![], "only `oidc` has tokens"),
        ("audiences", bare, vec![], "--audience"),
        ("issuer", "camunda: {security: {authentication: {oidc: {audiences: [x]}}}}", vec![], "issuer-uri"),
        ("helm-issuer", "orchestration: {}", vec![], "global.identity.auth.issuer"),
        ("else", "spring: {}", vec![], "neither `camunda.security`"),
        ("version", bare, vec!["--audience", "x", "--api-version", "7"], "api.version"),
    ] {
        let output = run(name, source, &arguments);
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name}: {messages}");
        assert!(messages.contains(part), "{name}: {messages}");
    }
    let (configuration, _) = written("audience", bare, &["--audience", "x"]);
    assert_eq!(configuration["issuers"][0]["audiences"], json!(["x"]));
}

/// An issuer, and more members of `camunda.security`.
fn with_issuer(more: &str) -> String {
    format!(
        "camunda.security:\n  authentication: {{oidc: {{issuer-uri: 'https://idp.example', audiences: {{0: a, 1: '${{B}}', 2: 7}}}}}}\n{more}"
    )
}

#[test]
fn what_has_no_effect_or_is_left_out_is_said() {
    let source = with_issuer(
        "  authentication.providers.oidc.two.issuer-uri: ${TWO}
  cluster-admin.oidc.issuer-uri: https://two.example
  initialization:
    default-roles: {admin: {users: [1001]}}
    authorizations:
    - {owner-type: user, owner-id: ada, resource-type: message, resource-id: '*', permissions: [create, fly]}
",
    );
    let (configuration, messages) = written("said", &source, &[]);
    assert_eq!(configuration["issuers"][0]["audiences"], json!(["a", "7"]));
    assert_eq!(configuration["policy"]["roles"][0]["users"], json!(["1001"]));
    let permissions = &configuration["policy"]["authorizations"][0]["permissionTypes"];
    assert_eq!(permissions, &json!(["CREATE", "fly"]));
    for part in [
        "authentication.oidc.audiences: `${B}` is known only when the cluster runs",
        "providers.oidc.two.issuer-uri: names no issuer; the provider is left out",
        "cluster-admin.oidc.issueruri: is left out; an identity provider of its own",
        "warning: policy.authorizations[0].permissionTypes[1]: `fly` is not known on MESSAGE",
    ] {
        assert!(messages.contains(part), "{part} is not in\n{messages}");
    }
    for (more, part) in [
        ("  cluster-admin.oidc.clients: {x: ops}", "cluster-admin.oidc.clients: must be a list"),
        ("  cluster-admin.oidc.claims: [{name: a}]", "cluster-admin.oidc.claims[0].value: is missing"),
        ("  authentication.oidc.issuerUri: https://other.example", "authentication.oidc.issueruri: stands twice"),
    ] {
        let output = run("unsaid", &with_issuer(more), &[]);
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{messages}");
        assert!(messages.contains(part), "{messages}");
    }
}

#[test]
fn the_clusters_administrators_are_the_edges() {
    let who = "cluster-admin: {oidc: {clients: [ops, 7], groups: 'a, b', claims: [{name: team, value: ops}]}}\n";
    let helm = "global: {identity: {auth: {issuer: 'https://idp.example'}}}\norchestration.security:\n  ";
    for (name, source) in [("admin", with_issuer(&format!("  {who}"))), ("admin-helm", format!("{helm}{who}"))] {
        let (configuration, messages) = written(name, &source, &[]);
        assert_eq!(
            configuration["clusterAdmin"],
            json!({"clients": ["ops", "7"], "groups": ["a", "b"], "claims": [{"name": "team", "value": "ops"}]})
        );
        assert!(messages.contains("clusterAdmin: has no effect: the surface `cluster` is not open"), "{messages}");
    }
}
