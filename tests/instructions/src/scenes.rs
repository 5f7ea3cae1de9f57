//! What is counted: a configuration, a request, and what is to become of it.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use portcullis::authn::keys::{Algorithm, PublicKey};
use portcullis::authn::signature::{PureRust, SignatureCheck};
use portcullis::judge::{BodyStep, Memory, Step, Surroundings};
use portcullis::policy;
use portcullis::request::Request;
use portcullis::{config, json};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::rc::Rc;

/// The function whose instructions count, as valgrind finds it.
pub const MEASURED: &str = "scenes::measured";
/// When all requests are judged, and until when their tokens hold.
const NOW: i64 = 1_800_000_000;
const UNTIL: i64 = NOW + 3600;

const ISSUER: &str = "https://login.example.com/realms/camunda";
const AUDIENCE: &str = "orchestration-api";
const USER: &str = "ada";
/// The scene whose token is not known yet. Signatures are left to the proxy where there is one, so
/// they are not counted here.
const NEW: &str = "allowed with a new token, its signature aside";
/// How many ids are asked for.
const SPREAD: usize = 10;

/// What is counted.
#[derive(Debug)]
pub struct Scene {
    /// Its name in the budget.
    pub name: &'static str,
    /// All that it needs.
    pub file: Value,
    /// How many requests it has; the mean counts.
    pub requests: u64,
}

/// All scenes.
pub fn all() -> Result<Vec<Scene>> {
    let get = |id: String| json!({"method": "GET", "path": format!("/v2/groups/{id}")});
    // Ids lie at different places of a table, which are not found equally fast.
    let some = |of: usize| (0..SPREAD).map(|n| get(format!("group-{}", (2 * n + 1) * of / (2 * SPREAD)))).collect();
    let unknown = || (0..SPREAD).map(|n| get(format!("unknown-{n}"))).collect();
    let start = json!({"method": "POST", "path": "/v2/process-instances",
        "body": json!({"variables": {"note": "x".repeat(940)}, "processDefinitionId": "process-5"}).to_string()});
    let everything = json!({"authorizations": [grant("USER", USER, "GROUP", "READ", "*")]});
    let members: Vec<String> = (0..5_000).map(|n| format!("member-{n}")).chain([USER.to_owned()]).collect();
    let by_role = (0..10).map(|n| grant("ROLE", "operators", "GROUP", "READ", &format!("group-{n}")));
    let role = json!({
        "authorizations": by_role.collect::<Vec<_>>(),
        "roles": [{"roleId": "operators", "users": members}],
    });
    let process = |n| grant("USER", USER, "PROCESS_DEFINITION", "CREATE_PROCESS_INSTANCE", &format!("process-{n}"));
    let processes = json!({"authorizations": (0..10).map(process).collect::<Vec<_>>()});
    Ok(vec![
        scene("allowed by a wildcard", &everything, some(10), true)?,
        scene("allowed by an id of 10", &groups(10), some(10), true)?,
        scene("allowed by an id of 1,000", &groups(1_000), some(1_000), true)?,
        scene("allowed by an id of 1,000,000", &groups(1_000_000), some(1_000_000), true)?,
        scene("denied with 10 grants", &groups(10), unknown(), false)?,
        scene("denied with 1,000,000 grants", &groups(1_000_000), unknown(), false)?,
        scene("allowed by a role of 5,001 members", &role, some(10), true)?,
        scene("allowed by a body of 1 KB", &processes, vec![start], true)?,
        scene(NEW, &groups(10), some(10), true)?,
    ])
}

/// Grants of one user on so many groups, each by its id.
fn groups(count: usize) -> Value {
    json!({"authorizations":
        (0..count).map(|n| grant("USER", USER, "GROUP", "READ", &format!("group-{n}"))).collect::<Vec<_>>()})
}

fn grant(owner_type: &str, owner: &str, resource: &str, permission: &str, id: &str) -> Value {
    json!({"ownerType": owner_type, "ownerId": owner, "resourceType": resource, "resourceId": id,
        "permissionTypes": [permission]})
}

