//! Servers that run for one test: each in a process group of its own, which ends with it.

use crate::client::{self, Request};
use crate::wait;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(300);

/// A running server.
pub struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it; its output goes to a file in that folder.
    pub fn start(name: &'static str, command: &mut Command, folder: &std::path::Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until it answers 200 at that address.
    pub fn wait(&mut self, addr: SocketAddr, path: &str) -> Result<()> {
        self.wait_until(&format!("{addr}{path}"), || {
            client::send(addr, &Request::get(path)).is_ok_and(|response| response.status == 200)
        })
    }

    /// Waits until that is so; gives up as soon as the process has ended.
    pub fn wait_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let mut answers = |server: &mut Self| match server.child.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => is_so().then_some(Ok(())),
        };
        match wait::until_within(START, &format!("{}: {what}", self.name), || answers(self)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("{} ended: {status}\n{}", self.name, self.last_words()),
            Err(error) => bail!("{error}\n{}", self.last_words()),
        }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn last_words(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The scripts that start these servers may leave a shell between.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A free loopback port.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
