//! Finds a Java that runs Camunda.

use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The oldest that does.
const OLDEST: u32 = 21;

/// A JDK that is new enough: the one that `JAVA_HOME` names, else the first in the usual places.
///
/// # Errors
/// There is none.
pub fn home() -> Result<PathBuf> {
    let named = env::var_os("JAVA_HOME").map(PathBuf::from);
    let mut places: Vec<PathBuf> = named.into_iter().collect();
    for folder in ["/usr/lib/jvm", "/opt/java", "/opt", "/Library/Java/JavaVirtualMachines"] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut homes: Vec<PathBuf> =
            entries.flat_map(|entry| [entry.path(), entry.path().join("Contents/Home")]).collect();
        homes.sort();
        places.extend(homes);
    }
    let found = places.iter().find(|home| version(home).is_some_and(|version| version >= OLDEST));
    found
        .cloned()
        .with_context(|| format!("Camunda needs a JDK {OLDEST} or later: set JAVA_HOME (looked at {places:?})"))
}

/// The major version of a JDK, by the file that every one has.
fn version(home: &Path) -> Option<u32> {
    let text = fs::read_to_string(home.join("release")).ok().filter(|_| home.join("bin/javac").exists())?;
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    line.trim_matches('"').split(['.', '-', '+']).next()?.parse().ok()
}
