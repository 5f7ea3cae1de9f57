//! On what and of what the numbers are.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use portcullis_e2e::envoy::Envoy;
use portcullis_e2e::workspace;
use serde_json::{Value, json};

/// The machine, the Envoy and the commit.
#[derive(Debug)]
pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    /// The machine's load of the last minute, before measuring: what else runs here.
    load: String,
    envoy: String,
    commit: String,
}

impl Machine {
    /// Looks around.
    pub fn look(envoy: &Envoy) -> Result<Self> {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        let server: Value = serde_json::from_str(&envoy.admin("/server_info")?)?;
        Ok(Self {
            cpu: model.map_or("unknown CPU", |(_, name)| name).trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            envoy: server["version"].as_str().context("Envoy does not tell its version")?.to_owned(),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
        })
    }

    /// For people.
    pub fn lines(&self) -> String {
        let Self { cpu, cores, kernel, load, envoy, commit } = self;
        format!("{cpu}, {cores} cores, Linux {kernel}, load before {load}\nEnvoy {envoy}\ncommit {commit}")
    }

    /// For a drawing.
    pub fn line(&self) -> String {
        let version = self.envoy.split('/').nth(1).unwrap_or(&self.envoy);
        format!("{}, {} cores, Envoy {version}, commit {}", self.cpu, self.cores, self.commit)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let Self { cpu, cores, kernel, load, envoy, commit } = self;
        json!({"cpu": cpu, "cores": cores, "kernel": kernel, "load": load, "envoy": envoy, "commit": commit})
    }
}

/// The commit, and whether files differ from it.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(workspace()).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain"]).is_some_and(|files| !files.is_empty());
    Some(if changed { format!("{commit}, with changes") } else { commit })
}
