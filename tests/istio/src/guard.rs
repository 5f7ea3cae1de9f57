//! What a user writes and applies: a configuration, a policy, and what `portcullis render` makes of
//! them; and what `portcullis doctor` says.

use crate::parts::said;
use anyhow::{Context, Result, ensure};
use portcullis_e2e::command::command_line;
use portcullis_e2e::tokens::Issuer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The configuration's name, which the belt demands.
pub const NAME: &str = "orders";

/// The `portcullis` command, with a folder for its files.
pub struct Portcullis {
    command: PathBuf,
    folder: PathBuf,
}

/// What is rendered.
#[derive(Clone)]
pub struct Rendering<'a> {
    /// `istio` or `traffic-extension`, and further arguments.
    pub arguments: Vec<&'a str>,
    /// The plugin configuration.
    pub configuration: Value,
    /// The policy, compiled by `render`.
    pub policy: Value,
}

impl Portcullis {
    /// The command that `make cli` leaves.
    pub fn new(folder: &Path) -> Self {
        Self { command: command_line(), folder: folder.to_owned() }
    }

    /// The manifests that `portcullis render` writes.
    pub fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Value>> {
        let (config, policy) = (self.folder.join("config.json"), self.folder.join("policy.json"));
        fs::write(&config, rendering.configuration.to_string())?;
        let mut command = Command::new(&self.command);
        command.arg("render").args(&rendering.arguments).arg("--config").arg(config);
        if !rendering.policy.is_null() {
            fs::write(&policy, rendering.policy.to_string())?;
            command.arg("--policy").arg(policy);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let documents = text.split("---\n").filter(|part| !part.trim().is_empty());
        documents.map(|part| serde_saphyr::from_str(part).context("a manifest")).collect()
    }

    /// What the doctor finds in manifests that are about to be applied: codes of all but notices.
    pub fn examine(&self, objects: &[Value]) -> Result<BTreeSet<String>> {
        let file = self.folder.join("manifests.json");
        fs::write(&file, json!({"kind": "List", "items": objects}).to_string())?;
        self.doctor(&file.display().to_string())
    }

    /// What it finds in that file, or behind that address: codes of all but notices.
    pub fn doctor(&self, source: &str) -> Result<BTreeSet<String>> {
        let (status, findings) = self.examined(source)?;
        let severe = codes(&findings, |severity| severity != "notice");
        ensure!(status == Some(i32::from(!severe.is_empty())), "doctor {source}: {status:?}");
        Ok(severe)
    }

    /// The same with notices.
    pub fn found(&self, source: &str) -> Result<BTreeSet<String>> {
        Ok(codes(&self.examined(source)?.1, |_| true))
    }

    fn examined(&self, source: &str) -> Result<(Option<i32>, Vec<Value>)> {
        let output = Command::new(&self.command).args(["doctor", "--json", source]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let findings = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((output.status.code(), findings.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?))
    }
}

/// The codes of findings of some severities.
fn codes(findings: &[Value], wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let wanted = findings.iter().filter(|finding| finding["severity"].as_str().is_some_and(&wanted));
    wanted.filter_map(|finding| finding["code"].as_str().map(Into::into)).collect()
}

/// The least configuration that trusts an issuer.
pub fn configuration(issuer: &Issuer) -> Value {
    json!({
        "version": 1, "name": NAME,
        "issuers": [{
            "issuer": issuer.name(), "audiences": [issuer.audience()], "jwks": {"inline": issuer.jwks()},
            "claims": {"username": "preferred_username"},
        }],
        "decisionLog": {"filterState": true},
    })
}

/// Who may do what: `ada` start every process, `dora` those that are listed.
pub fn policy(dora: &[&str]) -> Value {
    let grant = |owner: &str, id: &str| {
        json!({
            "ownerType": "USER", "ownerId": owner, "resourceType": "PROCESS_DEFINITION", "resourceId": id,
            "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        })
    };
    let grants = [grant("ada", "*")].into_iter().chain(dora.iter().map(|id| grant("dora", id)));
    json!({"authorizations": grants.collect::<Vec<_>>()})
}

/// What `istioctl validate` says to objects: whether it takes them, and what it prints.
pub fn istioctl(program: &Path, folder: &Path, objects: &[Value]) -> Result<(bool, String)> {
    let file = folder.join("validate.yaml");
    let text: Vec<String> = objects.iter().map(Value::to_string).collect();
    fs::write(&file, text.join("\n---\n"))?;
    said(Command::new(program).arg("validate").arg("-f").arg(&file))
}
