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
pub mod http2;
pub mod idp;
pub mod server;
pub mod suites;
pub mod tokens;
pub mod trial;
pub mod upstream;
pub mod version;
pub mod wait;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.clone(), PathBuf::from)
}

/// Where what is fetched is kept: `PORTCULLIS_CACHE`, else `portcullis` in the user's cache folder.
pub fn cache() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("PORTCULLIS_CACHE") {
        return Ok(PathBuf::from(named));
    }
    let user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let user = user.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Ok(user.context("no HOME: set PORTCULLIS_CACHE")?.join("portcullis"))
}
