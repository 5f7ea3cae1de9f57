//! Decides the corpus and prints the cases that fail, then how many there are: what
//! `tests/rules-off` builds again and again, so it is no more than it must be. With `--first` it
//! ends at the first failure.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::suite;

fn main() -> ExitCode {
    let first = std::env::args().any(|argument| argument == "--first");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let (mut cases, mut failed) = (0_usize, 0_usize);
    for suite in portcullis_corpus::suites() {
        let suite = match suite {
            Ok(suite) => suite,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
        for verdict in suite::run(&suite, now) {
            cases += 1;
            if !verdict.pass {
                failed += 1;
                let name = suite.name.rsplit_once("tests/suites/").map_or(&*suite.name, |(_, name)| name);
                println!("{name}: {}", verdict.case.name);
                if first {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    println!("{cases} cases");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