fn scene(name: &'static str, policy: &Value, requests: Vec<Value>, allowed: bool) -> Result<Scene> {
    let (table, _) = policy::compile(&json::shape(policy.clone())?, 0)?;
    let key = SigningKey::from_slice(&[7; 32]).ok().context("a signing key")?;
    let point = key.verifying_key().to_encoded_point(false);
    let coordinate = |c: Option<_>| c.map(|c: &p256::FieldBytes| URL_SAFE_NO_PAD.encode(c)).context("a point");
    let configuration = json!({
        "version": 1,
        "name": "instructions",
        "api": {"version": "8.9"},
        "issuers": [{
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "algorithms": ["ES256"],
            "jwks": {"inline": {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "key-1",
                "x": coordinate(point.x())?, "y": coordinate(point.y())?}]}},
            "claims": {"username": "preferred_username"},
        }],
        "table": STANDARD.encode(table),
    });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": UNTIL, "iat": NOW, "typ": "Bearer",
        "jti": "onrtro:00000001-1f2e-4d3c-8b4a-5968778695a4", "sub": "5f3c1b0e-8d4e-4a55-9f0b-3c1d2e4f5a6b",
        "azp": "orchestration-console", "scope": "openid profile email", "preferred_username": USER,
        "name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true,
    });
    let signed = format!("{}.{}", part(json!({"alg": "ES256", "kid": "key-1", "typ": "JWT"})), part(claims));
    let signature: Signature = key.sign(signed.as_bytes());
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    let count = requests.len() as u64;
    let file = json!({"configuration": configuration, "requests": requests, "token": token, "known": name != NEW, "allowed": allowed});
    Ok(Scene { name, file, requests: count })
}

/// Judges each of a scene's requests, where the token is to be known once before.
pub fn run(file: &Path) -> Result<()> {
    let file: Value = serde_json::from_slice(&fs::read(file)?)?;
    let (plan, _) = config::read(file["configuration"].to_string().as_bytes())?;
    let plan = Rc::new(plan);
    let mut memory = Memory::new(&plan.issuers);
    let known = file["known"] == true;
    let signatures: &dyn SignatureCheck = if known { &PureRust } else { &Good };
    let bearer = format!("Bearer {}", file["token"].as_str().context("token")?);
    for request in file["requests"].as_array().context("requests")? {
        let text = |name: &str| request[name].as_str().map(str::as_bytes);
        let body = text("body");
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b"user-agent", b"bench"),
            (b"accept", b"application/json"),
            (b"authorization", bearer.as_bytes()),
            (b"x-request-id", b"6a2b7c1e-8f0d-4c57-9f57-0c9d3b1a5e42"),
        ];
        if body.is_some() {
            headers.push((b"content-type", b"application/json"));
        }
        let head = Request {
            method: text("method").context("method")?,
            path: text("path").context("path")?,
            headers: &headers,
        };
        if !known {
            // The tokens of an issuer share their header.
            memory = Memory { headers: memory.headers, ..Memory::new(&plan.issuers) };
        }
        let mut surroundings = Surroundings { now: NOW, signatures, memory: &mut memory, waited: None };
        if known {
            first(&plan, &head, body, &mut surroundings).context("the first request was not decided")?;
        }
        let allowed = measured(&plan, &head, body, &mut surroundings).context("the request was not decided")?;
        ensure!(file["allowed"] == allowed, "{request} was decided otherwise than it should");
    }
    Ok(())
}

/// Takes every signature for good.
struct Good;

impl SignatureCheck for Good {
    fn verify(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

/// Not counted: the token is verified and the principal found, which the next request finds known.
#[inline(never)]
fn first(
    plan: &Rc<config::Plan>,
    request: &Request<'_>,
    body: Option<&[u8]>,
    surroundings: &mut Surroundings<'_>,
) -> Option<bool> {
    // Or the compiler would make one function of this and the next.
    std::hint::black_box(());
    judged(plan, request, body, surroundings)
}

/// What is counted.
#[inline(never)]
fn measured(
    plan: &Rc<config::Plan>,
    request: &Request<'_>,
    body: Option<&[u8]>,
    surroundings: &mut Surroundings<'_>,
) -> Option<bool> {
    judged(plan, request, body, surroundings)
}

/// Whether the request is allowed.
#[inline(always)]
fn judged(
    plan: &Rc<config::Plan>,
    request: &Request<'_>,
    body: Option<&[u8]>,
    surroundings: &mut Surroundings<'_>,
) -> Option<bool> {
    match plan.judge(request, surroundings) {
        Step::Decided(decision) => Some(decision.is_allow()),
        Step::NeedsBody(pending) => match pending.push(body?, true) {
            BodyStep::Decided(decision) => Some(decision.is_allow()),
            BodyStep::More(_) => None,
        },
        Step::NeedsKeys { .. } => None,
    }
}
