//! Messages and signals.

use super::{Command, Engine, tenant};
use crate::case::Call;
use crate::models;
use anyhow::Result;
use serde_json::json;

pub fn command(engine: &mut Engine<'_>, call: &Call) -> Result<Option<Command>> {
    let (name, tenant) = (&call.name, tenant(call));
    let message = json!({ "name": name, "correlationKey": "k", "timeToLive": 0, "tenantId": tenant });
    let command = match call.operation.as_str() {
        "publishMessage" => Command::new("MESSAGE", "PUBLISH", message),
        "correlateMessage" => {
            let value = json!({ "name": name, "correlationKey": "k", "tenantId": tenant });
            Command::new("MESSAGE_CORRELATION", "CORRELATE", value)
        }
        "broadcastSignal" => Command::new("SIGNAL", "BROADCAST", json!({ "signalName": name, "tenantId": tenant })),
        _ => return Ok(None),
    };
    listeners(engine, call, tenant)?;
    Ok(Some(command))
}

/// Deploys what waits for the message or signal, and starts what must run to wait.
fn listeners(engine: &mut Engine<'_>, call: &Call, tenant: &str) -> Result<()> {
    let name = &call.name;
    for id in &call.message_start {
        engine.deploy_process(id, &models::message_start(id, name), tenant)?;
    }
    for id in &call.signal_start {
        engine.deploy_process(id, &models::signal_start(id, name), tenant)?;
    }
    for id in &call.message_catch {
        engine.deploy_process(id, &models::message_catch(id, name), tenant)?;
        let instance = engine.start(id, tenant)?;
        let members = json!({ "processInstanceKey": instance });
        engine.harness.wait_for("PROCESS_MESSAGE_SUBSCRIPTION", "CREATED", &members)?;
    }
    for id in &call.signal_catch {
        engine.deploy_process(id, &models::signal_catch(id, name), tenant)?;
        engine.start(id, tenant)?;
        engine.harness.wait_for(
            "SIGNAL_SUBSCRIPTION",
            "CREATED",
            &json!({ "bpmnProcessId": id, "signalName": name }),
        )?;
    }
    Ok(())
}
