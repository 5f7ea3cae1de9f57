//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_e2e::workspace;

const USAGE: &str = "usage: bench [--quick] [--rounds N] [--slot MS] [--module FILE] [--beside FILE]... [--json FILE]
             [--svg FILE]
       bench --push [--pushes N] [--module FILE]

  --quick        a smoke run of a few seconds; its numbers mean little
  --rounds N     how often every case is measured (default 120)
  --slot MS      for how long each time, in milliseconds (default 50)
  --module FILE  measure that module instead of target/portcullis.wasm
  --beside FILE  measure another build of it, too, in the same Envoy
  --json FILE    write everything, each sample too, to that file
  --svg FILE     draw it
  --push         measure how soon a new table of 100,000 grants is live, and how long it blocks a worker
  --pushes N     how often (default 40)";

/// What the command line asks for.
#[derive(Debug)]
pub struct Options {
    /// How often every case is measured.
    pub rounds: usize,
    /// For how long each time.
    pub slot: Duration,
    /// Pushes are measured, and nothing else.
    pub push: bool,
    /// How many.
    pub pushes: usize,
    /// The module.
    pub module: PathBuf,
    /// The module that does nothing.
    pub noop: PathBuf,
    /// Other builds of the module.
    pub beside: Vec<PathBuf>,
    /// Where the report goes as JSON.
    pub json: Option<PathBuf>,
    /// Where it is drawn.
    pub svg: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; `None` where it only asks for help.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self {
            rounds: 120,
            slot: Duration::from_millis(50),
            push: false,
            pushes: 40,
            module: workspace().join("target/portcullis.wasm"),
            noop: beside_this_program("wasm32-wasip1/release/portcullis_bench_noop.wasm")?,
            beside: Vec::new(),
            json: None,
            svg: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => (options.rounds, options.slot) = (3, Duration::from_millis(30)),
                "--rounds" => options.rounds = positive(&word, &value()?)?,
                "--slot" => options.slot = Duration::from_millis(positive(&word, &value()?)?),
                "--push" => options.push = true,
                "--pushes" => options.pushes = positive(&word, &value()?)?,
                "--module" => options.module = value()?.into(),
                "--beside" => options.beside.push(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--json" => options.json = Some(value()?.into()),
                "--help" | "-h" => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                other => bail!("{other:?} is unknown\n{USAGE}"),
            }
        }
        Ok(Some(options))
    }

    /// All modules, each with what to do where it is missing.
    pub fn modules(&self) -> impl Iterator<Item = (&PathBuf, &'static str)> {
        let ours = [(&self.module, "run `make wasm`"), (&self.noop, "run `make bench`")];
        ours.into_iter().chain(self.beside.iter().map(|file| (file, "see --beside")))
    }
}

fn positive<N: std::str::FromStr + Default + PartialEq>(option: &str, text: &str) -> Result<N> {
    let number = text.parse().ok().filter(|number| *number != N::default());
    number.with_context(|| format!("{option} takes a positive number"))
}

/// A file in the target folder from which this program runs.
fn beside_this_program(file: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program is in no target folder")?;
    Ok(target.join(file))
}
