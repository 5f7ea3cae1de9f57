//! Tokens. The first byte says who signs: `a` or `b` the issuer of that key, `x` a stranger, `t` the
//! first issuer, but something else; after it come the header, a line break and the claims. With `r`
//! the rest is the token itself.

use crate::issuer::{self, NOW, key, sign};
use crate::memory::bounded;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis::authn::header::Headers;
use portcullis::authn::keys::remote::KeyStore;
use portcullis::authn::keys::{Algorithm, PublicKey};
use portcullis::authn::signature::{PureRust, SignatureCheck};
use portcullis::authn::token::{Unverified, Verified, verify};
use portcullis::authn::{Issuers, Subject};
use portcullis::config::{self, Plan};
use portcullis::decision::Decision;
use portcullis::judge::{Memory, Step, Surroundings};
use portcullis::request::Request;
use serde_json::{Map, Value, json};
use std::rc::Rc;

const SKEW: i64 = 60;
const ISSUERS: [(&str, &str, u8); 2] = [(issuer::NAME, "a", 1), ("https://two.example/", "b", 2)];

thread_local! {
    static PLAN: Rc<Plan> = plan();
}

/// Two issuers, each with a key for EdDSA and others whose private halves nobody has.
fn plan() -> Rc<Plan> {
    let issuers: Vec<Value> = ISSUERS
        .iter()
        .map(|(name, id, number)| {
            json!({
                "issuer": name,
                "audiences": [issuer::AUDIENCE, "other"],
                "clockSkew": format!("{SKEW}s"),
                "jwks": { "inline": { "keys": [issuer::jwk(&key(*number), id), RSA.clone(), EC.clone()] } },
                "claims": { "username": "sub", "clientId": "client_id", "groups": "$.realm.groups[*]" },
            })
        })
        .collect();
    let configuration = json!({ "version": 1, "name": "fuzz", "policy": {}, "issuers": issuers });
    Rc::new(config::read(configuration.to_string().as_bytes()).unwrap().0)
}

static RSA: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
    let modulus = [&[0xc1][..], &[0x35; 254], &[0x07]].concat();
    json!({ "kty": "RSA", "kid": "rsa", "e": "AQAB", "n": BASE64.encode(modulus) })
});
static EC: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
    // The point of the example in RFC 7517, appendix A.1.
    json!({
        "kty": "EC", "crv": "P-256", "kid": "ec",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    })
});

/// Believes every signature, and looks at how it is asked.
struct Trusting<'a>(&'a str);

impl SignatureCheck for Trusting<'_> {
    fn verify(&self, algorithm: Algorithm, key: &PublicKey, message: &[u8], _: &[u8]) -> bool {
        assert!(key.fits(algorithm), "{algorithm:?} with a key of another type");
        let (signed, _) = self.0.rsplit_once('.').unwrap();
        assert_eq!(message, signed.as_bytes(), "something else than header and claims is checked");
        true
    }
}

/// A token that everyone but its issuer refuses, and one that is believed only because it is right.
pub fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let (header, claims) = rest.iter().position(|b| *b == b'\n').map_or((rest, &[][..]), |at| {
        let (header, claims) = rest.split_at(at);
        (header, &claims[1..])
    });
    let (text, signer) = match kind {
        b'a' => (sign(&key(1), header, claims), Some(0)),
        b'b' => (sign(&key(2), header, claims), Some(1)),
        b't' => {
            let token = sign(&key(1), header, b"{}");
            let (_, signature) = token.rsplit_once('.').unwrap();
            let signer = (claims == b"{}").then_some(0);
            (format!("{}.{}.{signature}", BASE64.encode(header), BASE64.encode(claims)), signer)
        }
        b'r' => match std::str::from_utf8(rest) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => return,
        },
        _ => (sign(&key(3), header, claims), None),
    };
    PLAN.with(|plan| check_token(plan, &text, signer));
}

