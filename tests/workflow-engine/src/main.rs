//! `portcullis-workflow-engine suites` writes the suites of what was recorded;
//! `portcullis-workflow-engine compare [--pairs N] [--seed N]` puts what was recorded, and then
//! random policies and calls, to the workflow engine and to Portcullis.
//!
//! Exit status 0 where the property holds, 1 where it does not, 2 where it could not run.

use anyhow::{Context, Result, bail};
use portcullis_workflow_engine::{compare, recorded, suites, tokens};
use std::fs;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: portcullis-workflow-engine (suites | compare [--pairs N] [--seed N])";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["suites"] => write_suites().map(|()| true),
        ["compare", options @ ..] => numbers(options).and_then(|(pairs, seed)| compare::run(pairs, seed)),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn numbers(options: &[&str]) -> Result<(u64, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut pairs, mut seed) = (5_000, now);
    for option in options.chunks(2) {
        let [name, value] = option else { bail!("{option:?}: no value\n{USAGE}") };
        let number = value.parse().with_context(|| format!("{name} {value}"))?;
        match *name {
            "--pairs" => pairs = number,
            "--seed" => seed = number,
            _ => bail!("{name}: unknown option\n{USAGE}"),
        }
    }
    Ok((pairs, seed))
}

fn write_suites() -> Result<()> {
    let folder = suites::folder();
    let file = recorded::read()?;
    let mut texts = suites::of(&file.cases)?;
    let (path, text, refused) = tokens::suite(&tokens::read()?)?;
    texts.insert(path, text);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for (path, text) in &texts {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("{} suites of {} cases; {} left out", texts.len(), file.cases.len(), file.left_out.len());
    println!("settings that are refused: {}", refused.join(", "));
    Ok(())
}
