//! How large the module is, in its file and in memory.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use portcullis_e2e::envoy::Launch;
use portcullis_e2e::gateway::{Gateway, Listener};
use serde_json::{Value, json};

use crate::listeners;
use crate::options::Options;
use crate::provider::Provider;

/// How many workers more, so that what one takes stands out.
const WORKERS: u32 = 8;

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Footprint {
    /// Bytes of the module.
    pub module: u64,
    /// Resident bytes of a worker with the module, over one without, with hardly a policy and no
    /// token.
    pub worker: i64,
}

impl Footprint {
    /// Starts Envoy with few and many workers, with the filter and without.
    pub fn measure(options: &Options, provider: &Provider) -> Result<Self> {
        let of_a_worker = |shape: &dyn Fn(Listener) -> Listener| -> Result<i64> {
            let resident = |workers| -> Result<i64> {
                let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
                let config: Value = Gateway::new(nowhere)?.listener("one", shape).build();
                let envoy = Launch::new(config).concurrency(workers).start()?;
                resident_bytes(envoy.pid())
            };
            Ok((resident(1 + WORKERS)? - resident(1)?) / i64::from(WORKERS))
        };
        let guarded = |l: Listener| listeners::guarded(l.module(&options.module), provider.jwks()).policy(&json!({}));
        let with = of_a_worker(&guarded)?;
        let without = of_a_worker(&|l| l.without_filter().without_belt())?;
        Ok(Self { module: fs::metadata(&options.module)?.len(), worker: with - without })
    }
}

/// Resident memory of a process, as Linux counts it.
fn resident_bytes(process: u32) -> Result<i64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("no /proc: this needs Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: i64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
