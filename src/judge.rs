//! The order of checks: path and operation, anonymous operations, credential, surface, grants,
//! tenant and body. It decides what a caller learns first.

use crate::api::body::{self, Body, Incoming, Members, Progress, Unreadable};
use crate::api::catalogue::{OperationRef, Surface};
use crate::api::disguise;
use crate::api::route::{self, Route};
#[cfg(any(test, feature = "suite"))]
use crate::authn::Refused;
use crate::authn::cache::Hit;
use crate::authn::header::Headers;
use crate::authn::keys::remote::{KeyStore, Received};
use crate::authn::signature::SignatureCheck;
use crate::authn::token::Unverified;
use crate::authn::{Identity, Issuers, TokenCache, UnixSeconds, credential, token};
use crate::authz::{self, Principal, Verdict};
use crate::config::Plan;
use crate::decision::{Candidate, Decision, Outcome};
use crate::reason::Reason;
use crate::request::Request;
use std::rc::{Rc, Weak};

/// A principal that a token's bearer was resolved to, and the plan it holds for.
#[derive(Clone, Debug)]
pub struct Resolved {
    plan: Weak<Plan>,
    principal: Rc<Principal>,
}

/// What is known of one set of issuers and outlives a plan: a push of a new policy keeps it.
#[derive(Debug)]
pub struct Memory {
    /// Verified tokens, with the principals of their bearers.
    pub tokens: TokenCache<Resolved>,
    /// Headers of tokens.
    pub headers: Headers,
    /// Fetched keys.
    pub keys: KeyStore,
}

impl Memory {
    /// Nothing known yet of these issuers.
    #[must_use]
    pub fn new(issuers: &Issuers) -> Self {
        Self { tokens: TokenCache::default(), headers: Headers::default(), keys: KeyStore::new(issuers) }
    }

    /// Forgets tokens of issuers whose keys have become too old. To be called now and then.
    pub fn age(&mut self, now: UnixSeconds) {
        for issuer in self.keys.without_good_keys(now) {
            self.tokens.forget(issuer);
        }
    }

    /// Takes the answer to a fetch of keys, as [`KeyStore::receive`] does. Where an issuer's keys
    /// have changed, its verified tokens are forgotten.
    pub fn receive(&mut self, issuer: usize, answer: Option<(u16, &[u8])>, now: UnixSeconds, chance: u32) -> Received {
        let received = self.keys.receive(issuer, answer, now, chance);
        if matches!(received, Received::Keys { changed: true, .. }) {
            self.tokens.forget(issuer);
        }
        received
    }
}

/// What judging needs from its surroundings.
pub struct Surroundings<'a> {
    /// The time.
    pub now: UnixSeconds,
    /// Who checks signatures.
    pub signatures: &'a dyn SignatureCheck,
    /// What is known of the plan's issuers.
    pub memory: &'a mut Memory,
    /// Where the request has waited for keys: the `fetches` of [`Step::NeedsKeys`] then.
    pub waited: Option<u64>,
}

/// How far judging has come.
#[derive(Debug)]
pub enum Step {
    /// It is done.
    Decided(Decision),
    /// The issuer's keys are missing, or lack the one that the token names: judge the request again
    /// when an answer to a fetch has come, and refuse it with [`Reason::KeysUnavailable`] when none
    /// comes in time.
    NeedsKeys {
        /// Which issuer's, by its number in the plan.
        issuer: usize,
        /// To be given as `waited` then.
        fetches: u64,
    },
    /// The body decides: give it its parts.
    NeedsBody(Pending),
}

/// How far judging a body has come.
#[derive(Debug)]
pub enum BodyStep {
    /// It is done.
    Decided(Decision),
    /// There is more to come.
    More(Pending),
}

/// A request that waits for its body.
#[derive(Debug)]
pub struct Pending {
    asked: Asked,
    /// The body so far, or why whatever may come of it cannot be read.
    incoming: Result<Incoming, Unreadable>,
}

/// What is known of a request before its body.
#[derive(Debug)]
struct Asked {
    plan: Rc<Plan>,
    principal: Rc<Principal>,
    operation: OperationRef,
    method: Box<[u8]>,
    path: Box<[u8]>,
    /// Without its body the request is allowed, too, only less surely.
    allowed_anyway: bool,
}

impl Plan {
    /// Judges the head of a request.
    #[must_use]
    pub fn judge(self: &Rc<Self>, request: &Request<'_>, surroundings: &mut Surroundings<'_>) -> Step {
        self.judge_with(request, || self.authenticate(request, surroundings))
    }

    /// Judges a request of an identity that is taken as given.
    #[cfg(any(test, feature = "suite"))]
    #[must_use]
    pub fn judge_as(self: &Rc<Self>, identity: Result<Identity, Refused>, request: &Request<'_>) -> Step {
        self.judge_with(request, || Ok(Rc::new(self.principal(Rc::new(identity?)))))
    }

