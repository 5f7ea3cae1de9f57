//! The same with what Envoy has itself: `jwt_authn` checks the token, RBAC holds its claims and the
//! call against one policy per grant.

use serde_json::{Value, json};

use crate::grants;
use crate::provider::{AUDIENCE, DEPARTMENT, ISSUER, Provider};

/// Where `jwt_authn` leaves the claims for RBAC.
const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
const CLAIMS: &str = "claims";

/// Whether `jwt_authn` keeps verified tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// It does, as many as it keeps by default.
    On,
    /// It does not, which is its default.
    Off,
}

/// Both filters, in their order, with so many policies.
pub fn filters(provider: &Provider, cache: Cache, policies: usize) -> [Value; 2] {
    [jwt_authn(provider, cache), rbac(policies)]
}

fn jwt_authn(provider_of_keys: &Provider, cache: Cache) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": provider_of_keys.jwks().to_string()},
        "forward": true,
        "payload_in_metadata": CLAIMS,
    });
    if cache == Cache::On {
        provider["jwt_cache_config"] = json!({});
    }
    json!({"name": JWT_AUTHN, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"idp": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
    }})
}

/// One policy per grant: a method and a path for a user, by a claim that says who may. RBAC tries
/// them in the order of their names, the path first, which is what differs between them.
fn rbac(policies: usize) -> Value {
    let policy = |(number, path): (usize, String)| {
        let may = json!({
            "permissions": [{"and_rules": {"rules": [
                {"url_path": {"path": {"exact": path}}},
                {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
            ]}}],
            "principals": [{"sourced_metadata": {"metadata_matcher": {
                "filter": JWT_AUTHN,
                "path": [{"key": CLAIMS}, {"key": DEPARTMENT.0}],
                "value": {"string_match": {"exact": DEPARTMENT.1}},
            }}}],
        });
        (format!("grant-{number:05}"), may)
    };
    let policies: serde_json::Map<_, _> = grants::paths(policies).enumerate().map(policy).collect();
    json!({"name": "envoy.filters.http.rbac", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "ALLOW", "policies": policies},
    }})
}
