//! The `portcullis` command that the tests run.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::workspace;

/// The command: what `PORTCULLIS` names (`make` sets it), else what cargo makes of the sources.
pub fn command_line() -> PathBuf {
    if let Some(named) = env::var_os("PORTCULLIS") {
        return workspace().join(named);
    }
    // Together with this crate, so that what is compiled for it is used again.
    let packages = ["--package", "portcullis", "--package", env!("CARGO_PKG_NAME"), "--features", "portcullis/cli"];
    let mut build = Command::new(env!("CARGO"));
    build.arg("build").args(packages).args(["--bin", "portcullis", "--message-format=json"]);
    let output = build.current_dir(workspace()).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let made: Vec<PathBuf> = messages.filter_map(|m| m["executable"].as_str().map(PathBuf::from)).collect();
    made.into_iter().next_back().expect("an executable")
}
