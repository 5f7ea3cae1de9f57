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
use crate::printable::Printable;
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
        let reason = Printable(&self.reason);
        if self.path.is_empty() { reason.fmt(f) } else { write!(f, "{}: {reason}", Printable(&self.path)) }
    }
}

impl std::error::Error for ConfigError {}

/// Checks the length of a configuration, which may be known before it is copied from the proxy.
///
/// # Errors
/// It is longer than [`MAX_BYTES`].
pub fn check_length(bytes: usize) -> Result<(), ConfigError> {
    if bytes > MAX_BYTES {
        return Err(ConfigError::new("", format!("the configuration has {bytes} bytes; at most {MAX_BYTES} are read")));
    }
    Ok(())
}

/// Reads a plugin configuration and makes its plan. The outcome hangs on the bytes alone: a proxy
/// whose threads disagreed about a configuration would let requests through unjudged.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong.
pub fn read(bytes: &[u8]) -> Result<(Plan, Vec<Warning>), ConfigError> {
    check_length(bytes.len())?;
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
