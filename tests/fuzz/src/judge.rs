//! Judging as a whole: a policy and a request, made of the fuzzer's bytes, with a token or without.

use crate::issuer::{self, NOW, key, sign};
use crate::memory::bounded;
use arbitrary::{Result, Unstructured};
use portcullis::authn::signature::PureRust;
use portcullis::authn::{Identity, Subject};
use portcullis::config::Plan;
use portcullis::decision::Decision;
use portcullis::judge::{BodyStep, Memory, Step, Surroundings};
use portcullis::reason::Reason;
use portcullis::request::Request;
use portcullis::suite::CaseRequest;
use portcullis_reference::compare::{Answer, Both};
use portcullis_reference::dice::Dice;
use portcullis_reference::evaluate::{Call, route};
use portcullis_reference::generate::World;
use portcullis_reference::plain::{is_plain_body, is_plain_path};
use portcullis_reference::principal::Caller;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// Who is believed, what is allowed, and that nothing but the request itself makes a difference.
pub fn check(data: &[u8]) {
    let _ = judged(&mut Unstructured::new(data));
}

/// The credential of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Good,
    Absent,
    Forged,
    Expired,
    Unsigned,
    Doubled,
}

const TOKENS: [Token; 8] = [
    Token::Good,
    Token::Good,
    Token::Good,
    Token::Absent,
    Token::Forged,
    Token::Expired,
    Token::Unsigned,
    Token::Doubled,
];

fn judged(bytes: &mut Unstructured<'_>) -> Result<()> {
    let token = *bytes.choose(&TOKENS)?;
    let (has_own_world, cut) = (bytes.arbitrary::<bool>()?, bytes.arbitrary::<u8>()?);
    let (has_preflight, changes) = (bytes.ratio(1, 4)?, bytes.int_in_range(0..=3)?);
    let changes: Vec<[u8; 3]> = (0..changes).map(|_| bytes.arbitrary()).collect::<Result<_>>()?;
    let garbled = bytes.arbitrary::<[u8; 3]>()?;
    let seed = bytes.arbitrary::<u16>()?;
    let length = bytes.len().min(64);
    let asked = Dice::chosen(bytes.bytes(length)?);
    let world =
        if has_own_world { World::of(Dice::chosen(bytes.bytes(bytes.len())?)) } else { World::new(seed.into()) };
    let mut world = world.asked(asked);

    let (caller, mut call) = world.request();
    for [place, at, byte] in changes {
        change(&mut call, place, at, byte);
    }
    let mut configuration = world.configuration.clone();
    configuration.insert("issuers".into(), json!([issuer_of(&caller)]));
    configuration.insert("cors".into(), json!({ "preflight": if has_preflight { "forward" } else { "deny" } }));
    let both = Both::new(configuration, world.policy.clone()).unwrap();
    let plan = &both.plan;

    let text = call.body.as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
    let Ok(mut request) = CaseRequest::with_json(call.method.clone(), call.path.clone(), Vec::new(), text) else {
        return Ok(());
    };
    let is_garbled = bytes_of_body_change(&mut request, garbled);
    let credential = credential(&caller, token);
    let asked = Asked { request: &request, credential: credential.as_deref(), cut };
    let decision = bounded(512 * 1024, credential.as_ref().map_or(0, String::len), 256, || asked.by_token(plan));
    allowed_for_a_reason(&decision, token, has_preflight && call.method == "OPTIONS");
    assert_eq!(decision.explain(), Asked { cut: 0, ..asked }.by_token(plan).explain(), "the cut makes a difference");
    let explanation = decision.explain();
    assert_eq!(explanation["status"] == 200, decision.is_allow());
    assert_eq!(explanation["decision"] == "allow", decision.is_allow());

    let assumed = asked.by_identity(plan, identity(&caller));
    let is_open = [Reason::Anonymous, Reason::Preflight].contains(&decision.reason());
    if token == Token::Good && !is_open {
        assert_eq!(explanation["principal"], assumed.explain()["principal"]);
    }
    if token == Token::Good {
        assert_eq!(Answer::explained(&explanation), Answer::explained(&assumed.explain()));
    }
    let route = route(&both.settings, &call);
    let is_read = route.as_ref().is_some_and(|route| route.operation.looks_at_body());
    let is_form = route.as_ref().and_then(|route| route.operation.tenant.as_deref()).is_some_and(is_in_form);
    let is_plain = !is_garbled && is_plain_path(&both.settings, &call, route.as_ref());
    let applies = is_plain
        && (!is_form || call.body.is_none())
        && (!is_read || std::str::from_utf8(call.body.as_deref().unwrap_or_default()).is_ok())
        && (!is_read || is_plain_body(call.body.as_deref()));
    if applies && decision.reason() != Reason::Preflight {
        assert_eq!(Answer::explained(&assumed.explain()), both.reference(&caller, &call), "{caller:?} {call:?}");
    }
    if let (true, Some(operation)) = (decision.is_allow() && call.method != "OPTIONS", decision.operation.as_ref()) {
        assert_eq!(Some(&*operation.id), route.as_ref().map(|route| &*route.operation.id));
    }
    Ok(())
}

/// Whether a tenant stands where the reference reads nothing.
fn is_in_form(source: &str) -> bool {
    source.starts_with("multipart:")
}

/// Changes one byte of the body as it is sent, now and then.
fn bytes_of_body_change(request: &mut CaseRequest, [often, at, byte]: [u8; 3]) -> bool {
    let Some(body) = request.body.as_mut().filter(|body| often % 4 == 3 && !body.is_empty()) else { return false };
    let at = usize::from(at) % body.len();
    body[at] = byte;
    true
}

