//! One thing that is wrong, and what to change.

use super::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Requests can pass unjudged, or none can pass at all.
    Critical,
    /// What is judged may not be what happens, or an outage waits.
    Warning,
    /// Worth knowing.
    Notice,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Finding {
    pub severity: Severity,
    /// A stable name, lower_snake.
    pub code: &'static str,
    /// Where it stands.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// What to change.
    pub advice: String,
}

impl Finding {
    pub fn critical(code: &'static str, at: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Critical, code, at: at.into(), what: what.into(), advice: advice.into() }
    }

    pub fn warning(code: &'static str, at: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::critical(code, at, what, advice) }
    }

    pub fn notice(code: &'static str, at: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, ..Self::critical(code, at, what, advice) }
    }

    /// The same, with the file or address that it was found in.
    pub fn within(self, source: &str) -> Self {
        Self { at: format!("{source}: {}", self.at), ..self }
    }

    pub fn json(&self) -> Value {
        json!({
            "severity": self.severity.name(),
            "code": self.code,
            "at": self.at,
            "what": self.what,
            "advice": self.advice,
        })
    }
}
