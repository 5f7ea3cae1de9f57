//! `portcullis decode`

use super::args::DecodeArguments;
use super::{End, Failure, policies};
use crate::policy;
use crate::suite::SuiteError;
use std::io::Write;

pub fn run(arguments: &DecodeArguments, out: &mut impl Write) -> Result<End, Failure> {
    let policy = policy::decode(&policies::open(&arguments.table)?);
    serde_json::to_writer_pretty(&mut *out, &policy).map_err(|e| SuiteError(e.to_string()))?;
    writeln!(out)?;
    Ok(End::Yes)
}
