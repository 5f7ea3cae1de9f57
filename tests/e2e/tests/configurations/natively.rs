//! What the engine says to configurations that it refuses: the path of the field, and the reason.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis::authn::keys::Algorithm;
use portcullis::config;
use serde_json::{Map, Value, json};

/// A modulus of so many bits.
fn modulus(bits: usize) -> String {
    BASE64.encode(vec![0xff; bits / 8])
}

fn key() -> Value {
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": modulus(2048), "e": "AQAB"})
}

/// That key with other members; null takes one away.
fn key_with(changes: Value) -> Value {
    let mut key = key();
    if let (Some(key), Value::Object(changes)) = (key.as_object_mut(), changes) {
        key.extend(changes);
        key.retain(|_, member| !member.is_null());
    }
    key
}

/// A configuration that is accepted.
fn good() -> Value {
    json!({
        "version": 1, "name": "orders", "policy": {},
        "issuers": [{"issuer": "https://idp.test", "audiences": ["api"], "jwks": {"inline": {"keys": [key()]}}}],
    })
}

/// A good configuration with this value at that JSON pointer; objects on the way are made.
pub fn with(pointer: &str, value: Value) -> Value {
    let mut configuration = good();
    let mut at = &mut configuration;
    for step in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(list) => {
                let number: usize = step.parse().expect("a number");
                list.resize(list.len().max(number + 1), Value::Null);
                &mut list[number]
            }
            Value::Object(members) => members.entry(step).or_insert_with(|| Map::new().into()),
            _ => panic!("{pointer} leads through something else"),
        };
    }
    *at = value;
    configuration
}

/// What the engine says to a configuration; empty where it is accepted.
pub fn refusal(bytes: impl AsRef<[u8]>) -> String {
    config::read(bytes.as_ref()).err().map(|error| error.to_string()).unwrap_or_default()
}

