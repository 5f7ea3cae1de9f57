//! Known answers for every algorithm: signatures made with OpenSSL (`tests/vectors/signatures.json`)
//! and the examples of the RFCs, good ones and bad ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis::authn::keys::{Algorithm, KeySet};
use portcullis::authn::signature::{PureRust, SignatureCheck, ecdsa_der};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Vector {
    algorithm: String,
    name: String,
    good: bool,
    jwk: Value,
    message: String,
    signature: String,
}

fn verify(jwk: &Value, algorithm: &str, message: &str, signature: &str) -> bool {
    let (keys, skipped) = KeySet::read(std::slice::from_ref(jwk));
    assert!(skipped.is_empty(), "{skipped:?}");
    let algorithm = Algorithm::named(algorithm).unwrap();
    let signature = BASE64.decode(signature).unwrap();
    let mut keys = keys.candidates(None, algorithm);
    keys.any(|key| PureRust.verify(algorithm, &key.public, message.as_bytes(), &signature))
}

#[test]
fn every_algorithm_answers_as_openssl() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/signatures.json")).unwrap();
    let mut seen: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for vector in &vectors {
        let actual = verify(&vector.jwk, &vector.algorithm, &vector.message, &vector.signature);
        assert_eq!(actual, vector.good, "{} {}", vector.algorithm, vector.name);
        *seen.entry((&vector.algorithm, vector.good)).or_default() += 1;
    }
    for algorithm in Algorithm::ALL {
        assert!(seen[&(algorithm.name(), true)] >= 1 && seen[&(algorithm.name(), false)] >= 7, "{}", algorithm.name());
    }
}

#[test]
fn the_examples_of_the_rfcs_are_good() {
    // RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.4.
    let rsa = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (jwk, algorithm, message, signature) in [
        (
            json!({"kty": "RSA", "n": rsa, "e": "AQAB"}),
            "RS256",
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            "ES256",
            format!("eyJhbGciOiJFUzI1NiJ9.{claims}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "EdDSA",
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        assert!(verify(&jwk, algorithm, &message, signature), "{algorithm}");
    }
}

#[test]
fn a_key_takes_only_the_algorithms_of_its_type() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/signatures.json")).unwrap();
    for vector in vectors.iter().filter(|v| v.good) {
        let mut jwk = vector.jwk.clone();
        jwk.as_object_mut().unwrap().remove("alg");
        let (keys, _) = KeySet::read(&[jwk]);
        for algorithm in Algorithm::ALL {
            let family = |name: &str| name.replace("PS", "RS").trim_end_matches(char::is_numeric).to_owned();
            let same = algorithm.name() == vector.algorithm
                || (family(algorithm.name()) == "RS" && family(&vector.algorithm) == "RS");
            assert_eq!(
                keys.candidates(None, *algorithm).next().is_some(),
                same,
                "{} {}",
                algorithm.name(),
                vector.algorithm
            );
        }
    }
}

#[test]
fn unusable_keys_are_skipped_with_their_reason() {
    let point = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let with = |change: &[(&str, Value)]| {
        let mut jwk = point.clone();
        for (name, value) in change {
            jwk[*name] = value.clone();
        }
        KeySet::read(&[jwk]).1.first().map(|s| s.reason)
    };
    let rsa = |n: Vec<u8>, e: &[u8]| {
        let jwk = json!({"kty": "RSA", "n": BASE64.encode(n), "e": BASE64.encode(e)});
        KeySet::read(&[jwk]).1.first().map(|s| s.reason)
    };
    assert_eq!(with(&[]), None);
    assert_eq!(
        with(&[("y", json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"))]),
        Some("a member of the key is not base64url")
    );
    assert_eq!(
        with(&[("y", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"))]),
        Some("the point is not on the curve")
    );
    assert_eq!(with(&[("x", json!("f83OJ3D2"))]), Some("a coordinate has the wrong length"));
    assert_eq!(with(&[("crv", json!("P-521"))]), Some("`crv` is not supported"));
    assert_eq!(with(&[("kty", json!("oct"))]), Some("`kty` is not supported"));
    assert_eq!(with(&[("use", json!("enc"))]), Some("`use` is not `sig`"));
    assert_eq!(with(&[("key_ops", json!(["sign"]))]), Some("`key_ops` does not have `verify`"));
    assert_eq!(with(&[("alg", json!("ES384"))]), Some("`alg` does not take this type of key"));
    assert_eq!(with(&[("alg", json!("ECDH-ES"))]), Some("`alg` is not supported"));
    assert_eq!(with(&[("kid", json!(7))]), Some("a member is not text"));
    for member in ["use", "key_ops", "alg", "kid"] {
        assert_eq!(with(&[(member, json!(null))]), None, "{member}");
    }
    let weak = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode([0; 32])});
    assert_eq!(KeySet::read(&[weak]).1[0].reason, "the key is of small order");
    assert_eq!(rsa(vec![0xff; 64], &[1, 0, 1]), Some("an RSA key must have 2048 to 4096 bits"));
    assert_eq!(rsa(vec![0xff; 520], &[1, 0, 1]), Some("an RSA key must have 2048 to 4096 bits"));
    assert_eq!(
        rsa(vec![0xff; 2_048], &[1, 0, 1]),
        Some("an RSA key must have 2048 to 4096 bits and an exponent of at most 64")
    );
    assert_eq!(rsa(vec![0xff; 256], &[1]), Some("the RSA exponent is smaller than 65537"));
    assert_eq!(rsa(vec![0xff; 256], &[3]), Some("the RSA exponent is smaller than 65537"));
    assert_eq!(rsa(vec![0xfe; 256], &[1, 0, 1]), Some("the RSA modulus or exponent is even"));
    assert_eq!(rsa(vec![0xff; 256], &[1, 0, 1]), None);
}

#[test]
fn a_set_keeps_its_good_keys_and_at_most_a_hundred() {
    let good = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let (keys, skipped) = KeySet::read(&[json!(7), good.clone(), json!({"kty": "RSA"})]);
    assert!(!keys.is_empty());
    assert_eq!(skipped.iter().map(|s| s.index).collect::<Vec<_>>(), [0, 2]);
    let (keys, skipped) = KeySet::read(&vec![good; 10_000]);
    assert_eq!((keys.candidates(None, Algorithm::EdDsa).count(), skipped.len()), (100, 9_900));
}

#[test]
fn ecdsa_signatures_are_turned_into_asn1_only_where_they_are_some() {
    assert_eq!(ecdsa_der(Algorithm::Es256, &[0; 64]), None);
    assert_eq!(ecdsa_der(Algorithm::Es256, &[1; 63]), None);
    assert_eq!(ecdsa_der(Algorithm::Rs256, &[1; 64]), None);
    assert_eq!(ecdsa_der(Algorithm::Es256, &[1; 64]).map(|der| (der[0], der.len())), Some((0x30, 70)));
}