fn check_token(plan: &Rc<Plan>, text: &str, signer: Option<usize>) {
    // The second time the header is known.
    let mut headers = Headers::default();
    let mut ask = |check: &dyn SignatureCheck| {
        let mut store = KeyStore::new(&plan.issuers);
        bounded(64 * 1024, text.len(), 256, || verify(text, &plan.issuers, &mut headers, &mut store, None, NOW, check))
    };
    let trusted = ask(&Trusting(text));
    let verified = ask(&PureRust);
    if let Ok(trusted) = &trusted {
        follows_the_rules(text, trusted, &plan.issuers);
    }
    match (&verified, &trusted) {
        (Ok(verified), Ok(trusted)) => {
            assert_eq!(Some(verified.issuer), signer, "a token of somebody else");
            assert_eq!(verified.identity.subject(), trusted.identity.subject());
        }
        (Ok(_), Err(_)) => panic!("refused even with its signature believed, but verified"),
        (Err(Unverified::NeedsKeys { .. }), _) => panic!("no issuer fetches keys"),
        (Err(Unverified::Refused(why)), Ok(trusted)) => {
            assert_eq!(why.reason.code(), "signature_invalid", "the signature alone makes the difference");
            // The keys that sign here do so in one way only, whatever the header says.
            let is_signed = Some(trusted.issuer) == signer;
            let header = object(text.split('.').next().unwrap());
            assert!(!is_signed || header["alg"] != "EdDSA", "its issuer has signed it");
        }
        (Err(Unverified::Refused(why)), Err(_)) if why.reason.code() == "signature_invalid" => (),
        (Err(one), Err(other)) => assert_eq!(one, other),
    }
    judged(plan, text, &verified);
}

/// The same once more with plain means.
fn follows_the_rules(text: &str, verified: &Verified, issuers: &Issuers) {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, _] = parts[..] else { panic!("not three parts") };
    let header = object(header);
    let claims = object(claims);
    let (name, key_id, _) = ISSUERS[verified.issuer];
    let algorithm = header["alg"].as_str().unwrap();
    assert!(["EdDSA", "ES256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].contains(&algorithm));
    for name in ["crit", "jwk", "jku", "x5u", "x5c"] {
        assert!(!header.contains_key(name), "the header has {name}");
    }
    if let Some(kid) = header.get("kid") {
        assert!([key_id, "rsa", "ec"].contains(&kid.as_str().unwrap()), "another key than that of kid");
    }
    assert_eq!(claims["iss"], name);
    assert_eq!(issuers.iter().nth(verified.issuer).unwrap().issuer, name);
    let wanted = |value: &Value| value == issuer::AUDIENCE || value == "other";
    assert!(wanted(&claims["aud"]) || claims["aud"].as_array().unwrap().iter().any(wanted));
    assert!(claims["exp"].as_f64().unwrap() + SKEW as f64 > NOW as f64 - 1.0, "it has expired");
    if let Some(from) = claims.get("nbf") {
        assert!(from.as_f64().unwrap() - SKEW as f64 <= NOW as f64, "it is not valid yet");
    }
    let subject = match claims.get("client_id") {
        None | Some(Value::Null) => Subject::User(claims["sub"].as_str().unwrap().to_owned()),
        Some(id) => Subject::Client(id.as_str().unwrap().to_owned()),
    };
    assert_eq!(*verified.identity.subject(), subject);
    let groups = claims.get("realm").and_then(|realm| realm.get("groups")).map_or(Vec::new(), |groups| match groups {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    });
    let groups: Vec<&str> = groups.into_iter().map(|group| group.as_str().unwrap()).collect();
    assert_eq!(verified.identity.groups().unwrap(), groups);
}

/// A part of a token: an object without a name that stands in it twice.
fn object(part: &str) -> Map<String, Value> {
    let text = String::from_utf8(BASE64.decode(part).unwrap()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(colons(&text), members(&value), "a member stands twice");
    match value {
        Value::Object(object) => object,
        _ => panic!("not an object"),
    }
}

/// Colons outside of strings: one for each member that is written.
fn colons(text: &str) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b':' if !is_text => count += 1,
            _ => (),
        }
    }
    count
}

/// The members that were read.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        Value::Array(list) => list.iter().map(members).sum(),
        _ => 0,
    }
}

/// A request with it: the same the second time, out of the cache, and refused once its time is over.
fn judged(plan: &Rc<Plan>, text: &str, verified: &Result<Verified, Unverified>) {
    let value = format!("Bearer {text}");
    let headers = [(&b"authorization"[..], value.as_bytes())];
    let request = Request { method: b"GET", path: b"/v2/topology", headers: &headers };
    let mut memory = Memory::new(&plan.issuers);
    let mut ask = |now| {
        let mut around = Surroundings { now, signatures: &PureRust, memory: &mut memory, waited: None };
        match plan.judge(&request, &mut around) {
            Step::Decided(decision) => decision,
            step => panic!("{step:?}"),
        }
    };
    let (first, second, late) = (ask(NOW), ask(NOW), ask(i64::MAX));
    assert_eq!(first.explain(), second.explain(), "the cache says something else");
    assert!(!late.is_allow(), "it never ends");
    let is_known = |decision: &Decision| decision.principal.is_some();
    assert_eq!(is_known(&first), verified.is_ok() && text.len() <= portcullis::authn::credential::MAX_TOKEN);
    assert!(!is_known(&late));
}
