//! The workflow engine in a process of its own (`harness/`, in Java), built by Maven.

use crate::java;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The running harness. It ends when dropped.
pub struct Harness {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What the workflow engine answered to a command.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It has been done: the record's key and value.
    Accepted {
        /// The key.
        key: i64,
        /// The value.
        value: Value,
    },
    /// It has not.
    Rejected {
        /// The kind of rejection, such as `FORBIDDEN`.
        rejection: String,
        /// The reason, in words.
        reason: String,
    },
}

impl Harness {
    /// Builds and starts it.
    ///
    /// # Errors
    /// There is no Java or Maven, or it does not build or start.
    pub fn start() -> Result<Self> {
        let home = java::home()?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness");
        let build = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "compile", "dependency:build-classpath"])
            .arg("-Dmdep.outputFile=target/classpath")
            .env("JAVA_HOME", &home)
            .current_dir(&folder)
            .output()
            .context("cannot run mvn; install Maven")?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(build.status.success(), "mvn: {}\n{}{}", build.status, said(&build.stdout), said(&build.stderr));
        let parts = fs::read_to_string(folder.join("target/classpath"))?;
        let mut child = Command::new(home.join("bin/java"))
            .args(["-Xmx512m", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED", "-cp"])
            .arg(format!("{}:{}", folder.join("target/classes").display(), parts.trim()))
            .arg("harness.Main")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run java")?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take().context("no standard output")?);
        Ok(Self { child, orders, answers: BufReader::new(answers) })
    }

    /// Puts a new, empty engine in place of the one before.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(&mut self, multi_tenancy: bool, groups_claim: bool, defaults: bool) -> Result<()> {
        let claim = groups_claim.then_some("groups");
        self.order(&json!({
            "do": "open", "multiTenancy": multi_tenancy, "groupsClaim": claim, "defaults": defaults,
        }))?;
        Ok(())
    }

    /// Sends a command; without `caller`, as somebody whom the engine does not check.
    ///
    /// # Errors
    /// It cannot be sent, or no answer comes.
    pub fn send(&mut self, command: &crate::commands::Command, caller: Option<&Value>) -> Result<Reply> {
        let answer = self.order(&json!({
            "do": "send", "type": command.kind, "intent": command.intent, "key": command.key.unwrap_or(-1),
            "value": command.value, "as": caller,
        }))?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(if answer["accepted"] == true {
            Reply::Accepted { key: answer["key"].as_i64().context("a key")?, value: answer["value"].clone() }
        } else {
            Reply::Rejected { rejection: text("rejection"), reason: text("reason") }
        })
    }

    /// Waits for an event whose value has these members; gives its key.
    ///
    /// # Errors
    /// None comes.
    pub fn wait_for(&mut self, kind: &str, intent: &str, members: &Value) -> Result<i64> {
        let answer = self.order(&json!({ "do": "await", "type": kind, "intent": intent, "where": members }))?;
        answer["key"].as_i64().context("a key")
    }

    fn order(&mut self, order: &Value) -> Result<Value> {
        let orders = self.orders.as_mut().context("the harness has ended")?;
        writeln!(orders, "{order}").context("the harness takes no orders")?;
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "the harness has ended at {order}");
        let answer: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{order}: {error}");
        }
        Ok(answer)
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // It ends where its input does.
        self.orders = None;
        let _ = self.child.wait();
    }
}