/// Changes one byte of a request, or puts one in.
fn change(call: &mut Call, place: u8, at: u8, byte: u8) {
    let put = |bytes: &mut Vec<u8>| {
        let at = usize::from(at) % (bytes.len() + 1);
        match (place / 3 % 3, bytes.get_mut(at)) {
            (0, Some(other)) => *other = byte,
            (1, Some(_)) => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
    };
    match place % 3 {
        0 => {
            let mut path = std::mem::take(&mut call.path).into_bytes();
            put(&mut path);
            call.path = String::from_utf8_lossy(&path).into_owned();
        }
        1 => put(call.body.get_or_insert_default()),
        _ => {
            call.method = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "get", "*", ""][usize::from(byte % 8)].to_owned()
        }
    }
}

fn issuer_of(caller: &Caller) -> Value {
    let mut claims = json!({ "username": "sub", "clientId": "client_id" });
    if caller.groups.is_some() {
        claims["groups"] = json!("groups_claim");
    }
    json!({
        "issuer": issuer::NAME,
        "audiences": [issuer::AUDIENCE],
        "jwks": { "inline": { "keys": [issuer::jwk(&key(1), issuer::KEY_ID)] } },
        "claims": claims,
    })
}

fn credential(caller: &Caller, token: Token) -> Option<String> {
    let expires = if token == Token::Expired { NOW - 61 } else { NOW + 60 };
    let mut claims = caller.claims.as_object().cloned().unwrap_or_else(Map::new);
    claims.extend([
        ("iss".to_owned(), json!(issuer::NAME)),
        ("aud".to_owned(), json!(issuer::AUDIENCE)),
        ("exp".to_owned(), json!(expires)),
        (if caller.is_client { "client_id" } else { "sub" }.to_owned(), json!(caller.name)),
    ]);
    if let Some(groups) = &caller.groups {
        claims.insert("groups_claim".to_owned(), json!(groups));
    }
    let claims = Value::Object(claims).to_string();
    let header = json!({ "alg": "EdDSA", "kid": issuer::KEY_ID }).to_string();
    let good = sign(&key(1), header.as_bytes(), claims.as_bytes());
    match token {
        Token::Good | Token::Expired => Some(good),
        Token::Absent => None,
        Token::Forged => Some(sign(&key(2), header.as_bytes(), claims.as_bytes())),
        Token::Unsigned => Some(format!("{}.", good.rsplit_once('.')?.0)),
        Token::Doubled => Some(format!("{good},Bearer {good}")),
    }
}

fn identity(caller: &Caller) -> Identity {
    let name = caller.name.clone();
    let subject = if caller.is_client { Subject::Client(name) } else { Subject::User(name) };
    Identity::assumed(subject, caller.groups.clone(), &caller.claims)
}

/// A request, and how its body comes in.
#[derive(Clone, Copy)]
struct Asked<'a> {
    request: &'a CaseRequest,
    credential: Option<&'a str>,
    cut: u8,
}

impl Asked<'_> {
    fn by_token(self, plan: &Rc<Plan>) -> Decision {
        let mut memory = Memory::new(&plan.issuers);
        let mut around = Surroundings { now: NOW, signatures: &PureRust, memory: &mut memory, waited: None };
        self.ask(|request| plan.judge(request, &mut around))
    }

    fn by_identity(self, plan: &Rc<Plan>, identity: Identity) -> Decision {
        self.ask(|request| plan.judge_as(Ok(identity), request))
    }

    fn ask(self, judge: impl FnOnce(&Request<'_>) -> Step) -> Decision {
        let credential = self.credential.map(|token| format!("Bearer {token}"));
        let mut headers =
            vec![(&b"origin"[..], &b"https://app.example"[..]), (b"access-control-request-method", b"POST")];
        let own = self.request.headers.iter();
        headers.extend(own.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        headers.extend(credential.as_ref().map(|value| (&b"authorization"[..], value.as_bytes())));
        let (method, path) = (self.request.method.as_bytes(), self.request.path.as_bytes());
        let request = Request { method, path, headers: &headers };
        let mut pending = match judge(&request) {
            Step::Decided(decision) => return decision,
            Step::NeedsKeys { .. } => panic!("the issuer fetches no keys"),
            Step::NeedsBody(pending) => pending,
        };
        let body = self.request.body.as_deref().unwrap_or_default();
        for part in body.chunks(if self.cut == 0 { usize::MAX } else { usize::from(self.cut % 17) + 1 }) {
            pending = match pending.push(part, false) {
                BodyStep::Decided(decision) => return decision,
                BodyStep::More(pending) => pending,
            };
        }
        match pending.push(&[], true) {
            BodyStep::Decided(decision) => decision,
            BodyStep::More(_) => panic!("the body has ended"),
        }
    }
}

/// An allow is of a known operation, and of somebody known, or of what is open to everybody.
fn allowed_for_a_reason(decision: &Decision, token: Token, may_be_preflight: bool) {
    if !decision.is_allow() {
        return;
    }
    let operation = decision.operation.as_ref().unwrap();
    match decision.reason() {
        Reason::Anonymous => assert!(["getStatus", "getLicense"].contains(&&*operation.id)),
        Reason::Preflight => assert!(may_be_preflight),
        _ => {
            assert_eq!(token, Token::Good, "nobody is allowed {}", operation.id);
            assert!(decision.principal.is_some());
        }
    }
    assert!(!operation.blocked);
}
