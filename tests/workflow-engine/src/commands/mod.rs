//! Calls as the workflow engine's commands. What a call works on is made first, by somebody whom
//! the engine does not check.

mod identity;
mod messages;
mod processes;
mod resources;
mod tasks;

use crate::case::{Call, Verdict};
use crate::harness::{Harness, Reply};
use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use identity::{Container, MEMBERS, grant, membership};

/// A key that nothing has.
const NOBODY: i64 = 4_503_599_627_370_495;

/// A command to the workflow engine.
#[derive(Clone, Debug)]
pub struct Command {
    /// The type of its value, such as `USER`.
    pub kind: &'static str,
    /// What is to be done, such as `CREATE`.
    pub intent: &'static str,
    /// The key of what it is done to.
    pub key: Option<i64>,
    /// The value.
    pub value: Value,
}

impl Command {
    /// A command that names no key.
    #[must_use]
    pub const fn new(kind: &'static str, intent: &'static str, value: Value) -> Self {
        Self { kind, intent, key: None, value }
    }

    /// A command about what has that key.
    #[must_use]
    pub const fn about(kind: &'static str, intent: &'static str, key: i64, value: Value) -> Self {
        Self { kind, intent, key: Some(key), value }
    }
}

/// An engine in which calls are made.
pub struct Engine<'a> {
    /// The process it runs in.
    pub harness: &'a mut Harness,
    /// How many names have been made up.
    pub names: u32,
}

impl Engine<'_> {
    /// Puts a call to the engine, as that caller (`{"username" or "clientId", "groups", "claims"}`).
    ///
    /// # Errors
    /// What it works on cannot be made, or the engine does not answer.
    pub fn ask(&mut self, call: &Call, caller: &Value) -> Result<(Verdict, String)> {
        let command = self.command(call)?;
        Ok(match self.harness.send(&command, Some(caller))? {
            Reply::Accepted { value, .. } if call.operation == "activateJobs" => {
                let mut of: Vec<&str> = value["jobs"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|j| j["bpmnProcessId"].as_str())
                    .collect();
                of.sort_unstable();
                of.dedup();
                let wanted = call.ids.len().max(1);
                let verdict = match of.len() {
                    0 => Verdict::Filtered,
                    got if got < wanted => Verdict::FilteredSome,
                    _ => Verdict::Allow,
                };
                (verdict, format!("jobs of {of:?}"))
            }
            Reply::Accepted { .. } => (Verdict::Allow, String::new()),
            Reply::Rejected { rejection, reason } => match rejection.as_str() {
                "FORBIDDEN" | "UNAUTHORIZED" => (Verdict::Deny, reason),
                "NOT_FOUND" => (Verdict::NotFound, reason),
                // Where the engine itself fails, nothing has been asked.
                "PROCESSING_ERROR" | "NULL_VAL" => bail!("{call:?}: {rejection}: {reason}"),
                _ => (Verdict::Rejected, format!("{rejection}: {reason}")),
            },
        })
    }

    fn command(&mut self, call: &Call) -> Result<Command> {
        for make in [processes::command, messages::command, resources::command, tasks::command, identity::command] {
            if let Some(command) = make(self, call)? {
                return Ok(command);
            }
        }
        bail!("no command for {}", call.operation)
    }

    /// Does what must succeed; gives the record's key and value.
    ///
    /// # Errors
    /// It does not.
    pub fn make(&mut self, command: &Command) -> Result<(i64, Value)> {
        match self.harness.send(command, None)? {
            Reply::Accepted { key, value } => Ok((key, value)),
            Reply::Rejected { rejection, reason } => bail!("{command:?}: {rejection}: {reason}"),
        }
    }

    /// Does what may have been done before.
    fn ensure(&mut self, command: &Command) -> Result<()> {
        match self.harness.send(command, None)? {
            Reply::Rejected { rejection, reason } if rejection != "ALREADY_EXISTS" => {
                bail!("{command:?}: {rejection}: {reason}")
            }
            _ => Ok(()),
        }
    }

    /// Deploys a resource; gives the deployment.
    fn deploy(&mut self, name: &str, content: &str, tenant: &str) -> Result<Value> {
        Ok(self.make(&deployment(name, content, tenant))?.1)
    }

    /// Deploys a process; gives its key.
    fn deploy_process(&mut self, id: &str, model: &str, tenant: &str) -> Result<i64> {
        let deployed = self.deploy(&format!("{id}.bpmn"), model, tenant)?;
        key(&deployed, "/processesMetadata/0/processDefinitionKey")
    }

    /// Starts an instance; gives its key.
    fn start(&mut self, id: &str, tenant: &str) -> Result<i64> {
        let value = json!({ "bpmnProcessId": id, "version": -1, "tenantId": tenant });
        let (_, created) = self.make(&Command::new("PROCESS_INSTANCE_CREATION", "CREATE", value))?;
        key(&created, "/processInstanceKey")
    }

    /// A name that nothing has yet.
    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}-{}", self.names)
    }
}

fn deployment(name: &str, content: &str, tenant: &str) -> Command {
    let resource = json!({ "resourceName": name, "resource": { "$base64": STANDARD.encode(content) } });
    Command::new("DEPLOYMENT", "CREATE", json!({ "resources": [resource], "tenantId": tenant }))
}

fn key(value: &Value, pointer: &str) -> Result<i64> {
    let found = value.pointer(pointer).and_then(Value::as_i64);
    ensure!(found.is_some(), "no {pointer} in {value}");
    Ok(found.unwrap_or_default())
}

/// The tenant of what a call works on.
fn tenant(call: &Call) -> &str {
    call.tenant.as_deref().unwrap_or("<default>")
}
