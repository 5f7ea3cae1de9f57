//! What belongs to the VM and outlives a configuration: verified tokens, metrics, and the count of
//! the plans that are alive.

use crate::host::{self, MetricKind};
use portcullis::judge::Tokens;
use portcullis::reason::Reason;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// How many bytes of configuration may be alive at once. Old plans live until their listeners have
/// drained, and a VM has 1 GiB; past this a new plan is not built, and everything is denied.
const BUDGET: usize = 64 * 1024 * 1024;

/// Tokens verified with the keys of one `issuers` section.
type Shared = Rc<RefCell<Tokens>>;

thread_local! {
    static TOKENS: RefCell<BTreeMap<[u8; 32], Weak<RefCell<Tokens>>>> = const { RefCell::new(BTreeMap::new()) };
    static METRICS: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
    static DECISIONS: RefCell<BTreeMap<(Rc<str>, Reason), u64>> = const { RefCell::new(BTreeMap::new()) };
    static SIGNATURES: [Cell<u64>; 2] = const { [Cell::new(0), Cell::new(0)] };
    static ALIVE: Cell<usize> = const { Cell::new(0) };
}

/// The tokens that go with the digest of an `issuers` section: a new policy keeps them.
pub fn tokens(issuers: [u8; 32]) -> Shared {
    TOKENS.with(|all| {
        let mut all = all.borrow_mut();
        all.retain(|_, tokens| tokens.strong_count() > 0);
        if let Some(tokens) = all.get(&issuers).and_then(Weak::upgrade) {
            return tokens;
        }
        let tokens = Shared::default();
        all.insert(issuers, Rc::downgrade(&tokens));
        tokens
    })
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share(usize);

impl Share {
    /// Takes a share; `None` where the budget is spent.
    pub fn take(bytes: usize) -> Option<Self> {
        ALIVE.with(|alive| {
            let total = alive.get().checked_add(bytes).filter(|total| *total <= BUDGET)?;
            alive.set(total);
            Some(Self(bytes))
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        ALIVE.with(|alive| alive.set(alive.get().saturating_sub(self.0)));
    }
}

/// Who checked a signature.
#[derive(Clone, Copy, Debug)]
pub enum Checker {
    /// The proxy.
    Host,
    /// The module.
    Module,
}

/// Counts a decision; the tick hands it to the proxy.
pub fn count_decision(plugin: &Rc<str>, reason: Reason) {
    DECISIONS.with(|all| {
        let mut all = all.borrow_mut();
        let count = all.entry((Rc::clone(plugin), reason)).or_default();
        *count = count.saturating_add(1);
    });
}

/// Counts a signature check.
pub fn count_signature(checker: Checker) {
    SIGNATURES.with(|[host, module]| {
        let count = match checker {
            Checker::Host => host,
            Checker::Module => module,
        };
        count.set(count.get().saturating_add(1));
    });
}

/// Hands what was counted to the proxy. The names follow the pattern that Istio turns into labels
/// without configuration.
pub fn flush() {
    for ((plugin, reason), count) in DECISIONS.with(RefCell::take) {
        add(&format!("wasm_filter.{plugin}.component.{}.portcullis_decisions", reason.code()), count);
    }
    SIGNATURES.with(|[host, module]| {
        for (name, count) in [("host", host.take()), ("module", module.take())] {
            if count > 0 {
                add(&format!("wasm_filter.portcullis.component.{name}.portcullis_signature_checks"), count);
            }
        }
    });
}

/// Says whether a plugin denies everything because it has no plan.
pub fn set_denies_everything(plugin: &str, denies: bool) {
    let name = format!("wasm_filter.{plugin}.component.plan.portcullis_denies_everything");
    if let Some(id) = metric(MetricKind::Gauge, name) {
        let _failed = host::record_metric(id, u64::from(denies));
    }
}

fn add(name: &str, count: u64) {
    if let Some(id) = metric(MetricKind::Counter, name.to_owned()) {
        let _failed = host::increment_metric(id, count);
    }
}

/// The number of a metric, defined once per VM. Metrics are for people: where the proxy refuses
/// one, requests are judged all the same.
fn metric(kind: MetricKind, name: String) -> Option<u32> {
    METRICS.with(|all| {
        let mut all = all.borrow_mut();
        if let Some(id) = all.get(&name) {
            return Some(*id);
        }
        let id = host::define_metric(kind, &name).ok()?;
        all.insert(name, id);
        Some(id)
    })
}
