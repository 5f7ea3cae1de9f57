//! The readable source: a policy as the cluster exports it, made into a table.

mod collect;
mod decode;
mod facts;
mod source;
mod stream;
mod write;

use crate::printable::Printable;
pub use collect::Collector;
pub use decode::decode;
pub use source::{Authorization, Group, Policy, Role, Rule, Tenant};
use std::fmt;

/// Why a policy cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyError {
    /// Where, such as `authorizations[3].resourceId`.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Printable(&self.path), Printable(&self.reason))
    }
}

impl std::error::Error for PolicyError {}

/// Something in a policy that can grant nothing, as in the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// Where.
    pub path: String,
    /// What.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return Printable(&self.reason).fmt(f);
        }
        write!(f, "{}: {}", Printable(&self.path), Printable(&self.reason))
    }
}

/// Makes a table of a policy: its bytes, and what in the policy grants nothing. `built` is when, in
/// seconds since 1970, or 0 where the table shall not say.
///
/// # Errors
/// Something could be read in two ways, or not at all. What can only grant nothing is a warning.
pub fn compile(policy: &Policy, built: u64) -> Result<(Vec<u8>, Vec<Warning>), PolicyError> {
    let mut collector = Collector::default();
    collector.policy(policy)?;
    Ok(collector.table(built))
}

impl Collector {
    /// The table of all that was taken, and what in it grants nothing.
    #[must_use]
    pub fn table(self, built: u64) -> (Vec<u8>, Vec<Warning>) {
        let (facts, warnings) = self.finish();
        (write::table(&facts, built), warnings)
    }
}
