//! Operations that a configuration adds, where they cannot be used: the path of the field, and the
//! reason.

use super::natively::{refusal, refused, with};
use serde_json::{Value, json};

const LIST: &str = "/api/extraOperations";

/// An operation that is accepted, with these members in place of its own; null takes one away.
fn widget(changes: Value) -> Value {
    let mut operation = json!({
        "operation": "getWidget", "method": "GET", "path": "/v2/widgets/{widgetKey}", "mode": "single",
        "grants": [{
            "resourceType": "PROCESS_DEFINITION", "permissionType": "READ_PROCESS_INSTANCE", "resourceIdSource": "key",
        }],
    });
    merge(&mut operation, changes);
    operation
}

/// The same with other members in its grant.
fn granted(changes: Value) -> Value {
    let mut operation = widget(json!({}));
    merge(&mut operation["grants"][0], changes);
    operation
}

fn merge(object: &mut Value, changes: Value) {
    if let (Some(object), Value::Object(changes)) = (object.as_object_mut(), changes) {
        object.extend(changes);
        object.retain(|_, member| !member.is_null());
    }
}

/// The first of them is refused in these words, with its path before them.
#[track_caller]
fn first_is_refused(rows: &[(Value, &str)]) {
    let row =
        |(operation, expected): &(Value, &str)| (LIST, json!([operation]), format!("api.extraOperations[0]{expected}"));
    let rows: Vec<_> = rows.iter().map(row).collect();
    let rows: Vec<_> = rows.iter().map(|(list, value, expected)| (*list, value.clone(), &**expected)).collect();
    refused(&rows);
}

#[test]
fn a_good_one_is_accepted() {
    assert_eq!(refusal(with(LIST, json!([widget(json!({}))])).to_string()), "");
}

#[test]
fn fields() {
    first_is_refused(&[
        (widget(json!({"name": "x"})), ".name: unknown field `name`, expected one of …"),
        (widget(json!({"since": "8.10"})), ".since: unknown field `since`, expected one of …"),
        (widget(json!({"operation": null})), ": missing field `operation`"),
        (widget(json!({"mode": null})), ": missing field `mode`"),
        (widget(json!({"mode": "anyOf"})), ".mode: unknown variant `anyOf`, expected one of `none`, `single`, …"),
        (widget(json!({"method": "get"})), ".method: unknown variant `get`, expected one of `GET`, `POST`, …"),
        (widget(json!({"method": "*"})), ".method: unknown variant `*`, …"),
        (granted(json!({"id": "x"})), ".grants[0].id: unknown field `id`, …"),
        (granted(json!({"resourceIdSource": null})), ".grants[0]: missing field `resourceIdSource`"),
    ]);
    let many: Vec<Value> = (0..501).map(|n| widget(json!({"operation": format!("get{n}")}))).collect();
    refused(&[(LIST, Value::from(many), "api.extraOperations: has 501 operations; at most 500 are read")]);
}

#[test]
fn names() {
    let wrong = |name: &str| format!(".operation: `{name}` is not up to 100 letters and digits");
    for name in ["", "get-widget", "Gateway.Widget", "9lives", "größe", "a b", &"x".repeat(101)] {
        first_is_refused(&[(widget(json!({"operation": name})), &wrong(name))]);
    }
    first_is_refused(&[
        (
            widget(json!({"operation": "getTopology"})),
            ".operation: `getTopology` is `getTopology` of the catalogue: names must differ",
        ),
        (
            widget(json!({"operation": "createAdminUser"})),
            ".operation: `createAdminUser` is `createAdminUser` of the catalogue: names must differ",
        ),
    ]);
    let twice = json!([widget(json!({})), widget(json!({"path": "/v2/gadgets"}))]);
    let expected =
        "api.extraOperations[1].operation: `getWidget` is `getWidget`, api.extraOperations[0]: names must differ";
    refused(&[(LIST, twice, expected)]);
}

