//! One plugin configuration.
//!
//! `on_configure` must answer alike on every thread: where the proxy's canary accepts a
//! configuration and a worker refuses it, Envoy drops the filter and lets everything through. So
//! only what the bytes themselves say is refused; whatever else goes wrong is accepted, and then
//! everything is denied.

use crate::host::{self, Level};
use crate::stream::{Held, Stream};
use crate::vm::{self, Share};
use portcullis::config::{self, Plan};
use portcullis::judge::Tokens;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How often counters are handed over and held requests looked after, in milliseconds.
const TICK: u32 = 100;

/// A plan with what it needs to judge.
#[derive(Debug)]
pub struct Armed {
    pub plan: Rc<Plan>,
    pub name: Rc<str>,
    pub tokens: Rc<RefCell<Tokens>>,
    /// A body has come to a held request: the proxy is set up for that, and no request need be
    /// given up for want of one.
    pub bodies_come: Cell<bool>,
    _share: Share,
}

/// Requests that are held back until their body has come, by context.
pub type HeldStreams = Rc<RefCell<BTreeMap<u32, Held>>>;

/// The root context of a configuration.
pub struct Root {
    id: u32,
    /// `None` denies everything.
    armed: Option<Rc<Armed>>,
    held: HeldStreams,
}

impl Root {
    pub fn new(id: u32) -> Self {
        Self { id, armed: None, held: HeldStreams::default() }
    }

    fn arm(&mut self, plan: Plan, bytes: usize) {
        let name: Rc<str> = plan.name.as_str().into();
        vm::set_denies_everything(&name, false);
        let Some(share) = Share::take(bytes) else {
            host::log(
                Level::Error,
                "too much configuration is alive in this VM: everything is denied until old listeners have drained",
            );
            vm::set_denies_everything(&name, true);
            return;
        };
        let tokens = vm::tokens(plan.issuers_digest);
        self.armed =
            Some(Rc::new(Armed { plan: Rc::new(plan), name, tokens, bodies_come: Cell::new(false), _share: share }));
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
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
                    self.armed = None;
                }
                true
            }
            Err(error) => {
                host::log(Level::Error, &format!("configuration refused: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        vm::flush();
        let Ok(now) = host::now() else { return };
        let overdue = |held: &BTreeMap<u32, Held>| held.iter().find(|(_, h)| h.is_overdue(now)).map(|(id, _)| *id);
        loop {
            let Some(id) = overdue(&self.held.borrow()) else {
                break;
            };
            let Some(held) = self.held.borrow_mut().remove(&id) else {
                break;
            };
            if host::set_effective_context(id).is_ok() {
                held.give_up();
            }
        }
        let _failed = host::set_effective_context(self.id);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, self.armed.clone(), Rc::clone(&self.held))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
