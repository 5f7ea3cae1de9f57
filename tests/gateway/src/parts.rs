//! What is built: Envoy Gateway, once, from the Go module proxy; kept outside the tree.

use anyhow::{Context, Result, ensure};
use portcullis_e2e::cache;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The release.
pub const VERSION: &str = "1.9.1";
const NAME: &str = "envoy-gateway";

/// The binary; built where it is not there yet, which takes minutes.
pub fn envoy_gateway() -> Result<PathBuf> {
    let folder = cache()?.join(format!("{NAME}-{VERSION}"));
    let binary = folder.join(NAME);
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(&folder)?;
    // Moved into place when whole, so that an interrupted build leaves nothing behind.
    let whole = tempfile::tempdir_in(&folder)?;
    let module = format!("github.com/envoyproxy/gateway/cmd/{NAME}@v{VERSION}");
    eprintln!("building {module}, once (7 minutes on two cores) ...");
    let begun = Instant::now();
    let mut go = Command::new("go");
    go.args(["install", "-ldflags=-s -w", &module]).env("GOBIN", whole.path()).current_dir(whole.path());
    let built = go.status().context("Go is missing: https://go.dev/dl")?;
    ensure!(built.success(), "{module} could not be built: {built}");
    fs::rename(whole.path().join(NAME), &binary)?;
    eprintln!("built in {:.0?}, kept at {}", begun.elapsed(), binary.display());
    Ok(binary)
}
