//! What an orchestration cluster would say: enough of its answers to look real from outside.

use serde_json::{Value, json};

const KEY: &str = "2251799813685249";

/// The whole answer to a request, as bytes.
pub(crate) fn answer(method: &str, target: &[u8], body: &[u8]) -> Vec<u8> {
    let target = String::from_utf8_lossy(target);
    let path = target.split('?').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut answer = match reply(method, path, &body) {
        Reply::Done => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        Reply::Json(value) => message("200 OK", "application/json", &value),
        Reply::NotFound => message(
            "404 Not Found",
            "application/problem+json",
            &json!({
                "type": "about:blank", "title": "NOT_FOUND", "status": 404,
                "detail": format!("No resource at '{path}'"), "instance": path,
            }),
        ),
    };
    if method == "HEAD" {
        answer.truncate(answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4));
    }
    answer
}

enum Reply {
    Done,
    Json(Value),
    NotFound,
}

fn reply(method: &str, path: &str, body: &Value) -> Reply {
    let Some(path) = path.strip_prefix("/v2/") else {
        return Reply::NotFound;
    };
    let verb = path.rsplit('/').next().unwrap_or_default();
    Reply::Json(match (method, path) {
        ("GET", "status") => return Reply::Done,
        ("GET", "topology") => json!({
            "brokers": [{
                "nodeId": 0, "host": "127.0.0.1", "port": 26501, "version": "8.9.0",
                "partitions": [{"partitionId": 1, "role": "leader", "health": "healthy"}],
            }],
            "clusterSize": 1, "partitionsCount": 1, "replicationFactor": 1,
            "gatewayVersion": "8.9.0", "lastCompletedChangeId": "-1",
        }),
        ("GET", "license") => json!({
            "validLicense": true, "licenseType": "production", "isCommercial": false,
            "expiresAt": null,
        }),
        ("POST", "process-instances") => json!({
            "processDefinitionId": body["processDefinitionId"], "processDefinitionVersion": 1,
            "processDefinitionKey": KEY, "processInstanceKey": "2251799813685251",
            "tenantId": "<default>", "variables": {}, "tags": [],
        }),
        ("POST", "decision-definitions/evaluation") => json!({
            "decisionDefinitionId": body["decisionDefinitionId"], "decisionDefinitionKey": KEY,
            "decisionEvaluationKey": "2251799813685253", "tenantId": "<default>", "output": "true",
            "evaluatedDecisions": [],
        }),
        ("POST", "messages/publication") => json!({"messageKey": KEY, "tenantId": "<default>"}),
        ("POST", "messages/correlation") => json!({
            "messageKey": KEY, "processInstanceKey": "2251799813685251", "tenantId": "<default>",
        }),
        ("POST", "signals/broadcast") => json!({"signalKey": KEY, "tenantId": "<default>"}),
        ("POST", "deployments") => {
            json!({"deploymentKey": KEY, "tenantId": "<default>", "deployments": []})
        }
        ("POST", "jobs/activation") => json!({"jobs": []}),
        ("POST", _) if verb == "search" => json!({
            "items": [],
            "page": {
                "totalItems": 0, "hasMoreTotalItems": false, "startCursor": null, "endCursor": null,
            },
        }),
        ("POST", _)
            if ["completion", "failure", "error", "cancellation", "assignment", "resolution"].contains(&verb) =>
        {
            return Reply::Done;
        }
        ("GET", _) if is_entity(path) => json!({"name": verb, "description": ""}),
        ("PATCH" | "PUT" | "DELETE", _) => return Reply::Done,
        _ => return Reply::NotFound,
    })
}

/// Whether that is one user, group, role, tenant or mapping rule.
fn is_entity(path: &str) -> bool {
    let kinds = ["users", "groups", "roles", "tenants", "mapping-rules"];
    path.split_once('/').is_some_and(|(kind, id)| kinds.contains(&kind) && !id.contains('/'))
}

fn message(status: &str, kind: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}
