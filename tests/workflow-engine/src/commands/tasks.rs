//! User tasks.

use super::{Command, Engine, NOBODY, tenant};
use crate::case::Call;
use crate::models;
use anyhow::Result;
use serde_json::json;

pub fn command(engine: &mut Engine<'_>, call: &Call) -> Result<Option<Command>> {
    let operation = call.operation.as_str();
    if !matches!(operation, "assignUserTask" | "unassignUserTask" | "updateUserTask" | "completeUserTask") {
        return Ok(None);
    }
    let key = if call.missing { NOBODY } else { task(engine, call)? };
    let mut value = json!({ "userTaskKey": key });
    let intent = match operation {
        "completeUserTask" => "COMPLETE",
        "updateUserTask" => {
            value["priority"] = json!(30);
            value["changedAttributes"] = json!(["priority"]);
            "UPDATE"
        }
        "unassignUserTask" => {
            value["assignee"] = json!("");
            "ASSIGN"
        }
        _ => {
            value["assignee"] = json!(call.assignee.as_deref().unwrap_or("somebody"));
            if call.claims { "CLAIM" } else { "ASSIGN" }
        }
    };
    Ok(Some(Command::about("USER_TASK", intent, key, value)))
}

/// The key of a new task.
fn task(engine: &mut Engine<'_>, call: &Call) -> Result<i64> {
    let model = models::user_task(&call.id, call.task_assignee.as_deref(), call.task_candidate_group.as_deref());
    engine.deploy_process(&call.id, &model, tenant(call))?;
    let instance = engine.start(&call.id, tenant(call))?;
    let intent = if call.task_assignee.is_some() { "ASSIGNED" } else { "CREATED" };
    engine.harness.wait_for("USER_TASK", intent, &json!({ "processInstanceKey": instance }))
}
