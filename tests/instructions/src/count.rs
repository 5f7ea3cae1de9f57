//! Valgrind counts.

use crate::scenes::{MEASURED, Scene};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::{env, fs, process};

/// The instructions of a scene's requests, in the mean, the second time.
pub fn instructions(scene: &Scene) -> Result<u64> {
    let file = env::temp_dir().join(format!("portcullis-instructions-{}.json", process::id()));
    fs::write(&file, scene.file.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{MEASURED}*"))
        .arg(env::current_exe()?)
        .arg("run")
        .arg(&file)
        .output();
    let _ = fs::remove_file(&file);
    let output = output.context("valgrind cannot be started (Debian: apt-get install valgrind)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", scene.name);
    // `==123== Collected : 4567`
    let counted: Option<u64> = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let counted = counted.with_context(|| format!("{}: valgrind did not say what it counted: {said}", scene.name))?;
    ensure!(counted > 0, "{}: nothing was counted", scene.name);
    Ok(counted / scene.requests)
}
