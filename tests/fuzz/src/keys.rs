//! Key sets: a document, or answers of an identity provider over time.

use crate::issuer::{self, key};
use crate::memory::bounded;
use arbitrary::{Result, Unstructured};
use portcullis::authn::Issuers;
use portcullis::authn::keys::remote::{KeyStore, Received, Standing};
use portcullis::authn::keys::{Algorithm, KeySet, MAX_KEYS, PublicKey, RSA_BITS};
use portcullis::config;
use portcullis::json;
use serde_json::{Value, json};

/// Only keys that may be used are used, and the last good ones stay as long as they may.
pub fn check(data: &[u8]) {
    match data {
        [b'{', ..] => document(data),
        _ => drop(answers(&mut Unstructured::new(data))),
    }
}

fn document(data: &[u8]) {
    let read = bounded(256 * 1024, data.len(), 512, || KeySet::parse(data));
    let Ok((set, skipped)) = read else { return };
    let document = json::parse(data).unwrap();
    let list = document["keys"].as_array().unwrap();
    let keys = |set: &KeySet| -> Vec<(Option<String>, Vec<u8>)> {
        let all = Algorithm::ALL.iter().flat_map(|algorithm| set.candidates(None, *algorithm));
        let mut all: Vec<_> = all.map(|key| (key.id.clone(), usable(&key.public))).collect();
        all.sort_unstable();
        all
    };
    for algorithm in Algorithm::ALL {
        for key in set.candidates(None, *algorithm) {
            assert!(key.public.fits(*algorithm) && key.algorithm.is_none_or(|own| own == *algorithm));
        }
    }
    // Each stands for itself: a bad one spoils no good one, and none makes another usable.
    let mut alone = Vec::new();
    for (index, jwk) in list.iter().enumerate().take(MAX_KEYS) {
        let (one, skipped_alone) = KeySet::read(std::slice::from_ref(jwk));
        let was_skipped = skipped.iter().find(|skipped| skipped.index == index);
        assert_eq!(one.is_empty(), was_skipped.is_some());
        assert_eq!(skipped_alone.first().map(|s| s.reason), was_skipped.map(|s| s.reason));
        if !one.is_empty() {
            let secret = ["d", "k"].iter().any(|name| jwk.get(name).is_some());
            assert!(!secret && jwk.get("use").is_none_or(|value| value == "sig"), "{jwk}");
        }
        alone.extend(keys(&one));
    }
    alone.sort_unstable();
    assert_eq!(keys(&set), alone);
    assert!(
        skipped.iter().filter(|skipped| skipped.index >= MAX_KEYS).count() + MAX_KEYS.min(list.len()) == list.len()
    );
}

/// What makes a key one that may be used; its bytes.
fn usable(key: &PublicKey) -> Vec<u8> {
    use rsa::traits::PublicKeyParts as _;
    match key {
        PublicKey::Rsa { key, spki_der } => {
            assert!(RSA_BITS.contains(&key.n().bits()));
            assert!(*key.e() >= rsa::BigUint::from(65_537_u32));
            spki_der.clone()
        }
        PublicKey::P256 { key, spki_der } => {
            assert!(!bool::from(key.to_encoded_point(false).is_identity()));
            spki_der.clone()
        }
        PublicKey::P384 { key, spki_der } => {
            assert!(!bool::from(key.to_encoded_point(false).is_identity()));
            spki_der.clone()
        }
        PublicKey::Ed25519(key) => {
            assert!(!key.is_weak());
            key.as_bytes().to_vec()
        }
    }
}

const MAX_STALE: i64 = 3_600;

fn issuers() -> Issuers {
    let places = [
        json!({ "remote": { "uri": "https://idp.example/certs", "cluster": "idp", "maxStale": "1h" } }),
        json!({ "discovery": { "cluster": "idp", "maxStale": "1h" } }),
    ];
    let issuers: Vec<Value> = places
        .into_iter()
        .enumerate()
        .map(|(number, jwks)| json!({ "issuer": format!("https://idp{number}.example"), "audiences": ["x"], "jwks": jwks }))
        .collect();
    let configuration = json!({ "version": 1, "name": "fuzz", "policy": {}, "issuers": issuers });
    config::read(configuration.to_string().as_bytes()).unwrap().0.issuers
}

