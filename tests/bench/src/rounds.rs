//! Rounds: in each, every case has one slot, in random order, so that whatever changes on the
//! machine meets all cases alike. Many short rounds tell more than a few long ones: what is compared
//! then lies close together.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use portcullis_e2e::envoy::Envoy;

use crate::cases::Case;
use crate::load::Load;
use crate::options::Options;
use crate::random::Random;
use crate::worker::Worker;

/// A case with what was measured.
#[derive(Debug)]
pub struct Measured {
    /// The case.
    pub case: Case,
    /// Requests that were sent and answered, before measuring too.
    pub sent: u64,
    /// Of each round, the CPU time of Envoy's worker per request, in microseconds.
    pub micros: Vec<f64>,
    /// The share of its time in which the worker waited for a CPU, of each round.
    pub waited: Vec<f64>,
}

/// Measures all cases, after one round that does not count, unless it is stopped.
pub fn measure(
    envoy: &Envoy,
    worker: &Worker,
    cases: Vec<Case>,
    options: &Options,
    stopped: &AtomicBool,
) -> Result<Vec<Measured>> {
    let open = |case: &Case| Load::open(envoy.addr(&case.listener)?, case);
    let mut loads = cases.iter().map(open).collect::<Result<Vec<_>>>()?;
    let new = |case| Measured { case, sent: 0, micros: Vec::new(), waited: Vec::new() };
    let mut measured: Vec<Measured> = cases.into_iter().map(new).collect();
    let mut order: Vec<usize> = (0..loads.len()).collect();
    let mut random = Random::new();
    let mut before = worker.times()?;
    for round in 0..=options.rounds {
        progress(round, options.rounds);
        random.shuffle(&mut order);
        for &number in &order {
            ensure!(!stopped.load(Ordering::Relaxed), "interrupted");
            let (load, of) = (&mut loads[number], &mut measured[number]);
            let answered = load.run(options.slot).with_context(|| of.case.name.clone())?;
            let after = worker.times()?;
            of.sent += answered;
            if round > 0 {
                let (cpu, waited) = (after.cpu - before.cpu, after.waited - before.waited);
                of.micros.push(cpu.as_secs_f64() * 1e6 / answered as f64);
                of.waited.push(waited.as_secs_f64() / (cpu + waited).as_secs_f64());
            }
            before = after;
        }
    }
    Ok(measured)
}

/// Says how far it is, where someone watches.
fn progress(round: usize, of: usize) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let text = if round < of { format!("\rround {} of {of} ", round + 1) } else { "\r\x1b[K".to_owned() };
        let _ = terminal.write_all(text.as_bytes());
    }
}
