//! What is measured, and the checks without which its numbers would mean nothing.

use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use portcullis::authn::cache::DEFAULT_BYTES;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::Envoy;
use portcullis_e2e::wait;

use crate::grants::{self, FEW, USER};
use crate::listeners::{
    self, DIRECT, FORGETFUL, FORGETFUL_ES256, LOGGED, MANY, MEMBERS, MILLION, NATIVE, NATIVE_MEMBERS, NOOP, PORTCULLIS,
    PROCESSES, STRANGERS, STRANGERS_ES256,
};
use crate::options::Options;
use crate::provider::Provider;
use crate::rounds::Measured;

/// The least that the module counts beside each token that it keeps.
const BESIDE_TOKEN: usize = 256;

/// Who signs tokens of either kind.
#[derive(Debug)]
pub struct Providers {
    /// RSA.
    pub rs256: Provider,
    /// Elliptic curves.
    pub es256: Provider,
}

/// Requests to one listener.
#[derive(Debug)]
pub struct Case {
    /// What it is, for people and in JSON.
    pub name: String,
    /// The case over which it is counted what it adds; `None` for such a case itself.
    pub base: Option<&'static str>,
    /// Where the requests go.
    pub listener: String,
    /// The requests, as bytes; they are sent one after the other, again and again.
    pub requests: Rc<[Vec<u8>]>,
    /// What is answered to each.
    pub status: u16,
}

/// What everything else is measured against.
pub const BASE: &str = "direct response";
/// The cost of a module by itself.
const NOTHING: &str = "no-op module";
/// The module on its most common way.
const OURS: &str = "portcullis";
/// Envoy's own filters on theirs.
const THEIRS: &str = "jwt_authn + RBAC";
const OURS_DENIED: &str = "portcullis, denied";
const THEIRS_DENIED: &str = "jwt_authn + RBAC, denied";
const OURS_FIRST: &str = "portcullis, new tokens RS256";
const THEIRS_FIRST: &str = "jwt_authn + RBAC, new tokens RS256";
const OURS_FIRST_ES: &str = "portcullis, new tokens ES256";
const THEIRS_FIRST_ES: &str = "jwt_authn + RBAC, new tokens ES256";
const OURS_MEMBERS: &str = "portcullis, 5000 principals";
const THEIRS_MEMBERS: &str = "jwt_authn + RBAC, 5000 principals";
const OURS_BODY: &str = "portcullis, 1 KB body decides";
const OURS_1000: &str = "portcullis, 1000 grants";
const OURS_10000: &str = "portcullis, 10000 grants";
const OURS_MILLION: &str = "portcullis, 1000000 grants";
const THEIRS_1000: &str = "jwt_authn + RBAC, 1000 policies";
const THEIRS_10000: &str = "jwt_authn + RBAC, 10000 policies";

/// Two cases that are compared by what they add, and the most that it should be.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Of this one.
    pub one: &'static str,
    /// In parts of what that one adds.
    pub other: &'static str,
    /// The target.
    pub most: Option<f64>,
}

/// All comparisons.
pub const COMPARED: [Comparison; 13] = [
    compare(OURS, THEIRS, Some(1.10)),
    compare(OURS_1000, THEIRS_1000, Some(1.0 / 6.0)),
    compare(OURS_10000, THEIRS_10000, Some(1.0 / 100.0)),
    compare(OURS_10000, OURS, None),
    compare(OURS_MILLION, OURS, Some(1.15)),
    compare(OURS_MILLION, OURS_1000, Some(2.0)),
    compare(OURS_FIRST, THEIRS_FIRST, Some(1.0)),
    compare(OURS_FIRST_ES, THEIRS_FIRST_ES, Some(1.1)),
    compare(OURS_MEMBERS, THEIRS_MEMBERS, Some(1.0 / 1.5)),
    compare(OURS_DENIED, OURS, Some(1.0)),
    compare(OURS_DENIED, THEIRS_DENIED, None),
    compare(OURS_BODY, OURS, Some(2.0)),
    compare(OURS, NOTHING, None),
];

const fn compare(one: &'static str, other: &'static str, most: Option<f64>) -> Comparison {
    Comparison { one, other, most }
}

