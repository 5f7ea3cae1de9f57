//! Tokens, checked natively with keys made here: what is accepted, and what is refused why.

use jwt_compact::alg::Rsa;
use jwt_compact::{Algorithm, AlgorithmSignature};
use portcullis::authn::signature::PureRust;
use portcullis::config::{self, Plan};
use portcullis::decision::Decision;
use portcullis::judge::{Memory, Step, Surroundings};
use portcullis::reason::Reason;
use portcullis::request::Request;
use rsa::RsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

const NOW: i64 = 1_800_000_000;

static KEYS: LazyLock<[RsaPrivateKey; 2]> = LazyLock::new(|| {
    let key = || RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    [key(), key()]
});

fn jwk(key: &RsaPrivateKey, id: &str) -> Value {
    let number = |n: &rsa::BigUint| BASE64.encode(n.to_bytes_be());
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": number(key.n()), "e": number(key.e())})
}

fn plan(change: impl FnOnce(&mut Value)) -> Rc<Plan> {
    let mut configuration = json!({
        "version": 1, "name": "test",
        "issuers": [
            {"issuer": "https://one.example", "audiences": ["orders", "other"], "jwks": {"inline": {"keys": [jwk(&KEYS[0], "a")]}}},
            {"issuer": "https://two.example/", "audiences": ["orders"], "jwks": {"inline": {"keys": [jwk(&KEYS[1], "b")]}}},
        ],
        "policy": {},
    });
    change(&mut configuration);
    Rc::new(config::read(configuration.to_string().as_bytes()).unwrap().0)
}

fn claims() -> Value {
    json!({"iss": "https://one.example", "aud": "orders", "exp": NOW + 300, "sub": "alice"})
}

fn sign_raw(key: &RsaPrivateKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = Rsa::rs256().sign(key, message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature.as_bytes()))
}