/// What must be known of an issuer's keys.
#[derive(Clone, Default)]
struct Model {
    /// When good ones came, and their document.
    good: Option<(i64, Value)>,
    /// Since when a fetch is under way.
    in_flight: Option<i64>,
    last: Option<i64>,
}

fn answers(bytes: &mut Unstructured<'_>) -> Result<()> {
    let issuers = issuers();
    let mut store = KeyStore::new(&issuers);
    let mut models = [Model::default(), Model::default()];
    let mut now = 1_000;
    while !bytes.is_empty() {
        let issuer = usize::from(bytes.arbitrary::<bool>()?);
        match bytes.int_in_range(0..=5)? {
            0 => now += i64::from(bytes.arbitrary::<u8>()?),
            1 => now += i64::from(bytes.arbitrary::<u16>()?),
            2 => {
                for fetch in store.due(now) {
                    let model = &mut models[fetch.issuer];
                    assert!(model.in_flight.is_none_or(|since| now > since + 2), "two at once");
                    (model.in_flight, model.last) = (Some(now), Some(now));
                }
                assert_eq!(store.due(now), [], "given out twice");
            }
            3 => {
                store.ask(issuer, now);
            }
            4 => {
                store.lose(issuer);
                models[issuer].in_flight = None;
            }
            _ => {
                let body = answer(bytes)?;
                let status = *bytes.choose(&[200, 200, 200, 404, 302])?;
                let sent = bytes.ratio(7, 8)?.then_some((status, &*body));
                let chance = bytes.arbitrary()?;
                let received = bounded(256 * 1024, body.len(), 1024, || store.receive(issuer, sent, now, chance));
                models[issuer].in_flight = None;
                match received {
                    Received::Keys { changed, .. } => {
                        assert_eq!(status, 200);
                        let document = json::parse(&body).unwrap();
                        assert!(!KeySet::parse(&body).unwrap().0.is_empty());
                        let before = models[issuer].good.replace((now, document.clone()));
                        assert_eq!(changed, before.is_none_or(|(_, before)| before != document));
                    }
                    Received::Metadata => {
                        assert!(issuer == 1 && status == 200);
                        assert_eq!(json::parse(&body).unwrap()["issuer"], "https://idp1.example");
                    }
                    Received::Failed(why) => assert!(!why.is_empty()),
                }
            }
        }
        for (issuer, model) in models.iter().enumerate() {
            match (store.standing(issuer, now), &model.good) {
                (Standing::Good(keys, _), Some((since, _))) => assert!(now <= since + MAX_STALE && !keys.is_empty()),
                (Standing::Missing, good) => assert!(good.as_ref().is_none_or(|(since, _)| now > since + MAX_STALE)),
                (standing, _) => panic!("{standing:?}"),
            }
        }
    }
    Ok(())
}

/// The body of an answer, good or bad.
fn answer(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let set = |keys: &[Value]| json!({ "keys": keys }).to_string().into_bytes();
    let jwk = |number: u8| issuer::jwk(&key(number % 4), "a");
    Ok(match bytes.int_in_range(0..=5)? {
        0 | 1 => set(&[jwk(bytes.arbitrary()?)]),
        2 => {
            let number = usize::from(bytes.arbitrary::<bool>()?);
            let name = format!("https://idp{number}.example");
            json!({ "issuer": name, "jwks_uri": "https://idp.example/certs" }).to_string().into_bytes()
        }
        3 => set(&[json!({ "kty": "oct" }), jwk(bytes.arbitrary()?)]),
        4 => set(&[]),
        _ => {
            let length = usize::from(bytes.arbitrary::<u8>()?).min(bytes.len());
            bytes.bytes(length)?.to_vec()
        }
    })
}
