//! One request, from its headers to the verdict.
//!
//! Nothing goes on without a permit: every way out that is not an allow answers the request, and
//! where even that fails, leaves it stopped.

use crate::host::{self, HostError, Level};
use crate::root::{Armed, HeldStreams};
use crate::signature::Native;
use portcullis::config::Gate;
use portcullis::decision::Decision;
use portcullis::judge::{Pending, Step, Surroundings};
use portcullis::reason::Reason;
use portcullis::reply;
use portcullis::request::Request;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// How long a held request may wait for the first part of its body, in seconds, as long as no body
/// has ever come. Without `allow_on_headers_stop_iteration` it would wait for ever.
const PATIENCE: i64 = 10;

/// Filter state that the belt requires.
const BELT: &str = "portcullis_belt";
/// Filter state for access logs.
const LOG: &str = "portcullis_log";

/// Where a request is.
enum State {
    /// Its headers have not come.
    New,
    /// Its body decides.
    Waiting(Box<Waiting>),
    /// It goes on.
    Permitted,
    /// It has been answered.
    Refused,
}

/// A request whose body decides.
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

/// What a stream and the list of held ones share.
struct Core {
    armed: Option<Rc<Armed>>,
    path: Vec<u8>,
    state: State,
}

/// The context of a request.
pub struct Stream {
    id: u32,
    core: Rc<RefCell<Core>>,
    held: HeldStreams,
}

/// A request that is held and has not seen any of its body.
pub struct Held {
    since: i64,
    core: Weak<RefCell<Core>>,
}

impl Held {
    /// Whether it has waited long enough.
    pub fn is_overdue(&self, now: i64) -> bool {
        now.saturating_sub(self.since) >= PATIENCE
    }

    /// Answers it. It must be the effective context.
    pub fn give_up(self) {
        if let Some(core) = self.core.upgrade() {
            core.borrow_mut().give_up(Reason::BodyWithheld);
        }
    }
}

impl Stream {
    pub fn new(id: u32, armed: Option<Rc<Armed>>, held: HeldStreams) -> Self {
        Self { id, core: Rc::new(RefCell::new(Core { armed, path: Vec::new(), state: State::New })), held }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.held.borrow_mut().remove(&self.id);
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        let mut core = self.core.borrow_mut();
        let action = core.headers(end);
        if let (State::Waiting(waiting), Ok(since)) = (&core.state, host::now())
            && waiting.gate == Gate::Hold
            && !core.armed.as_ref().is_some_and(|a| a.bodies_come.get())
        {
            self.held.borrow_mut().insert(self.id, Held { since, core: Rc::downgrade(&self.core) });
        }
        action
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let mut core = self.core.borrow_mut();
        if let (State::Waiting(waiting), Some(armed)) = (&core.state, &core.armed)
            && waiting.gate == Gate::Hold
            && !armed.bodies_come.replace(true)
        {
            self.held.borrow_mut().clear();
        }
        core.body(size, end)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.core.borrow_mut().trailers()
    }
}

impl Core {
    fn headers(&mut self, end: bool) -> Action {
        let Some(armed) = self.armed.clone() else {
            return self.refuse(Reason::EdgeUnavailable);
        };
        match self.judge(&armed, end) {
            Ok(action) => action,
            Err(HostError(status)) => {
                host::log(
                    Level::Error,
                    &format!("the proxy refused a call with status {status}: the request is denied"),
                );
                self.refuse(Reason::EdgeUnavailable)
            }
        }
    }

