//! The decision corpus in one piece, for where there are no files: all of `tests/suites`, as it was
//! when this was built.

use std::path::{Component, Path, PathBuf};

use portcullis::suite::{self, Suite, SuiteError};

/// Every file below `tests/suites`, by its absolute path, in order.
pub const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The suites, each read when its turn comes: all files but the policies that suites share.
pub fn suites() -> impl Iterator<Item = Result<Suite, SuiteError>> {
    let suites = FILES.iter().map(|(path, _)| Path::new(path));
    let suites = suites.filter(|path| !path.parent().is_some_and(|folder| folder.ends_with("policies")));
    suites.map(|path| suite::read_with(path, load))
}

fn load(path: &Path) -> Result<Vec<u8>, &'static str> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    let found = FILES.iter().find(|(path, _)| Path::new(path) == plain);
    found.map(|(_, content)| content.to_vec()).ok_or("is no file of the corpus")
}
