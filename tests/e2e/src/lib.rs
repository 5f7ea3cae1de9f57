//! What the end-to-end tests and the demo are made of: a real Envoy with the configuration that
//! users copy, a stand-in for the cluster behind it, callers in front of it, and their tokens.
//!
//! ```text
//! client ── request ──> envoy (configured by gateway) ──> upstream (answers as cluster says)
//!   │ tokens                 │ access: what Envoy logged        │ what arrived, byte by byte
//! ```
//!
//! Nothing here sleeps for a fixed time: whoever has to wait polls with a deadline ([`wait`]).
//! Nothing here may be kept in a `static`: an [`envoy::Envoy`] ends when it is dropped, and
//! statics are never dropped.

pub mod access;
pub mod client;
mod cluster;
pub mod command;
pub mod envoy;
pub mod gateway;
pub mod http1;
pub mod idp;
pub mod suites;
pub mod tokens;
pub mod upstream;
pub mod wait;

use std::path::PathBuf;

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.clone(), PathBuf::from)
}
