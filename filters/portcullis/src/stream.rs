//! One request, from its headers to the verdict; `path` has what the proxy calls.
//!
//! Nothing goes on without a permit: every way out that is not an allow answers the request, and
//! where even that fails, leaves it stopped.

use crate::host::{self, HostError, Level};
use crate::pairs::Pairs;
use crate::root::Armed;
use crate::signature::Native;
use crate::vm::{self, Parked};
use portcullis::authz::Principal;
use portcullis::config::Gate;
use portcullis::decision::Decision;
use portcullis::judge::{BodyStep, Pending, Step, Surroundings};
use portcullis::reason::Reason;
use portcullis::reply;
use portcullis::reply::forward::{self, Forward};
use portcullis::request::Request;
use portcullis::waiting::{KeysOf, Wait};
use proxy_wasm::types::Action;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// How long a held request may wait for the first part of its body, in seconds, as long as no body
/// has ever come. Without `allow_on_headers_stop_iteration` it would wait for ever.
const BODY_PATIENCE: i64 = 10;
/// How long a request may wait for its issuer's keys, in seconds; of the first, only a part.
const KEYS_PATIENCE: i64 = 6;

/// Filter state that the belt requires.
const BELT: &str = "portcullis_belt";

/// Where a request is.
#[derive(Debug)]
enum State {
    /// Its headers have not come.
    New,
    /// Its issuer's keys must be fetched.
    NeedsKeys(Unjudged),
    /// Its body decides.
    Waiting(Box<Waiting>),
    /// It goes on: it is permitted, or out of scope.
    Permitted,
    /// It has been answered.
    Refused,
}

/// A request that cannot be judged before keys have come.
#[derive(Clone, Copy, Debug)]
struct Unjudged {
    /// Whose keys it needs.
    keys: KeysOf,
    /// The `fetches` of [`Step::NeedsKeys`].
    waited: u64,
    /// Bytes of its body that the proxy has buffered meanwhile.
    buffered: usize,
    /// Whether that is all.
    end: bool,
}

/// A request whose body decides.
#[derive(Debug)]
struct Waiting {
    pending: Pending,
    gate: Gate,
    /// Bytes at the start of the proxy's buffer that the engine has had.
    fed: usize,
    /// What has come of the body, and how long it is said to be.
    seen: u64,
    length: Option<u64>,
    /// A part is held back (`stream`): nothing more goes on before the verdict.
    closed: bool,
}

/// A request; shared with the list of parked ones.
#[derive(Debug)]
pub struct Core {
    armed: Option<Rc<Armed>>,
    path: Vec<u8>,
    /// It is answered with a gRPC status.
    is_grpc: bool,
    state: State,
    /// Its headers are as they are forwarded; they may have gone on already.
    prepared: bool,
    /// Its headers went on from [`Core::keys_came`], and its body comes to the filter after them.
    resumed: bool,
    /// What it waits for, and since when, in milliseconds since 1970.
    waits: Option<(Wait, u64)>,
}

impl Core {
    /// A request of a configuration; without one it is refused.
    pub const fn new(armed: Option<Rc<Armed>>) -> Self {
        let state = State::New;
        Self { armed, path: Vec::new(), is_grpc: false, state, prepared: false, resumed: false, waits: None }
    }

    /// Whether nothing of it waits for a verdict any more, and it was let go on.
    pub const fn is_permitted(&self) -> bool {
        matches!(self.state, State::Permitted)
    }

    /// Judges its headers.
    pub fn headers(&mut self, end: bool) -> Action {
        self.guarded(|core, armed| core.judge(armed, end, None))
    }

    /// Judges with the plan; without one, or where the proxy refuses a call, the request is denied.
    fn guarded(&mut self, judge: impl FnOnce(&mut Self, &Rc<Armed>) -> Result<Action, HostError>) -> Action {
        let Some(armed) = self.armed.clone() else { return self.refuse(Reason::EdgeUnavailable) };
        judge(self, &armed).unwrap_or_else(|HostError(status)| {
            host::log(Level::Error, &format!("the proxy refused a call with status {status}: the request is denied"));
            self.refuse(Reason::EdgeUnavailable)
        })
    }