/// Each value at its pointer is refused in these words; `…` stands for whatever follows.
#[track_caller]
pub fn refused(rows: &[(&str, Value, &str)]) {
    let mut wrong = Vec::new();
    for (pointer, value, expected) in rows {
        let actual = refusal(with(pointer, value.clone()).to_string());
        let begins = expected.strip_suffix('…').is_some_and(|start| actual.starts_with(start));
        if actual != *expected && !begins {
            wrong.push(format!("{pointer} {value}\n  expected {expected:?}\n  was      {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_json_object_is_refused() {
    let twice = r#"{"version":1,"policy":{"roles":[{"roleId":"a","roleId":"b"}]}}"#;
    for (bytes, expected) in [
        (&b""[..], "the configuration is empty"),
        (b" \n", "the configuration is empty"),
        (b"version: 1", "the configuration is not JSON: expected value at line 1 column 1"),
        (b"\xff", "the configuration is not JSON: expected value at line 1 column 1"),
        (b"{", "the configuration is not JSON: EOF while parsing an object at line 1 column 1"),
        (b"{} {}", "the configuration is not JSON: trailing characters at line 1 column 4"),
        (b"null", "the configuration is not a JSON object"),
        (b"[]", "the configuration is not a JSON object"),
        (
            b"\n\x0c\n\x07version\x12\x01",
            "the configuration is a protobuf Struct, not JSON: give it as google.protobuf.StringValue",
        ),
        (b"\n{}", "missing field `version`"),
        (twice.as_bytes(), "the configuration is not JSON: the member `roleId` stands twice at line 1 column 54"),
        (
            "[".repeat(100_000).as_bytes(),
            "the configuration is not JSON: recursion limit exceeded at line 1 column 128",
        ),
        (" ".repeat(8 * 1024 * 1024 + 1).as_bytes(), "the configuration has 8388609 bytes; at most 8388608 are read"),
    ] {
        assert_eq!(refusal(bytes), expected, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]));
    }
    assert_eq!(refusal(good().to_string()), "");
}

#[test]
fn a_typo_is_refused() {
    refused(&[
        ("/isuers", json!([]), "isuers: unknown field `isuers`, expected one of `version`, `name`, …"),
        ("/Version", json!(1), "Version: unknown field `Version`, …"),
        ("/decision_log", json!({}), "decision_log: unknown field `decision_log`, …"),
        (
            "/issuers/0/audience",
            json!([]),
            "issuers[0].audience: unknown field `audience`, expected one of `issuer`, …",
        ),
        ("/issuers/0/jwks/inlined", json!({}), "issuers[0].jwks.inlined: unknown field `inlined`, …"),
        (
            "/issuers/0/claims/user",
            json!("x"),
            "issuers[0].claims.user: unknown field `user`, expected one of `username`, …",
        ),
        ("/api/basepath", json!("/"), "api.basepath: unknown field `basepath`, expected one of `version`, …"),
        ("/body/maxbytes", json!(1), "body.maxbytes: unknown field `maxbytes`, expected `gate` or `maxBytes`"),
        ("/credentials", json!([{"headers": {}}]), "credentials[0].headers: unknown field `headers`, …"),
        (
            "/credentials",
            json!([{"header": {"name": "t", "prefx": ""}}]),
            "credentials[0].header.prefx: unknown field `prefx`, expected `name` or `prefix`",
        ),
        (
            "/unresolved/operation",
            json!({}),
            "unresolved.operation: unknown field `operation`, expected `default` or `operations`",
        ),
        ("/debug/explain", json!(true), "debug.explain: unknown field `explain`, …"),
        ("/decisionLog/filterstate", json!(true), "decisionLog.filterstate: unknown field `filterstate`, …"),
        ("/policy/authorisations", json!([]), "policy.authorisations: unknown field `authorisations`, …"),
        ("/policy/roles", json!([{"roleId": "a", "user": []}]), "policy.roles[0].user: unknown field `user`, …"),
    ]);
}

#[test]
fn a_wrong_type_is_refused() {
    refused(&[
        ("/version", json!("1"), "version: invalid type: string \"1\", expected a whole number"),
        ("/version", json!(1.5), "version: invalid value: floating point `1.5`, expected a whole number"),
        ("/version", json!(null), "version: invalid type: null, expected a whole number"),
        ("/name", json!(7), "name: invalid type: integer `7`, expected a string"),
        ("/issuers", json!({}), "issuers: invalid type: map, expected a sequence"),
        ("/issuers/0/issuer", json!(null), "issuers[0].issuer: invalid type: null, expected a string"),
        (
            "/issuers/0/audiences",
            json!("api"),
            "issuers[0].audiences: invalid type: string \"api\", expected a sequence",
        ),
        (
            "/issuers/0/audiences",
            json!(["api", 1]),
            "issuers[0].audiences[1]: invalid type: integer `1`, expected a string",
        ),
        ("/issuers/0/clockSkew", json!(60), "issuers[0].clockSkew: invalid type: integer `60`, expected a string"),
        (
            "/issuers/0/jwks/inline/keys",
            json!({}),
            "issuers[0].jwks.inline.keys: invalid type: map, expected a sequence",
        ),
        ("/api/version", json!(8.9), "api.version: invalid type: floating point `8.9`, expected a string"),
        ("/api/multiTenancy", json!("yes"), "api.multiTenancy: invalid type: string \"yes\", expected a boolean"),
        ("/body/maxBytes", json!("1"), "body.maxBytes: invalid type: string \"1\", expected a whole number"),
        ("/anonymous", json!("getStatus"), "anonymous: invalid type: string \"getStatus\", expected a sequence"),
        ("/policy", json!("policy.yaml"), "policy: invalid type: string \"policy.yaml\", …"),
        (
            "/policy/roles",
            json!([{"roleId": 1}]),
            "policy.roles[0].roleId: invalid type: integer `1`, expected a string",
        ),
        ("/mode", json!("Enforce"), "mode: unknown variant `Enforce`, …"),
        ("/searches", json!("drop"), "searches: unknown variant `drop`, expected `forward` or `deny`"),
        (
            "/unresolved/default",
            json!("allow"),
            "unresolved.default: unknown variant `allow`, expected `defer` or `deny`",
        ),
        ("/body/gate", json!("buffer"), "body.gate: unknown variant `buffer`, expected `hold` or `stream`"),
    ]);
}

#[test]
fn a_list_is_no_object() {
    let role = json!([["admin", ["ada"]]]);
    refused(&[
        ("/policy", json!([]), "policy: …"),
        ("/api", json!(["8.9"]), "api: …"),
        ("/body", json!(["stream", 4096]), "body: …"),
        ("/debug", json!([true]), "debug: …"),
        ("/issuers/0/claims", json!(["preferred_username"]), "issuers[0].claims: …"),
        ("/credentials", json!([[["x-token"]]]), "credentials[0]: …"),
        ("/policy/roles", role, "policy.roles[0]: …"),
        ("/mode", json!({"enforce": null}), "mode: …"),
        ("/body/gate", json!({"stream": null}), "body.gate: …"),
    ]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let name = "name: must be 1 to 63 letters, digits, `-` or `_`";
    let size = "body.maxBytes: must be from 1 to 67108864";
    let same = json!({"issuer": "https://idp.test", "audiences": ["b"], "jwks": {"inline": {"keys": [key()]}}});
    let known: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
    let algorithm = |at: usize, name: &str| {
        format!("issuers[0].algorithms[{at}]: `{name}` is not supported; supported: {}", known.join(", "))
    };
    refused(&[
        ("/version", json!(2), "version: 2 is not a version that this module reads; it reads 1"),
        ("/version", json!(0), "version: 0 is not a version that this module reads; it reads 1"),
        ("/name", json!(""), name),
        ("/name", json!("orders.eu"), name),
        ("/name", json!("orders:allow"), name),
        ("/name", json!("x".repeat(64)), name),
        ("/issuers", json!([]), "issuers: the list is empty; at least one issuer is needed"),
        ("/issuers/0/issuer", json!(""), "issuers[0].issuer: the text is empty"),
        ("/issuers/0/audiences", json!([]), "issuers[0].audiences: the list is empty; at least one audience is needed"),
        ("/issuers/0/audiences", json!(["a", ""]), "issuers[0].audiences[1]: the text is empty"),
        ("/issuers/1", same, "issuers[1].issuer: the same issuer stands twice"),
        (
            "/issuers/0/clockSkew",
            json!("1 minute"),
            "issuers[0].clockSkew: `1 minute` is not a length of time such as `60s`, of at most 600s",
        ),
        (
            "/issuers/0/clockSkew",
            json!("11m"),
            "issuers[0].clockSkew: `11m` is not a length of time such as `60s`, of at most 600s",
        ),
        (
            "/issuers/0/clockSkew",
            json!("-1s"),
            "issuers[0].clockSkew: `-1s` is not a length of time such as `60s`, of at most 600s",
        ),
        ("/issuers/0/algorithms", json!([]), "issuers[0].algorithms: the list is empty"),
        ("/issuers/0/algorithms", json!(["HS256"]), &algorithm(0, "HS256")),
        ("/issuers/0/algorithms", json!(["RS256", "none"]), &algorithm(1, "none")),
        ("/issuers/0/claims/username", json!(""), "issuers[0].claims.username: the text is empty"),
        (
            "/issuers/0/claims/groups",
            json!("$.a["),
            "issuers[0].claims.groups: `$.a[`: a bracket or quote is not closed",
        ),
        (
            "/issuers/0/claims/clientId",
            json!("$.a.length()"),
            "issuers[0].claims.clientId: `$.a.length()`: functions are not supported",
        ),
        ("/credentials", json!([]), "credentials: the list is empty; at least one place is needed"),
        ("/credentials", json!([{"header": {"name": ":path"}}]), "credentials[0].header.name: is not a header name"),
        (
            "/credentials",
            json!([{"header": {"name": "Cookie"}}]),
            "credentials[0].header.name: use `cookie` for a token in a cookie",
        ),
        (
            "/credentials",
            json!([{"header": {"name": "a"}}, {"header": {"name": "A"}}]),
            "credentials[1].header.name: the same place stands twice",
        ),
        (
            "/credentials",
            json!([{"header": {"name": "a"}, "cookie": {"name": "a"}}]),
            "credentials[0]: must have exactly one of header and cookie",
        ),
        (
            "/credentials",
            json!([{"cookie": {"name": "camunda-session"}}]),
            "credentials[0].cookie.name: is the cluster's own session, which is no token",
        ),
        ("/api/version", json!("8.7"), "api.version: `8.7` is not one of 8.8, 8.9, 8.10"),
        ("/api/surfaces", json!(["v2", "grpcs"]), "api.surfaces[1]: `grpcs` is not one of …"),
        ("/api/surfaces", json!(["V2"]), "api.surfaces[0]: `V2` is not one of …"),
        ("/api/surfaces", json!(["physicalTenants"]), "api.surfaces[0]: `physicalTenants` cannot be opened: …"),
        ("/clusterAdmin", json!({"clients": [""]}), "clusterAdmin.clients[0]: is empty"),
        ("/clusterAdmin", json!({"claims": [{"name": "", "value": "x"}]}), "clusterAdmin.claims[0].name: is empty"),
        ("/clusterAdmin", json!({"users": []}), "clusterAdmin.users: unknown field …"),
        ("/issuers/0/algorithms", json!(["ES256"]), "issuers[0].algorithms: no key takes any of these algorithms"),
        (
            "/credentials",
            json!([{"header": {"name": "Host"}}]),
            "credentials[0].header.name: is a header with a meaning of its own",
        ),
        (
            "/credentials",
            json!([{"header": {"name": "X-Portcullis-Token"}}]),
            "credentials[0].header.name: is a header with a meaning of its own",
        ),
        ("/api/basePath", json!("camunda"), "api.basePath: `camunda`: the path does not begin with a slash"),
        ("/api/basePath", json!("/a//b"), "api.basePath: `/a//b`: an empty segment or a trailing slash"),
        ("/api/basePath", json!("/a/../b"), "api.basePath: `/a/../b`: a dot segment"),
        ("/api/basePath", json!("/a%20b"), "api.basePath: `/a%20b`: it has an escape or a query"),
        ("/body/maxBytes", json!(0), size),
        ("/body/maxBytes", json!(64 * 1024 * 1024 + 1), size),
        ("/anonymous", json!(["getstatus"]), "anonymous[0]: `getstatus` is not an operation of the catalogue"),
        (
            "/anonymous",
            json!(["getStatus", "getTopology"]),
            "anonymous[1]: `getTopology` is not an operation that the cluster answers without a credential",
        ),
        (
            "/anonymous",
            json!(["createAdminUser"]),
            "anonymous[0]: `createAdminUser` is not an operation that the cluster answers without a credential",
        ),
        (
            "/unresolved/operations",
            json!({"searchUser": "deny"}),
            "unresolved.operations.searchUser: is not an operation of the catalogue",
        ),
    ]);
}

#[test]
fn a_set_without_a_usable_key_is_refused() {
    for (keys, reason) in [
        (json!([]), "the list is empty"),
        (json!(["x"]), "keys[0]: not an object"),
        (json!([{}]), "keys[0]: `kty` is not supported"),
        (json!([{"kty": "oct", "k": "AAAA"}]), "keys[0]: it is a private or secret key"),
        (json!([key_with(json!({"d": "AAAA"}))]), "keys[0]: it is a private or secret key"),
        (json!([{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}]), "keys[0]: `crv` is not supported"),
        (json!([{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]), "keys[0]: a coordinate has the wrong length"),
        (json!([key_with(json!({"n": modulus(512)}))]), "keys[0]: an RSA key must have 2048 to 4096 bits"),
        (json!([key_with(json!({"n": modulus(8192)}))]), "keys[0]: an RSA key must have 2048 to 4096 bits"),
        (json!([key_with(json!({"e": "Aw"}))]), "keys[0]: the RSA exponent is smaller than 65537"),
        (json!([key_with(json!({"e": "AQAC"}))]), "keys[0]: the RSA modulus or exponent is even"),
        (json!([key_with(json!({"use": "enc"}))]), "keys[0]: `use` is not `sig`"),
        (json!([key_with(json!({"key_ops": ["encrypt"]}))]), "keys[0]: `key_ops` does not have `verify`"),
        (json!([key_with(json!({"alg": "RSA-OAEP"}))]), "keys[0]: `alg` is not supported"),
        (json!([key_with(json!({"alg": "ES256"}))]), "keys[0]: `alg` does not take this type of key"),
        (json!([key_with(json!({"kid": 7}))]), "keys[0]: a member is not text"),
        (json!([key_with(json!({"n": "+/"}))]), "keys[0]: a member of the key is not base64url"),
        (json!([key_with(json!({"n": null}))]), "keys[0]: a member of the key is missing"),
        (
            json!([key_with(json!({"use": "enc"})), {"kty": "oct"}]),
            "keys[0]: `use` is not `sig`; keys[1]: `kty` is not supported",
        ),
    ] {
        let expected = format!("issuers[0].jwks.inline.keys: no usable key: {reason}");
        assert_eq!(refusal(with("/issuers/0/jwks/inline/keys", keys).to_string()), expected);
    }
    // One bad key does not spoil the good ones.
    let mixed = with("/issuers/0/jwks/inline/keys", json!([key_with(json!({"use": "enc"})), key()]));
    let (_, warnings) = config::read(mixed.to_string().as_bytes()).expect("a plan");
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["issuers[0].jwks.inline: keys[0]: `use` is not `sig`"]);
}

#[test]
fn a_policy_that_can_be_read_in_two_ways_is_refused() {
    let grant = |changes: Value| {
        let mut grant =
            json!({"ownerType": "USER", "ownerId": "a", "resourceType": "USER", "permissionTypes": ["READ"]});
        grant.as_object_mut().expect("a grant").extend(changes.as_object().expect("changes").clone());
        json!([grant])
    };
    let rule = |claim: &str| json!([{"mappingRuleId": "a", "claimName": claim, "claimValue": "a"}]);
    let rules = json!([rule("a")[0], rule("b")[0]]);
    refused(&[
        (
            "/policy/authorizations",
            grant(json!({})),
            "policy.authorizations[0]: has neither resourceId nor resourcePropertyName",
        ),
        (
            "/policy/authorizations",
            grant(json!({"resourceId": "*", "resourcePropertyName": "assignee"})),
            "policy.authorizations[0]: has both resourceId and resourcePropertyName",
        ),
        (
            "/policy/authorizations",
            grant(json!({"resourceId": "*", "permissions": ["READ"]})),
            "policy.authorizations[0].permissions: duplicate field `permissionTypes` or `permissions`",
        ),
        ("/policy/roles", json!([{"roleId": "a"}, {"roleId": "a"}]), "policy.roles[1].roleId: `a` stands twice"),
        ("/policy/groups", json!([{"groupId": "a"}, {"groupId": "a"}]), "policy.groups[1].groupId: `a` stands twice"),
        (
            "/policy/tenants",
            json!([{"tenantId": "a"}, {"tenantId": "a"}]),
            "policy.tenants[1].tenantId: `a` stands twice",
        ),
        ("/policy/mappingRules", rules, "policy.mappingRules[1].mappingRuleId: `a` stands twice"),
        (
            "/policy/mappingRules",
            rule("$.a.length()"),
            "policy.mappingRules[0].claimName: `$.a.length()`: functions are not supported",
        ),
        (
            "/policy/mappingRules",
            rule("$.a[?(@.b =~ /x/)]"),
            "policy.mappingRules[0].claimName: `$.a[?(@.b =~ /x/)]`: this kind of filter is not supported",
        ),
    ]);
}
