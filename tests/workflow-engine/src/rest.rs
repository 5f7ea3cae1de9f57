//! Calls as requests of the REST API, in the form that suites have.

use crate::case::{Call, Kind};
use crate::commands::membership;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Where a request says what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// In full, or there is nothing to say: the edge knows what the cluster knows.
    All,
    /// By a key that only the cluster knows, or not at all.
    Key,
}

/// A key, as the API writes keys.
pub(crate) const KEY: &str = "2251799813685249";

/// A request.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// As a suite has it.
    pub value: Value,
    /// Where it says what it is about.
    pub names: Names,
    /// Whether it names the tenant, or there is none to name.
    pub names_tenant: bool,
}

/// The request of a call; `None` where the API has none.
#[must_use]
pub fn request(call: &Call) -> Option<Request> {
    let (value, names, has_tenant) = of_process(call).or_else(|| of_resource(call)).or_else(|| of_identity(call))?;
    let names_tenant = has_tenant.unwrap_or(call.tenant.is_some());
    Some(Request { value, names, names_tenant })
}

/// A request, where it says what it is about, and whether it names the tenant (`None`: if the call does).
type Parts = (Value, Names, Option<bool>);

fn of_process(call: &Call) -> Option<Parts> {
    let keyed = |method: &str, path: &str, body: Value| Some((with_body(method, path, body), Names::Key, Some(false)));
    let post = |path: &str, body: Value, names| Some((with_body("POST", path, with_tenant(body, call)), names, None));
    let instance = |action: &str| format!("/v2/process-instances/{KEY}/{action}");
    match call.operation.as_str() {
        "createProcessInstance" if call.by_key => {
            post("/v2/process-instances", json!({ "processDefinitionKey": KEY }), Names::Key)
        }
        "createProcessInstance" => post("/v2/process-instances", json!({ "processDefinitionId": call.id }), Names::All),
        "evaluateDecision" if call.by_key => {
            post("/v2/decision-definitions/evaluation", json!({ "decisionDefinitionKey": KEY }), Names::Key)
        }
        "evaluateDecision" => {
            post("/v2/decision-definitions/evaluation", json!({ "decisionDefinitionId": call.id }), Names::All)
        }
        "evaluateConditionals" => post("/v2/conditionals/evaluation", json!({ "variables": {} }), Names::Key),
        "publishMessage" => {
            post("/v2/messages/publication", json!({ "name": call.name, "correlationKey": "k" }), Names::All)
        }
        "correlateMessage" => {
            post("/v2/messages/correlation", json!({ "name": call.name, "correlationKey": "k" }), Names::Key)
        }
        "broadcastSignal" => post("/v2/signals/broadcast", json!({ "signalName": call.name }), Names::Key),
        "cancelProcessInstance" => keyed("POST", &instance("cancellation"), Value::Null),
        "modifyProcessInstance" => {
            keyed("POST", &instance("modification"), json!({ "activateInstructions": [{ "elementId": "task" }] }))
        }
        "migrateProcessInstance" => keyed(
            "POST",
            &instance("migration"),
            json!({ "targetProcessDefinitionKey": KEY, "mappingInstructions": [] }),
        ),
        "assignProcessInstanceBusinessId" => {
            keyed("POST", &instance("business-id-assignment"), json!({ "businessId": "b" }))
        }
        "resolveIncident" => keyed("POST", &format!("/v2/incidents/{KEY}/resolution"), Value::Null),
        "createElementInstanceVariables" => {
            keyed("PUT", &format!("/v2/element-instances/{KEY}/variables"), json!({ "variables": { "x": 1 } }))
        }
        "activateAdHocSubProcessActivities" => {
            let path = format!("/v2/element-instances/ad-hoc-activities/{KEY}/activation");
            keyed("POST", &path, json!({ "elements": [{ "elementId": "inner" }] }))
        }
        "activateJobs" => {
            let mut body = json!({ "type": "work", "timeout": 60_000, "maxJobsToActivate": call.max.unwrap_or(10) });
            if let Some(tenants) = &call.tenants {
                body["tenantIds"] = json!(tenants);
            }
            Some((with_body("POST", "/v2/jobs/activation", body), Names::Key, Some(call.tenants.is_some())))
        }
        "completeJob" => keyed("POST", &format!("/v2/jobs/{KEY}/completion"), Value::Null),
        "failJob" => keyed("POST", &format!("/v2/jobs/{KEY}/failure"), json!({ "retries": 2 })),
        "throwJobError" => keyed("POST", &format!("/v2/jobs/{KEY}/error"), json!({ "errorCode": "e" })),
        "updateJob" => {
            let mut changes = json!({ "retries": 2, "timeout": 90_000 });
            if call.attribute.as_deref() == Some("priority") {
                changes = json!({ "priority": 30 });
            }
            if let (Some(only), Some(object)) = (&call.attribute, changes.as_object_mut()) {
                object.retain(|name, _| name == only);
            }
            keyed("PATCH", &format!("/v2/jobs/{KEY}"), json!({ "changeset": changes }))
        }
        "assignUserTask" => {
            let mut body = json!({ "assignee": call.assignee });
            if call.claims {
                body["allowOverride"] = json!(false);
            }
            keyed("POST", &format!("/v2/user-tasks/{KEY}/assignment"), body)
        }
        "unassignUserTask" => keyed("DELETE", &format!("/v2/user-tasks/{KEY}/assignee"), Value::Null),
        "updateUserTask" => {
            keyed("PATCH", &format!("/v2/user-tasks/{KEY}"), json!({ "changeset": { "priority": 30 } }))
        }
        "completeUserTask" => keyed("POST", &format!("/v2/user-tasks/{KEY}/completion"), Value::Null),
        _ => None,
    }
}