#[test]
fn paths() {
    for (path, expected) in [
        ("v2/widgets", "does not begin with a slash"),
        ("", "does not begin with a slash"),
        ("/v2/widgets/", "has an empty segment, a dot segment or a slash at its end"),
        ("/v2//widgets", "has an empty segment, a dot segment or a slash at its end"),
        ("/v2/../widgets", "has an empty segment, a dot segment or a slash at its end"),
        ("/v2/widgets/**", "has the segment `**`, …"),
        ("/v2/widgets/%41", "has the segment `%41`, …"),
        ("/v2/widgets?x=1", "has the segment `widgets?x=1`, …"),
        ("/v2/widgets;x=1", "has the segment `widgets;x=1`, …"),
        ("/v2/widgets/{key", "has the segment `{key`, …"),
        ("/v2/widgets/{a}-{b}", "`{a}-{b}` is not a parameter: …"),
        ("/v2/widgets/{}", "`{}` is not a parameter: …"),
        ("/v2/widgets/{a}/{a}", "has `{a}` twice"),
        ("/v2/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "has more than 16 segments"),
        ("/v1/widgets", "is not below /v2/ or /cluster/v2/"),
        ("/widgets", "is not below /v2/ or /cluster/v2/"),
        ("/actuator/widgets", "is not below /v2/ or /cluster/v2/"),
        ("/physical-tenants/{id}/v2/widgets", "is not below /v2/ or /cluster/v2/"),
        ("/gateway_protocol.Gateway/Widget", "is not below /v2/ or /cluster/v2/"),
    ] {
        let expected = format!(".path: `{path}` {expected}");
        first_is_refused(&[(widget(json!({"path": path})), &expected)]);
    }
}

/// None may stand where an operation that is built in could be meant.
#[test]
fn clashes_with_the_catalogue() {
    for (method, path, operation) in [
        ("GET", "/v2/topology", "getTopology"),
        ("GET", "/v2/{anything}", "getTopology"),
        ("GET", "/v2/roles/{other}", "getRole"),
        ("GET", "/v2/roles/special", "getRole"),
        ("POST", "/v2/process-instances/search", "searchProcessInstances"),
        ("POST", "/v2/setup/user", "createAdminUser"),
        ("GET", "/v2/rest-api.yaml", "restApiYamlV2"),
    ] {
        let expected = format!(".path: `{path}` can be `{operation}` of the catalogue");
        first_is_refused(&[(widget(json!({"method": method, "path": path})), &expected)]);
    }
    let in_version = |version: &str| {
        let operation = json!({
            "operation": "getExportingState", "method": "GET", "path": "/v2/exporting", "mode": "none",
        });
        let mut configuration = with(LIST, json!([operation]));
        configuration["api"]["version"] = version.into();
        refusal(configuration.to_string())
    };
    assert_eq!(in_version("8.9"), "");
    assert_eq!(
        in_version("8.10"),
        "api.extraOperations[0].path: `/v2/exporting` can be `getExportingStatus` of the catalogue"
    );
}

#[test]
fn clashes_with_each_other() {
    let pair = |path: &str, method: &str| {
        json!([widget(json!({})), widget(json!({"operation": "other", "path": path, "method": method}))])
    };
    refused(&[(
        LIST,
        pair("/v2/widgets/{other}", "GET"),
        "api.extraOperations[1].path: `/v2/widgets/{other}` can be `getWidget`, api.extraOperations[0]",
    )]);
    for (path, method) in [("/v2/widgets/{other}", "PUT"), ("/v2/widgets/state", "GET"), ("/v2/widgets", "GET")] {
        assert_eq!(refusal(with(LIST, pair(path, method)).to_string()), "", "{method} {path}");
    }
}

#[test]
fn grants() {
    first_is_refused(&[
        (granted(json!({"resourceType": "WIDGET"})), ".grants[0].resourceType: `WIDGET` is not a resource type"),
        (
            granted(json!({"permissionType": "REVEAL"})),
            ".grants[0].permissionType: PROCESS_DEFINITION has no permission `REVEAL`",
        ),
        (
            granted(json!({"resourceIdSource": "query:id"})),
            ".grants[0].resourceIdSource: `query:id` is not wildcard, path:, body:/, literal:, key or result-filter",
        ),
        (granted(json!({"resourceIdSource": ""})), ".grants[0].resourceIdSource: `` is not …"),
        (granted(json!({"resourceIdSource": "*"})), ".grants[0].resourceIdSource: `*` is not …"),
        (granted(json!({"resourceIdSource": "literal:*"})), ".grants[0].resourceIdSource: `*` is written `wildcard`"),
        (granted(json!({"resourceIdSource": "literal:"})), ".grants[0].resourceIdSource: is not 1 to …"),
        (
            granted(json!({"resourceIdSource": "path:roleId"})),
            ".grants[0].resourceIdSource: the path has no parameter `roleId`",
        ),
        (
            granted(json!({"resourceIdSource": "body:id"})),
            ".grants[0].resourceIdSource: `body:id` is not body:/name, …",
        ),
        (granted(json!({"resourceIdSource": "body:/a/b"})), ".grants[0].resourceIdSource: `body:/a/b` is not …"),
        (granted(json!({"resourceIdSource": "msg:id(1)"})), ".grants[0].resourceIdSource: `msg:id(1)` is not …"),
        (
            granted(json!({"resourceKeySource": "body:/key"})),
            ".grants[0].resourceKeySource: only beside a resourceIdSource in the body",
        ),
        (
            granted(json!({"resourceIdSource": "body:/id", "resourceKeySource": "key"})),
            ".grants[0].resourceKeySource: `key` is not body:/name, …",
        ),
        (
            granted(json!({"condition": "body:/flag"})),
            ".grants[0].condition: `body:/flag` is not body:/name=true or body:/name=false",
        ),
        (granted(json!({"condition": "body:/flag=yes"})), ".grants[0].condition: `body:/flag=yes` is not …"),
        (granted(json!({"condition": ""})), ".grants[0].condition: is not 1 to …"),
    ]);
}

#[test]
fn modes() {
    let grants = widget(json!({}))["grants"].clone();
    let two = json!([grants[0], grants[0]]);
    let administration = "must be cluster-admin below /cluster/v2/, unless public, and only there";
    let administration = format!(".mode: {administration}");
    first_is_refused(&[
        (widget(json!({"mode": "none"})), ".grants: has 1; this mode takes 0"),
        (widget(json!({"mode": "unmapped"})), ".grants: has 1; this mode takes 0"),
        (widget(json!({"grants": null})), ".grants: has 0; this mode takes 1"),
        (widget(json!({"grants": two})), ".grants: has 2; this mode takes 1"),
        (widget(json!({"mode": "any-of", "grants": []})), ".grants: has 0; this mode takes 1 to 50"),
        (widget(json!({"mode": "all-of", "grants": []})), ".grants: has 0; this mode takes 1 to 50"),
        (widget(json!({"mode": "cluster-admin", "grants": []})), &administration),
        (widget(json!({"path": "/cluster/v2/widgets"})), &administration),
        (widget(json!({"path": "/cluster/v2/widgets", "mode": "none", "grants": []})), &administration),
        (widget(json!({"public": true})), ".public: needs mode: none"),
        (widget(json!({"mode": "unmapped", "grants": [], "public": true})), ".public: needs mode: none"),
        (widget(json!({"neverDenied": true})), ".neverDenied: needs mode: all-matched"),
    ]);
}

#[test]
fn tenants() {
    let both = json!({
        "tenant": "multipart:tenantId",
        "grants": [{
            "resourceType": "PROCESS_DEFINITION", "permissionType": "READ_PROCESS_INSTANCE",
            "resourceIdSource": "body:/id",
        }],
    });
    first_is_refused(&[
        (widget(json!({"tenant": "query:tenantId"})), ".tenant: `query:tenantId` is not …"),
        (widget(json!({"tenant": "acme"})), ".tenant: `acme` is not body:/, multipart:, path:, filter or key"),
        (widget(json!({"tenant": "path:tenantId"})), ".tenant: the path has no parameter `tenantId`"),
        (widget(json!({"tenant": "body:/filter/tenantId"})), ".tenant: `body:/filter/tenantId` is not …"),
        (widget(json!({"tenant": "multipart:"})), ".tenant: is not 1 to …"),
        (widget(both), ".tenant: a body is multipart or JSON: …"),
    ]);
}

/// Fields that name operations know those that are added, and only with what they say of themselves.
#[test]
fn by_name_elsewhere() {
    let named = |pointer: &str, value: Value| {
        let mut configuration = with(pointer, value);
        configuration["api"]["extraOperations"] = json!([widget(json!({}))]);
        refusal(configuration.to_string())
    };
    assert_eq!(named("/unresolved/operations/getWidget", json!("deny")), "");
    assert_eq!(
        named("/unresolved/operations/getGadget", json!("deny")),
        "unresolved.operations.getGadget: is not an operation of the catalogue"
    );
    assert_eq!(
        named("/anonymous", json!(["getWidget"])),
        "anonymous[0]: `getWidget` is not an operation that the cluster answers without a credential"
    );
}
