//! The command line as a user meets it: output, messages, exit status.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file of this test run.
fn file(name: &str, content: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

const POLICY: &str = r#"
authorizations:
- {ownerType: USER, ownerId: alice, resourceType: PROCESS_DEFINITION, resourceId: invoice, permissionTypes: [CREATE_PROCESS_INSTANCE]}
- {ownerType: ROLE, ownerId: operators, resourceType: PROCESS_DEFINITION, resourceId: "*", permissionTypes: [CANCEL_PROCESS_INSTANCE]}
roles:
- {roleId: operators, groups: [ops], mappingRules: [on-call]}
groups:
- {groupId: ops, users: [bob]}
mappingRules:
- {mappingRuleId: on-call, claimName: duty, claimValue: "yes"}
tenants:
- {tenantId: acme, users: [alice]}
"#;

fn explain(name: &str, arguments: &[&str]) -> (Value, Option<i32>) {
    let policy = file(name, POLICY);
    let output = run(&[&["explain", "--json", "--policy", policy.to_str().unwrap()], arguments].concat());
    (serde_json::from_str(&out(&output)).unwrap_or_else(|_| panic!("{}", err(&output))), output.status.code())
}

#[test]
fn explain_prints_one_object() {
    let (actual, status) = explain(
        "explain.yaml",
        &["--user", "alice", "POST", "/v2/process-instances", "--body", r#"{"processDefinitionId":"invoice"}"#],
    );
    assert_eq!(status, Some(0));
    let digest = actual["table"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71);
    assert_eq!(
        actual,
        json!({
            "decision": "allow", "certainty": "final", "status": 200, "reason": "granted_id",
            "operation": "createProcessInstance",
            "principal": {"username": "alice", "groups": [], "roles": [], "mappingRules": [], "tenants": ["acme"]},
            "grant": {"ownerType": "USER", "ownerId": "alice", "resourceType": "PROCESS_DEFINITION",
                "resourceId": "invoice", "permissionType": "CREATE_PROCESS_INSTANCE"},
            "table": digest,
        })
    );
}

/// To a gRPC path, the body is the call's message, written as JSON.
#[test]
fn explain_takes_a_grpc_call() {
    let create = |body: &[&str]| {
        let path = "/gateway_protocol.Gateway/CreateProcessInstance";
        let (actual, status) = explain("grpc.yaml", &[&["--user", "alice", "POST", path], body].concat());
        (actual["operation"].clone(), actual["reason"].clone(), status)
    };
    let operation = json!("Gateway.CreateProcessInstance");
    let invoice = ["--body", r#"{"bpmnProcessId":"invoice","version":-1}"#];
    assert_eq!(create(&invoice), (operation.clone(), json!("granted_id"), Some(0)));
    let payroll = ["--body", r#"{"bpmnProcessId":"payroll"}"#];
    assert_eq!(create(&payroll), (operation.clone(), json!("resource_not_granted"), Some(1)));
    assert_eq!(create(&[]), (operation.clone(), json!("deferred_body"), Some(0)));
    let json = ["--header", "content-type: application/json", "--body", "{}"];
    assert_eq!(create(&json), (operation, json!("body_unreadable"), Some(1)));
}

#[test]
fn explain_takes_every_kind_of_caller() {
    let cancel = ["POST", "/v2/process-instances/7/cancellation"];
    let with = |caller: &[&str]| {
        let (actual, status) = explain(&format!("caller-{}.yaml", caller.concat().len()), &[caller, &cancel].concat());
        (actual["reason"].as_str().unwrap().to_owned(), status.unwrap())
    };
    assert_eq!(with(&["--user", "bob"]), ("granted_wildcard".into(), 0));
    assert_eq!(with(&["--user", "eve", "--group", "ops"]), ("granted_wildcard".into(), 0));
    assert_eq!(with(&["--user", "bob", "--group", "none"]), ("permission_missing".into(), 1));
    assert_eq!(with(&["--client", "bob"]), ("permission_missing".into(), 1));
    assert_eq!(with(&["--claims", r#"{"sub":"eve","duty":"yes"}"#]), ("granted_wildcard".into(), 0));
    assert_eq!(with(&["--claims", r#"{"duty":"yes"}"#]), ("identity_missing".into(), 1));
    assert_eq!(with(&[]), ("token_missing".into(), 1));
}

#[test]
fn explain_takes_a_token_a_clock_and_headers() {
    let config = file(
        "token-config.yaml",
        "issuers: [{issuer: https://idp.example, audiences: [x]}]\npolicy: {}\ncredentials: [{header: {name: X-Token}}]\n",
    );
    let explain = |arguments: &[&str]| {
        let output = run(&[&["explain", "--json", "--config", config.to_str().unwrap()], arguments].concat());
        serde_json::from_str::<Value>(&out(&output)).unwrap()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(explain(&["--token", "a.b", "GET", "/v2/topology"]), "token_malformed");
    assert_eq!(
        explain(&["--now", "2026-01-01T00:00:00Z", "GET", "/v2/topology", "--header", "x-token: a.b.c"]),
        "token_malformed"
    );
    assert_eq!(
        explain(&["--token", "a.b.c", "GET", "/v2/topology", "--header", "Authorization: Basic YTpi"]),
        "credential_ambiguous"
    );
}

#[test]
fn explain_for_people_says_what_to_do() {
    let policy = file("people.yaml", POLICY);
    let output = run(&["explain", "--policy", policy.to_str().unwrap(), "--user", "eve", "GET", "/v2/users/bob"]);
    assert_eq!(output.status.code(), Some(1));
    let text = out(&output);
    for part in ["deny: permission_missing (403)", "operation  getUser", "caller     username \"eve\"", "to do"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn explain_for_people_says_that_no_body_was_given() {
    let policy = file("no-body.yaml", POLICY);
    let explain = |path: &str, arguments: &[&str]| {
        let whole = ["explain", "--policy", policy.to_str().unwrap(), "--user", "alice", "POST", path];
        let output = run(&[&whole, arguments].concat());
        assert_eq!(output.status.code(), Some(1));
        let text = out(&output);
        assert!(text.contains("body_unreadable (400)"), "{text}");
        text.lines().find_map(|line| line.strip_prefix("  detail     ")).unwrap().to_owned()
    };
    let (create, json) = ("/v2/process-instances", "content-type: application/json");
    let none = "the body decides, and none was given (--body)";
    assert_eq!(explain(create, &[]), none);
    assert_eq!(explain(create, &["--header", json]), none);
    assert_eq!(explain(create, &["--header", json, "--body", "{"]), "the JSON is cut short");
    let form = ["--header", "Content-Type: text/plain"];
    assert_eq!(explain(create, &form), "the content type is not JSON");
    assert_eq!(explain(create, &[&form[..], &["--body", "{}"]].concat()), "the content type is not JSON");
    let call = "/gateway_protocol.Gateway/CreateProcessInstance";
    assert_eq!(explain(call, &["--header", json]), "the content type is not gRPC");
}

#[test]
fn what_cannot_run_ends_with_2_and_one_clear_line() {
    let policy = file("fine.yaml", POLICY);
    let policy = policy.to_str().unwrap();
    let typo = file("typo.yaml", "authorisations: []\n");
    let twice = file("twice.yaml", "roles: []\nroles: []\n");
    for (arguments, part) in [
        (vec!["explain", "--policy", "no-such-file", "GET", "/"], "no-such-file"),
        (vec!["explain", "--policy", typo.to_str().unwrap(), "GET", "/"], "typo.yaml: authorisations: unknown field"),
        (vec!["explain", "--policy", twice.to_str().unwrap(), "GET", "/"], "roles"),
        (vec!["explain", "--policy", policy, "--claims", "[]", "GET", "/"], "--claims: not a JSON object"),
        (vec!["explain", "--policy", policy, "--group", "g", "GET", "/"], "--group needs --user or --client"),
        (vec!["explain", "--policy", policy, "--now", "noon", "GET", "/"], "--now: `noon` is not a time"),
        (vec!["explain", "--policy", policy, "--header", "x", "GET", "/"], "--header"),
        (
            vec![
                "explain",
                "--policy",
                policy,
                "POST",
                "/gateway_protocol.Gateway/FailJob",
                "--body",
                r#"{"jobKey":"x"}"#,
            ],
            "--body: message.jobKey: is not of type int64",
        ),
        (vec!["explain", "GET", "/"], "--policy"),
        (vec!["test", "no-such-suite"], "no-such-suite"),
        (vec!["what"], "what"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(err(&output).contains(part), "{arguments:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{arguments:?}");
    }
}

#[test]
fn test_prints_one_line_per_case() {
    let suite = file(
        "suite.yaml",
        &format!(
            "policy:\n{}\nnow: 2026-01-01T00:00:00Z\ncases:\n\
             - {{name: may, principal: {{username: bob}}, request: {{method: GET, path: /v2/topology}}, expect: {{decision: allow}}}}\n\
             - {{name: may not, request: {{method: GET, path: /v2/topology}}, expect: {{decision: allow, reason: anonymous}}}}\n",
            POLICY.trim().lines().map(|l| format!("  {l}\n")).collect::<String>()
        ),
    );
    let suite = suite.to_str().unwrap();
    let output = run(&["test", "--json", suite]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let lines: Vec<Value> = out(&output).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["suite"], &lines[0]["name"], &lines[0]["pass"]),
        (&json!(suite), &json!("may"), &json!(true))
    );
    assert_eq!(lines[1]["pass"], false);
    assert_eq!(lines[1]["expected"], json!({"decision": "allow", "reason": "anonymous"}));
    assert_eq!(lines[1]["actual"]["reason"], "token_missing");
    let output = run(&["test", suite]);
    assert!(out(&output).contains("reason: expected \"anonymous\", was \"token_missing\""));
    assert!(out(&output).ends_with("1 passed, 1 failed\n"));
}

#[test]
fn a_malformed_suite_runs_nothing() {
    let good = file("good-suite.yaml", "cases: []\n");
    for (name, content, part) in [
        ("no-cases", "policy: {}\n", "cases: must be a list"),
        ("unknown", "cases: []\nclock: 1\n", "clock: unknown field"),
        ("clock", "cases: []\nnow: soon\n", "now: must be a time"),
        ("config", "cases: []\nconfig: {mode: maybe}\n", "mode: unknown variant `maybe`"),
        (
            "two",
            "cases: [{name: x, token: a, claims: {}, request: {method: GET, path: /}, expect: {}}]\n",
            "at most one of",
        ),
        (
            "who",
            "cases: [{name: x, principal: {}, request: {method: GET, path: /}, expect: {}}]\n",
            "exactly one of username",
        ),
        (
            "bodies",
            "cases: [{name: x, request: {method: GET, path: /, body: 1, rawBody: x}, expect: {}}]\n",
            "more than one of body",
        ),
        ("base64", "cases: [{name: x, request: {method: GET, path: /, bodyBase64: '?'}, expect: {}}]\n", "bodyBase64"),
        ("typo", "cases: [{name: x, request: {method: GET, pth: /}, expect: {}}]\n", "unknown field `pth`"),
        ("both", "cases: [{name: x, request: {method: POST, path: /, grpc: Topology}, expect: {}}]\n", "either method"),
        ("no path", "cases: [{name: x, request: {method: GET}, expect: {}}]\n", "either method and path"),
        (
            "field",
            "cases: [{name: x, request: {grpc: Topology, message: {x: 1}}, expect: {}}]\n",
            "message.x: unknown field",
        ),
        (
            "message and body",
            "cases: [{name: x, request: {grpc: Topology, message: {}, bodyBase64: AAAAAAA=}, expect: {}}]\n",
            "a message and another body",
        ),
    ] {
        let bad = file(&format!("bad-{name}.yaml"), content);
        let output = run(&["test", "--json", good.to_str().unwrap(), bad.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(err(&output).contains(part), "{name}: {}", err(&output));
        assert_eq!(out(&output), "", "{name}");
    }
}

#[test]
fn operations_are_listed_and_found() {
    let lines: Vec<Value> =
        out(&run(&["operations", "--json"])).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().filter(|o| o["surface"] == "v2").count(), 223);
    assert_eq!(lines.iter().filter(|o| o["surface"] == "grpc").count(), 24);
    assert_eq!(lines.len(), 326);
    let output = run(&["operations", "--json", "POST", "/v2/process-instances"]);
    let found: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((output.status.code(), &found["operation"]), (Some(0), &json!("createProcessInstance")));
    assert_eq!(found["grants"][0]["permissionType"], "CREATE_PROCESS_INSTANCE");
    for (path, reason) in [("/v2/nothing", "operation_unknown"), ("/v2//topology", "path_ambiguous")] {
        let output = run(&["operations", "GET", path]);
        assert_eq!(output.status.code(), Some(1));
        assert!(out(&output).starts_with(reason));
    }
    assert_eq!(run(&["operations", "GET"]).status.code(), Some(2));
}