fn of_resource(call: &Call) -> Option<Parts> {
    let plain = |method: &str, path: &str, body: Value| Some((with_body(method, path, body), Names::All, Some(true)));
    let batch = |action: &str| plain("POST", &format!("/v2/process-instances/{action}"), json!({ "filter": {} }));
    let batches = |action: &str| plain("POST", &format!("/v2/batch-operations/{KEY}/{action}"), Value::Null);
    let keyed = |value| Some((value, Names::Key, Some(false)));
    match call.operation.as_str() {
        "createDeployment" => Some((deployment(call), Names::All, None)),
        "getTopology" => plain("GET", "/v2/topology", Value::Null),
        "deleteResource" => keyed(with_body("POST", &format!("/v2/resources/{KEY}/deletion"), Value::Null)),
        "getResource" => keyed(with_body("GET", &format!("/v2/resources/{KEY}"), Value::Null)),
        "cancelProcessInstancesBatchOperation" => batch("cancellation"),
        "resolveIncidentsBatchOperation" => batch("incident-resolution"),
        "migrateProcessInstancesBatchOperation" => batch("migration"),
        "modifyProcessInstancesBatchOperation" => batch("modification"),
        "cancelBatchOperation" => batches("cancellation"),
        "suspendBatchOperation" => batches("suspension"),
        "resumeBatchOperation" => batches("resumption"),
        "pinClock" => plain("PUT", "/v2/clock", json!({ "timestamp": 1_767_225_600_000_i64 })),
        "resetClock" => plain("POST", "/v2/clock/reset", Value::Null),
        _ => None,
    }
}

fn of_identity(call: &Call) -> Option<Parts> {
    let id = &call.id;
    if let Some((container, joins, kind)) = membership(&call.operation) {
        let containers = container.kind.to_ascii_lowercase();
        let members = kind.to_ascii_lowercase().replace('_', "-");
        let path = format!("/v2/{containers}s/{}/{members}s/{}", encoded(id), encoded(&call.member));
        let value = with_body(if joins { "PUT" } else { "DELETE" }, &path, Value::Null);
        return Some((value, Names::All, Some(true)));
    }
    let (method, what) = [("create", "POST"), ("update", "PUT"), ("delete", "DELETE")]
        .into_iter()
        .find_map(|(verb, method)| Some((method, call.operation.strip_prefix(verb)?)))?;
    let (path, id_name) = match what {
        "User" => ("/v2/users", "username"),
        "Group" => ("/v2/groups", "groupId"),
        "Role" => ("/v2/roles", "roleId"),
        "Tenant" => ("/v2/tenants", "tenantId"),
        "MappingRule" => ("/v2/mapping-rules", "mappingRuleId"),
        "Authorization" => ("/v2/authorizations", ""),
        _ => return None,
    };
    let mut body = match &call.grant {
        Some(grant) => grant.clone(),
        None => json!({ "name": id }),
    };
    if what == "MappingRule" {
        body["claimName"] = json!(call.claim_name.as_deref().unwrap_or("dept"));
        body["claimValue"] = json!(call.claim_value.as_deref().unwrap_or("ops"));
    }
    let value = match method {
        "POST" => {
            if !id_name.is_empty() {
                body[id_name] = json!(id);
            }
            with_body(method, path, body)
        }
        _ => {
            let id = if id_name.is_empty() { KEY.to_owned() } else { encoded(id) };
            with_body(method, &format!("{path}/{id}"), if method == "PUT" { body } else { Value::Null })
        }
    };
    Some((value, Names::All, Some(true)))
}

fn with_body(method: &str, path: &str, body: Value) -> Value {
    let mut request = json!({ "method": method, "path": path });
    if !body.is_null() {
        request["body"] = body;
    }
    request
}

pub(crate) fn with_tenant(mut body: Value, call: &Call) -> Value {
    if let Some(tenant) = &call.tenant {
        body["tenantId"] = json!(tenant);
    }
    body
}

/// What a file is called that is deployed.
pub(crate) fn file_name(call: &Call) -> String {
    let extension = match call.kind.unwrap_or_default() {
        Kind::Bpmn => "bpmn",
        Kind::Dmn => "dmn",
        Kind::Form => "form",
        Kind::Resource => "rpa",
    };
    format!("{}.{extension}", call.id)
}

/// A deployment of one file, as a form of several parts.
fn deployment(call: &Call) -> Value {
    let mut form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"resources\"; filename=\"{}\"\r\n\r\n<x/>\r\n",
        file_name(call)
    );
    if let Some(tenant) = &call.tenant {
        let _ = write!(form, "--b\r\ncontent-disposition: form-data; name=\"tenantId\"\r\n\r\n{tenant}\r\n");
    }
    form.push_str("--b--\r\n");
    json!({
        "method": "POST", "path": "/v2/deployments", "rawBody": form,
        "headers": { "content-type": "multipart/form-data; boundary=b" },
    })
}

/// An id as it stands in a path.
fn encoded(id: &str) -> String {
    let mut text = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
