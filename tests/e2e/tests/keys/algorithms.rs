//! Every algorithm through a real Envoy, with its own check of signatures and without: both ways
//! answer alike.

use portcullis_e2e::idp::Key;
use portcullis_e2e::wait;
use serde_json::{Value, json};

use crate::forged::{Forged, Random, forged};
use crate::site::{Outcome, Site, Sketch, issuer, outcome};

const NAME: &str = "https://idp.test";
/// What Envoy can check itself.
const BY_HOST: [&str; 5] = ["RS256", "RS384", "RS512", "ES256", "ES384"];

/// One key each; those of RSA are one key under several ids.
fn keys() -> Vec<Key> {
    let rsa = Key::of("RS256", "RS256").expect("a key");
    let others = ["RS384", "RS512", "PS256", "PS384", "PS512"].map(|algorithm| rsa.also(algorithm, algorithm));
    let mut keys = vec![rsa];
    keys.extend(others);
    keys.extend(["ES256", "ES384", "EdDSA"].map(|algorithm| Key::of(algorithm, algorithm).expect("a key")));
    keys
}

fn token(key: &Key) -> String {
    key.token(NAME, &json!({"preferred_username": "ada"}))
}

/// A letter that stands for other bits than the one before.
fn other(letter: char) -> char {
    if letter == 'A' { 'Q' } else { 'A' }
}

/// The token with one letter changed, in that part, that far from its beginning.
fn changed(token: &str, part: usize, at: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let text = &mut parts[part];
    let letter = other(text.chars().nth(at).expect("a letter"));
    text.replace_range(at..=at, &letter.to_string());
    parts.join(".")
}

/// Honest and tampered tokens, with what is to become of each.
fn cases(keys: &[Key]) -> Vec<(String, String, Option<Outcome>)> {
    let served = outcome(200, "no_permission_required");
    let invalid = outcome(401, "signature_invalid");
    let mut cases = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let honest = token(key);
        let (text, signature) = honest.rsplit_once('.').expect("a signature");
        let length = signature.len();
        let mut add = |what: &str, token: String, expected: Option<&Outcome>| {
            cases.push((format!("{}: {what}", key.algorithm()), token, expected.cloned()));
        };
        for at in [0, 1, length / 4, length / 2, length - 3] {
            add(&format!("letter {at} of the signature"), changed(&honest, 2, at), Some(&invalid));
        }
        // What becomes of other text hangs on what it then says.
        for at in [10, 20, 40, 60] {
            add(&format!("letter {at} of the claims"), changed(&honest, 1, at), None);
        }
        add("no signature", format!("{text}."), Some(&invalid));
        add("half a signature", format!("{text}.{}", &signature[..length / 8 * 4]), Some(&invalid));
        add("twice the signature", format!("{text}.{}", signature.trim_end_matches('=').repeat(2)), None);
        add("zeros", format!("{text}.{}", "A".repeat(length)), Some(&invalid));
        add("ones", format!("{text}.{}", "_".repeat(length / 4 * 4)), Some(&invalid));
        let neighbour = &keys[(number + 1) % keys.len()];
        let stolen = token(neighbour);
        let stolen = stolen.rsplit_once('.').expect("a signature").1;
        add("another token's signature", format!("{text}.{stolen}"), Some(&invalid));
        let renamed = token(&neighbour.also(neighbour.algorithm(), key.kid()));
        add("another algorithm", renamed, Some(&outcome(401, "algorithm_refused")));
        add("honest", honest.clone(), Some(&served));
    }
    cases
}

fn checks(site: &Site) -> [u64; 2] {
    ["host", "module"].map(|who| {
        let name = format!("wasmcustom.wasm_filter.portcullis.component.{who}.portcullis_signature_checks");
        site.envoy.stat(&name).expect("stats").unwrap_or_default()
    })
}

#[test]
fn every_algorithm_is_checked_alike_by_the_host_and_by_the_module() {
    let keys = keys();
    let jwks: Vec<Value> = keys.iter().map(Key::jwk).collect();
    let issuers = [issuer(NAME, json!({"inline": {"keys": jwks}}))];
    let site = Sketch::new()
        .plugin("native", &issuers)
        .shaped("withheld", &issuers, |listener| {
            listener
                .without_capability("proxy_call_foreign_function")
                .edit_filter(|filter| filter["vm_config"]["vm_id"] = "withheld".into())
        })
        .start();
    // Who has checked what: before anything else, one token each.
    for (plugin, by_host) in [("native", BY_HOST.len()), ("withheld", 0)] {
        let before = checks(&site);
        keys.iter().for_each(|key| site.serves(key.algorithm(), plugin, &token(key)));
        let wanted = [before[0] + by_host as u64, before[1] + (keys.len() - by_host) as u64];
        wait::until("the checks to be counted", || (checks(&site) == wanted).then_some(()))
            .unwrap_or_else(|error| panic!("{error}: {plugin}: {:?}, not {wanted:?}", checks(&site)));
    }
    for (what, token, expected) in cases(&keys) {
        let [native, withheld] = ["native", "withheld"].map(|plugin| site.get(plugin, &token));
        assert_eq!(native, withheld, "{what}");
        match expected {
            Some(expected) => assert_eq!(native, expected, "{what}"),
            None => assert_eq!(native.status, 401, "{what}: {native:?}"),
        }
    }
    let mut random = Random::new();
    for key in &keys {
        for Forged { what, token, is_good } in forged(&mut random, key, NAME) {
            let [native, withheld] = ["native", "withheld"].map(|plugin| site.get(plugin, &token));
            assert_eq!(native, withheld, "{what}");
            let served = outcome(200, "no_permission_required");
            assert_eq!(native, if is_good { served } else { outcome(401, "signature_invalid") }, "{what}");
        }
    }
    site.assert_unharmed();
}
