//! Deployments, resources, decisions, batches and the clock.

use super::{Command, Engine, NOBODY, deployment, key, tenant};
use crate::case::{Call, Kind};
use crate::models;
use anyhow::Result;
use serde_json::{Value, json};

pub fn command(engine: &mut Engine<'_>, call: &Call) -> Result<Option<Command>> {
    Ok(Some(match call.operation.as_str() {
        "createDeployment" => {
            let (name, content) = content(&call.id, call.kind.unwrap_or_default());
            deployment(&name, &content, tenant(call))
        }
        "deleteResource" => {
            let value = json!({ "resourceKey": resource(engine, call, call.kind.unwrap_or_default())? });
            Command::new("RESOURCE_DELETION", "DELETE", value)
        }
        "getResource" => {
            let key = resource(engine, call, Kind::Resource)?;
            Command::about("RESOURCE", "FETCH", key, json!({ "resourceKey": key }))
        }
        "evaluateDecision" => evaluate(engine, call)?,
        "cancelProcessInstancesBatchOperation" => batch("CANCEL_PROCESS_INSTANCE"),
        "resolveIncidentsBatchOperation" => batch("RESOLVE_INCIDENT"),
        "migrateProcessInstancesBatchOperation" => batch("MIGRATE_PROCESS_INSTANCE"),
        "modifyProcessInstancesBatchOperation" => batch("MODIFY_PROCESS_INSTANCE"),
        "cancelBatchOperation" => about_batch(engine, call, "CANCEL")?,
        "suspendBatchOperation" => about_batch(engine, call, "SUSPEND")?,
        "resumeBatchOperation" => about_batch(engine, call, "RESUME")?,
        // 1 January 2026: what hangs on the clock is not asked for.
        "pinClock" => Command::new("CLOCK", "PIN", json!({ "time": 1_767_225_600_000_i64 })),
        "resetClock" => Command::new("CLOCK", "RESET", json!({})),
        _ => return Ok(None),
    }))
}

/// The name and content of a file.
fn content(id: &str, kind: Kind) -> (String, String) {
    match kind {
        Kind::Bpmn => (format!("{id}.bpmn"), models::job(id, "work")),
        Kind::Dmn => (format!("{id}.dmn"), models::decision(id, &format!("{id}-decision"))),
        Kind::Form => (format!("{id}.form"), models::form(id)),
        Kind::Resource => (format!("{id}.rpa"), models::resource(id)),
    }
}

/// The key of a resource that has been deployed.
fn resource(engine: &mut Engine<'_>, call: &Call, kind: Kind) -> Result<i64> {
    if call.missing {
        return Ok(NOBODY);
    }
    let (name, content) = content(&call.id, kind);
    let deployed = engine.deploy(&name, &content, tenant(call))?;
    let pointer = match kind {
        Kind::Bpmn => "/processesMetadata/0/processDefinitionKey",
        Kind::Dmn => "/decisionRequirementsMetadata/0/decisionRequirementsKey",
        Kind::Form => "/formMetadata/0/formKey",
        Kind::Resource => "/resourceMetadata/0/resourceKey",
    };
    key(&deployed, pointer)
}

fn evaluate(engine: &mut Engine<'_>, call: &Call) -> Result<Command> {
    let mut decision = NOBODY;
    if !call.missing {
        let model = models::decision(&format!("{}-requirements", call.id), &call.id);
        let deployed = engine.deploy(&format!("{}.dmn", call.id), &model, tenant(call))?;
        decision = key(&deployed, "/decisionsMetadata/0/decisionKey")?;
    }
    let mut value = json!({ "tenantId": tenant(call) });
    if call.by_key {
        value["decisionKey"] = json!(decision);
    } else {
        value["decisionId"] = json!(call.id);
    }
    Ok(Command::new("DECISION_EVALUATION", "EVALUATE", value))
}

/// A new batch, about no instance at all.
fn batch(kind: &str) -> Command {
    let filter = json!({ "$document": { "processInstanceKeyOperations": [] } });
    let mut value =
        json!({ "batchOperationType": kind, "entityFilter": filter, "authentication": { "$document": {} } });
    let instruction = json!({ "sourceElementId": "task", "targetElementId": "task" });
    match kind {
        "MIGRATE_PROCESS_INSTANCE" => {
            value["migrationPlan"] = json!({ "targetProcessDefinitionKey": 1, "mappingInstructions": [instruction] });
        }
        "MODIFY_PROCESS_INSTANCE" => value["modificationPlan"] = json!({ "moveInstructions": [instruction] }),
        _ => (),
    }
    Command::new("BATCH_OPERATION_CREATION", "CREATE", value)
}

fn about_batch(engine: &mut Engine<'_>, call: &Call, intent: &'static str) -> Result<Command> {
    let about = |key: i64, intent| {
        let value: Value = json!({ "batchOperationKey": key });
        Command::about("BATCH_OPERATION_LIFECYCLE_MANAGEMENT", intent, key, value)
    };
    if call.missing {
        return Ok(about(NOBODY, intent));
    }
    let (key, _) = engine.make(&batch("CANCEL_PROCESS_INSTANCE"))?;
    if intent == "RESUME" {
        engine.make(&about(key, "SUSPEND"))?;
    }
    Ok(about(key, intent))
}
