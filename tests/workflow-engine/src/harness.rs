//! The workflow engine in a process of its own (`harness/`, in Java), built by Maven.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The oldest Java that runs the workflow engine.
const JAVA: u32 = 21;

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
        let home = java_home()?;
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

/// A Java that is new enough: what `JAVA_HOME` names, else the first in the usual places.
fn java_home() -> Result<PathBuf> {
    let named = env::var_os("JAVA_HOME").map(PathBuf::from);
    let mut places: Vec<PathBuf> = named.into_iter().collect();
    for folder in ["/usr/lib/jvm", "/opt/java", "/opt", "/Library/Java/JavaVirtualMachines"] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut homes: Vec<PathBuf> =
            entries.flat_map(|entry| [entry.path(), entry.path().join("Contents/Home")]).collect();
        homes.sort();
        places.extend(homes);
    }
    let found = places.iter().find(|home| version(home).is_some_and(|version| version >= JAVA));
    found.cloned().with_context(|| {
        format!("the workflow engine needs a JDK {JAVA} or later: set JAVA_HOME (looked at {places:?})")
    })
}

/// The major version of a JDK, by the file that every one has.
fn version(home: &Path) -> Option<u32> {
    let text = fs::read_to_string(home.join("release")).ok().filter(|_| home.join("bin/javac").exists())?;
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    line.trim_matches('"').split(['.', '-', '+']).next()?.parse().ok()
}
