//! Configurations that are refused: with the path of the field and the reason, natively in full,
//! and in a real Envoy, which keeps what it had.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis::config;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::{Launch, Pushed};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use serde_json::{Map, Value, json};

/// A modulus of so many bits.
fn modulus(bits: usize) -> String {
    BASE64.encode(vec![0xff; bits / 8])
}

fn key() -> Value {
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": modulus(2048), "e": "AQAB"})
}

/// A configuration that is accepted.
fn good() -> Value {
    json!({
        "version": 1, "name": "orders", "policy": {},
        "issuers": [{"issuer": "https://idp.test", "audiences": ["api"], "jwks": {"inline": {"keys": [key()]}}}],
    })
}

/// A good configuration with this value at that JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut configuration = good();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let mut at = &mut configuration;
    for step in parent.split('/').skip(1) {
        at = match step.parse::<usize>() {
            Ok(number) => &mut at[number],
            Err(_) => at.as_object_mut().expect("an object").entry(step).or_insert_with(|| Map::new().into()),
        };
    }
    match (at, name.parse::<usize>()) {
        (Value::Array(list), Ok(number)) if number < list.len() => list[number] = value,
        (Value::Array(list), _) => list.push(value),
        (at, _) => at[name] = value,
    }
    configuration
}

/// What the engine says to a configuration; empty where it is accepted.
fn refusal(bytes: impl AsRef<[u8]>) -> String {
    config::read(bytes.as_ref()).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_is_no_json_object_is_refused() {
    for (bytes, expected) in [("x","")] { assert_eq!(refusal(bytes), expected); }
}

#[test]
fn probe() {
    for (p, v) in [
        ("/version", json!(2)), ("/version", json!(0)), ("/version", json!("1")), ("/version", json!(1.5)), ("/version", json!(-1)),("/version", json!(null)),
        ("/name", json!("")), ("/name", json!("a.b")), ("/name", json!("a:b")), ("/name", json!("x".repeat(64))), ("/name", json!(7)),
        ("/isuers", json!([])), ("/table", json!("")), ("/candidate", json!("")), ("/cors", json!({})), ("/forward", json!({})),
        ("/issuers/0/audience", json!([])), ("/issuers/0/jwks/remote", json!({})), ("/issuers/0/jwks/inline/key", json!([])), ("/issuers/0/discovery", json!({})),
        ("/issuers/0/claims/user", json!("x")), ("/api/basepath", json!("/")), ("/body/maxbytes", json!(1)), ("/credentials", json!([{"cookie": {"name": "t"}}])),
        ("/credentials", json!([{"header": {"name": "t", "prefx": ""}}])), ("/unresolved/operation", json!({})), ("/debug/explain", json!(true)), ("/decisionLog/stdout", json!(true)),
        ("/mode", json!("shadow")), ("/mode", json!("Enforce")), ("/mode", json!(true)), ("/searches", json!("drop")), ("/unresolved/default", json!("allow")), ("/body/gate", json!("buffer")),
        ("/issuers", json!([])), ("/issuers", json!({})), ("/issuers", json!([[]])), ("/issuers/0/issuer", json!("")), ("/issuers/0/issuer", json!(null)), ("/issuers/0/audiences", json!([])), ("/issuers/0/audiences", json!([""])), ("/issuers/0/audiences", json!("api")), ("/issuers/0/audiences", json!(["a", 1])),
        ("/issuers/1", json!({"issuer": "https://idp.test", "audiences": ["b"], "jwks": {"inline": {"keys": [key()]}}})),
        ("/issuers/0/clockSkew", json!("1 minute")), ("/issuers/0/clockSkew", json!("11m")), ("/issuers/0/clockSkew", json!("-1s")), ("/issuers/0/clockSkew", json!(60)),
        ("/issuers/0/algorithms", json!([])), ("/issuers/0/algorithms", json!(["HS256"])), ("/issuers/0/algorithms", json!(["RS256", "none"])),
        ("/issuers/0/claims/username", json!("")), ("/issuers/0/claims/clientId", json!("$..[?(@.a)].b.length()")), ("/issuers/0/claims/username", json!("$.")), ("/issuers/0/claims/groups", json!("$.a[")),
        ("/issuers/0/jwks", json!({})), ("/issuers/0/jwks/inline/keys", json!([])), ("/issuers/0/jwks/inline/keys", json!({})),
        ("/api/version", json!("8.7")), ("/api/version", json!(8.9)), ("/api/version", json!("9")), ("/api/surfaces", json!(["v2", "grpc"])), ("/api/surfaces", json!(["V2"])),
        ("/api/basePath", json!("")), ("/api/basePath", json!("camunda")), ("/api/basePath", json!("/a//b")), ("/api/basePath", json!("/a%20b")), ("/api/basePath", json!("/a?b")), ("/api/basePath", json!("/a/../b")), ("/api/basePath", json!("/a;b")), ("/api/multiTenancy", json!("yes")),
        ("/body/maxBytes", json!(0)), ("/body/maxBytes", json!(67108865)), ("/body/maxBytes", json!("1")), ("/body/maxBytes", json!(0.5)), ("/body/maxBytes", json!(1e300)),
        ("/credentials", json!([])), ("/credentials", json!([{"header": {"name": ""}}])), ("/credentials", json!([{"header": {"name": "a b"}}])), ("/credentials", json!([{"header": {"name": "Cookie"}}])), ("/credentials", json!([{"header": {"name": "a"}}, {"header": {"name": "A"}}])), ("/credentials", json!([{"header": {"name": "a", "prefix": "\u{e9} "}}])), ("/credentials", json!([{"header": {"name": ":path"}}])),
        ("/anonymous", json!(["getstatus"])), ("/anonymous", json!(["getStatus", "getTopology"])), ("/anonymous", json!(["createAdminUser"])), ("/anonymous", json!("getStatus")),
        ("/unresolved/operations", json!({"searchUser": "deny"})), ("/unresolved/operations", json!({"searchUsers": "no"})),
        ("/policy", json!(null)), ("/policy", json!("policy.yaml")), ("/policy/authorisations", json!([])), ("/policy/roles", json!([{"roleId": "a", "user": []}])),
        ("/policy/authorizations", json!([{"ownerType": "USER", "ownerId": "a", "resourceType": "USER", "permissionTypes": ["READ"]}])),
        ("/policy/authorizations", json!([{"ownerType": "USER", "ownerId": "a", "resourceType": "USER", "resourceId": "*", "resourcePropertyName": "x", "permissionTypes": ["READ"]}])),
        ("/policy/authorizations", json!([{"ownerType": "USER", "ownerId": "a", "resourceType": "USER", "resourceId": "*"}])),
        ("/policy/authorizations", json!([{"ownerType": "USER", "ownerId": "a", "resourceType": "USER", "resourceId": 7, "permissionTypes": []}])),
        ("/policy/authorizations", json!([{"ownerType": "USER", "ownerId": "a", "resourceType": "USER", "resourceId": "*", "permissionTypes": ["READ"], "permissions": ["READ"]}])),
        ("/policy/roles", json!([{"roleId": "a"}, {"roleId": "a"}])), ("/policy/groups", json!([{"groupId": "a"}, {"groupId": "a"}])), ("/policy/tenants", json!([{"tenantId": "a"}, {"tenantId": "a"}])),
        ("/policy/mappingRules", json!([{"mappingRuleId": "a", "claimName": "a", "claimValue": "a"}, {"mappingRuleId": "a", "claimName": "a", "claimValue": "a"}])),
        ("/policy/mappingRules", json!([{"mappingRuleId": "a", "claimName": "$.a.length()", "claimValue": "a"}])), ("/policy/mappingRules", json!([{"mappingRuleId": "a", "claimName": "$.a[?(@.b =~ /x/)]", "claimValue": "a"}])), ("/policy/mappingRules", json!([{"mappingRuleId": "a", "claimName": "a"}])),
    ] { println!("({p:?}, {v}) => {:?}", refusal(with(p, v.clone()).to_string())); }
    for k in [json!({"kty":"RSA","n":modulus(512),"e":"AQAB"}), json!({"kty":"RSA","n":modulus(8192),"e":"AQAB"}), json!({"kty":"RSA","use":"enc","n":modulus(2048),"e":"AQAB"}), json!({"kty":"EC","crv":"P-256","x":"AA","y":"AA"}),json!({"kty":"EC","crv":"P-521","x":"AA","y":"AA"}), json!({"kty":"oct","k":"AAAA"}), json!({"kty":"RSA","n":modulus(2048),"e":"Aw"}), json!({"kty":"RSA","n":modulus(2048)}), json!({"kty":"RSA","n":"+/","e":"AQAB"}), json!({"kty":"RSA","n":7,"e":"AQAB"}), json!({"kty":"RSA","alg":"HS256","n":modulus(2048),"e":"AQAB"}), json!({"kty":"RSA","alg":"RSA-OAEP","n":modulus(2048),"e":"AQAB"}), json!({"kty":"RSA","key_ops":["encrypt"],"n":modulus(2048),"e":"AQAB"}), json!("x"), json!({}), json!({"kty":"RSA","n":modulus(2048),"e":"AQAC"}), json!({"kty":"RSA","n":modulus(2048),"e":"AQAB", "d": "AQAB"})] {
        println!("{k} => {:?}", refusal(with("/issuers/0/jwks/inline/keys", json!([k])).to_string()));
    }
    for t in ["", " \n", "x", "null", "[]", "7", "{", "{}x", "\n\x05\n\x03abc", "\n{}", r#"{"version":1,"version":1}"#, r#"{"version":1,"name":"a","policy":{"roles":[{"roleId":"a","roleId":"b"}]}}"#] { println!("{t:?} => {:?}", refusal(t)); }
    println!("{:?}", refusal(b"\xff"));
    println!("{:?}", refusal("[".repeat(1000)));
    println!("{:?}", refusal(" ".repeat(8 * 1024 * 1024 + 1)));
    for m in ["version", "name", "issuers", "policy"] { let mut g = good(); g.as_object_mut().unwrap().remove(m); println!("{m} {:?}", refusal(g.to_string())); }
    for m in ["issuer", "audiences", "jwks"] { let mut g = good(); g["issuers"][0].as_object_mut().unwrap().remove(m); println!("{m} {:?}", refusal(g.to_string())); }
}