    fn judge(&mut self, armed: &Rc<Armed>, end: bool) -> Result<Action, HostError> {
        let pairs = host::request_headers()?;
        let pairs = pairs.read()?;
        let pseudo = |name: &[u8]| pairs.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, v)| *v);
        let headers: Vec<(&[u8], &[u8])> = pairs.iter().copied().filter(|(n, _)| !n.starts_with(b":")).collect();
        let request = Request { method: pseudo(b":method"), path: pseudo(b":path"), headers: &headers };
        self.path = request.path.to_vec();
        for name in headers.iter().map(|(name, _)| *name).filter(|name| is_ours(name)) {
            host::remove_request_header(name)?;
        }
        let mut tokens = armed.tokens.borrow_mut();
        let mut around = Surroundings { now: host::now()?, signatures: &Native, tokens: &mut tokens };
        match armed.plan.judge(&request, &mut around) {
            Step::Decided(decision) => self.settle(&decision),
            Step::NeedsBody(pending) if end => self.advance_decided(pending.push(&[], true)),
            Step::NeedsBody(pending) => {
                let gate = armed.plan.gate;
                let length = content_length(&request);
                self.state =
                    State::Waiting(Box::new(Waiting { pending, gate, fed: 0, seen: 0, length, closed: false }));
                match gate {
                    Gate::Hold => Ok(Action::Pause),
                    Gate::Stream => {
                        host::set_filter_state(BELT, format!("{}:pending", armed.name).as_bytes())?;
                        Ok(Action::Continue)
                    }
                }
            }
        }
    }

    fn body(&mut self, size: usize, end: bool) -> Action {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Permitted => {
                self.state = State::Permitted;
                Action::Continue
            }
            State::Refused => Action::Pause,
            State::New => self.refuse(Reason::EdgeUnavailable),
            State::Waiting(waiting) => {
                self.more(*waiting, size, end).unwrap_or_else(|_| self.refuse(Reason::EdgeUnavailable))
            }
        }
    }

    /// Gives the engine what is new of the body.
    fn more(&mut self, mut waiting: Waiting, size: usize, end: bool) -> Result<Action, HostError> {
        let chunk = host::request_body(waiting.fed, size.saturating_sub(waiting.fed))?;
        waiting.seen = waiting.seen.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let pending = match waiting.pending.push(&chunk, end) {
            Step::Decided(decision) => return self.settle(&decision),
            Step::NeedsBody(pending) => pending,
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
    fn trailers(&mut self) -> Action {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Permitted => {
                self.state = State::Permitted;
                Action::Continue
            }
            State::Waiting(waiting) => self
                .advance_decided(waiting.pending.push(&[], true))
                .unwrap_or_else(|_| self.refuse(Reason::EdgeUnavailable)),
            State::Refused => Action::Pause,
            State::New => self.refuse(Reason::EdgeUnavailable),
        }
    }

    /// Settles a step that cannot ask for more.
    fn advance_decided(&mut self, step: Step) -> Result<Action, HostError> {
        match step {
            Step::Decided(decision) => self.settle(&decision),
            Step::NeedsBody(pending) => self.settle(&pending.refuse(Reason::BodyUnreadable)),
        }
    }

    fn settle(&mut self, decision: &Decision) -> Result<Action, HostError> {
        let Some(armed) = self.armed.clone() else {
            return Ok(self.refuse(Reason::EdgeUnavailable));
        };
        if armed.plan.log_to_filter_state {
            host::set_filter_state(LOG, decision.explain().to_string().as_bytes())?;
        }
        if !decision.is_allow() {
            return Ok(self.refuse(decision.reason()));
        }
        host::set_filter_state(BELT, format!("{}:allow", armed.name).as_bytes())?;
        crate::vm::count_decision(&armed.name, decision.reason());
        self.state = State::Permitted;
        Ok(Action::Continue)
    }

    /// Refuses a request that still waits.
    fn give_up(&mut self, reason: Reason) {
        if let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::Refused) {
            let decision = waiting.pending.refuse(reason);
            if self.settle(&decision).is_err() {
                self.refuse(Reason::EdgeUnavailable);
            }
        }
    }

    fn refuse(&mut self, reason: Reason) -> Action {
        self.state = State::Refused;
        let explain = self.armed.as_ref().is_some_and(|a| a.plan.explain_header);
        if let Some(armed) = &self.armed {
            crate::vm::count_decision(&armed.name, reason);
        }
        let answer = reply::refuse(reason, &self.path, explain);
        let headers: Vec<(&str, &str)> = answer.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        if host::reply(answer.status, reason.code(), &headers, &answer.body, answer.grpc_status).is_err() {
            let _failed = host::close();
        }
        Action::Pause
    }
}

/// Headers that only this filter may set, also as readers that take `_` for `-` would see them.
fn is_ours(name: &[u8]) -> bool {
    let prefix = b"x-portcullis-";
    name.get(..prefix.len()).is_some_and(|head| {
        head.iter().map(|b| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() }).eq(prefix.iter().copied())
    })
}

fn content_length(request: &Request<'_>) -> Option<u64> {
    let value = request.single_header(b"content-length").ok().flatten()?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}
