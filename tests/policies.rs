//! The commands about policies, as a user meets them: compile, decode, lint, diff.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder of one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies").join(name);
    let _gone = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn file(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

const POLICY: &str = r#"{
  "authorizations": [
    {"ownerType": "USER", "ownerId": "alice", "resourceType": "PROCESS_DEFINITION", "resourceId": "invoice",
     "permissionTypes": ["CREATE_PROCESS_INSTANCE"], "authorizationKey": "2251799813685260"},
    {"ownerType": "ROLE", "ownerId": "operators", "resourceType": "PROCESS_DEFINITION", "resourceId": "*",
     "permissionTypes": ["CANCEL_PROCESS_INSTANCE"]}
  ],
  "roles": [{"roleId": "operators", "name": "Operators", "users": ["bob"]}],
  "tenants": [{"tenantId": "acme", "users": ["alice"]}]
}"#;

#[test]
fn compile_writes_a_table_and_decode_the_policy() {
    let folder = folder("compile");
    let policy = file(&folder, "policy.json", POLICY);
    let table = folder.join("policy.table").to_str().unwrap().to_owned();
    let (status, out, err) = run(&["compile", &policy, "-o", &table, "--json"]);
    assert_eq!((status, &*err), (Some(0), ""));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["grants"], &report["owners"]), (&json!(2), &json!(3)));
    assert_eq!(report["bytes"], fs::metadata(&table).unwrap().len());
    let again = folder.join("again.table").to_str().unwrap().to_owned();
    let (_, decoded, _) = run(&["decode", &table]);
    let decoded = file(&folder, "decoded.json", &decoded);
    assert_eq!(run(&["compile", &decoded, "-o", &again]).0, Some(0));
    assert_eq!(fs::read(&table).unwrap(), fs::read(&again).unwrap());
    let explained = |how: &str, file: &str| {
        run(&["explain", how, file, "--user", "bob", "POST", "/v2/process-instances/7/cancellation", "--json"])
    };
    assert_eq!(explained("--table", &table), explained("--policy", &policy));
    assert_eq!(explained("--table", &table).0, Some(0));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4, "nothing is left beside the outputs");
}

#[test]
fn several_policies_become_one() {
    let folder = folder("several");
    let first = file(&folder, "first.yaml", "roles:\n- {roleId: operators, users: [bob]}\n");
    let second = file(&folder, "second.yaml", "roles:\n- {roleId: operators, users: [carol]}\n");
    let whole = file(&folder, "whole.json", r#"{"roles": [{"roleId": "operators", "users": ["carol", "bob"]}]}"#);
    let digest = |policies: &[&str]| {
        let out = folder.join("out.table").to_str().unwrap().to_owned();
        let (status, out, _) = run(&[&["compile", "--json", "-o", &out], policies].concat());
        assert_eq!(status, Some(0));
        serde_json::from_str::<Value>(&out).unwrap()["table"].clone()
    };
    assert_eq!(digest(&[&first, &second]), digest(&[&whole]));
}

#[test]
fn a_clusters_own_configuration_is_a_policy() {
    let folder = folder("camunda");
    let configuration = file(
        &folder,
        "application.yaml",
        "camunda.security:\n  initialization:\n    mapping-rules:\n    - {mapping-rule-id: ops, claim-name: team, claimValue: ops}\n    \
         authorizations:\n    - {owner-type: ROLE, ownerId: admin, resource-type: MESSAGE, resource-id: '*', permissions: [CREATE]}\n    \
         default-roles:\n      readonly-admin: {users: [eve]}\n      admin: {mapping-rules: [ops], users: [demo]}\n",
    );
    let table = folder.join("t").to_str().unwrap().to_owned();
    let (status, _, err) = run(&["compile", &configuration, "-o", &table]);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("default-roles.readonly-admin"), "{err}");
    let policy: Value = serde_json::from_str(&run(&["decode", &table]).1).unwrap();
    assert_eq!(
        policy,
        json!({
            "authorizations": [{"ownerType": "ROLE", "ownerId": "admin", "resourceType": "MESSAGE", "resourceId": "*",
                "permissionTypes": ["CREATE"]}],
            "roles": [{"roleId": "admin", "users": ["demo"], "mappingRules": ["ops"]},
                {"roleId": "readonly-admin", "users": ["eve"]}],
            "groups": [],
            "mappingRules": [{"mappingRuleId": "ops", "claimName": "team", "claimValue": "ops"}],
            "tenants": [],
        })
    );
}

