//! Configurations: JSON, or bytes that change a good one.

use crate::edit::edited;
use crate::issuer::{self, NOW, key};
use crate::memory::bounded;
use arbitrary::Unstructured;
use portcullis::authn::signature::PureRust;
use portcullis::config::{self, Plan};
use portcullis::judge::{Memory, Step, Surroundings};
use portcullis::request::Request;
use serde_json::{Value, json};
use std::rc::Rc;

/// A configuration that is accepted is accepted again alike, and lets in nobody without a token.
pub fn check(data: &[u8]) {
    let text = match data {
        [b'{', ..] => data.to_vec(),
        _ => match edited(good(), &mut Unstructured::new(data)) {
            Ok(document) => document.to_string().into_bytes(),
            Err(_) => return,
        },
    };
    let read = bounded(1024 * 1024, text.len(), 512, || config::read(&text));
    match (read, config::read(&text)) {
        (Ok(accepted), Ok(again)) => {
            alike(&accepted, &again);
            let value: Value = serde_json::from_slice(&text).unwrap();
            for other in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                match config::read(other.as_bytes()) {
                    Ok(other) => alike(&accepted, &other),
                    Err(error) => panic!("accepted, and refused in other words: {error}"),
                }
            }
            nobody(&Rc::new(accepted.0));
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            assert!(!error.reason.is_empty() && error.to_string().len() < 4 * text.len() + 1024, "{error}");
        }
        _ => panic!("not twice the same"),
    }
}

fn good() -> Value {
    json!({
        "version": 1,
        "name": "fuzz",
        "issuers": [
            {
                "issuer": issuer::NAME,
                "audiences": ["orders"],
                "jwks": { "inline": { "keys": [issuer::jwk(&key(1), "a")] } },
                "claims": { "username": "sub", "clientId": "client_id", "groups": "$.groups[*]" },
            },
            {
                "issuer": "https://two.example/",
                "audiences": ["orders", "other"],
                "jwks": { "remote": { "uri": "https://two.example/certs", "cluster": "two", "refresh": "10m" } },
                "algorithms": ["RS256", "ES384"],
                "clockSkew": "0s",
            },
            { "issuer": "https://three.example", "audiences": ["x"], "jwks": { "discovery": { "cluster": "three" } } },
        ],
        "credentials": [{ "header": { "name": "Authorization", "prefix": "Bearer " } }, { "cookie": { "name": "Token" } }],
        "api": { "version": "8.9", "basePath": "/engine", "surfaces": ["v2"], "multiTenancy": true },
        "policy": {
            "authorizations": [{
                "ownerType": "ROLE", "ownerId": "admin", "resourceType": "PROCESS_DEFINITION", "resourceId": "*",
                "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
            }],
            "roles": [{ "roleId": "admin", "users": ["ada"] }],
        },
        "mode": "shadow",
        "shadow": { "until": "2030-01-01T00:00:00Z" },
        "unresolved": { "default": "defer", "operations": { "completeJob": "deny" } },
        "searches": "deny",
        "body": { "gate": "stream", "maxBytes": 1000 },
        "anonymous": ["getStatus"],
        "cors": { "preflight": "forward" },
        "forward": { "identityHeaders": true, "token": "remove" },
        "debug": { "explainHeader": true },
        "decisionLog": { "filterState": true },
    })
}

type Accepted = (Plan, Vec<config::Warning>);

fn alike((plan, warnings): &Accepted, (other, other_warnings): &Accepted) {
    assert_eq!(plan.table_digest, other.table_digest);
    assert_eq!(plan.issuers_digest, other.issuers_digest);
    assert_eq!(warnings, other_warnings);
    assert_eq!(format!("{:?}", plan.rules), format!("{:?}", other.rules));
    assert_eq!(&plan.credentials, &other.credentials);
    assert_eq!(format!("{:?}", plan.routes), format!("{:?}", other.routes));
    let rest = |plan: &Plan| (plan.gate, plan.max_body, plan.anonymous.clone(), plan.shadow_until, plan.forward);
    assert_eq!(rest(plan), rest(other));
}

/// Without a token only what the configuration opens to everybody is allowed.
fn nobody(plan: &Rc<Plan>) {
    let mut memory = Memory::new(&plan.issuers);
    for (method, path) in [
        ("GET", "/v2/topology"),
        ("GET", "/engine/v2/topology"),
        ("GET", "/v2/license"),
        ("GET", "/engine/v2/status"),
        ("POST", "/v2/process-instances"),
        ("POST", "/engine/v2/users"),
        ("POST", "/v2/setup/user"),
    ] {
        let request = Request { method: method.as_bytes(), path: path.as_bytes(), headers: &[] };
        let mut around = Surroundings { now: NOW, signatures: &PureRust, memory: &mut memory, waited: None };
        match plan.judge(&request, &mut around) {
            Step::Decided(decision) if decision.is_allow() => {
                assert_eq!(decision.reason().code(), "anonymous");
                let id = &decision.operation.as_ref().unwrap().id;
                assert!(plan.anonymous.contains(id) && ["getStatus", "getLicense"].contains(&&**id), "{id}");
            }
            Step::Decided(_) => (),
            step => panic!("{step:?}"),
        }
    }
}
