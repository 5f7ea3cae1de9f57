//! How bodies that decide are read: `body`.

use crate::json::{members, words};

/// How bodies that decide are read.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, rename_all = "camelCase", default)
)]
pub struct BodySource {
    /// What is held back until the verdict.
    pub gate: GateSource,
    /// The longest body that is read.
    pub max_bytes: u64,
}

members!(BodySource {
    gate: optional "gate",
    max_bytes: optional "maxBytes",
});

impl Default for BodySource {
    fn default() -> Self {
        Self { gate: GateSource::Hold, max_bytes: 4 * 1024 * 1024 }
    }
}

/// What is held back until the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub enum GateSource {
    /// The whole request.
    Hold,
    /// The end of the body.
    Stream,
}

words!(GateSource { Hold: "hold", Stream: "stream" });
