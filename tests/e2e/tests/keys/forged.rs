//! Random signatures, for a seed that is printed: Envoy, the module and the engine natively must
//! say the same of each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis::authn::keys::{Algorithm, KeySet};
use portcullis::authn::signature::{PureRust, SignatureCheck as _};
use portcullis_e2e::idp::Key;
use rsa::BigUint;
use rsa::rand_core::{OsRng, RngCore as _};
use serde_json::{Value, json};

/// How many signatures are forged for each key.
const FORGED: usize = 30;
/// The orders of the curves (SEC 2 sections 2.4.2 and 2.5.1).
const P256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

/// Random numbers of a seed (SplitMix64, Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    /// Of the seed in `SEED`, or one that nobody knows before; it is printed.
    pub fn new() -> Self {
        let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
        let seed = given.unwrap_or_else(|| OsRng.next_u64());
        println!("SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A token, and whether its signature is good.
pub struct Forged {
    pub what: String,
    pub token: String,
    pub is_good: bool,
}

/// Tokens of that key with random signatures and texts; some of them are honest.
pub fn forged(random: &mut Random, key: &Key, issuer: &str) -> Vec<Forged> {
    (0..FORGED)
        .map(|_| {
            let claims = json!({"preferred_username": "ada", "jti": BASE64.encode(random.bytes(12))});
            let honest = key.token(issuer, &claims);
            let (text, signature) = honest.rsplit_once('.').expect("a signature");
            let mut signature = BASE64.decode(signature).expect("base64url");
            let how = change(random, key, &mut signature);
            let what = format!("{}: {how}: {text}.{}", key.algorithm(), BASE64.encode(&signature));
            let token = format!("{text}.{}", BASE64.encode(&signature));
            Forged { what, token, is_good: is_good(&key.jwk(), key.algorithm(), text, &signature) }
        })
        .collect()
}

/// What the engine says natively.
fn is_good(jwk: &Value, algorithm: &str, text: &str, signature: &[u8]) -> bool {
    let (keys, _) = KeySet::read(std::slice::from_ref(jwk));
    let algorithm = Algorithm::named(algorithm).expect("an algorithm");
    let mut keys = keys.candidates(None, algorithm);
    keys.any(|key| PureRust.verify(algorithm, &key.public, text.as_bytes(), signature))
}

/// What no number of a signature reaches: the modulus, or the order of the curve.
fn limit(jwk: &Value) -> BigUint {
    let hex = |digits: &str| BigUint::parse_bytes(digits.as_bytes(), 16).expect("a number");
    match jwk["n"].as_str() {
        Some(modulus) => BigUint::from_bytes_be(&BASE64.decode(modulus).expect("base64url")),
        None if jwk["crv"] == "P-384" => hex(P384),
        None => hex(P256),
    }
}

/// A number in so many bytes.
fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; length.saturating_sub(bytes.len())], bytes].concat()
}

/// Changes a signature in one of many ways, and says in which.
fn change(random: &mut Random, key: &Key, bytes: &mut Vec<u8>) -> &'static str {
    let (jwk, length) = (key.jwk(), bytes.len());
    let limit = limit(&jwk);
    // A signature of RSA is one number, all others are two.
    let half = if jwk["n"].is_null() { length / 2 } else { 0 };
    let number = BigUint::from_bytes_be(&bytes[half..]);
    let one = BigUint::from(1_u8);
    match random.below(11) {
        0 => {
            for _ in 0..=random.below(8) {
                bytes[random.below(length)] ^= 1 << random.below(8);
            }
            "some bits flipped"
        }
        1 => {
            let from = random.below(length);
            let count = 1 + random.below(length - from);
            let stretch = random.bytes(count);
            bytes[from..from + stretch.len()].copy_from_slice(&stretch);
            "a random stretch"
        }
        2 => {
            bytes.truncate(random.below(length));
            "too short"
        }
        3 => {
            let count = 1 + random.below(length);
            bytes.extend(random.bytes(count));
            "too long"
        }
        4 => {
            bytes.insert(random.below(2) * half, 0);
            "a zero before a number"
        }
        5 => {
            bytes.rotate_left(length / 2);
            "its halves exchanged"
        }
        6 => {
            *bytes = random.bytes(length);
            "random bytes"
        }
        7 => {
            let extremes = [BigUint::default(), one.clone(), &limit - &one, limit.clone(), &limit + &one];
            let extreme = padded(&extremes[random.below(extremes.len())], length - half);
            let from = random.below(2) * half;
            bytes.splice(from..from + extreme.len(), extreme);
            "an extreme number"
        }
        8 if number < limit => {
            bytes.splice(half.., padded(&(&limit - &number), length - half));
            "the last number negated"
        }
        9 => {
            bytes.splice(half.., (&number + &limit).to_bytes_be());
            "the last number and the limit"
        }
        _ => "honest",
    }
}
