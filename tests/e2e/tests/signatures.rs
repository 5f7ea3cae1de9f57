//! Signatures, checked by Envoy and by the module itself: each is forced, the counters say which of
//! them it was, and the callers cannot tell.

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::tokens::{now, tampered};
use portcullis_e2e::wait;
use serde_json::{Value, json};
use support::{IMPOSTOR, ISSUER, World};

/// Who checks signatures, as the listeners below and the counters name them.
const CHECKERS: [&str; 2] = ["host", "module"];

/// Two listeners: on one the module may ask Envoy to check signatures, on the other it may not.
fn start(world: &World) -> Envoy {
    let strict = |plugin: &mut Value| plugin["issuers"][0]["clockSkew"] = "0s".into();
    let gateway = world
        .gateway()
        .listener("host", |l| world.guarded(l).edit_plugin(strict))
        .listener("module", |l| world.guarded(l).edit_plugin(strict).without_capability("proxy_call_foreign_function"));
    Launch::new(gateway.build()).start().expect("Envoy")
}

/// How many signatures have been checked, by the host and by the module.
fn checks(envoy: &Envoy) -> [u64; 2] {
    let name = |who| format!("wasmcustom.wasm_filter.portcullis.component.{who}.portcullis_signature_checks");
    CHECKERS.map(|who| envoy.stat(&name(who)).expect("stats").unwrap_or_default())
}

/// Waits until so many have been checked; it must not become more.
fn await_checks(envoy: &Envoy, expected: [u64; 2]) {
    let counted = || {
        let checks = checks(envoy);
        assert!(checks[0] <= expected[0] && checks[1] <= expected[1], "{checks:?} > {expected:?}");
        (checks == expected).then_some(())
    };
    wait::until(&format!("{expected:?} checks"), counted).expect("counted");
}

/// Asks something that every identity may ask; the status and the logged reason.
fn ask(envoy: &Envoy, listener: &str, token: &str) -> (u16, String) {
    let request = Request::get("/v2/topology").bearer(token);
    let status = client::send(envoy.addr(listener).expect("an address"), &request).expect("an answer").status;
    (status, envoy.access_line(request.id()).expect("a line").reason())
}

fn token() -> String {
    // No two are alike.
    ISSUER.token(&json!({"preferred_username": "dora", "jti": Request::get("/").id()}))
}

