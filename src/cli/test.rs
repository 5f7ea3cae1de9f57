//! `portcullis test`

use super::args::TestArguments;
use super::{End, Failure};
use crate::suite::{self, Suite, Verdict};
use serde_json::Value;
use std::io::Write;

pub fn run(arguments: &TestArguments, out: &mut impl Write) -> Result<End, Failure> {
    let suites = arguments.suites.iter().map(|path| suite::read(path)).collect::<Result<Vec<_>, _>>()?;
    let now = super::now();
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for suite in &suites {
        if !arguments.json {
            suite.warnings.iter().for_each(|warning| eprintln!("{}: warning: {warning}", suite.name));
        }
        for verdict in suite::run(suite, now) {
            let count = if verdict.pass { &mut passed } else { &mut failed };
            *count = count.saturating_add(1);
            if arguments.json {
                writeln!(out, "{}", verdict.line(suite))?;
            } else if !verdict.pass {
                print(suite, &verdict, out)?;
            }
        }
    }
    if !arguments.json {
        writeln!(out, "{passed} passed, {failed} failed")?;
    }
    Ok(if failed == 0 { End::Yes } else { End::No })
}

fn print(suite: &Suite, verdict: &Verdict<'_>, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "FAILED {}: {}", suite.name, verdict.case.name)?;
    for (name, expected) in &verdict.case.expect {
        let actual = verdict.actual.get(name).unwrap_or(&Value::Null);
        if actual != expected {
            writeln!(out, "  {name}: expected {expected}, was {actual}")?;
        }
    }
    Ok(())
}