fn sign(claims: &Value) -> String {
    sign_raw(&KEYS[0], r#"{"alg":"RS256","kid":"a"}"#, &claims.to_string())
}

fn judge_at(plan: &Rc<Plan>, token: &str, memory: &mut Memory, now: i64) -> Decision {
    let value = format!("Bearer {token}");
    let headers: [(&[u8], &[u8]); 1] = [(b"authorization", value.as_bytes())];
    let request = Request { method: b"GET", path: b"/v2/topology", headers: &headers };
    match plan.judge(&request, &mut Surroundings { now, signatures: &PureRust, memory, waited: None }) {
        Step::Decided(decision) => decision,
        step => panic!("{step:?}"),
    }
}

/// Nothing known yet; the issuers have no keys to fetch, so which they are does not matter.
fn memory() -> Memory {
    Memory::new(&plan(|_| ()).issuers)
}

fn reason(token: &str) -> Reason {
    judge_at(&plan(|_| ()), token, &mut memory(), NOW).reason()
}

#[test]
fn a_good_token_is_accepted() {
    let decision = judge_at(&plan(|_| ()), &sign(&claims()), &mut memory(), NOW);
    assert_eq!(decision.reason(), Reason::NoPermissionRequired);
    assert_eq!(decision.explain()["principal"]["username"], "alice");
    let mut other = claims();
    other["aud"] = json!(["nobody", "other"]);
    assert_eq!(reason(&sign(&other)), Reason::NoPermissionRequired);
    assert_eq!(
        reason(&sign_raw(&KEYS[0], r#"{"alg":"RS256","typ":"at+jwt"}"#, &claims().to_string())),
        Reason::NoPermissionRequired
    );
}

#[test]
fn each_claim_is_held_to_its_rule() {
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        reason(&sign(&claims))
    };
    for (name, value, expected) in [
        ("iss", json!(null), Reason::IssuerUnknown),
        ("iss", json!("https://one.example/"), Reason::IssuerUnknown),
        ("iss", json!(7), Reason::TokenMalformed),
        ("aud", json!(null), Reason::AudienceMismatch),
        ("aud", json!("Orders"), Reason::AudienceMismatch),
        ("aud", json!([]), Reason::AudienceMismatch),
        ("aud", json!(["orders", 7]), Reason::TokenMalformed),
        ("aud", json!({"orders": 1}), Reason::TokenMalformed),
        ("exp", json!(null), Reason::TokenMalformed),
        ("exp", json!((NOW + 300).to_string()), Reason::TokenMalformed),
        ("exp", json!(NOW - 60), Reason::TokenExpired),
        ("exp", json!(NOW - 59), Reason::NoPermissionRequired),
        ("exp", json!((NOW as f64) + 0.5), Reason::NoPermissionRequired),
        ("exp", json!(1e300), Reason::TokenMalformed),
        ("exp", json!(i64::MAX / 1_000 + 1), Reason::TokenMalformed),
        ("exp", json!(i64::MAX / 1_000), Reason::NoPermissionRequired),
        ("exp", json!(-1e300), Reason::TokenExpired),
        ("nbf", json!(NOW + 61), Reason::TokenNotYetValid),
        ("nbf", json!(NOW + 60), Reason::NoPermissionRequired),
        ("nbf", json!("soon"), Reason::TokenMalformed),
        ("iat", json!("now"), Reason::TokenMalformed),
        ("exp", json!(-1), Reason::TokenExpired),
        ("iat", json!(NOW + 9_999), Reason::NoPermissionRequired),
        ("jti", json!(7), Reason::TokenMalformed),
        ("jti", json!("7"), Reason::NoPermissionRequired),
        ("aud", json!(["orders", null]), Reason::NoPermissionRequired),
        ("sub", json!(null), Reason::IdentityMissing),
        ("sub", json!(7), Reason::IdentityMissing),
    ] {
        assert_eq!(with(name, value.clone()), expected, "{name} {value}");
    }
}

#[test]
fn each_part_of_the_header_is_held_to_its_rule() {
    let with = |header: &str| reason(&sign_raw(&KEYS[0], header, &claims().to_string()));
    for (header, expected) in [
        (r#"{"alg":"none","kid":"a"}"#, Reason::AlgorithmRefused),
        (r#"{"alg":"None"}"#, Reason::AlgorithmRefused),
        (r#"{"alg":"HS256","kid":"a"}"#, Reason::AlgorithmRefused),
        (r#"{"alg":"rs256","kid":"a"}"#, Reason::AlgorithmRefused),
        (r#"{"alg":"RS256","alg":"RS256"}"#, Reason::TokenMalformed),
        (r#"{"kid":"a"}"#, Reason::TokenMalformed),
        (r#"{"alg":1}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","kid":7}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","jwk":{"kty":"RSA"}}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","jku":"https://evil.example"}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","x5u":"https://evil.example"}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","x5c":[]}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","cty":"cbor"}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","kid":"a","typ":"JWT"}"#, Reason::NoPermissionRequired),
        (r#"{"alg":"RS256","kid":"a","typ":"at+JWT"}"#, Reason::NoPermissionRequired),
        (r#"{"alg":"RS256","kid":"a","typ":null}"#, Reason::NoPermissionRequired),
        (r#"{"alg":"RS256","kid":"a","typ":"logout+jwt"}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","kid":"a","typ":"application/at+jwt"}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","kid":"a","typ":""}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","kid":"a","typ":["JWT"]}"#, Reason::TokenMalformed),
        (r#"{"alg":"RS256","kid":"unknown"}"#, Reason::KeyUnknown),
        (r#"{"alg":"RS256","kid":"b"}"#, Reason::KeyUnknown),
        ("[]", Reason::TokenMalformed),
        ("", Reason::TokenMalformed),
    ] {
        assert_eq!(with(header), expected, "{header}");
    }
}

#[test]
fn each_issuer_is_checked_with_its_own_keys_alone() {
    let mut two = claims();
    two["iss"] = json!("https://two.example/");
    assert_eq!(
        reason(&sign_raw(&KEYS[1], r#"{"alg":"RS256","kid":"b"}"#, &two.to_string())),
        Reason::NoPermissionRequired
    );
    assert_eq!(reason(&sign_raw(&KEYS[0], r#"{"alg":"RS256"}"#, &two.to_string())), Reason::SignatureInvalid);
    assert_eq!(
        reason(&sign_raw(&KEYS[1], r#"{"alg":"RS256","kid":"a"}"#, &claims().to_string())),
        Reason::SignatureInvalid
    );
}

#[test]
fn a_changed_token_is_refused_wherever_it_is_changed() {
    let token = sign(&claims());
    let plan = plan(|_| ());
    let mut tokens = memory();
    assert!(judge_at(&plan, &token, &mut tokens, NOW).is_allow());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(!judge_at(&plan, &changed, &mut tokens, NOW).is_allow(), "byte {at}");
    }
    for cut in 0..token.len() {
        assert!(!judge_at(&plan, &token[..cut], &mut tokens, NOW).is_allow(), "cut at {cut}");
    }
    for end in ["=", "A", ".", ".x"] {
        assert!(!judge_at(&plan, &format!("{token}{end}"), &mut tokens, NOW).is_allow(), "{end}");
    }
}

#[test]
fn bytes_that_no_token_has_are_malformed_in_every_part() {
    let token = sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    for place in 0..parts.len() {
        for byte in ["~", "+", "/", "=", " ", "\"", "é", "\u{7f}"] {
            let mut parts = parts.clone();
            let part = format!("{byte}{}", parts[place]);
            parts[place] = &part;
            assert_eq!(reason(&parts.join(".")), Reason::TokenMalformed, "{byte:?} in part {place}");
        }
    }
}

/// Also of claims that nothing reads.
#[test]
fn duplicate_claims_are_refused() {
    let with = |more: &str| {
        let claims =
            format!(r#"{{"iss":"https://one.example","aud":"orders","exp":{},"sub":"alice",{more}}}"#, NOW + 1);
        reason(&sign_raw(&KEYS[0], r#"{"alg":"RS256"}"#, &claims))
    };
    assert_eq!(with(r#""x":1,"y":{"z":1}"#), Reason::NoPermissionRequired);
    for more in [
        r#""exp":1900000000"#,
        r#""\u0065xp":1900000000"#,
        r#""x":1,"y":2,"x":1"#,
        r#""x":1,"\u0078":1"#,
        r#""x":[{"y":1,"y":1}]"#,
    ] {
        assert_eq!(with(more), Reason::TokenMalformed, "{more}");
    }
}

#[test]
fn an_entra_token_must_be_of_version_2() {
    let plan = plan(|c| c["issuers"][0]["issuer"] = json!("https://login.microsoftonline.com/t/v2.0"));
    let mut entra = claims();
    entra["iss"] = json!("https://login.microsoftonline.com/t/v2.0");
    let judge = |claims: &Value| judge_at(&plan, &sign(claims), &mut memory(), NOW).reason();
    assert_eq!(judge(&entra), Reason::TokenMalformed);
    entra["ver"] = json!("2.0");
    assert_eq!(judge(&entra), Reason::NoPermissionRequired);
}

#[test]
fn the_cache_serves_one_plan_and_another_but_never_longer_than_the_token() {
    let mut tokens = memory();
    let token = sign(&claims());
    let nobody = plan(|_| ());
    let tenant = plan(|c| c["policy"] = json!({"roles": [{"roleId": "r", "users": ["alice"]}]}));
    assert_eq!(judge_at(&nobody, &token, &mut tokens, NOW).explain()["principal"]["roles"], json!([]));
    assert_eq!(judge_at(&tenant, &token, &mut tokens, NOW).explain()["principal"]["roles"], json!(["r"]));
    assert_eq!(judge_at(&nobody, &token, &mut tokens, NOW).explain()["principal"]["roles"], json!([]));
    assert_eq!(judge_at(&nobody, &token, &mut tokens, NOW + 359).reason(), Reason::NoPermissionRequired);
    assert_eq!(judge_at(&nobody, &token, &mut tokens, NOW + 360).reason(), Reason::TokenExpired);
}
