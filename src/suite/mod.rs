//! Suites: requests with the decisions that are expected of them, for users and for our own corpus
//! alike. Only with the `suite` feature.
//!
//! A suite names its policy, configuration and clock once; each case has one caller (a principal,
//! claims, a token, or none), one request, and any part of the expected explanation.

mod case;
mod message;
mod read;
mod run;

pub use case::{BodySource, Caller, Case, CaseRequest};
pub use read::{PLACEHOLDER_JWK, SuiteError, configuration, configuration_of, document, read, read_with};
#[cfg(feature = "cli")]
pub(crate) use read::{document_of, instant};
pub use run::{Verdict, decide, includes, run};

use crate::authn::UnixSeconds;
use crate::config::Plan;
use serde_json::Value;
use std::rc::Rc;

/// A suite, ready to run.
#[derive(Debug)]
pub struct Suite {
    /// Where it was read from.
    pub name: String,
    /// The plugin configuration, complete.
    pub configuration: Value,
    /// Its plan.
    pub plan: Rc<Plan>,
    /// What has no effect in it.
    pub warnings: Vec<crate::config::Warning>,
    /// Its clock, where it sets one.
    pub now: Option<UnixSeconds>,
    /// Its cases.
    pub cases: Vec<Case>,
}
