//! Puts random policies and requests to the engine and to the reference:
//! `portcullis-reference [--pairs N] [--seed N] [--show N]`.
//!
//! Exit status 0 where they agree, 1 where they do not, 2 where it could not run.

use portcullis_reference::run::{REQUESTS, run};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    match arguments() {
        Ok((pairs, seed, show)) => compare(pairs, seed, show),
        Err(message) => {
            eprintln!("{message}\nusage: portcullis-reference [--pairs N] [--seed N] [--show N]");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<(u64, u64, usize), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut pairs, mut seed, mut show) = (1_000_000, now << 20, 5);
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name}: no value"))?;
        let number: u64 = value.parse().map_err(|error| format!("{name} {value}: {error}"))?;
        match name.as_str() {
            "--pairs" => pairs = number,
            "--seed" => seed = number,
            "--show" => show = usize::try_from(number).map_err(|error| format!("{name} {value}: {error}"))?,
            _ => return Err(format!("{name}: unknown argument")),
        }
    }
    Ok((pairs, seed, show))
}

fn compare(pairs: u64, seed: u64, show: usize) -> ExitCode {
    eprintln!("{pairs} pairs, --seed {seed}");
    let started = Instant::now();
    let mut next = pairs / 20;
    let report = run(seed, pairs, show, |report| {
        if report.pairs >= next {
            next += pairs / 20;
            eprintln!("{:>10} pairs, {} differ, {:.1?}", report.pairs, report.differ, started.elapsed());
        }
    });
    for (answer, count) in &report.answers {
        println!("{count:>10} {answer}");
    }
    for found in &report.disagreements {
        println!("\nthe engine says {}, the reference {}", found.engine, found.reference);
        println!("again: --pairs {REQUESTS} --seed {}", found.seed);
        println!("{}", found.suite());
    }
    println!("{} pairs, {} differ, {:.1?}, --seed {seed}", report.pairs, report.differ, started.elapsed());
    if report.differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
