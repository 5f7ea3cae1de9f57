//! Plugin configuration -> plan.
//!
//! [`source`] is the shape, [`plan`] the checked form that requests are judged with. Errors name
//! the field, what stands there, and why it cannot be used.

mod duration;
mod extra;
mod issuers;
mod plan;
mod remote;
mod scope;
mod source;
mod surfaces;
mod tables;

pub use plan::{Gate, Plan, Warning};
pub use scope::Scope;
pub use source::Configuration;

use crate::json;
use std::fmt;

/// The longest configuration, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// Where, such as `issuers[0].audiences`; empty for the whole.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.path, self.reason) }
    }
}

impl std::error::Error for ConfigError {}

/// Reads a plugin configuration and makes its plan. The outcome hangs on the bytes alone: a proxy
/// whose threads disagreed about a configuration would let requests through unjudged.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong.
pub fn read(bytes: &[u8]) -> Result<(Plan, Vec<Warning>), ConfigError> {
    if bytes.len() > MAX_BYTES {
        let reason = format!("the configuration has {} bytes; at most {MAX_BYTES} are read", bytes.len());
        return Err(ConfigError::new("", reason));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::new("", "the configuration is empty"));
    }
    let value = json::parse(bytes).map_err(|error| {
        let reason = if bytes.first() == Some(&0x0a) && bytes.trim_ascii_start().first() != Some(&b'{') {
            "the configuration is a protobuf Struct, not JSON: give it as google.protobuf.StringValue".into()
        } else {
            format!("the configuration is not JSON: {error}")
        };
        ConfigError::new("", reason)
    })?;
    plan::build(&source::parse(value)?)
}
