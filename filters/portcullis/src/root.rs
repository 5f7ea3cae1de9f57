//! One plugin configuration.
//!
//! `on_configure` must answer alike on every thread: where the proxy's canary accepts a
//! configuration and a worker refuses it, Envoy drops the filter and lets everything through. So
//! only what the bytes themselves say is refused; whatever else goes wrong is accepted, and then
//! everything is denied.

use crate::counts::Counts;
use crate::host::{self, HostError, Level};
use crate::vm::{self, Share, SharedMemory};
use portcullis::authn::keys::remote::{Fetch, MAX_ANSWER, Received};
use portcullis::config::{self, ConfigError, Plan};
use portcullis::decision::Decision;
use portcullis::decision::log::Sampler;
use portcullis::reason::Reason;
use portcullis::waiting::{KeysOf, Wait};
use proxy_wasm::hostcalls::dispatch_http_call;
use proxy_wasm::traits::{Context, RootContext};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How often counters are handed over, keys fetched where they are due, and parked requests looked
/// after, in milliseconds.
const TICK: u32 = 100;
/// Filter state for access logs.
const LOG: &str = "portcullis_log";

/// A plan with what it needs to judge.
#[derive(Debug)]
pub struct Armed {
    pub plan: Rc<Plan>,
    /// What the belt is told.
    pub belt: Belt,
    pub counts: Counts,
    pub memory: SharedMemory,
    /// A body has come to a held request: the proxy is set up for that, and no request need be
    /// given up for want of one.
    pub bodies_come: Cell<bool>,
    sampler: Sampler,
    _share: Share,
}

impl Armed {
    /// An issuer, for whoever waits for its keys: plans with the same issuers share what is known of
    /// them.
    pub fn keys_of(&self, issuer: usize) -> KeysOf {
        KeysOf { issuers: Rc::as_ptr(&self.memory).addr(), issuer }
    }

    /// Writes a decision where the configuration wants it.
    pub fn log(&self, decision: &Decision, shadowed: bool) -> Result<(), HostError> {
        let rules = &self.plan.log;
        let line = self.sampler.picks(decision, rules);
        if !line && !rules.filter_state {
            return Ok(());
        }
        let text = decision.log(shadowed, rules.principals).to_string();
        if line {
            host::log(Level::Info, &format!("decision {} {text}", self.plan.name));
        }
        if rules.filter_state { host::set_filter_state(LOG, text.as_bytes()) } else { Ok(()) }
    }
}

/// The values of the filter state that the belt requires, ready to be set.
#[derive(Debug)]
pub struct Belt {
    pub allow: String,
    pub pending: String,
    pub shadow: String,
}

impl Belt {
    fn new(name: &str) -> Self {
        let value = |verdict| format!("{name}:{verdict}");
        Self { allow: value("allow"), pending: value("pending"), shadow: value("shadow") }
    }
}

/// The root context of a configuration.
pub struct Root {
    id: u32,
    /// `None` denies everything.
    armed: Option<Rc<Armed>>,
    /// Calls under way, by their tokens: for which issuer.
    calls: BTreeMap<u32, usize>,
}

impl Root {
    pub fn new(id: u32) -> Self {
        Self { id, armed: None, calls: BTreeMap::new() }
    }

    fn arm(&mut self, plan: Plan, bytes: usize) {
        vm::set_denies_everything(&plan.name, false);
        let Some(share) = Share::take(bytes) else {
            host::log(
                Level::Error,
                "too much configuration is alive in this VM: everything is denied until old listeners have drained",
            );
            vm::set_denies_everything(&plan.name, true);
            return;
        };
        let memory = vm::memory(&plan);
        let bodies_come = Cell::new(false);
        let (belt, counts) = (Belt::new(&plan.name), Counts::new(&plan.name));
        let (plan, sampler) = (Rc::new(plan), Sampler::default());
        let armed = Rc::new(Armed { plan, belt, counts, memory, bodies_come, sampler, _share: share });
        vm::arm(self.id, Rc::clone(&armed));
        self.armed = Some(armed);
    }

    /// Fetches the keys that are due.
    fn fetch(&mut self, now: i64) {
        let Some(armed) = self.armed.clone() else { return };
        let due = armed.memory.borrow_mut().keys.due(now);
        for fetch in due {
            let issuer = fetch.issuer;
            match call(&fetch) {
                Some(token) => {
                    self.calls.insert(token, issuer);
                }
                None => {
                    let received = armed.memory.borrow_mut().receive(issuer, None, now, chance());
                    report(&armed, &fetch.cluster, &received, None);
                }
            }
        }
    }
}

