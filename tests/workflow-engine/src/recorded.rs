//! What the workflow engine has said before: `recorded/verdicts.json`.

use crate::case::{Case, Verdict};
use anyhow::Result;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A case and what the workflow engine said to it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Recorded {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// The verdict.
    pub verdict: Verdict,
}

/// A case that no request can be made of, or that differs on purpose.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// All there is.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Cases with their verdicts.
    pub cases: Vec<Recorded>,
    /// Cases that are no cases here.
    pub left_out: Vec<LeftOut>,
}

/// The folder of what was recorded.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// Reads all recorded verdicts.
///
/// # Errors
/// The file is not as it should be.
pub fn read() -> Result<File> {
    Ok(serde_json::from_str(&fs::read_to_string(folder().join("verdicts.json"))?)?)
}
