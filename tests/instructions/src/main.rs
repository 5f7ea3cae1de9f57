//! How many instructions the engine takes for a request, held against a budget that is committed:
//! so speed cannot slip away unseen. `make instructions` runs it, by valgrind.
//!
//! ```text
//! without arguments: scenes ──> a file each ──> valgrind runs this program on it, counts only
//!                               `measured` ──> held against budget.json
//! run FILE: reads the file, judges each request twice, the second time in `measured`
//! ```
//!
//! A request is counted when its token and principal are already known, as nearly all are.

mod count;
mod scenes;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// More than its budget by so many parts, and a scene fails: what a compiler's or a C library's
/// patch release may cost.
const SLACK: f64 = 1.03;
/// Less than its budget by so many parts, and the budget should follow.
const LOOSE: f64 = 0.90;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--write"] => write(),
        ["run", file] => scenes::run(Path::new(file)).map(|()| true),
        _ => Err(anyhow::anyhow!("usage: portcullis-instructions [--write]")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Counts all scenes and prints them beside their budgets; `false` where one takes more.
fn compare() -> Result<bool> {
    let file = budget();
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let budget: Map<String, Value> = serde_json::from_str(&text).context("budget.json")?;
    let counts = counts()?;
    println!("{:<52}{:>14}{:>10}", "INSTRUCTIONS OF A REQUEST", "COUNTED", "BUDGET");
    let mut kept = true;
    for (name, count) in &counts {
        let allowed = budget.get(*name).and_then(Value::as_u64);
        let allowed = allowed.with_context(|| format!("budget.json lacks {name:?}: make instructions WRITE=1"))?;
        let parts = *count as f64 / allowed as f64;
        let remark = match parts {
            parts if parts > SLACK => "  MORE THAN ITS BUDGET",
            parts if parts < LOOSE => "  (the budget could be smaller: make instructions WRITE=1)",
            _ => "",
        };
        kept &= parts <= SLACK;
        println!("{name:<52}{count:>14}{allowed:>10}{remark}");
    }
    if let Some(stale) = budget.keys().find(|name| !counts.iter().any(|(scene, _)| scene == name)) {
        bail!("budget.json has {stale:?}, which is no scene");
    }
    Ok(kept)
}

/// Makes what is counted the budget.
fn write() -> Result<bool> {
    let counted: Map<String, Value> =
        counts()?.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    fs::write(budget(), format!("{:#}\n", Value::Object(counted)))?;
    Ok(true)
}

fn counts() -> Result<Vec<(&'static str, u64)>> {
    scenes::all()?.into_iter().map(|scene| Ok((scene.name, count::instructions(&scene)?))).collect()
}

fn budget() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.json")
}
