//! Starts a real cluster (Camunda 8.6), a real identity provider (Keycloak) and a real Envoy with
//! the module, and lets Camunda's own clients work through it: such as may, and such as may not.
//!
//! Exit status 0 where all is as it should be, 1 where it is not, 2 where it could not run.

mod callers;
mod camunda;
mod keycloak;
mod parts;
mod scenario;

use std::process::ExitCode;

fn main() -> ExitCode {
    match scenario::play() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