/// What the policy of a cluster's own configuration is, or the reason why it is none.
fn initialized(folder: &Path, section: &str) -> Result<(Value, String), String> {
    let configuration = file(folder, "application.yaml", section);
    let table = folder.join("t").to_str().unwrap().to_owned();
    let (status, _, err) = run(&["compile", &configuration, "-o", &table]);
    if status != Some(0) {
        return Err(err);
    }
    Ok((serde_json::from_str(&run(&["decode", &table]).1).unwrap(), err))
}

/// Names that are numbers, lists by index, and names of constants in any spelling.
#[test]
fn a_clusters_own_configuration_is_read_as_the_cluster_reads_it() {
    let folder = folder("spellings");
    let plain = "camunda.security.initialization:
  roles: [{role-id: publishers, users: ['1001', ada, 'true']}]
  authorizations:
  - {owner-type: ROLE, owner-id: publishers, resource-type: PROCESS_DEFINITION, resource-id: '*',
     permissions: [CREATE_PROCESS_INSTANCE, READ_PROCESS_INSTANCE]}
  - {owner-type: USER, owner-id: '7', resource-type: MESSAGE, resource-id: '*', permissions: [CREATE]}
";
    let typed = plain.replace("'1001'", "1001").replace("'true'", "true").replace("'7'", "7");
    let constants = plain
        .replace("ROLE,", "role,")
        .replace("PROCESS_DEFINITION", "process-definition")
        .replace("CREATE_PROCESS_INSTANCE", "createProcessInstance")
        .replace("READ_PROCESS_INSTANCE", "Read-Process_instance")
        .replace("USER, owner-id: '7', resource-type: MESSAGE", "User, owner-id: '7', resource-type: message")
        .replace("[CREATE]", "[create]");
    let indices = "camunda.security.initialization:
  roles: {0: {role-id: publishers, users: {0: 1001, 1: ada}}}
  roles[0].users[2]: true
  authorizations[0]:
    owner-type: ROLE
    ownerId: publishers
  authorizations[0].resource-type: PROCESS_DEFINITION
  authorizations[0].resource-id: '*'
  authorizations[0].permissions: {0: CREATE_PROCESS_INSTANCE, 1: READ_PROCESS_INSTANCE}
camunda.security.initialization.authorizations[1]:
  {owner-type: USER, owner-id: 7, resource-type: MESSAGE, resource-id: '*', permissions: CREATE}
";
    let (policy, err) = initialized(&folder, plain).unwrap();
    assert_eq!((&policy["roles"][0]["users"], &*err), (&json!(["1001", "ada", "true"]), ""));
    assert_eq!(policy["authorizations"].as_array().unwrap().len(), 2);
    for section in [&*typed, &constants, indices] {
        assert_eq!(initialized(&folder, section), Ok((policy.clone(), String::new())), "{section}");
    }
    let eleven: String = (0..11).map(|n| format!("  roles[{n}].role-id: r{n:02}\n")).collect();
    let (policy, _) = initialized(&folder, &format!("camunda.security.initialization:\n{eleven}")).unwrap();
    assert_eq!(policy["roles"].as_array().unwrap().len(), 11);
    let export =
        constants.replace("camunda.security.initialization:\n", "").replace("-id", "Id").replace("-type", "Type");
    assert!(initialized(&folder, &export).unwrap().1.contains("`role` is not known"), "an export is not read so");
}

