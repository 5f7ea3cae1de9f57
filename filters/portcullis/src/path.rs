//! The request path: what the proxy calls for every request, without the crate between.
//!
//! The linker knows these functions as `path_*`; `portcullis-pack` gives them their public names,
//! `proxy_on_*`, in place of the crate's, and drops what a request need not enter the module for.
//! The end of a request is among that. A request that has been let go on leaves nothing behind; one
//! that waits or was refused is kept here until the proxy no longer knows it.
//!
//! ```text
//! context_create -> NEW --headers--> permitted: nothing is kept, and whatever follows goes on
//!                                \-> waits, or refused: KEPT --body, trailers, tick--> the same
//! ```
#![allow(unsafe_code)]

use crate::host::{self, HostError};
use crate::stream::Core;
use crate::vm;
use portcullis::reason::Reason;
use proxy_wasm::types::Action;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many requests may be kept; past this, further ones are refused.
const MAX_KEPT: usize = 64 * 1024;

thread_local! {
    /// The newest request, whose headers have mostly not come yet, and the root it belongs to.
    static NEW: Cell<Option<(u32, u32)>> = const { Cell::new(None) };
    /// Others that are not permitted, by their contexts.
    static KEPT: RefCell<BTreeMap<u32, Rc<RefCell<Core>>>> = const { RefCell::new(BTreeMap::new()) };
    /// When to look next for what the proxy no longer knows, in seconds since 1970.
    static NEXT_SWEEP: Cell<i64> = const { Cell::new(0) };
}

// The crate's own, which serve the roots.
unsafe extern "C" {
    safe fn proxy_on_context_create(context: u32, root: u32);
    safe fn proxy_on_tick(root: u32);
    safe fn proxy_on_delete(root: u32);
}

/// A root, or a request and the root it belongs to: which configuration it is judged by.
#[unsafe(no_mangle)]
extern "C" fn path_context_create(context: u32, root: u32) {
    if root == 0 {
        vm::know_root(context);
        return proxy_on_context_create(context, root);
    }
    if let Some((older, its_root)) = NEW.replace(Some((context, root))) {
        // One that finds no place has no configuration, and is refused when its headers come.
        let _full = keep(older, Core::new(vm::armed(its_root)));
    }
}

/// The headers of a request: most are decided here.
#[unsafe(no_mangle)]
extern "C" fn path_request_headers(context: u32, _count: u32, end: u32) -> Action {
    let mut core = match NEW.take() {
        Some((new, root)) if new == context => Core::new(vm::armed(root)),
        other => {
            NEW.set(other);
            let kept = KEPT.with(|all| all.borrow_mut().remove(&context)).and_then(Rc::into_inner);
            kept.map_or_else(|| Core::new(None), RefCell::into_inner)
        }
    };
    let action = core.headers(end != 0);
    if core.is_permitted() {
        return action;
    }
    match keep(context, core) {
        Ok(core) => core.borrow_mut().park(context, Rc::downgrade(&core), action),
        Err(mut core) => core.refuse(Reason::EdgeUnavailable),
    }
}

/// A part of a request's body.
#[unsafe(no_mangle)]
extern "C" fn path_request_body(context: u32, size: usize, end: u32) -> Action {
    follow(context, |core| core.borrow_mut().body(context, size, end != 0))
}

/// The trailers of a request.
#[unsafe(no_mangle)]
extern "C" fn path_request_trailers(context: u32, _count: u32) -> Action {
    follow(context, |core| core.borrow_mut().trailers(context, Rc::downgrade(core)))
}

/// Time for what need not be done at once; roots have theirs from the crate.
#[unsafe(no_mangle)]
extern "C" fn path_tick(root: u32) {
    sweep(root);
    proxy_on_tick(root);
}

/// What comes after the headers: of a request that was permitted, all of it goes on.
fn follow(context: u32, next: impl FnOnce(&Rc<RefCell<Core>>) -> Action) -> Action {
    if let Some((new, root)) = NEW.get().filter(|(new, _)| *new == context) {
        NEW.set(None);
        let _full = keep(new, Core::new(vm::armed(root)));
    }
    let Some(core) = KEPT.with(|all| all.borrow().get(&context).cloned()) else { return Action::Continue };
    let action = next(&core);
    if action == Action::Continue && core.borrow().is_permitted() {
        forget(context);
    }
    action
}

/// Keeps a request; gives it back where too many are kept.
fn keep(context: u32, core: Core) -> Result<Rc<RefCell<Core>>, Core> {
    KEPT.with(|all| {
        let mut all = all.borrow_mut();
        if all.len() >= MAX_KEPT {
            return Err(core);
        }
        let core = Rc::new(RefCell::new(core));
        all.insert(context, Rc::clone(&core));
        Ok(core)
    })
}

fn forget(context: u32) {
    vm::unpark(context);
    KEPT.with(|all| all.borrow_mut().remove(&context));
}

/// Frees what belongs to requests and roots that the proxy no longer knows. A proxy that does not
/// answer, or does not know the very root it calls, is not asked further.
fn sweep(root: u32) {
    let Ok(now) = host::now() else { return };
    if now < NEXT_SWEEP.get() || host::set_effective_context(root).is_err() {
        return;
    }
    NEXT_SWEEP.set(now.saturating_add(1));
    let gone = |context: &u32| host::set_effective_context(*context) == Err(HostError(host::BAD_ARGUMENT));
    let requests: Vec<u32> = KEPT.with(|all| all.borrow().keys().copied().filter(gone).collect());
    requests.into_iter().for_each(forget);
    for root in vm::roots().into_iter().filter(gone) {
        vm::forget_root(root);
        proxy_on_delete(root);
    }
    let _failed = host::set_effective_context(root);
}
