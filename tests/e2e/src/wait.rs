//! Waiting for something that another process does.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything in these tests may take before it counts as never.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Asks `probe` again and again until it has a value; after [`DEADLINE`] an error that names `what`.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> Result<T> {
    until_within(DEADLINE, what, probe)
}

/// [`until`] with a deadline of its own.
pub fn until_within<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("waited {deadline:?} in vain for {what}");
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
