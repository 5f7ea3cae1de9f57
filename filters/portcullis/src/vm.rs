//! What belongs to the VM and outlives a configuration: verified tokens and fetched keys, requests
//! that are parked, roots, metrics, and the count of the plans that are alive.

use crate::host::{self, MetricKind};
use crate::root::Armed;
use crate::stream::Core;
use portcullis::config::Plan;
use portcullis::judge::Memory;
use portcullis::waiting::{Waiting, WaitingRoom};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// How many bytes of configuration may be alive at once. Old plans live until their listeners have
/// drained, and a VM has 1 GiB; past this a new plan is not built, and everything is denied.
const BUDGET: usize = 64 * 1024 * 1024;

/// A request that waits for something that may never come.
pub type Parked = Waiting<Weak<RefCell<Core>>>;

/// What is known of one `issuers` section.
pub type SharedMemory = Rc<RefCell<Memory>>;

thread_local! {
    static MEMORIES: RefCell<BTreeMap<[u8; 32], Weak<RefCell<Memory>>>> = const { RefCell::new(BTreeMap::new()) };
    static PARKED: RefCell<WaitingRoom<Weak<RefCell<Core>>>> = const { RefCell::new(WaitingRoom::new()) };
    static METRICS: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
    static ROOTS: RefCell<BTreeMap<u32, Option<Rc<Armed>>>> = const { RefCell::new(BTreeMap::new()) };
    static SIGNATURES: [Cell<u64>; 2] = const { [Cell::new(0), Cell::new(0)] };
    static ALIVE: Cell<usize> = const { Cell::new(0) };
}

/// What is known of a plan's issuers: a new policy with the same issuers finds it again; where the
/// issuers have changed, those that stay keep their fetched keys.
pub fn memory(plan: &Plan) -> SharedMemory {
    MEMORIES.with(|all| {
        let mut all = all.borrow_mut();
        all.retain(|_, memory| memory.strong_count() > 0);
        if let Some(memory) = all.get(&plan.issuers_digest).and_then(Weak::upgrade) {
            return memory;
        }
        let mut memory = Memory::new(&plan.issuers);
        for other in all.values().filter_map(Weak::upgrade) {
            if let Ok(other) = other.try_borrow() {
                memory.keys.adopt(&other.keys);
            }
        }
        let memory = Rc::new(RefCell::new(memory));
        all.insert(plan.issuers_digest, Rc::downgrade(&memory));
        memory
    })
}

/// Takes note of a root; it has no plan, or none any more.
pub fn know_root(root: u32) {
    ROOTS.with(|all| all.borrow_mut().insert(root, None));
}

/// Gives a root its plan.
pub fn arm(root: u32, armed: Rc<Armed>) {
    ROOTS.with(|all| all.borrow_mut().insert(root, Some(armed)));
}

/// The plan of a root; `None` denies everything.
pub fn armed(root: u32) -> Option<Rc<Armed>> {
    ROOTS.with(|all| all.borrow().get(&root).cloned().flatten())
}

/// All roots.
pub fn roots() -> Vec<u32> {
    ROOTS.with(|all| all.borrow().keys().copied().collect())
}

/// Lets go of a root.
pub fn forget_root(root: u32) {
    ROOTS.with(|all| all.borrow_mut().remove(&root));
}

/// Parks a request, by its context; `false` where too many are parked.
pub fn park(context: u32, parked: Parked) -> bool {
    PARKED.with(|all| all.borrow_mut().enter(context, parked))
}

/// Takes a request off the list.
pub fn unpark(context: u32) {
    PARKED.with(|all| all.borrow_mut().leave(context));
}

/// Takes all requests off the list that `which` names.
pub fn unpark_all(which: impl Fn(&Parked) -> bool) -> Vec<(u32, Parked)> {
    PARKED.with(|all| all.borrow_mut().take(which))
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

/// Counts a fetch of keys.
pub fn count_fetch(plugin: &str, good: bool) {
    let outcome = if good { "good" } else { "failed" };
    add(&format!("wasm_filter.{plugin}.component.{outcome}.portcullis_key_fetches"), 1);
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
    report_memory();
    SIGNATURES.with(|[host, module]| {
        for (name, count) in [("host", host.take()), ("module", module.take())] {
            if count > 0 {
                add(&format!("wasm_filter.portcullis.component.{name}.portcullis_signature_checks"), count);
            }
        }
    });
}

/// Says how much memory the largest VM has. It never shrinks.
fn report_memory() {
    let size = host::memory_size();
    if let Some(id) = metric(MetricKind::Gauge, "wasm_filter.portcullis.component.vm.portcullis_memory_bytes".into())
        && host::get_metric(id).is_ok_and(|largest| largest < size)
    {
        let _failed = host::record_metric(id, size);
    }
}

/// Says whether a plugin denies everything because it has no plan.
pub fn set_denies_everything(plugin: &str, denies: bool) {
    let name = format!("wasm_filter.{plugin}.component.plan.portcullis_denies_everything");
    if let Some(id) = metric(MetricKind::Gauge, name) {
        let _failed = host::record_metric(id, u64::from(denies));
    }
}

/// Adds a value to a histogram.
pub fn record(name: &str, values: impl Iterator<Item = u64>) {
    if let Some(id) = metric(MetricKind::Histogram, name.to_owned()) {
        values.for_each(|value| {
            let _failed = host::record_metric(id, value);
        });
    }
}

/// Adds to a counter.
pub fn add(name: &str, count: u64) {
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