/// That token with another signature.
fn resigned(token: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (text, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = BASE64.decode(signature).expect("base64url");
    change(&mut signature);
    format!("{text}.{}", BASE64.encode(&signature))
}

/// Bad signatures, each in its way. All of them have to be looked at by whoever checks.
fn forgeries() -> Vec<(&'static str, String)> {
    let claims = json!({"preferred_username": "ada"});
    let good = token();
    let (text, _) = good.rsplit_once('.').expect("three parts");
    vec![
        ("another key", IMPOSTOR.token(&claims)),
        ("other claims", tampered(&good, &claims).expect("a token")),
        ("another token's", format!("{text}.{}", token().rsplit_once('.').expect("three parts").1)),
        ("one bit", resigned(&good, |bytes| bytes[100] ^= 1)),
        ("a byte less", resigned(&good, |bytes| bytes.truncate(255))),
        ("a byte more", resigned(&good, |bytes| bytes.push(0))),
        ("a zero before", resigned(&good, |bytes| bytes.insert(0, 0))),
        ("zeros", resigned(&good, |bytes| bytes.fill(0))),
        ("more than the modulus", resigned(&good, |bytes| bytes.fill(0xff))),
        ("one byte", resigned(&good, |bytes| bytes.truncate(1))),
        ("long", resigned(&good, |bytes| bytes.resize(2000, 7))),
    ]
}

#[test]
fn host_and_module_answer_alike() {
    let world = World::new();
    let envoy = start(&world);
    assert_eq!(checks(&envoy), [0, 0]);
    let forgeries = forgeries();
    let count = u64::try_from(forgeries.len()).expect("a number");
    for (number, listener) in CHECKERS.into_iter().enumerate() {
        let mut expected = checks(&envoy);
        for (what, forged) in &forgeries {
            assert_eq!(ask(&envoy, listener, forged), (401, "signature_invalid".to_owned()), "{listener}: {what}");
        }
        expected[number] += count;
        await_checks(&envoy, expected);
        for _ in 0..3 {
            let good = (200, "no_permission_required".to_owned());
            assert_eq!(ask(&envoy, listener, &token()), good, "{listener}");
        }
        expected[number] += 3;
        await_checks(&envoy, expected);
    }
}

/// What is refused for other reasons costs no check.
#[test]
fn signatures_are_checked_last() {
    let world = World::new();
    let envoy = start(&world);
    let claims = |changes: Value| ISSUER.token(&changes);
    let refused = [
        (claims(json!({"sub": "dora", "exp": now() - 10})), "token_expired"),
        (claims(json!({"sub": "dora", "nbf": now() + 1000})), "token_not_yet_valid"),
        (claims(json!({"sub": "dora", "aud": "another"})), "audience_mismatch"),
        (claims(json!({"sub": "dora", "iss": "https://another.test"})), "issuer_unknown"),
        (ISSUER.with_header(&json!({"kid": "another"}), &json!({"sub": "dora"})), "key_unknown"),
        (ISSUER.unsigned(&json!({"sub": "dora"})), "algorithm_refused"),
        (ISSUER.confused(&json!({"sub": "dora"})).expect("a token"), "algorithm_refused"),
    ];
    for listener in CHECKERS {
        for (token, reason) in &refused {
            assert_eq!(ask(&envoy, listener, token), (401, (*reason).to_owned()), "{listener}");
        }
        assert_eq!(ask(&envoy, listener, &token()).0, 200, "{listener}");
    }
    // The good one came last, and is the only one that was counted.
    await_checks(&envoy, [1, 1]);
}

#[test]
fn a_token_is_checked_once() {
    let world = World::new();
    let envoy = start(&world);
    for (number, listener) in CHECKERS.into_iter().enumerate() {
        let before = checks(&envoy);
        let expected = |more: u64| {
            let mut expected = before;
            expected[number] += more;
            expected
        };
        let known = token();
        for _ in 0..5 {
            assert_eq!(ask(&envoy, listener, &known).0, 200, "{listener}");
        }
        await_checks(&envoy, expected(1));
        // Found by its signature, told apart by the rest: what looks like the known one is checked.
        let forged = tampered(&known, &json!({"preferred_username": "ada"})).expect("a token");
        for _ in 0..2 {
            assert_eq!(ask(&envoy, listener, &forged), (401, "signature_invalid".to_owned()), "{listener}");
        }
        await_checks(&envoy, expected(3));
        assert_eq!(ask(&envoy, listener, &known).0, 200, "{listener}");
        assert_eq!(ask(&envoy, listener, &token()).0, 200, "{listener}");
        await_checks(&envoy, expected(4));
    }
}

#[test]
fn a_known_token_is_refused_as_soon_as_it_expires() {
    let world = World::new();
    let envoy = start(&world);
    let expires = now() + 3;
    let token = ISSUER.token(&json!({"preferred_username": "dora", "exp": expires}));
    for listener in CHECKERS {
        assert_eq!(ask(&envoy, listener, &token).0, 200, "{listener}");
    }
    for listener in CHECKERS {
        let refused = || {
            let late = now() >= expires;
            let answer = ask(&envoy, listener, &token);
            assert!(!late || answer.0 != 200, "{listener}: let through after it has expired");
            (answer.0 != 200).then_some(answer)
        };
        let answer = wait::until("expiry", refused).expect("a refusal");
        assert_eq!(answer, (401, "token_expired".to_owned()), "{listener}");
    }
    // Nothing but the first request on either listener was a check.
    assert_eq!(ask(&envoy, "host", &crate::token()).0, 200);
    assert_eq!(ask(&envoy, "module", &crate::token()).0, 200);
    await_checks(&envoy, [2, 2]);
}