#[test]
fn what_is_not_understood_in_a_clusters_own_configuration_is_said() {
    let folder = folder("not-understood");
    let grant = "owner-type: USER, owner-id: a, resource-type: MESSAGE";
    for (section, reason) in [
        ("roles: [{role-id: a, users: [{name: ada}]}]", "roles[0].users[0]: must be a text"),
        ("roles: [{role-id: a, users: [ada, null]}]", "roles[0].users[1]: must be a text"),
        ("roles: [{role-id: a, users: {ada: true}}]", "roles[0].users: must be a list"),
        ("roles: [{role-id: a, users: {0: ada, 2: eve}}]", "roles[0].users[1]: is missing"),
        ("roles: [{role-id: a, users: ['${ADA}']}]", "roles[0].users: `${ADA}` is known only"),
        ("roles: [admin]", "roles[0].role-id: is missing"),
        ("roles: {admin: {users: [ada]}}", "roles: must be a list"),
        ("roles: 5", "roles: must be a list"),
        ("roles: [{role-id: a}], 'roles[0].role-id': b", "roles[0].roleid: stands twice"),
        ("default-roles: {admin: {}}, defaultRoles: 5", "defaultroles: stands twice"),
        ("default-roles: ada", "default-roles: must have roles"),
        ("default-roles: {admin: ada}", "default-roles.admin: must have lists"),
        (
            &format!(
                "authorizations: [{{{grant}, resource-id: '*', resource-property-name: [x], permissions: CREATE}}]"
            ),
            "authorizations[0].resource-property-name: is missing, or not known",
        ),
        (
            &format!("authorizations: [{{{grant}, resource-id: '*', permissions: READ, permission-types: CREATE}}]"),
            "authorizations[0]: has both permissions and permission-types",
        ),
    ] {
        let error = initialized(&folder, &format!("camunda.security.initialization: {{{section}}}\n")).unwrap_err();
        assert!(error.contains(reason), "{section}: {error}");
    }
    let error = initialized(&folder, "camunda.security.initialization: ${ALL}\n").unwrap_err();
    assert!(error.contains("initialization: must have members"), "{error}");
    for (section, place) in [
        ("roles: [{role-id: a, user: [ada]}]", "roles[0].user"),
        ("role: [{role-id: a}]", "role"),
        ("default-roles: {admin: {user: [ada]}}", "default-roles.admin.user"),
    ] {
        let (_, err) = initialized(&folder, &format!("camunda.security.initialization: {{{section}}}\n")).unwrap();
        let notice = format!("camunda.security.initialization.{place}: is not known; it is left out");
        assert!(err.contains(&notice), "{err}");
    }
    let own = "camunda.security.initialization: {roles: [{role-id: my-role}], default-roles: {MY_ROLE: {users: [ada]}, my-other: {}}}";
    let (policy, err) = initialized(&folder, own).unwrap();
    assert_eq!(policy["roles"], json!([{"roleId": "my-role", "users": ["ada"]}, {"roleId": "myother"}]));
    assert!(err.contains("default-roles.myother: is no role that is known here"), "{err}");
    let deep = format!(r#"{{"camunda.security.initialization.{}": 1}}"#, "a.".repeat(500_000));
    let error = initialized(&folder, &deep).unwrap_err();
    assert!(error.starts_with("portcullis: "), "{error}");
    // What stands twice elsewhere is no matter.
    assert!(initialized(&folder, "a: 1\na.b: 2\ncamunda.security.initialization: {roles: []}\n").is_ok());
}

#[test]
fn what_cannot_be_compiled_leaves_what_was_there() {
    let folder = folder("refused");
    let table = file(&folder, "table", "as it was");
    let refuse = |content: &str, strict: &[&str], part: &str| {
        let policy = file(&folder, "policy.json", content);
        let (status, out, err) = run(&[&["compile", &policy, "-o", &table], strict].concat());
        assert_eq!((status, &*out), (Some(2), ""));
        assert!(err.contains(part), "{err}");
        assert_eq!(fs::read_to_string(&table).unwrap(), "as it was");
    };
    refuse(r#"{"roles": [{"roleId": "a"}, {"roleId": "a"}]}"#, &[], "roles[1].roleId: `a` stands twice");
    refuse(r#"{"roles": [["a"]]}"#, &[], "policy.json: roles[0]: ");
    refuse(r#"{"roles": 5}"#, &[], "policy.json: roles: invalid type: integer `5`, expected a list");
    refuse(r#"{"authorizations": {}}"#, &[], "policy.json: authorizations: invalid type: map, expected a list");
    refuse(r#"{"roles": [], "tenants": null}"#, &[], "policy.json: tenants: invalid type: null, expected a list");
    refuse(r#"{"roles": [{"roleId": "a", "roleId": "b"}]}"#, &[], "roles[0]: the member `roleId` stands twice");
    refuse(r#"{"roles": [], "rules": []}"#, &[], "unknown field `rules`");
    refuse(r#"{"roles": []"#, &[], "EOF");
    let unknown = r#"{"authorizations": [{"ownerType": "USER", "ownerId": "a", "resourceType": "SPACESHIP",
        "resourceId": "*", "permissionTypes": ["FLY"]}]}"#;
    refuse(unknown, &["--strict"], "--strict");
}

#[test]
fn names_that_are_none_are_refused_and_never_shown_as_they_are() {
    let folder = folder("names");
    let table = folder.join("table").to_str().unwrap().to_owned();
    let long = "x".repeat(10_000);
    let grant = |owner: &str, id: &str, kind: &str| {
        json!({"authorizations": [{"ownerType": kind, "ownerId": owner, "resourceType": "PROCESS_DEFINITION",
            "resourceId": id, "permissionTypes": ["CREATE_PROCESS_INSTANCE"]}]})
    };
    let rule = |id: &str, name: &str, value: &str| json!({"mappingRules": [{"mappingRuleId": id, "claimName": name, "claimValue": value}]});
    let too_long = "is longer than 4096 bytes";
    let control = "has a control character (character 1)";
    for (policy, place, reason) in [
        (grant(&long, "a", "USER"), "authorizations[0].ownerId", too_long),
        (grant("a", &long, "USER"), "authorizations[0].resourceId", too_long),
        (grant("a\u{0}b", "a", "USER"), "authorizations[0].ownerId", control),
        (grant("a", "a\u{7f}", "USER"), "authorizations[0].resourceId", control),
        (json!({"roles": [{"roleId": "a\u{1b}[2J"}]}), "roles[0].roleId", control),
        (json!({"roles": [{"roleId": "a", "users": ["b", "c\n"]}]}), "roles[0].users[1]", control),
        (json!({"groups": [{"groupId": "a\u{85}"}]}), "groups[0].groupId", control),
        (json!({"groups": [{"groupId": "a", "roles": [&long]}]}), "groups[0].roles[0]", too_long),
        (json!({"tenants": [{"tenantId": "a\t"}]}), "tenants[0].tenantId", control),
        (rule("a\r", "team", "ops"), "mappingRules[0].mappingRuleId", control),
        (rule("a", "t\u{1}", "ops"), "mappingRules[0].claimName", control),
        (rule("a", "team", "o\u{1}"), "mappingRules[0].claimValue", control),
        (rule("a", "team", &long), "mappingRules[0].claimValue", too_long),
    ] {
        let file = file(&folder, "policy.json", &policy.to_string());
        let (status, out, err) = run(&["compile", &file, "-o", &table]);
        assert_eq!((status, &*out), (Some(2), ""), "{place}");
        let shown = format!("portcullis: {file}: {place}: {reason}");
        assert!(err.starts_with(&shown) && err.lines().count() == 1, "{err:?} is not {shown}");
        // The same in a configuration, which the filter reads.
        let configuration = json!({"version": 1, "name": "x", "policy": policy, "issuers": [{"issuer": "https://a",
            "audiences": ["a"], "jwks": {"discovery": {"cluster": "idp"}}}]});
        let refused = portcullis::config::read(configuration.to_string().as_bytes()).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("policy.{place}: {reason}")), "{refused}");
    }
    // What grants nothing is a warning, and shown so that it does no harm.
    for (kind, shown) in [("U\n\u{1b}[2J", r"`U\n\u{1b}[2J` is not known"), (&*long, "`xxx")] {
        let file = file(&folder, "policy.json", &grant("a", "a", kind).to_string());
        let (status, _, err) = run(&["compile", &file, "-o", &table]);
        assert_eq!(status, Some(0), "{err}");
        assert!(err.contains(shown) && err.lines().count() == 1 && err.len() < 2_000, "{err:?}");
    }
    let file = file(&folder, "policy.json", r#"{"roles": [], "a\u001b[2J": 1}"#);
    let (status, _, err) = run(&["compile", &file, "-o", &table]);
    assert_eq!(status, Some(2));
    assert!(err.contains(r"unknown field `a\u{1b}[2J`"), "{err:?}");
}

#[test]
fn a_policy_of_any_length_is_read_within_bounds() {
    let folder = folder("long");
    let table = folder.join("table").to_str().unwrap().to_owned();
    let long = |name: &str, begin: &str, length: u64| {
        let path = file(&folder, name, begin);
        // A file of that length that takes no place on the disk.
        fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        path
    };
    const MIB: u64 = 1 << 20;
    for (name, begin, length, reason) in [
        ("export.json", r#"{"roles": []}"#, 513 * MIB, "is longer than 512 MiB"),
        ("policy.yaml", "roles: []\n", 200 * MIB, "is longer than 16 MiB; only an export in JSON and a table may be"),
        ("cluster.json", r#"{"camunda": {"security": {}}}"#, 17 * MIB, "is longer than 16 MiB; only"),
    ] {
        let path = long(name, begin, length);
        for arguments in [
            vec!["compile", &*path, "-o", &*table],
            vec!["lint", &*path],
            vec!["explain", "--policy", &*path, "--user", "a", "GET", "/v2/topology"],
        ] {
            let (status, out, err) = run(&arguments);
            assert_eq!((status, &*out), (Some(2), ""), "{arguments:?}: {err}");
            assert!(err.contains(&format!("{path}: {reason}")), "{err}");
        }
        fs::remove_file(path).unwrap();
    }
    // An export may be longer than a tree of values.
    let blanks = " ".repeat(20 << 20);
    let export = file(&folder, "blanks.json", &format!(r#"{{"roles": [{{"roleId": "a"{blanks}}}]}}"#));
    assert_eq!(run(&["compile", &export, "-o", &table]).0, Some(0));
    // The filter looks at the length alone.
    let refused = portcullis::config::read(&vec![b' '; 200 << 20]).unwrap_err().to_string();
    assert_eq!(refused, "the configuration has 209715200 bytes; at most 8388608 are read");
}

#[test]
fn lint_finds_what_is_dead_dangerous_and_impossible() {
    let folder = folder("lint");
    let fine = file(&folder, "fine.json", POLICY);
    assert_eq!(run(&["lint", &fine]), (Some(0), String::new(), String::new()));
    let grant = |owner: &str, kind: &str, id: &str, permission: &str| json!({"ownerType": "USER", "ownerId": owner, "resourceType": kind, "resourceId": id, "permissionTypes": [permission]});
    let policy = json!({"authorizations": [
        grant("a", "AUTHORIZATION", "*", "CREATE"),
        grant("b", "ROLE", "operators", "UPDATE"),
        grant("c", "MESSAGE", "*", "READ"),
        grant("c", "MESSAGE", "paid", "READ"),
        grant("d", "USER", "x", "CREATE"),
        grant("e", "SPACESHIP", "*", "FLY"),
        grant("f", "RESOURCE", "x", "CREATE"),
    ]});
    let policy = file(&folder, "policy.json", &policy.to_string());
    let (status, out, _) = run(&["lint", &policy, "--json"]);
    assert_eq!(status, Some(1));
    let found: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<(&str, &str)> =
        found.iter().map(|f| (f["kind"].as_str().unwrap(), f["place"].as_str().unwrap())).collect();
    assert_eq!(
        kinds,
        [
            ("dead", "authorizations[5].resourceType"),
            ("dangerous", "USER a: CREATE on AUTHORIZATION *"),
            ("dangerous", "USER b: UPDATE on ROLE operators"),
            ("dead", "USER c: READ on MESSAGE paid"),
            ("impossible", "USER d: CREATE on USER x"),
            ("impossible", "USER f: CREATE on RESOURCE x"),
        ]
    );
}

#[test]
fn a_property_that_is_not_known_is_said_and_kept() {
    let folder = folder("property");
    let property = |name: &str| {
        let grant = json!({"ownerType": "USER", "ownerId": "u", "resourceType": "USER_TASK", "resourcePropertyName": name,
            "permissionTypes": ["READ"]});
        file(&folder, "policy.json", &json!({"authorizations": [grant]}).to_string())
    };
    for known in ["assignee", "candidateUsers", "candidateGroups"] {
        assert_eq!(run(&["lint", &property(known)]), (Some(0), String::new(), String::new()));
    }
    let policy = property("colour");
    let (status, out, _) = run(&["lint", &policy]);
    assert_eq!(status, Some(1));
    assert!(
        out.starts_with("dead       authorizations[0].resourcePropertyName: `colour` is none of assignee"),
        "{out}"
    );
    let (_, out, _) = run(&["explain", "--policy", &policy, "--user", "u", "GET", "/v2/user-tasks/1"]);
    assert!(out.starts_with("allow, deferred: deferred_property"), "{out}");
}

#[test]
fn diff_says_who_gains_and_who_loses_what() {
    let folder = folder("diff");
    let old = file(&folder, "old.json", POLICY);
    let new = file(&folder, "new.json", &POLICY.replace(r#""users": ["bob"]"#, r#""users": ["alice"]"#));
    assert_eq!(run(&["diff", &old, &old]), (Some(0), String::new(), String::new()));
    let (status, out, _) = run(&["diff", &old, &new]);
    assert_eq!(status, Some(1));
    assert_eq!(
        out,
        "USER alice\n  + CANCEL_PROCESS_INSTANCE on PROCESS_DEFINITION *\n\
         USER bob\n  - CANCEL_PROCESS_INSTANCE on PROCESS_DEFINITION *\n"
    );
    let table = folder.join("new.table").to_str().unwrap().to_owned();
    run(&["compile", &new, "-o", &table]);
    assert_eq!(run(&["diff", &old, &table]).1, out, "a table is as good as its policy");
    let (_, lines, _) = run(&["diff", &old, &new, "--json"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        first,
        json!({"change": "gain", "ownerType": "USER", "ownerId": "alice", "right": {"resourceType":
            "PROCESS_DEFINITION", "resourceId": "*", "permissionType": "CANCEL_PROCESS_INSTANCE"}})
    );
}