impl Case {
    /// All cases.
    pub fn all(options: &Options, providers: &Providers) -> Vec<Self> {
        let Providers { rs256, es256 } = providers;
        let token = rs256.token(USER, 0);
        let one = |request: Request| -> Rc<[Vec<u8>]> { Rc::new([request.bearer(&token).bytes()]) };
        let each = |tokens: Vec<String>| -> Rc<[Vec<u8>]> {
            tokens.iter().map(|token| grants::granted(FEW).bearer(token).bytes()).collect()
        };
        let allowed = one(grants::granted(FEW));
        let denied = one(grants::not_granted());
        let started = one(grants::start("process-5"));
        let of_strangers = each(new_tokens(rs256));
        let of_strangers_es = each(new_tokens(es256));
        let of_members = each(rs256.tokens(grants::MEMBERS, grants::member));
        let on = |base, name: &str, listener: &str, requests: &Rc<[_]>, status| Self {
            name: name.to_owned(),
            base,
            listener: listener.to_owned(),
            requests: Rc::clone(requests),
            status,
        };
        let case =
            |name: &str, listener: &str, requests: &Rc<[_]>, status| on(Some(BASE), name, listener, requests, status);
        let mut cases = vec![
            on(None, BASE, DIRECT, &allowed, 200),
            case(NOTHING, NOOP, &allowed, 200),
            case(OURS, PORTCULLIS, &allowed, 200),
            case("portcullis, decision log", LOGGED, &allowed, 200),
            case(OURS_DENIED, PORTCULLIS, &denied, 403),
            case(OURS_FIRST, STRANGERS, &of_strangers, 200),
            case(OURS_FIRST_ES, STRANGERS_ES256, &of_strangers_es, 200),
            case(OURS_MEMBERS, MEMBERS, &of_members, 200),
            // Over a call without a body: a direct response would not wait for one. So what Envoy
            // itself does with the body is counted as ours.
            case(OURS_BODY, PROCESSES, &started, 200),
            case(THEIRS, NATIVE, &allowed, 200),
            case(THEIRS_DENIED, NATIVE, &denied, 403),
            case(THEIRS_FIRST, FORGETFUL, &of_strangers, 200),
            case(THEIRS_FIRST_ES, FORGETFUL_ES256, &of_strangers_es, 200),
            case(THEIRS_MEMBERS, NATIVE_MEMBERS, &of_members, 200),
        ];
        for (count, [ours, theirs]) in MANY.into_iter().zip([[OURS_1000, THEIRS_1000], [OURS_10000, THEIRS_10000]]) {
            let requests = one(grants::granted(count));
            cases.push(case(ours, &listeners::ours_with(count), &requests, 200));
            cases.push(case(theirs, &listeners::native_with(count), &requests, 200));
        }
        let most = one(grants::granted(MILLION));
        cases.push(case(OURS_MILLION, &listeners::ours_with(MILLION), &most, 200));
        cases.extend(options.beside.iter().enumerate().map(|(number, file)| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            case(&format!("beside: {stem}"), &listeners::beside(number), &allowed, 200)
        }));
        cases
    }
}

/// So many tokens that no cache still knows one when its turn comes again.
fn new_tokens(provider: &Provider) -> Vec<String> {
    let count = DEFAULT_BYTES / (provider.token(USER, 0).len() + BESIDE_TOKEN) + 1;
    provider.tokens(count, |_| USER.to_owned())
}

/// Every listener does its work: what is granted passes, what is not granted does not, and neither
/// does a call without a token. The two without a guard let all of it pass.
pub fn verify_listeners(envoy: &Envoy, cases: &[Case], providers: &Providers) -> Result<()> {
    let mut listeners: Vec<&str> = cases.iter().map(|case| case.listener.as_str()).collect();
    listeners.sort_unstable();
    listeners.dedup();
    for listener in listeners {
        let open = [DIRECT, NOOP].contains(&listener);
        let provider =
            if [STRANGERS_ES256, FORGETFUL_ES256].contains(&listener) { &providers.es256 } else { &providers.rs256 };
        let user = if listener == MEMBERS { grants::member(0) } else { USER.to_owned() };
        let token = provider.token(&user, 0);
        let granted = || if listener == PROCESSES { grants::start("process-5") } else { grants::granted(FEW) };
        let expect = |what: &str, request: Request, guarded| {
            let status = client::send(envoy.addr(listener)?, &request)?.status;
            let expected = if open { 200 } else { guarded };
            ensure!(status == expected, "listener {listener} answers {status} instead of {expected} to {what}");
            Ok(())
        };
        expect("a granted call", granted().bearer(&token), 200)?;
        expect("a call without a token", granted(), 401)?;
        expect("a call that is not granted", grants::not_granted().bearer(&token), 403)?;
    }
    Ok(())
}

/// Signature checks that the module has left to Envoy.
const CHECKS: &str = "wasmcustom.wasm_filter.portcullis.component.host.portcullis_signature_checks";

/// A few signatures are checked where tokens are kept, one for each VM and listener.
const SLACK: u64 = 50;

/// Caches did their work where they should, and only there.
pub fn verify_caches(envoy: &Envoy, measured: &[Measured]) -> Result<()> {
    let sent = |name: &str| measured.iter().filter(|m| m.case.name == name).map(|m| m.sent).sum::<u64>();
    let between = |what: &str, found: u64, least: u64| {
        if (least..least + SLACK).contains(&found) {
            return Ok(());
        }
        bail!("{what}: {found}, where {least} were expected: the cases are not what they are called")
    };
    let new = sent(OURS_FIRST) + sent(OURS_FIRST_ES) + sent(OURS_MEMBERS).min(grants::MEMBERS as u64);
    let checks = || envoy.stat(CHECKS).ok().flatten().unwrap_or(0);
    // The module hands its counters over once in a while. If they stay too low, that is said below.
    let _ = wait::until("the module's counters", || (checks() >= new).then_some(()));
    between("signatures that portcullis had Envoy check", checks(), new)?;
    let hits = envoy.stat(&format!("http.{NATIVE}.jwt_authn.jwt_cache_hit"))?.unwrap_or(0);
    between("tokens that jwt_authn knew", hits, sent(THEIRS) + sent(THEIRS_DENIED))
}
