//! The demo: a real Envoy with the module, a cluster's stand-in behind it, and a dozen calls by
//! callers who may and who may not. `make demo` and `make up` run it.

mod callers;
mod calls;
mod report;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_e2e::workspace;

use crate::callers::Policy;
use crate::report::Row;
use crate::stage::Stage;

const USAGE: &str = "usage: demo [--policy FILE] [--port PORT] [--up]

  --policy FILE  judge by that policy (YAML or JSON) instead of envoy/policy.yaml
  --port PORT    let Envoy listen there instead of on a free port
  --up           leave everything running until Ctrl-C, and print calls to try";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    policy: Option<PathBuf>,
    port: u16,
    up: bool,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| options.map_or(Ok(()), |o| run(&o))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Reads the command line; `None` where it only asks for help.
fn options(mut words: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--policy" => options.policy = Some(value()?.into()),
            "--port" => options.port = value()?.parse().context("--port takes a number")?,
            "--up" => options.up = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(None);
            }
            other => bail!("{other:?} is unknown\n{USAGE}"),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<()> {
    let (stop, stopped) = channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })?;

    let file = options.policy.clone().unwrap_or_else(|| workspace().join("envoy/policy.yaml"));
    let policy = Policy::read(&file)?;
    let stage = Stage::set(&policy, options.port)?;
    let calls = match options.policy {
        None => calls::of_the_sample(&stage.issuer)?,
        Some(_) => calls::of_any(&policy, &stage.issuer)?,
    };
    println!("policy    {} ({} authorizations)", file.display(), policy.authorizations.len());
    println!("gateway   http://{} (Envoy, process {})", stage.addr, stage.envoy.pid());
    println!("upstream  http://{}\n", stage.upstream.addr());

    let mut rows = Vec::new();
    for call in &calls {
        rows.push(Row::of(&stage, call)?);
        if stopped.try_recv().is_ok() {
            bail!("interrupted");
        }
    }
    report::table(&rows);
    if options.up {
        report::to_try(&stage, &rows);
        wait(&stage, &stopped)?;
    }
    Ok(())
}

/// Waits for Ctrl-C.
fn wait(stage: &Stage, stopped: &Receiver<()>) -> Result<()> {
    while stopped.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout) {
        if !stage.envoy.is_running() {
            bail!("Envoy has ended: {}", stage::complaint(&stage.envoy.log()));
        }
    }
    Ok(())
}