    /// The refusal of a request whose issuer's keys did not come.
    #[must_use]
    pub fn without_keys(&self, request: &Request<'_>) -> Decision {
        let operation = route::find(&self.routes, request.method, request.path).ok().flatten().map(|r| r.operation);
        self.deny(Reason::KeysUnavailable, None, operation, None)
    }

    fn judge_with(
        self: &Rc<Self>,
        request: &Request<'_>,
        authenticate: impl FnOnce() -> Result<Rc<Principal>, Unverified>,
    ) -> Step {
        let route = match route::find(&self.routes, request.method, request.path) {
            Ok(route) => route.filter(|r| r.operation.since <= self.rules.version),
            Err(ambiguous) => return Step::Decided(self.deny(Reason::PathAmbiguous, Some(ambiguous.0), None, None)),
        };
        if let Err(ambiguous) = disguise::check(&self.routes, request) {
            let operation = route.map(|r| r.operation);
            return Step::Decided(self.deny(Reason::RequestAmbiguous, Some(ambiguous.0), operation, None));
        }
        if self.forward_preflight
            && let Some(operation) = self.preflight(request)
        {
            return Step::Decided(self.settle(authz::preflight(), operation, None));
        }
        let operation = route.as_ref().map(|r| r.operation.clone());
        if let Some(operation) = &operation
            && self.anonymous.contains(&operation.id)
        {
            return Step::Decided(self.settle(authz::anonymous(operation), operation.clone(), None));
        }
        let principal = match authenticate() {
            Ok(principal) => principal,
            Err(Unverified::NeedsKeys { issuer, fetches }) => return Step::NeedsKeys { issuer, fetches },
            Err(Unverified::Refused(refused)) => {
                return Step::Decided(self.deny(refused.reason, Some(refused.detail), operation, None));
            }
        };
        let Some(route) = route else {
            return Step::Decided(self.deny(Reason::OperationUnknown, None, None, Some(principal)));
        };
        if route.operation.blocked || !self.surfaces.contains(&route.operation.surface) {
            return Step::Decided(self.deny(Reason::OperationBlocked, None, operation, Some(principal)));
        }
        if route.operation.surface == Surface::Grpc && names_physical_tenant(request) {
            return Step::Decided(self.deny(
                Reason::OperationBlocked,
                Some(PHYSICAL_TENANT),
                operation,
                Some(principal),
            ));
        }
        if let Err(why) = body::check_kind(request, &route.operation) {
            return Step::Decided(self.deny(Reason::BodyUnreadable, Some(why.0), operation, Some(principal)));
        }
        match authz::decide(&route, Body::Unread, &principal, &self.rules) {
            Verdict::NeedsBody => self.wait(request, &route, principal),
            verdict => {
                let candidate = self.beside(&route, Body::Unread, &principal);
                Step::Decided(self.settle(verdict, route.operation, Some(principal)).beside(candidate))
            }
        }
    }

    /// The operation that a browser asks about before it sends the request itself: OPTIONS, with
    /// `Origin` and `Access-Control-Request-Method` (Fetch standard, CORS-preflight request).
    fn preflight(&self, request: &Request<'_>) -> Option<OperationRef> {
        if request.method != b"OPTIONS" || request.single_header(b"origin").ok()??.is_empty() {
            return None;
        }
        let method = request.single_header(b"access-control-request-method").ok()??;
        let operation = route::find(&self.routes, method, request.path).ok()??.operation;
        let open = !operation.blocked && self.surfaces.contains(&operation.surface);
        (open && operation.since <= self.rules.version).then_some(operation)
    }

    fn authenticate(
        self: &Rc<Self>,
        request: &Request<'_>,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Rc<Principal>, Unverified> {
        let candidate = credential::find(&self.credentials, request)?;
        let Surroundings { now, signatures, memory: Memory { tokens, headers, keys }, waited } = surroundings;
        let known = tokens.get(candidate.bytes(), *now)?;
        if let Some(Hit { attachment: Some(resolved), .. }) = &known
            && resolved.plan.as_ptr() == Rc::as_ptr(self)
        {
            return Ok(Rc::clone(&resolved.principal));
        }
        let token = candidate.token()?;
        let identity = match known {
            Some(hit) => hit.identity,
            None => {
                let verified = token::verify(token, &self.issuers, headers, keys, *waited, *now, *signatures)?;
                tokens.insert(token, verified)
            }
        };
        let principal = Rc::new(self.principal(identity));
        let resolved = Resolved { plan: Rc::downgrade(self), principal: Rc::clone(&principal) };
        tokens.attach(token, resolved, principal.size());
        Ok(principal)
    }

    /// What the plan's tables make of an identity.
    fn principal(&self, identity: Rc<Identity>) -> Principal {
        let version = self.rules.version;
        Principal::resolve(&self.table, identity, version).with_candidate(self.candidate.as_ref(), version)
    }

