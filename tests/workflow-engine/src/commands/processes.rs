//! Process instances and jobs.

use super::{Command, Engine, NOBODY, tenant};
use crate::case::Call;
use crate::models;
use anyhow::Result;
use serde_json::{Value, json};

pub fn command(engine: &mut Engine<'_>, call: &Call) -> Result<Option<Command>> {
    Ok(Some(match call.operation.as_str() {
        "createProcessInstance" => create(engine, call)?,
        "cancelProcessInstance" => {
            let key = started(engine, call)?;
            Command::about("PROCESS_INSTANCE", "CANCEL", key, json!({ "processInstanceKey": key }))
        }
        "modifyProcessInstance" => {
            let key = started(engine, call)?;
            let value = json!({ "processInstanceKey": key, "activateInstructions": [{ "elementId": "task" }] });
            Command::about("PROCESS_INSTANCE_MODIFICATION", "MODIFY", key, value)
        }
        "migrateProcessInstance" => {
            let key = started(engine, call)?;
            let target = call.target.as_deref().unwrap_or("target");
            let target = engine.deploy_process(target, &models::job(target, "other"), tenant(call))?;
            let value = json!({
                "processInstanceKey": key, "targetProcessDefinitionKey": target,
                "mappingInstructions": [{ "sourceElementId": "task", "targetElementId": "task" }],
            });
            Command::about("PROCESS_INSTANCE_MIGRATION", "MIGRATE", key, value)
        }
        "createElementInstanceVariables" => {
            let scope = started(engine, call)?;
            let variables = json!({ "$document": { "x": 1 } });
            let value = json!({ "scopeKey": scope, "updateSemantics": "PROPAGATE", "variables": variables });
            Command::new("VARIABLE_DOCUMENT", "UPDATE", value)
        }
        "resolveIncident" => Command::about("INCIDENT", "RESOLVE", incident(engine, call)?, json!({})),
        "activateAdHocSubProcessActivities" => ad_hoc(engine, call)?,
        "activateJobs" => activate(engine, call)?,
        "completeJob" | "failJob" | "throwJobError" | "updateJob" => job(engine, call)?,
        _ => return Ok(None),
    }))
}

fn create(engine: &mut Engine<'_>, call: &Call) -> Result<Command> {
    let mut model = models::job(&call.id, "work");
    if let Some(other) = &call.calls {
        engine.deploy_process(other, &models::job(other, "work"), tenant(call))?;
        model = models::calls(&call.id, other);
    }
    if let Some(decision) = &call.decides {
        let decisions = models::decision(&format!("{decision}-requirements"), decision);
        engine.deploy(&format!("{decision}.dmn"), &decisions, tenant(call))?;
        model = models::decides(&call.id, decision);
    }
    let key = if call.missing { NOBODY } else { engine.deploy_process(&call.id, &model, tenant(call))? };
    let mut value = json!({ "tenantId": tenant(call) });
    if call.by_key {
        value["processDefinitionKey"] = json!(key);
    } else {
        value["bpmnProcessId"] = json!(call.id);
        value["version"] = json!(-1);
    }
    Ok(Command::new("PROCESS_INSTANCE_CREATION", "CREATE", value))
}

/// The key of an instance that has a job.
fn started(engine: &mut Engine<'_>, call: &Call) -> Result<i64> {
    if call.missing { Ok(NOBODY) } else { Ok(with_job(engine, &call.id, tenant(call))?.instance) }
}

struct Running {
    instance: i64,
    job_type: String,
    job: i64,
}

fn with_job(engine: &mut Engine<'_>, id: &str, tenant: &str) -> Result<Running> {
    let job_type = engine.name("work");
    running(engine, id, tenant, job_type)
}

fn running(engine: &mut Engine<'_>, id: &str, tenant: &str, job_type: String) -> Result<Running> {
    engine.deploy_process(id, &models::job(id, &job_type), tenant)?;
    let instance = engine.start(id, tenant)?;
    let job = engine.harness.wait_for("JOB", "CREATED", &json!({ "processInstanceKey": instance }))?;
    Ok(Running { instance, job_type, job })
}

fn incident(engine: &mut Engine<'_>, call: &Call) -> Result<i64> {
    if call.missing {
        return Ok(NOBODY);
    }
    let Running { instance, job, .. } = with_job(engine, &call.id, tenant(call))?;
    engine.make(&Command::about("JOB", "FAIL", job, json!({ "retries": 0 })))?;
    let incident = engine.harness.wait_for("INCIDENT", "CREATED", &json!({ "processInstanceKey": instance }))?;
    engine.make(&Command::about("JOB", "UPDATE_RETRIES", job, json!({ "retries": 1 })))?;
    Ok(incident)
}

fn ad_hoc(engine: &mut Engine<'_>, call: &Call) -> Result<Command> {
    engine.deploy_process(&call.id, &models::ad_hoc(&call.id), tenant(call))?;
    let instance = engine.start(&call.id, tenant(call))?;
    let members = json!({ "processInstanceKey": instance, "elementId": "adhoc" });
    let scope = engine.harness.wait_for("PROCESS_INSTANCE", "ELEMENT_ACTIVATED", &members)?;
    let value = json!({ "adHocSubProcessInstanceKey": scope, "activateElements": [{ "elementId": "inner" }] });
    Ok(Command::about("AD_HOC_SUB_PROCESS_INSTRUCTION", "ACTIVATE", scope, value))
}

fn activate(engine: &mut Engine<'_>, call: &Call) -> Result<Command> {
    let job_type = engine.name("work");
    let ids = if call.ids.is_empty() { std::slice::from_ref(&call.id) } else { &call.ids };
    for id in ids {
        running(engine, id, tenant(call), job_type.clone())?;
    }
    let job_type = if call.other_type { "no such type".to_owned() } else { job_type };
    Ok(activation(&job_type, call.max.unwrap_or(10), call.tenants.as_deref().unwrap_or_default()))
}

fn activation(job_type: &str, max: u32, tenants: &[String]) -> Command {
    let value = json!({
        "type": job_type, "worker": "w", "timeout": 60_000, "maxJobsToActivate": max, "tenantIds": tenants,
    });
    Command::new("JOB_BATCH", "ACTIVATE", value)
}

fn job(engine: &mut Engine<'_>, call: &Call) -> Result<Command> {
    let key = if call.missing {
        NOBODY
    } else {
        let Running { job_type, job, .. } = with_job(engine, &call.id, tenant(call))?;
        engine.make(&activation(&job_type, 10, &[tenant(call).to_owned()]))?;
        job
    };
    let (intent, value): (_, Value) = match (call.operation.as_str(), call.attribute.as_deref()) {
        ("completeJob", _) => ("COMPLETE", json!({})),
        ("failJob", _) => ("FAIL", json!({ "retries": 2 })),
        ("throwJobError", _) => ("THROW_ERROR", json!({ "errorCode": "e" })),
        (_, Some("retries")) => ("UPDATE_RETRIES", json!({ "retries": 2 })),
        (_, Some("timeout")) => ("UPDATE_TIMEOUT", json!({ "timeout": 90_000 })),
        _ => ("UPDATE", json!({ "retries": 2, "timeout": 90_000, "changedAttributes": ["retries", "timeout"] })),
    };
    Ok(Command::about("JOB", intent, key, value))
}