/// Sends a request for keys; `None` where the proxy does not, as for an unknown cluster.
fn call(fetch: &Fetch) -> Option<u32> {
    let headers = vec![
        (":method", "GET"),
        (":scheme", &*fetch.uri.scheme),
        (":authority", &*fetch.uri.authority),
        (":path", &*fetch.uri.path),
        ("accept", "application/json"),
    ];
    let timeout = Duration::from_millis(fetch.timeout.into());
    dispatch_http_call(&fetch.cluster, headers, None, Vec::new(), timeout).ok()
}

/// A number that differs between workers: the low digits of the clock.
fn chance() -> u32 {
    host::nanoseconds().map_or(0, |n| u32::try_from(n.checked_rem(1_000_003).unwrap_or(0)).unwrap_or(0))
}

/// Says why a configuration cannot be used: the proxy keeps the one before.
fn refuse(error: &ConfigError) -> bool {
    host::log(Level::Error, &format!("configuration refused: {error}"));
    false
}

fn report(armed: &Armed, cluster: &str, received: &Received, status: Option<u16>) {
    match received {
        Received::Metadata => {}
        Received::Keys { changed, skipped } => {
            vm::count_fetch(&armed.plan.name, true);
            for key in skipped.iter().filter(|_| *changed) {
                host::log(
                    Level::Info,
                    &format!("keys[{}] of cluster {cluster} is not used: {}", key.index, key.reason),
                );
            }
        }
        Received::Failed(reason) => {
            vm::count_fetch(&armed.plan.name, false);
            let status = status.map_or(String::new(), |status| format!(" (status {status})"));
            host::log(Level::Warn, &format!("no keys from cluster {cluster}: {reason}{status}"));
        }
    }
}

impl Drop for Root {
    /// Calls under way end with their root, without an answer: whoever shares the memory may make
    /// them again.
    fn drop(&mut self) {
        if let Some(armed) = &self.armed {
            let mut memory = armed.memory.borrow_mut();
            self.calls.values().for_each(|issuer| memory.keys.lose(*issuer));
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        let (Some(issuer), Some(armed)) = (self.calls.remove(&token), self.armed.clone()) else { return };
        let Ok(now) = host::now() else { return };
        // A longer body is not copied: one byte too many is enough to refuse it.
        let content = host::call_response_body(body.min(MAX_ANSWER.saturating_add(1)));
        let answer = match (host::call_response_status(), &content) {
            (Some(status), Ok(content)) if headers > 0 => Some((status, &**content)),
            _ => None,
        };
        let received = armed.memory.borrow_mut().receive(issuer, answer, now, chance());
        let cluster = armed.plan.issuers.iter().nth(issuer).and_then(|i| i.remote.as_ref()).map_or("", |r| &*r.cluster);
        report(&armed, cluster, &received, answer.map(|(status, _)| status));
        self.fetch(now);
        if matches!(received, Received::Keys { .. }) {
            let keys = armed.keys_of(issuer);
            for (context, parked) in vm::unpark_all(|p| p.wait == Wait::Keys(keys)) {
                if let (Some(core), Ok(())) = (parked.request.upgrade(), host::set_effective_context(context)) {
                    core.borrow_mut().keys_came(context, parked);
                }
            }
            let _failed = host::set_effective_context(self.id);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        // What is too long is not even copied.
        if let Err(error) = config::check_length(size) {
            return refuse(&error);
        }
        let Ok(bytes) = host::plugin_configuration() else {
            host::log(Level::Error, "the configuration cannot be read from the proxy: everything is denied");
            vm::set_denies_everything("unknown", true);
            return true;
        };
        match config::read(&bytes) {
            Ok((plan, warnings)) => {
                warnings.iter().for_each(|warning| host::log(Level::Warn, &warning.to_string()));
                self.arm(plan, bytes.len());
                if host::set_tick_period(TICK).is_err() {
                    host::log(Level::Error, "the proxy gives no ticks: everything is denied");
                    vm::know_root(self.id);
                    self.armed = None;
                }
                true
            }
            Err(error) => refuse(&error),
        }
    }

    fn on_tick(&mut self) {
        if let Some(armed) = &self.armed {
            armed.counts.flush();
        }
        vm::flush();
        let Ok(now) = host::now() else { return };
        if let Some(armed) = &self.armed {
            armed.memory.borrow_mut().age(now);
        }
        self.fetch(now);
        for (context, parked) in vm::unpark_all(|p| now >= p.until) {
            if let (Some(core), Ok(())) = (parked.request.upgrade(), host::set_effective_context(context)) {
                match parked.wait {
                    Wait::Body => core.borrow_mut().give_up(Reason::BodyWithheld),
                    Wait::Keys(_) => core.borrow_mut().give_up(Reason::KeysUnavailable),
                    Wait::Turn => core.borrow_mut().go_on(),
                }
            }
        }
        let _failed = host::set_effective_context(self.id);
    }
}
