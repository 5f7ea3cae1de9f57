//! `portcullis operations`: what a configuration adds, what is imported from a specification, and what
//! an upgrade changes.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder of one test, with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operations").join(name);
    let _gone = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    folder
}

/// A specification as Camunda writes them: in several files, its administration under another server.
const ROOT: &str = r#"
openapi: 3.0.3
info: {title: Orchestration Cluster API, version: "0.1"}
servers: [{url: "{schema}://{host}:{port}/v2"}]
paths:
  /topology: {get: {operationId: getTopology, x-required-permissions: []}}
  /roles/{id}: {get: {operationId: getRole, x-required-permissions: [{resourceType: ROLE, permissionType: READ}]}}
  /exporting: {get: {operationId: getExportingStatus, x-required-permissions: [{resourceType: EXPORTER, permissionType: PAUSE}]}}
  /widgets: {$ref: "widgets.yaml#/paths/~1widgets"}
  /widgets/search: {$ref: "widgets.yaml#/paths/~1widgets~1search"}
  /widgets/{widgetKey}: {$ref: "widgets.yaml#/paths/~1widgets~1{widgetKey}"}
  /widget-files:
    post:
      operationId: uploadWidget
      x-required-permissions: [{resourceType: RESOURCE, permissionType: CREATE}]
      requestBody: {content: {multipart/form-data: {schema: {type: object, properties: {tenantId: {type: string}}}}}}
  /widget-health: {get: {operationId: getWidgetHealth, security: [], x-required-permissions: []}}
  /widget-count: {get: {x-required-permissions: []}}
  /widget-secrets: {get: {operationId: getWidgetSecrets, x-required-permissions: [{resourceType: WIDGET, permissionType: OPEN}]}}
  /widget-notes: {get: {operationId: getWidgetNotes}}
  /setup/widget: {post: {operationId: setupWidget, security: [], x-required-permissions: [{dynamic: true, note: the first one}]}}
  /roles/special: {get: {operationId: getSpecialRole, x-required-permissions: []}}
  /widgets/{a}-{b}: {get: {operationId: getPair, x-required-permissions: []}}
  /cluster/v2/widgets:
    servers: [{url: "{schema}://{host}:{port}"}]
    delete: {operationId: deleteAllWidgets, x-required-permissions: []}
  /v1/widgets:
    servers: [{url: "{schema}://{host}:{port}"}]
    get: {operationId: getOldWidget, x-required-permissions: []}
"#;

const WIDGETS: &str = r##"
paths:
  /widgets:
    post:
      operationId: createWidget
      x-required-permissions:
      - {resourceType: PROCESS_DEFINITION, permissionType: CREATE_PROCESS_INSTANCE}
      - {resourceType: ROLE, permissionType: UPDATE}
      requestBody: {content: {application/json: {schema: {$ref: "models.yaml#/Widget"}}}}
  /widgets/search:
    post:
      operationId: searchWidgets
      x-required-permissions: [{resourceType: PROCESS_DEFINITION, permissionType: READ_PROCESS_INSTANCE}]
      x-permission-enforcement: filter
  /widgets/{widgetKey}:
    get:
      operationId: getWidget
      x-required-permissions:
      - anyOf:
        - {resourceType: PROCESS_DEFINITION, permissionType: READ_PROCESS_INSTANCE}
        - {resourceType: USER_TASK, permissionType: READ}
    put:
      operationId: getRole
      x-required-permissions:
      - {resourceType: EXPRESSION, permissionType: EVALUATE}
      - {dynamic: true, note: "And more,\n  where it hangs on the widget."}
    patch:
      operationId: mergeWidget
      x-required-permissions:
      - anyOf: [{resourceType: ROLE, permissionType: UPDATE}, {resourceType: GROUP, permissionType: UPDATE}]
      - {resourceType: PROCESS_DEFINITION, permissionType: UPDATE_PROCESS_INSTANCE}
    delete: {operationId: "delete-widget", x-required-permissions: [{dynamic: true, note: the type decides}]}
"##;

