//! Camunda's own clients as callers, and what they may.

use crate::keycloak::{Keycloak, SECRET};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// May do everything.
pub const WORKER: &str = "worker";
/// May work on processes `order`, and nothing else.
pub const SCOPED: &str = "order-worker";
/// Is known, and holds nothing.
pub const OUTSIDER: &str = "outsider";
/// All of them.
pub const ALL: [&str; 3] = [WORKER, SCOPED, OUTSIDER];

/// What they may.
pub fn policy() -> Value {
    let grant = |owner: &str, kind: &str, id: &str, permissions: &[&str]| {
        json!({
            "ownerType": "CLIENT", "ownerId": owner, "resourceType": kind, "resourceId": id,
            "permissionTypes": permissions,
        })
    };
    let work = ["CREATE_PROCESS_INSTANCE", "UPDATE_PROCESS_INSTANCE"];
    json!({ "authorizations": [
        grant(WORKER, "RESOURCE", "*", &["CREATE"]),
        grant(WORKER, "MESSAGE", "*", &["CREATE"]),
        grant(WORKER, "PROCESS_DEFINITION", "*", &work),
        grant(SCOPED, "PROCESS_DEFINITION", "order", &work),
    ] })
}

/// What came of each step: `ok`, or the status.
pub type Outcome = BTreeMap<String, String>;

/// Lets a client take its steps; without a name, without a token.
pub fn run(clients: &Path, script: &str, at: SocketAddr, keycloak: &Keycloak, name: Option<&str>) -> Result<Outcome> {
    let mut command = Command::new("node");
    command.arg(script).current_dir(clients);
    command.env("CAMUNDA_REST_ADDRESS", format!("http://{at}"));
    command.env("ZEEBE_GRPC_ADDRESS", format!("grpc://{at}"));
    command.env("CAMUNDA_LOG_LEVEL", "none").env("CAMUNDA_SDK_LOG_LEVEL", "silent");
    command.env("CAMUNDA_SDK_HTTP_RETRY_MAX_ATTEMPTS", "1");
    match name {
        None => {
            command.env("CAMUNDA_AUTH_STRATEGY", "NONE");
        }
        Some(name) => {
            command.env("CAMUNDA_AUTH_STRATEGY", "OAUTH").env("CAMUNDA_OAUTH_URL", keycloak.token_url());
            command.env("CAMUNDA_TOKEN_DISK_CACHE_DISABLE", "true");
            for prefix in ["CAMUNDA", "ZEEBE"] {
                command.env(format!("{prefix}_CLIENT_ID"), name).env(format!("{prefix}_CLIENT_SECRET"), SECRET);
            }
        }
    }
    let output = command.output().context("cannot run node; install Node.js 20")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {}\n{text}\n{said}", output.status);
    // The clients may log on standard output, too.
    let steps = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let steps = steps.filter_map(|step| {
        let outcome = match (&step["ok"], &step["status"], &step["code"]) {
            (Value::Bool(true), ..) => "ok".to_owned(),
            (_, Value::Number(status), _) | (_, _, Value::Number(status)) => status.to_string(),
            _ => step["detail"].to_string(),
        };
        Some((step["step"].as_str()?.to_owned(), outcome))
    });
    Ok(steps.collect())
}