    /// It begins to wait, at this time in milliseconds since 1970, unless it waits for that already.
    fn wait_for(&mut self, wait: Wait, now: u64) {
        if self.waits.is_none_or(|(other, _)| other != wait) {
            self.waited();
            self.waits = Some((wait, now));
        }
    }

    /// It waits no longer: for how long it has is recorded.
    fn waited(&mut self) {
        let Some((wait, since)) = self.waits.take() else { return };
        if let (Some(armed), Ok(now)) = (&self.armed, host::milliseconds()) {
            armed.counts.waited(wait, now.saturating_sub(since));
        }
    }

    /// Parks a request that has just been stopped, if it may have to be given up.
    pub fn park(&mut self, context: u32, core: Weak<RefCell<Self>>, action: Action) -> Action {
        let Some((wait, patience)) = self.may_be_given_up() else { return action };
        let until = host::now().map(|now| now.saturating_add(patience));
        match until {
            Ok(until) if vm::park(context, Parked { request: core, wait, until }) => action,
            _ if matches!(wait, Wait::Keys(_)) => self.refuse(Reason::KeysUnavailable),
            _ => self.refuse(Reason::EdgeUnavailable),
        }
    }

    /// What a request waits for that may never come, and for how many seconds it may.
    fn may_be_given_up(&self) -> Option<(Wait, i64)> {
        match &self.state {
            State::NeedsKeys(Unjudged { keys, .. }) => Some((Wait::Keys(*keys), KEYS_PATIENCE)),
            State::Waiting(waiting) if waiting.gate == Gate::Hold && waiting.fed == 0 && !self.bodies_come() => {
                Some((Wait::Body, BODY_PATIENCE))
            }
            _ => None,
        }
    }

    fn bodies_come(&self) -> bool {
        self.armed.as_ref().is_some_and(|a| a.bodies_come.get())
    }

    fn judge(&mut self, armed: &Rc<Armed>, end: bool, waited: Option<u64>) -> Result<Action, HostError> {
        let pairs = host::request_headers()?;
        let head = Head::read(&pairs)?;
        if !covered(armed, &head)? {
            armed.counts.passed_by();
            self.state = State::Permitted;
            return Ok(Action::Continue);
        }
        let request = head.request();
        self.is_grpc = reply::is_grpc(&request);
        for name in request.headers.iter().map(|(name, _)| *name).filter(|name| forward::is_taken_off(name)) {
            host::remove_request_header(name)?;
        }
        let clock = host::milliseconds()?;
        let now = host::seconds(clock)?;
        let step = {
            let mut memory = armed.memory.borrow_mut();
            armed.plan.judge(&request, &mut Surroundings { now, signatures: &Native, memory: &mut memory, waited })
        };
        if !matches!(&step, Step::Decided(decision) if decision.is_allow()) {
            self.path = request.path.to_vec();
        }
        match step {
            Step::Decided(decision) => self.settle(&decision),
            Step::NeedsKeys { issuer, fetches: waited } => {
                let keys = armed.keys_of(issuer);
                self.wait_for(Wait::Keys(keys), clock);
                self.state = State::NeedsKeys(Unjudged { keys, waited, buffered: 0, end });
                Ok(Action::Pause)
            }
            // Over HTTP/2 the end can come after the headers of a request without a body; for a
            // cluster that hears that there is none, these are all of it.
            Step::NeedsBody(pending) if end || content_length(&request) == Some(0) => self.end_of_body(pending),
            Step::NeedsBody(pending) => {
                self.wait_for(Wait::Body, clock);
                let gate = armed.plan.gate;
                let length = content_length(&request);
                if gate == Gate::Stream {
                    self.prepare(armed, Some(pending.principal()))?;
                }
                self.state =
                    State::Waiting(Box::new(Waiting { pending, gate, fed: 0, seen: 0, length, closed: false }));
                match gate {
                    Gate::Hold => Ok(Action::Pause),
                    Gate::Stream => {
                        host::set_filter_state(BELT, armed.belt.pending.as_bytes())?;
                        Ok(Action::Continue)
                    }
                }
            }
        }
    }

