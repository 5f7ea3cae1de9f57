//! The `portcullis` command. Only with the `cli` feature.
//!
//! Every command ends with 0 (yes, fine), 1 (no, something was found) or 2 (it could not run).

mod args;
mod compile;
mod decode;
mod diff;
mod doctor;
mod explain;
mod init;
mod lint;
mod operations;
mod policies;
mod relaxed;
mod render;
mod test;

use crate::suite::SuiteError;
use args::{Arguments, Command};
use clap::Parser as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Yes,
    No,
}

/// Why a command could not run.
#[derive(Debug)]
enum Failure {
    /// What it was given cannot be used.
    Input(SuiteError),
    /// Nobody reads the output any more, or it cannot be written.
    Output(io::Error),
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        Self::Input(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = io::stdout().lock();
    let end = match arguments.command {
        Command::Compile(arguments) => compile::run(&arguments, &mut out),
        Command::Decode(arguments) => decode::run(&arguments, &mut out),
        Command::Lint(arguments) => lint::run(&arguments, &mut out),
        Command::Diff(arguments) => diff::run(&arguments, &mut out),
        Command::Explain(arguments) => explain::run(&arguments, &mut out),
        Command::Test(arguments) => test::run(&arguments, &mut out),
        Command::Operations(arguments) => operations::run(&arguments, &mut out),
        Command::Doctor(arguments) => doctor::run(&arguments, &mut out),
        Command::Init(arguments) => init::run(&arguments, &mut out),
        Command::Render(arguments) => render::run(&arguments, &mut out),
    };
    match end.and_then(|end| out.flush().map(|()| end).map_err(Into::into)) {
        Ok(End::Yes) => ExitCode::SUCCESS,
        Ok(End::No) => ExitCode::from(1),
        Err(Failure::Input(error)) => {
            eprintln!("portcullis: {error}");
            ExitCode::from(2)
        }
        Err(Failure::Output(error)) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                eprintln!("portcullis: standard output: {error}");
            }
            ExitCode::from(2)
        }
    }
}

/// Says on standard error what is going on, once it has taken a second.
#[derive(Debug)]
struct Progress(std::time::Instant);

impl Progress {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn say(&self, what: impl std::fmt::Display) {
        let seconds = self.0.elapsed().as_secs();
        if seconds > 0 {
            eprintln!("portcullis: {seconds} s: {what}");
        }
    }
}

/// Seconds since 1970.
fn now() -> crate::authn::UnixSeconds {
    chrono::Utc::now().timestamp()
}
