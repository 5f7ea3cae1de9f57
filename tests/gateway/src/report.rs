//! What was tried, and what came of it.

use std::fmt::Debug;

/// Prints each check as it is made, and counts those that fail.
#[derive(Default)]
pub struct Report {
    part: &'static str,
    findings: usize,
}

impl Report {
    /// A part begins.
    pub fn begin(&mut self, part: &'static str) {
        self.part = part;
        println!("{part}");
    }

    /// How many checks have failed.
    pub fn findings(&self) -> usize {
        self.findings
    }

    /// One check.
    pub fn check<T: PartialEq + Debug>(&mut self, what: &str, expected: T, actual: T) {
        if expected == actual {
            println!("ok      {}: {what}", self.part);
        } else {
            self.findings += 1;
            println!("FAILED  {}: {what}\n  expected {expected:?}\n  was      {actual:?}", self.part);
        }
    }

    /// One check of a text, mostly a long one, that must say something.
    pub fn says(&mut self, what: &str, part: &str, text: &str) {
        self.check(&format!("{what}, is said: {part}"), true, text.contains(part));
    }
}
