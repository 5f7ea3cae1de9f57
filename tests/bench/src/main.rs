//! What a request costs: Portcullis beside a module that does nothing and beside Envoy's own
//! filters, all in one Envoy. `make bench` runs it.
//!
//! ```text
//! grants ──> listeners (native) ──> one Envoy, one worker <── load, as cases says
//!                                        │ worker: CPU time of its thread
//!                    rounds: all cases in turn, again and again ──> statistics ──> report
//! ```
//!
//! The load comes from the same machine and may take CPU from Envoy, as anything else that runs
//! there may. So it is not throughput that counts, but the CPU time of Envoy's worker thread per
//! request, and of that only what a case adds over a direct response in the same round.

mod cases;
mod draw;
mod footprint;
mod grants;
mod listeners;
mod load;
mod machine;
mod native;
mod options;
mod provider;
mod push;
mod random;
mod report;
mod rounds;
mod statistics;
mod worker;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use portcullis_e2e::envoy::{self, Launch};

use crate::cases::{Case, Providers};
use crate::footprint::Footprint;
use crate::machine::Machine;
use crate::options::Options;
use crate::provider::Provider;
use crate::report::Report;
use crate::worker::Worker;

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)).and_then(|options| options.map_or(Ok(()), |o| run(&o))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if options.push {
        return push::measure(options);
    }
    for (module, remedy) in options.modules() {
        if !module.is_file() {
            bail!("no module at {}: {remedy}", module.display());
        }
    }
    envoy::binary()?;
    if let Some(file) = &options.json {
        fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))?;
    }

    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))?;

    let providers = Providers { rs256: Provider::new("RS256")?, es256: Provider::new("ES256")? };
    let cases = Case::all(options, &providers);
    let envoy = Launch::new(listeners::bootstrap(options, &providers)?).start()?;
    let machine = Machine::look(&envoy)?;
    cases::verify_listeners(&envoy, &cases, &providers)?;

    let worker = Worker::find(envoy.pid())?;
    let measured = rounds::measure(&envoy, &worker, cases, options, &stopped)?;
    cases::verify_caches(&envoy, &measured)?;
    drop(envoy);

    let footprint = Footprint::measure(options, &providers.rs256)?;
    let report = Report::new(machine, footprint, options, &measured);
    report.print();
    if let Some(file) = &options.svg {
        draw::costs(file, &report)?;
    }
    options.json.as_ref().map_or(Ok(()), |file| report.write(file))
}