    /// Takes a part of its body.
    pub fn body(&mut self, context: u32, size: usize, end: bool) -> Action {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Permitted => {
                self.state = State::Permitted;
                Action::Continue
            }
            State::Refused => Action::Pause,
            State::New => self.refuse(Reason::EdgeUnavailable),
            State::NeedsKeys(unjudged) => {
                self.state = State::NeedsKeys(Unjudged { buffered: size, end, ..unjudged });
                Action::Pause
            }
            State::Waiting(waiting) => {
                if waiting.gate == Gate::Hold && !self.bodies_come() {
                    self.armed.iter().for_each(|armed| armed.bodies_come.set(true));
                    vm::unpark(context);
                }
                self.guarded(|core, _| core.more(*waiting, size, end))
            }
        }
    }

    /// Judges a parked request again, now that keys have come. It must be the effective context.
    pub fn keys_came(&mut self, context: u32, parked: Parked) {
        let State::NeedsKeys(Unjudged { waited, buffered, end, .. }) = self.state else { return };
        let mut action = self.guarded(|core, armed| core.judge(armed, end && buffered == 0, Some(waited)));
        match std::mem::replace(&mut self.state, State::Refused) {
            // That fetch had begun before the request came.
            State::NeedsKeys(again) => {
                self.state = State::NeedsKeys(Unjudged { buffered, end, ..again });
                if !vm::park(context, parked) {
                    self.refuse(Reason::KeysUnavailable);
                }
                return;
            }
            State::Waiting(mut waiting) if buffered > 0 => {
                // What has been buffered cannot be let go on in parts.
                waiting.gate = Gate::Hold;
                action = self.guarded(|core, _| core.more(*waiting, buffered, end));
            }
            state => self.state = state,
        }
        if action == Action::Pause {
            self.park(context, parked.request, action);
        } else {
            self.resumed = buffered == 0;
            self.go_on();
        }
    }

    /// Lets a request that was stopped go on. It must be the effective context.
    pub fn go_on(&mut self) {
        if host::resume().is_err() {
            self.refuse(Reason::EdgeUnavailable);
        }
    }

    /// Gives the engine what is new of the body.
    fn more(&mut self, mut waiting: Waiting, size: usize, end: bool) -> Result<Action, HostError> {
        let chunk = host::request_body(waiting.fed, size.saturating_sub(waiting.fed))?;
        waiting.seen = waiting.seen.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let pending = match waiting.pending.push(&chunk, end) {
            BodyStep::Decided(decision) => return self.settle(&decision),
            BodyStep::More(pending) => pending,
        };
        // The cluster could act on a closed object, or on as many bytes as were announced.
        waiting.closed =
            waiting.closed || pending.is_closed() || waiting.length.is_some_and(|length| waiting.seen >= length);
        let hold = waiting.gate == Gate::Hold || waiting.closed;
        waiting.fed = if hold { size } else { 0 };
        waiting.pending = pending;
        self.state = State::Waiting(Box::new(waiting));
        Ok(if hold { Action::Pause } else { Action::Continue })
    }

    /// Trailers end a body, too.
    pub fn trailers(&mut self, context: u32, core: Weak<RefCell<Self>>) -> Action {
        let held = matches!(&self.state, State::Waiting(waiting) if waiting.fed > 0);
        let action = self.end_by_trailers();
        // Where both body and trailers have waited in a host that stops everything with the
        // headers, Envoy lets all go on in one call, and in it loses a body that was held once
        // more: so it goes on in a call of its own.
        match action {
            Action::Continue if held && self.resumed => {
                if vm::park(context, Parked { request: core, wait: Wait::Turn, until: 0 }) {
                    Action::Pause
                } else {
                    self.refuse(Reason::EdgeUnavailable)
                }
            }
            action => action,
        }
    }

    fn end_by_trailers(&mut self) -> Action {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Permitted => {
                self.state = State::Permitted;
                Action::Continue
            }
            State::NeedsKeys(unjudged) => {
                self.state = State::NeedsKeys(Unjudged { end: true, ..unjudged });
                Action::Pause
            }
            State::Waiting(waiting) => self.guarded(|core, _| core.end_of_body(waiting.pending)),
            State::Refused => Action::Pause,
            State::New => self.refuse(Reason::EdgeUnavailable),
        }
    }

    /// Settles a request whose body ends without another part.
    fn end_of_body(&mut self, pending: Pending) -> Result<Action, HostError> {
        match pending.push(&[], true) {
            BodyStep::Decided(decision) => self.settle(&decision),
            BodyStep::More(pending) => self.settle(&pending.refuse(Reason::BodyUnreadable)),
        }
    }

    fn settle(&mut self, decision: &Decision) -> Result<Action, HostError> {
        self.waited();
        let Some(armed) = self.armed.clone() else { return Ok(self.refuse(Reason::EdgeUnavailable)) };
        if let Some((live, candidate)) = decision.compared() {
            armed.counts.candidate(live, candidate);
        }
        let shadowed = !decision.is_allow() && armed.plan.shadows(host::now()?);
        armed.log(decision, shadowed)?;
        if !decision.is_allow() && !shadowed {
            return Ok(self.refuse(decision.reason()));
        }
        self.prepare(&armed, decision.principal.as_deref())?;
        host::set_filter_state(BELT, if shadowed { &armed.belt.shadow } else { &armed.belt.allow }.as_bytes())?;
        armed.counts.decision(decision.reason(), shadowed);
        self.state = State::Permitted;
        Ok(Action::Continue)
    }

    /// Makes the headers those that are forwarded, once.
    fn prepare(&mut self, armed: &Armed, principal: Option<&Principal>) -> Result<(), HostError> {
        let plan = &armed.plan;
        if self.prepared || plan.forward == Forward::default() {
            return Ok(());
        }
        let pairs = host::request_headers()?;
        let head = Head::read(&pairs)?;
        let changes = forward::changes(&head.request(), &plan.credentials, plan.forward, principal);
        changes.remove.iter().try_for_each(|name| host::remove_request_header(name))?;
        changes.set.iter().try_for_each(|(name, value)| host::set_request_header(name, value))?;
        self.prepared = true;
        Ok(())
    }

    /// Refuses a request that still waits. It must be the effective context.
    pub fn give_up(&mut self, reason: Reason) {
        let action = match std::mem::replace(&mut self.state, State::Refused) {
            State::Waiting(waiting) => self.guarded(|core, _| core.settle(&waiting.pending.refuse(reason))),
            State::NeedsKeys(_) => self.guarded(|core, armed| {
                let pairs = host::request_headers()?;
                core.settle(&armed.plan.without_keys(&Head::read(&pairs)?.request()))
            }),
            state => {
                self.state = state;
                return;
            }
        };
        // In shadow mode even this goes on.
        if action == Action::Continue {
            self.go_on();
        }
    }

    /// Answers it. It must be the effective context.
    pub fn refuse(&mut self, reason: Reason) -> Action {
        self.waited();
        self.state = State::Refused;
        let explain = self.armed.as_ref().is_some_and(|a| a.plan.explain_header);
        if let Some(armed) = &self.armed {
            armed.counts.decision(reason, false);
        }
        let answer =
            if self.is_grpc { reply::refuse_call(reason, explain) } else { reply::refuse(reason, &self.path, explain) };
        if host::reply(answer.status, reason.code(), &answer.headers, &answer.body, answer.grpc_status).is_err() {
            let _failed = host::close();
        }
        Action::Pause
    }
}

/// The head of a request, taken apart.
struct Head<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authority: Option<&'a [u8]>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Head<'a> {
    fn read(pairs: &'a Pairs) -> Result<Self, HostError> {
        let headers = Vec::with_capacity(pairs.count());
        let mut head = Self { method: &[], path: &[], authority: None, headers };
        pairs.read(|name, value| match name {
            b":method" => head.method = value,
            b":path" => head.path = value,
            b":authority" => head.authority = Some(value),
            [b':', ..] => {}
            name => head.headers.push((name, value)),
        })?;
        Ok(head)
    }

    fn request(&self) -> Request<'_> {
        Request { method: self.method, path: self.path, headers: &self.headers }
    }
}

/// Whether a request is in scope. What cannot be found out is an error, and the request is denied.
fn covered(armed: &Armed, head: &Head<'_>) -> Result<bool, HostError> {
    let Some(scope) = &armed.plan.scope else { return Ok(true) };
    let cluster = if scope.asks_for_cluster() { host::cluster_name()? } else { None };
    Ok(scope.covers(cluster.as_deref(), head.authority))
}

fn content_length(request: &Request<'_>) -> Option<u64> {
    let value = request.single_header(b"content-length").ok().flatten()?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}
