//! Calls as calls of the gRPC API: the same commands by the other door.

use crate::case::{Call, Kind};
use crate::rest::{self, KEY, Request, with_tenant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Every gRPC call that asks what a call asks; none where only REST has it.
#[must_use]
pub fn requests(call: &Call) -> Vec<Request> {
    let Some(over_rest) = rest::request(call) else { return Vec::new() };
    let request = |(name, message)| Request { value: json!({ "grpc": name, "message": message }), ..over_rest.clone() };
    messages(call).into_iter().map(request).collect()
}

/// The names of gRPC calls, with their messages.
fn messages(call: &Call) -> Vec<(&'static str, Value)> {
    let by = |key: &str, id: &str| if call.by_key { json!({ key: KEY }) } else { json!({ id: call.id }) };
    let key_of = |what: &str| json!({ what: KEY });
    let job = |name: &str, value: Value| json!({ "jobKey": KEY, name: value });
    let one = match call.operation.as_str() {
        "getTopology" => ("Topology", json!({})),
        "createProcessInstance" => {
            let message = with_tenant(by("processDefinitionKey", "bpmnProcessId"), call);
            let with_result = json!({ "request": message, "requestTimeout": 1_000 });
            return vec![("CreateProcessInstance", message), ("CreateProcessInstanceWithResult", with_result)];
        }
        "evaluateDecision" => ("EvaluateDecision", with_tenant(by("decisionKey", "decisionId"), call)),
        "evaluateConditionals" => ("EvaluateConditional", with_tenant(json!({ "variables": "{}" }), call)),
        "publishMessage" => ("PublishMessage", with_tenant(json!({ "name": call.name, "correlationKey": "k" }), call)),
        "broadcastSignal" => ("BroadcastSignal", with_tenant(json!({ "signalName": call.name }), call)),
        "createDeployment" => return deployments(call),
        "deleteResource" => ("DeleteResource", key_of("resourceKey")),
        "cancelProcessInstance" => ("CancelProcessInstance", key_of("processInstanceKey")),
        "modifyProcessInstance" => {
            let activate = json!([{ "elementId": "task" }]);
            ("ModifyProcessInstance", json!({ "processInstanceKey": KEY, "activateInstructions": activate }))
        }
        "migrateProcessInstance" => {
            let plan = json!({ "targetProcessDefinitionKey": KEY, "mappingInstructions": [] });
            ("MigrateProcessInstance", json!({ "processInstanceKey": KEY, "migrationPlan": plan }))
        }
        "assignProcessInstanceBusinessId" => {
            ("AssignProcessInstanceBusinessId", json!({ "processInstanceKey": KEY, "businessId": "b" }))
        }
        "resolveIncident" => ("ResolveIncident", key_of("incidentKey")),
        "createElementInstanceVariables" => {
            ("SetVariables", json!({ "elementInstanceKey": KEY, "variables": "{\"x\":1}" }))
        }
        "activateJobs" => {
            let mut message = json!({ "type": "work", "timeout": 60_000, "tenantIds": call.tenants });
            let stream = message.clone();
            message["maxJobsToActivate"] = json!(call.max.unwrap_or(10));
            return vec![("ActivateJobs", message), ("StreamActivatedJobs", stream)];
        }
        "completeJob" => ("CompleteJob", key_of("jobKey")),
        "failJob" => ("FailJob", job("retries", json!(2))),
        "throwJobError" => ("ThrowError", job("errorCode", json!("e"))),
        "updateJob" => match call.attribute.as_deref() {
            Some("retries") => ("UpdateJobRetries", job("retries", json!(2))),
            Some("timeout") => ("UpdateJobTimeout", job("timeout", json!(90_000))),
            Some("priority") => ("UpdateJobPriority", job("priority", json!(30))),
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    vec![one]
}

/// The older of the two calls deploys processes only, and names no tenant.
fn deployments(call: &Call) -> Vec<(&'static str, Value)> {
    let (name, content) = (rest::file_name(call), STANDARD.encode("<x/>"));
    let resources = json!({ "resources": [{ "name": name, "content": content }] });
    let mut all = vec![("DeployResource", with_tenant(resources, call))];
    if call.tenant.is_none() && call.kind.unwrap_or_default() == Kind::Bpmn {
        all.push(("DeployProcess", json!({ "processes": [{ "name": name, "definition": content }] })));
    }
    all
}
