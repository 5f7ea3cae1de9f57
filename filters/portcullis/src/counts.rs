//! What one configuration has decided, counted here and handed to the proxy with a tick: a call to
//! it for each request would cost more than the request.

use crate::vm;
use portcullis::reason::Reason;
use portcullis::waiting::Wait;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Counters of a plugin.
#[derive(Debug)]
pub struct Counts {
    plugin: String,
    /// Decisions by their reason, and whether shadow mode forwarded what would be denied.
    decisions: RefCell<BTreeMap<(Reason, bool), u64>>,
    /// What the live table and a candidate made of a request.
    candidates: RefCell<BTreeMap<(&'static str, &'static str), u64>>,
    passed_by: Cell<u64>,
    /// How long requests have waited, in milliseconds, by what they waited for.
    waits: RefCell<BTreeMap<&'static str, Vec<u64>>>,
}

impl Counts {
    pub fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            decisions: RefCell::default(),
            candidates: RefCell::default(),
            passed_by: Cell::new(0),
            waits: RefCell::default(),
        }
    }

    /// Counts a decision, or what would have been denied.
    pub fn decision(&self, reason: Reason, shadowed: bool) {
        let mut all = self.decisions.borrow_mut();
        let count = all.entry((reason, shadowed)).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts what the live table and a candidate made of one request.
    pub fn candidate(&self, live: &'static str, candidate: &'static str) {
        let mut all = self.candidates.borrow_mut();
        let count = all.entry((live, candidate)).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts a request that is out of scope.
    pub fn passed_by(&self) {
        self.passed_by.set(self.passed_by.get().saturating_add(1));
    }

    /// Notes how long a request has waited for what its headers did not say.
    pub fn waited(&self, wait: Wait, milliseconds: u64) {
        let what = match wait {
            Wait::Body => "body",
            Wait::Keys(_) => "keys",
            Wait::Turn => return,
        };
        self.waits.borrow_mut().entry(what).or_default().push(milliseconds);
    }

    /// Hands what was counted to the proxy. The names follow the pattern that Istio turns into
    /// labels without configuration.
    pub fn flush(&self) {
        let plugin = &self.plugin;
        for ((reason, shadowed), count) in self.decisions.borrow_mut().iter_mut().filter(|(_, count)| **count > 0) {
            let metric = if *shadowed { "portcullis_shadow_denials" } else { "portcullis_decisions" };
            vm::add(&format!("wasm_filter.{plugin}.component.{}.{metric}", reason.code()), std::mem::take(count));
        }
        for ((live, candidate), count) in self.candidates.take() {
            vm::add(&format!("wasm_filter.{plugin}.component.{live}_{candidate}.portcullis_candidate"), count);
        }
        for (what, waits) in self.waits.borrow_mut().iter_mut().filter(|(_, waits)| !waits.is_empty()) {
            vm::record(&format!("wasm_filter.{plugin}.component.{what}.portcullis_wait_milliseconds"), waits.drain(..));
        }
        let passed_by = self.passed_by.take();
        if passed_by > 0 {
            vm::add(&format!("wasm_filter.{plugin}.component.scope.portcullis_passed_by"), passed_by);
        }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        self.flush();
    }
}
