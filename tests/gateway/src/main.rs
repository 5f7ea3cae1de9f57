//! Starts a real Envoy Gateway, which starts a real Envoy, gives it what `portcullis render
//! envoy-gateway` writes, and sees what becomes of requests.
//!
//! Exit status 0 where all is as it should be, 1 where it is not, 2 where it could not run.

mod bad;
mod belt;
mod corpus;
mod days;
mod first;
mod modules;
mod native;
mod parts;
mod pushes;
mod report;
mod stage;
mod standalone;
mod traps;

use anyhow::{Result, ensure};
use report::Report;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

/// A part of what is tried: its name, and what does it.
type Part = (&'static str, fn(&mut Report) -> Result<()>);

const PARTS: [Part; 8] = [
    ("first", first::play),
    ("belt", belt::play),
    ("pushes", pushes::play),
    ("days", days::play),
    ("corpus", corpus::play),
    ("native", native::play),
    ("bad", bad::play),
    ("traps", traps::play),
];

fn main() -> ExitCode {
    match play() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// Plays the parts that are named, or all; says how much was not as it should be.
fn play() -> Result<usize> {
    let named: Vec<String> = env::args().skip(1).collect();
    let known = |name: &String| PARTS.iter().any(|(part, _)| part == name);
    ensure!(named.iter().all(known), "the parts are {}", PARTS.map(|(name, _)| name).join(", "));
    let (started, mut report) = (Instant::now(), Report::default());
    for (name, part) in PARTS {
        if named.is_empty() || named.iter().any(|n| n == name) {
            let begun = Instant::now();
            report.begin(name);
            part(&mut report)?;
            println!("        {:.0?}", begun.elapsed());
        }
    }
    println!("{} findings, {:.0?}", report.findings(), started.elapsed());
    Ok(report.findings())
}
