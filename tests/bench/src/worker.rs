//! The CPU time of Envoy's worker thread, as Linux counts it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_e2e::wait;

/// The name that Envoy gives to its first worker thread.
const NAME: &str = "wrk:worker_0";

/// The worker thread.
#[derive(Debug)]
pub struct Worker(PathBuf);

/// What the thread has had since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Time on a CPU.
    pub cpu: Duration,
    /// Time in which it could have run, but other threads did.
    pub waited: Duration,
}

impl Worker {
    /// The worker thread of that process.
    pub fn find(process: u32) -> Result<Self> {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).context("no /proc: this needs Linux")?;
        let name = |task: &PathBuf| fs::read_to_string(task.join("comm")).unwrap_or_default();
        let worker = tasks.flatten().map(|task| task.path()).find(|task| name(task).trim() == NAME);
        Ok(Self(worker.with_context(|| format!("Envoy has no thread {NAME}"))?.join("schedstat")))
    }

    /// Its times, as soon as it rests: what a running thread has used is not yet counted.
    pub fn times(&self) -> Result<Times> {
        let mut before = None;
        wait::until("Envoy's worker to rest", || {
            let now = self.read();
            let rests = now.is_some() && now == before;
            before = now;
            now.filter(|_| rests)
        })
    }

    fn read(&self) -> Option<Times> {
        let text = fs::read_to_string(&self.0).ok()?;
        let mut numbers = text.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
        Some(Times { cpu: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
    }
}