    /// What the candidate table would decide.
    fn beside(&self, route: &Route<'_>, body: Body<'_>, principal: &Principal) -> Option<Candidate> {
        let principal = principal.candidate()?;
        Some(Candidate::of(&authz::decide(route, body, principal, &self.rules)))
    }

    fn wait(self: &Rc<Self>, request: &Request<'_>, route: &Route<'_>, principal: Rc<Principal>) -> Step {
        let operation = route.operation.clone();
        let without = authz::decide(route, Body::Unknown, &principal, &self.rules);
        let allowed_anyway = operation.filters() && matches!(without, Verdict::Allow(_));
        let incoming = Incoming::new(request, &operation.body, self.max_body);
        let (method, path) = (request.method.into(), request.path.into());
        let asked = Asked { plan: Rc::clone(self), principal, operation, method, path, allowed_anyway };
        match incoming {
            Err(why) if !allowed_anyway => Step::Decided(asked.unreadable(why)),
            incoming => Step::NeedsBody(Pending { asked, incoming }),
        }
    }

    fn settle(&self, verdict: Verdict, operation: OperationRef, principal: Option<Rc<Principal>>) -> Decision {
        match verdict {
            Verdict::Allow(permit) => {
                let table = Rc::clone(&self.table_digest);
                Decision {
                    outcome: Outcome::Allow(permit),
                    operation: Some(operation),
                    principal,
                    table,
                    candidate: None,
                }
            }
            Verdict::Deny(reason) => self.deny(reason, None, Some(operation), principal),
            Verdict::NeedsBody => {
                self.deny(Reason::BodyUnreadable, Some("the body was not read"), Some(operation), principal)
            }
        }
    }

    fn deny(
        &self,
        reason: Reason,
        detail: Option<&'static str>,
        operation: Option<OperationRef>,
        principal: Option<Rc<Principal>>,
    ) -> Decision {
        let table = Rc::clone(&self.table_digest);
        Decision { outcome: Outcome::Deny { reason, detail }, operation, principal, table, candidate: None }
    }
}

const PHYSICAL_TENANT: &str = "the call is for a physical tenant";

/// Over gRPC a header leads to a physical tenant, which has users and grants of its own.
fn names_physical_tenant(request: &Request<'_>) -> bool {
    request.header(b"camunda-physical-tenant").next().is_some()
}

impl Pending {
    /// Takes the next part of the body; `end` with the last one, which may be empty.
    #[must_use]
    pub fn push(self, chunk: &[u8], end: bool) -> BodyStep {
        let Self { asked, incoming } = self;
        let nothing_yet = chunk.is_empty() && incoming.as_ref().map_or(true, Incoming::is_empty);
        if nothing_yet && end && asked.allowed_anyway {
            return BodyStep::Decided(asked.decide(Body::Read(&Members::default())));
        }
        let incoming = match incoming {
            Err(why) if nothing_yet => return BodyStep::More(Self { asked, incoming: Err(why) }),
            incoming => incoming.and_then(|incoming| incoming.push(chunk, end)),
        };
        BodyStep::Decided(match incoming {
            Ok(Progress::More(incoming)) => return BodyStep::More(Self { asked, incoming: Ok(incoming) }),
            Ok(Progress::End(members)) => asked.decide(Body::Read(&members)),
            Ok(Progress::Unknown) => asked.decide(Body::Unknown),
            Err(why) => asked.unreadable(why),
        })
    }

    /// Whether the body's object is closed: the cluster could act on it without waiting for the
    /// end of the request.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.incoming.as_ref().is_ok_and(Incoming::is_closed)
    }

    /// Who asks.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.asked.principal
    }

    /// Refuses the request without its body.
    #[must_use]
    pub fn refuse(self, reason: Reason) -> Decision {
        let Asked { plan, principal, operation, .. } = self.asked;
        plan.deny(reason, None, Some(operation), Some(principal))
    }
}

impl Asked {
    fn decide(self, body: Body<'_>) -> Decision {
        // The route borrows from the path, so it is looked up again rather than kept.
        match route::find(&self.plan.routes, &self.method, &self.path) {
            Ok(Some(route)) => {
                let verdict = authz::decide(&route, body, &self.principal, &self.plan.rules);
                let candidate = self.plan.beside(&route, body, &self.principal);
                self.plan.settle(verdict, route.operation, Some(self.principal)).beside(candidate)
            }
            _ => self.plan.deny(Reason::PathAmbiguous, None, None, Some(self.principal)),
        }
    }

    fn unreadable(self, why: Unreadable) -> Decision {
        if self.allowed_anyway {
            return self.decide(Body::Unknown);
        }
        self.plan.deny(Reason::BodyUnreadable, Some(why.0), Some(self.operation), Some(self.principal))
    }
}
