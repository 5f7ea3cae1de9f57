//! What is measured, and the checks without which its numbers would mean nothing.

use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::Envoy;
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::wait;

use crate::grants;
use crate::listeners::{self, DIRECT, FORGETFUL, LOGGED, NATIVE, NOOP, PORTCULLIS, STRANGERS};
use crate::options::Options;
use crate::rounds::Measured;

/// How many bytes of tokens the module keeps, and the least that it counts beside each token.
/// Envoy keeps 100 tokens.
const KEPT: usize = 4 * 1024 * 1024;
const BESIDE_TOKEN: usize = 256;

/// Requests to one listener.
#[derive(Debug)]
pub struct Case {
    /// What it is, for people and in JSON.
    pub name: String,
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
pub const NOTHING: &str = "no-op module";
/// The module on its most common way.
pub const OURS: &str = "portcullis";
/// Envoy's own filters on theirs.
pub const THEIRS: &str = "jwt_authn + RBAC";
const OURS_DENIED: &str = "portcullis, denied";
const THEIRS_DENIED: &str = "jwt_authn + RBAC, denied";
const OURS_FIRST: &str = "portcullis, new tokens";
const THEIRS_FIRST: &str = "jwt_authn + RBAC, new tokens";

/// Pairs of cases that are compared by what they add over [`BASE`].
pub const COMPARED: [(&str, &str); 4] =
    [(OURS, THEIRS), (OURS, NOTHING), (OURS_DENIED, THEIRS_DENIED), (OURS_FIRST, THEIRS_FIRST)];

impl Case {
    /// All cases.
    pub fn all(options: &Options, issuer: &Issuer) -> Vec<Self> {
        let token = grants::token(issuer, 0);
        let allowed: Rc<[_]> = Rc::new([grants::granted().bearer(&token).bytes()]);
        let denied: Rc<[_]> = Rc::new([grants::not_granted().bearer(&token).bytes()]);
        let new: Rc<[_]> = new_tokens(issuer).iter().map(|t| grants::granted().bearer(t).bytes()).collect();
        let case = |name: &str, listener: &str, requests: &Rc<[_]>, status| Self {
            name: name.to_owned(),
            listener: listener.to_owned(),
            requests: Rc::clone(requests),
            status,
        };
        let mut cases = vec![
            case(BASE, DIRECT, &allowed, 200),
            case(NOTHING, NOOP, &allowed, 200),
            case(OURS, PORTCULLIS, &allowed, 200),
            case("portcullis, decision log", LOGGED, &allowed, 200),
            case(OURS_DENIED, PORTCULLIS, &denied, 403),
            case(OURS_FIRST, STRANGERS, &new, 200),
            case(THEIRS, NATIVE, &allowed, 200),
            case(THEIRS_DENIED, NATIVE, &denied, 403),
            case(THEIRS_FIRST, FORGETFUL, &new, 200),
        ];
        cases.extend(options.beside.iter().enumerate().map(|(number, file)| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            case(&format!("beside: {stem}"), &listeners::beside(number), &allowed, 200)
        }));
        cases
    }
}

/// So many tokens that no cache still knows one when its turn comes again. Signing takes its time,
/// so every CPU takes a part.
fn new_tokens(issuer: &Issuer) -> Vec<String> {
    let count = KEPT / (grants::token(issuer, 0).len() + BESIDE_TOKEN) + 1;
    let part = count.div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        let sign =
            |first| scope.spawn(move || (first..first + part).map(|n| grants::token(issuer, n)).collect::<Vec<_>>());
        let parts: Vec<_> = (1..=count).step_by(part).map(sign).collect();
        parts.into_iter().flat_map(|part| part.join().expect("signing does not panic")).collect()
    })
}

/// Every listener does its work: what is granted passes, what is not granted does not, and neither
/// does a call without a token. The two without a guard let all of it pass.
pub fn verify_listeners(envoy: &Envoy, cases: &[Case], issuer: &Issuer) -> Result<()> {
    let token = grants::token(issuer, 0);
    let mut listeners: Vec<&str> = cases.iter().map(|case| case.listener.as_str()).collect();
    listeners.sort_unstable();
    listeners.dedup();
    for listener in listeners {
        let open = [DIRECT, NOOP].contains(&listener);
        let expect = |what: &str, request: Request, guarded| {
            let status = client::send(envoy.addr(listener)?, &request)?.status;
            let expected = if open { 200 } else { guarded };
            ensure!(status == expected, "listener {listener} answers {status} instead of {expected} to {what}");
            Ok(())
        };
        expect("a granted call", grants::granted().bearer(&token), 200)?;
        expect("a call without a token", grants::granted(), 401)?;
        expect("a call that is not granted", grants::not_granted().bearer(&token), 403)?;
    }
    Ok(())
}

/// Signature checks that the module has left to Envoy.
const CHECKS: &str = "wasmcustom.wasm_filter.portcullis.component.host.portcullis_signature_checks";

/// A few signatures are checked where tokens are kept, one for each VM and listener.
const FEW: u64 = 50;

/// Caches did their work where they should, and only there.
pub fn verify_caches(envoy: &Envoy, measured: &[Measured]) -> Result<()> {
    let sent = |name: &str| measured.iter().filter(|m| m.case.name == name).map(|m| m.sent).sum::<u64>();
    let between = |what: &str, found: u64, least: u64| {
        if (least..least + FEW).contains(&found) {
            return Ok(());
        }
        bail!("{what}: {found}, where {least} were expected: the cases are not what they are called")
    };
    let new = sent(OURS_FIRST);
    let checks = || envoy.stat(CHECKS).ok().flatten().unwrap_or(0);
    // The module hands its counters over once in a while. If they stay too low, that is said below.
    let _ = wait::until("the module's counters", || (checks() >= new).then_some(()));
    between("signatures that portcullis had Envoy check", checks(), new)?;
    let hits = envoy.stat(&format!("http.{NATIVE}.jwt_authn.jwt_cache_hit"))?.unwrap_or(0);
    between("tokens that jwt_authn knew", hits, sent(THEIRS) + sent(THEIRS_DENIED))
}