const MODELS: &str = r##"
Widget: {oneOf: [{$ref: "#/ById"}, {type: object, properties: {key: {type: string}}}]}
ById: {allOf: [{type: object, properties: {id: {type: string}, tenantId: {type: string}}}]}
"##;

fn specification(name: &str) -> String {
    let folder = folder(name, &[("rest-api.yaml", ROOT), ("widgets.yaml", WIDGETS), ("models.yaml", MODELS)]);
    folder.join("rest-api.yaml").to_str().unwrap().to_owned()
}

fn grant(resource: &str, permission: &str, id: &str) -> Value {
    json!({"resourceType": resource, "permissionType": permission, "resourceIdSource": id})
}

fn imported(arguments: &[&str]) -> (Vec<Value>, String) {
    let ran = run(&[&["operations", "import", "--json"], arguments].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    (document["api"]["extraOperations"].as_array().unwrap().clone(), ran.err)
}

#[test]
fn a_specification_becomes_extra_operations() {
    let (operations, messages) = imported(&[&specification("import"), "--api-version", "8.9"]);
    let open = "And more, where it hangs on the widget.";
    let several = "one permission of each of several is needed";
    let when = |grant: Value, condition: &str| {
        let mut grant = grant;
        grant["condition"] = condition.into();
        grant
    };
    let expected = json!([
        // Built in from 8.10 on, with what is known of it.
        {"operation": "getExportingStatus", "method": "GET", "path": "/v2/exporting", "mode": "single",
            "grants": [grant("EXPORTER", "PAUSE", "wildcard")]},
        {"operation": "createWidget", "method": "POST", "path": "/v2/widgets", "mode": "all-of", "tenant": "body:/tenantId",
            "grants": [grant("PROCESS_DEFINITION", "CREATE_PROCESS_INSTANCE", "key"), grant("ROLE", "UPDATE", "key")]},
        {"operation": "searchWidgets", "method": "POST", "path": "/v2/widgets/search", "mode": "single", "tenant": "filter",
            "grants": [grant("PROCESS_DEFINITION", "READ_PROCESS_INSTANCE", "result-filter")]},
        {"operation": "getWidget", "method": "GET", "path": "/v2/widgets/{widgetKey}", "mode": "any-of", "tenant": "key",
            "grants": [grant("PROCESS_DEFINITION", "READ_PROCESS_INSTANCE", "key"), grant("USER_TASK", "READ", "key")]},
        {"operation": "getRole2", "method": "PUT", "path": "/v2/widgets/{widgetKey}", "mode": "single", "tenant": "key",
            "grants": [when(grant("EXPRESSION", "EVALUATE", "key"), open)], "note": format!("imported; {open}")},
        {"operation": "mergeWidget", "method": "PATCH", "path": "/v2/widgets/{widgetKey}", "mode": "any-of", "tenant": "key",
            "grants": [
                when(grant("ROLE", "UPDATE", "key"), several), when(grant("GROUP", "UPDATE", "key"), several),
                when(grant("PROCESS_DEFINITION", "UPDATE_PROCESS_INSTANCE", "key"), several),
            ], "note": format!("imported; {several}")},
        {"operation": "deleteWidget", "method": "DELETE", "path": "/v2/widgets/{widgetKey}", "mode": "unmapped",
            "note": "imported; the type decides"},
        {"operation": "uploadWidget", "method": "POST", "path": "/v2/widget-files", "mode": "single",
            "tenant": "multipart:tenantId", "grants": [grant("RESOURCE", "CREATE", "key")]},
        {"operation": "getWidgetHealth", "method": "GET", "path": "/v2/widget-health", "mode": "none", "public": true},
        {"operation": "getV2WidgetCount", "method": "GET", "path": "/v2/widget-count", "mode": "none"},
        {"operation": "getWidgetSecrets", "method": "GET", "path": "/v2/widget-secrets", "mode": "unmapped",
            "note": "imported; OPEN on WIDGET is not known here"},
        {"operation": "getWidgetNotes", "method": "GET", "path": "/v2/widget-notes", "mode": "unmapped",
            "note": "imported; the specification does not say what it requires"},
        {"operation": "deleteAllWidgets", "method": "DELETE", "path": "/cluster/v2/widgets", "mode": "cluster-admin"},
    ]);
    let by_path = |operations: &[Value]| {
        let mut operations = operations.to_vec();
        operations.sort_by_key(|o| format!("{} {}", o["path"], o["method"]));
        operations
    };
    let expected = by_path(expected.as_array().unwrap());
    for (actual, expected) in by_path(&operations).iter().zip(&expected) {
        assert_eq!(actual, expected);
    }
    assert_eq!(operations.len(), expected.len());
    for said in [
        "left out: POST /v2/setup/widget: it needs no credential, and decides by itself who may",
        "left out: GET /v2/widgets/{a}-{b}: its path `{a}-{b}` is not a parameter",
        "left out: GET /v1/widgets: it is not below /v2/ or /cluster/v2/",
        "left out: GET /v2/roles/special (getSpecialRole): 8.9 has paths like it: getRole",
        "renamed: PUT /v2/widgets/{widgetKey} (getRole): getRole2, because another operation has its name",
        "open: GET /v2/widget-notes (getWidgetNotes): the specification does not say what it requires",
        "open: GET /v2/widget-secrets (getWidgetSecrets): OPEN on WIDGET is not known here",
        "hint: 1 of these operations are built in: with api.version \"8.10\" they need not be listed",
    ] {
        assert!(messages.contains(said), "{said:?} is not in\n{messages}");
    }
}

/// What is written is a configuration: it can be judged with as it is.
#[test]
fn what_is_imported_decides() {
    let specification = specification("decides");
    let written = run(&["operations", "import", &specification]).out;
    assert!(written.starts_with("api:\n"), "{written}");
    let policy = "authorizations: [{ownerType: USER, ownerId: alice, resourceType: PROCESS_DEFINITION, resourceId: a, \
                  permissionTypes: [READ_PROCESS_INSTANCE]}]";
    let folder = folder("decides-with", &[("config.yaml", &written), ("policy.yaml", policy)]);
    let (config, policy) = (folder.join("config.yaml"), folder.join("policy.yaml"));
    let (config, policy) = (config.to_str().unwrap(), policy.to_str().unwrap());
    for (user, method, path, expected) in [
        ("alice", "GET", "/v2/widgets/7", ("allow", json!("deferred"), "deferred_key")),
        ("bob", "GET", "/v2/widgets/7", ("deny", Value::Null, "permission_missing")),
        ("bob", "DELETE", "/v2/widgets/7", ("allow", json!("deferred"), "deferred_unmapped")),
        ("bob", "GET", "/v2/topology", ("allow", json!("final"), "no_permission_required")),
        ("bob", "GET", "/v2/gadgets", ("deny", Value::Null, "operation_unknown")),
    ] {
        let caller = ["explain", "--json", "--config", config, "--policy", policy, "--user", user, method, path];
        let ran = run(&caller);
        let actual: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
        let (decision, certainty, reason) = expected;
        assert_eq!(actual["decision"], decision, "{user} {method} {path}: {actual}");
        assert_eq!(actual["certainty"], certainty, "{user} {method} {path}: {actual}");
        assert_eq!(actual["reason"], reason, "{user} {method} {path}: {actual}");
    }
    // The list, and which operation a request is, with what the configuration adds.
    let found = run(&["operations", "--json", "--config", config, "GET", "/v2/widgets/7"]);
    let found: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(
        (&found["operation"], &found["since"], &found["surface"]),
        (&json!("getWidget"), &json!("8.9"), &json!("v2"))
    );
    let list = run(&["operations", "--config", config]).out;
    assert!(list.contains(" getWidget ") && list.contains(" getTopology ") && !list.contains("searchAgentDefinitions"));
    let later = run(&["operations", "--config", config, "POST", "/v2/agent-definitions/search"]);
    let expected = "operation_unknown: searchAgentDefinitions is there since 8.10, and api.version is 8.9\n";
    assert_eq!((later.status, &*later.out), (1, expected));
}

#[test]
fn nothing_is_imported_where_nothing_lacks() {
    let spec = "openapi: 3.0.3\nservers: [{url: /v2}]\npaths: {/topology: {get: {operationId: getTopology}}}\n";
    let file = folder("nothing", &[("spec.yaml", spec)]).join("spec.yaml");
    let (operations, messages) = imported(&[file.to_str().unwrap()]);
    assert_eq!(operations, Vec::<Value>::new());
    assert!(messages.contains("8.9 lacks nothing that can be imported"), "{messages}");
}

#[test]
fn what_is_no_specification_is_refused() {
    let with_permissions = |permissions: &str| {
        format!(
            "servers: [{{url: /v2}}]\npaths: {{/x: {{get: {{operationId: getX, x-required-permissions: {permissions}}}}}}}\n"
        )
    };
    for (name, content, said) in [
        ("no-paths", "openapi: 3.0.3\n".to_owned(), "paths: is missing: this is no OpenAPI specification"),
        ("list", "[1]".into(), "paths: is missing"),
        ("not-yaml", "a: [".into(), "not-yaml.yaml"),
        ("twice", "paths: {}\npaths: {}\n".into(), "twice.yaml"),
        ("no-list", with_permissions("ROLE"), "paths./x.get: x-required-permissions must be a list"),
        ("no-type", with_permissions("[{permissionType: READ}]"), "x-required-permissions[0] must have resourceType"),
        ("no-any", with_permissions("[{anyOf: []}]"), "x-required-permissions[0] anyOf is empty"),
        ("text", with_permissions("[READ]"), "x-required-permissions[0] must have resourceType"),
        (
            "enforcement",
            "servers: [{url: /v2}]\npaths: {/x: {get: {x-permission-enforcement: perhaps}}}\n".into(),
            "x-permission-enforcement must be filter or reject",
        ),
        ("lost", "paths: {/x: {$ref: '#/nowhere'}}\n".into(), "paths./x: $ref `#/nowhere` leads nowhere"),
        ("circle", "paths: {/x: {$ref: '#/paths/~1x'}}\n".into(), "paths./x: its references lead in a circle"),
        ("remote", "paths: {/x: {$ref: 'https://x.test/y.yaml'}}\n".into(), "is not a file beside it"),
        ("gone", "paths: {/x: {$ref: 'gone.yaml#/x'}}\n".into(), "$ref `gone.yaml#/x`"),
    ] {
        let file = folder("refused", &[(&format!("{name}.yaml"), &content)]).join(format!("{name}.yaml"));
        let ran = run(&["operations", "import", file.to_str().unwrap()]);
        assert_eq!((ran.status, &*ran.out), (2, ""), "{name}");
        assert!(ran.err.contains(said), "{name}: {}", ran.err);
    }
    assert!(run(&["operations", "import", "gone.yaml"]).err.contains("gone.yaml"));
    let version = run(&["operations", "import", "gone.yaml", "--api-version", "8.7"]);
    assert_eq!(version.status, 2);
    assert!(version.err.contains("--api-version: `8.7` is not one of 8.8, 8.9, 8.10"), "{}", version.err);
}

fn differences(arguments: &[&str]) -> Vec<Value> {
    let ran = run(&[&["operations", "diff", "--json"], arguments].concat());
    assert_eq!(ran.status, i32::from(!ran.out.is_empty()), "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(changes: &'a [Value], operation: &str) -> &'a Value {
    changes.iter().find(|change| change["operation"] == operation).unwrap_or_else(|| panic!("no {operation}"))
}

#[test]
fn versions_are_compared() {
    assert_eq!(differences(&["8.9", "8.9"]), Vec::<Value>::new());
    let up = differences(&["8.8", "8.10"]);
    let added = of(&up, "searchAuditLogs");
    assert_eq!((&added["change"], &added["before"], &added["method"]), (&json!("added"), &Value::Null, &json!("POST")));
    let changed = of(&up, "completeUserTask");
    assert_eq!(changed["change"], "changed");
    let grants = |side: &str| changed[side]["grants"].as_array().unwrap().len();
    assert_eq!((grants("before"), grants("after")), (1, 4));
    assert!(up.iter().all(|change| change["change"] != "removed" && change["denied"].is_null()));
    let down = differences(&["8.10", "8.8"]);
    assert_eq!(of(&down, "searchAuditLogs")["change"], "removed");
    assert_eq!(up.len(), down.len());
    let text = run(&["operations", "diff", "8.8", "8.10"]);
    assert_eq!(text.status, 1);
    assert!(
        text.out.contains("+ getExportingStatus GET /v2/exporting\n    requires PAUSE on EXPORTER\n"),
        "{}",
        text.out
    );
}

#[test]
fn what_an_upgrade_would_deny_is_said() {
    let policy = "authorizations:\n\
        - {ownerType: USER, ownerId: alice, resourceType: PROCESS_DEFINITION, resourceId: a, permissionTypes: [UPDATE_USER_TASK]}\n\
        - {ownerType: USER, ownerId: bob, resourceType: USER_TASK, resourceId: \"*\", permissionTypes: [UPDATE]}\n\
        - {ownerType: ROLE, ownerId: auditors, resourceType: AUDIT_LOG, resourceId: \"*\", permissionTypes: [READ]}\n";
    let policy = folder("denied", &[("policy.yaml", policy)]).join("policy.yaml");
    let policy = policy.to_str().unwrap();
    let up = differences(&["8.8", "8.10", "--policy", policy]);
    // New, and nobody holds what it needs; new, and somebody does; more may do it than before.
    assert_eq!(of(&up, "getExportingStatus")["denied"], "everybody");
    assert_eq!(of(&up, "getAuditLog")["denied"], Value::Null);
    assert_eq!(of(&up, "completeUserTask")["denied"], Value::Null);
    let down = differences(&["8.10", "8.8", "--policy", policy]);
    assert_eq!(of(&down, "completeUserTask")["denied"], json!([{"ownerType": "USER", "ownerId": "bob"}]));
    assert_eq!(of(&down, "getAuditLog")["denied"], "everybody");
    let text = run(&["operations", "diff", "8.10", "8.8", "--policy", policy]).out;
    let said = text.split("~ completeUserTask ").nth(1).unwrap_or_else(|| panic!("{text}"));
    assert!(said.contains("\n    denied to USER bob\n"), "{said}");
}

#[test]
fn a_specification_is_compared() {
    let specification = specification("diff");
    let changes = differences(&["8.9", &specification]);
    assert_eq!(of(&changes, "getWidget")["change"], "added");
    assert_eq!(of(&changes, "createProcessInstance")["change"], "removed");
    assert!(changes.iter().all(|change| change["operation"] != "getTopology" && change["operation"] != "getRole"
        || change["path"] == "/v2/widgets/{widgetKey}"));
    // It speaks of no call over gRPC, and of no web application.
    assert!(changes.iter().all(|change| change["path"].as_str().unwrap().contains("/v2/")), "{changes:?}");
    assert_eq!(differences(&[&specification, &specification]), Vec::<Value>::new());
    let newer =
        ROOT.replace("{resourceType: ROLE, permissionType: READ}", "{resourceType: ROLE, permissionType: UPDATE}");
    let folder = folder("diff-newer", &[("rest-api.yaml", &newer), ("widgets.yaml", WIDGETS), ("models.yaml", MODELS)]);
    let newer = folder.join("rest-api.yaml");
    let changes = differences(&[&specification, newer.to_str().unwrap()]);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["before"]["grants"][0]["permissionType"], "READ");
    assert_eq!(changes[0]["after"]["grants"][0]["permissionType"], "UPDATE");
    let wrong = run(&["operations", "diff", "8.9", "9.9"]);
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains("`9.9` is not one of 8.8, 8.9, 8.10, nor a file"), "{}", wrong.err);
}
