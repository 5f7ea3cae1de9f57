//! Starts a real Istio on loopback (etcd, a Kubernetes API server with Istio's objects, istiod, Istio's
//! agent with a real Envoy as gateway, sidecar and waypoint), applies what `portcullis render` writes, and looks at what
//! passes.
//!
//! Arguments name the scenarios to play; without, all are. Exit status 0 where all is as it should be,
//! 1 where it is not, 2 where it could not run.

mod grpc;
mod guard;
mod kube;
mod mesh;
mod parts;
mod scenarios;
mod sources;
mod world;

use anyhow::{Result, ensure};
use std::env;
use std::process::ExitCode;
use std::time::Instant;
use world::World;

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).collect();
    match play(&wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all went well.
fn play(wanted: &[String]) -> Result<bool> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    ensure!(scenarios::ALL.iter().any(|(name, _)| is_wanted(name)), "no scenario is called {wanted:?}");
    let start = Instant::now();
    let parts = parts::fetch()?;
    println!("all parts are there after {:.0?}", start.elapsed());
    let start = Instant::now();
    let mut world = World::start(parts)?;
    println!("the control plane is up after {:.1?}", start.elapsed());
    let (mut played, mut failed) = (0, Vec::new());
    for (name, scenario) in scenarios::ALL {
        if !is_wanted(name) {
            continue;
        }
        let start = Instant::now();
        let outcome = world.reset().and_then(|()| scenario(&mut world));
        played += 1;
        match outcome {
            Ok(()) => println!("ok      {name} ({:.1?})", start.elapsed()),
            Err(error) => {
                println!("FAILED  {name} ({:.1?})\n  {error:#}", start.elapsed());
                world.keep_logs(name);
                failed.push(name);
            }
        }
    }
    println!("{} of {played} scenarios went well", played - failed.len());
    Ok(failed.is_empty())
}
