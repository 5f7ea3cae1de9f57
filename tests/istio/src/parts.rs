//! What Istio is made of here: built and fetched once, kept outside the tree.

use anyhow::{Result, ensure};
use portcullis_e2e::{cache, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with all parts.
pub struct Parts(PathBuf);

/// Makes what is missing.
pub fn fetch() -> Result<Parts> {
    let folder = cache()?.join("istio-1.31");
    let script = workspace().join("tests/istio/fetch.sh");
    let status = Command::new("sh").arg(script).arg(&folder).status()?;
    ensure!(status.success(), "the parts of Istio could not be made: {status}");
    Ok(Parts(folder))
}

impl Parts {
    /// A program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// A file of Istio's.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// What a program says, whatever it is.
pub fn said(command: &mut Command) -> Result<(bool, String)> {
    let output = command.output()?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.success(), text))
}

/// The same of one that has to succeed.
pub fn run(command: &mut Command) -> Result<String> {
    let (success, text) = said(command)?;
    ensure!(success, "{command:?}: {text}");
    Ok(text)
}

/// A path as an argument.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
