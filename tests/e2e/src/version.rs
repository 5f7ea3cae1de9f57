//! Another version of the module: it has another word for one reason, so what it counts shows which of the two runs.

use anyhow::{Context as _, Result};

/// The word of a module as it is built, for a call without a token.
pub const WORD: &str = "token_missing";
/// The word of the other version.
pub const NEXT_WORD: &str = "token_missinG";

/// The other version of a module.
///
/// # Errors
/// The module has no such word.
pub fn next(module: &[u8]) -> Result<Vec<u8>> {
    let place = module.windows(WORD.len()).position(|part| part == WORD.as_bytes());
    let place = place.with_context(|| format!("{WORD} is not in the module"))?;
    Ok([&module[..place], NEXT_WORD.as_bytes(), &module[place + WORD.len()..]].concat())
}

/// How many calls Envoy's statistics (`/stats`) have under a word.
pub fn counted(stats: &str, word: &str) -> u64 {
    let decisions = format!(".{word}.portcullis_decisions: ");
    stats.lines().filter_map(|line| line.rsplit_once(&decisions)?.1.parse::<u64>().ok()).sum()
}
