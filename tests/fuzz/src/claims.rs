//! Claims: five lines with the places of username, client id, groups and of a mapping rule's claim,
//! and the rule's value; then the claims.

use crate::memory::bounded;
use portcullis::api::catalogue::Version;
use portcullis::authn::claims::ClaimRules;
use portcullis::authn::keys::KeySet;
use portcullis::authn::{Identity, Issuer, Subject};
use portcullis::authz::Principal;
use portcullis::json;
use portcullis::jsonpath::{Found, JsonPath, PathError};
use portcullis::policy::{self, Policy};
use portcullis::table::{OwnerType, Table};
use portcullis_reference::claims;
use portcullis_reference::policy::Rule;
use serde_json::Value;
use std::collections::HashSet;
use std::rc::Rc;

/// Memory for each byte of claims: values in trees, and lists of what a path finds.
const FOR_EACH: usize = 512;
/// The list of what a path finds is bounded, too.
const BASE: usize = 4 * 1024 * 1024;

/// What a policy may hold as a name or a value, in bytes; no control characters either.
const LONGEST_NAME: usize = 4_096;

/// Claims are read as plain means read them, and paths find only what is there.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(6, |b| *b == b'\n');
    let mut line = || parts.next().and_then(|line| std::str::from_utf8(line).ok());
    let (Some(username), Some(client_id), Some(groups)) = (line(), line(), line()) else { return };
    let (Some(claim), Some(value)) = (line(), line()) else { return };
    let Some(Ok(document)) = parts.next().map(json::parse) else { return };
    if document.is_object() {
        identity(username, client_id, groups, &document);
        rule(claim, value, &document);
    }
    if let Ok(path) = JsonPath::parse(claim) {
        found(&path, &document, data.len());
    }
}

fn identity(username: &str, client_id: &str, groups: &str, document: &Value) {
    let is_set = |text: &&str| !text.is_empty();
    let path = |text: &str| JsonPath::parse_claim(text);
    let Ok(username_path) = path(username) else { return };
    let (client_id, groups) = (Some(client_id).filter(is_set), Some(groups).filter(is_set));
    let (Ok(client_path), Ok(groups_path)) = (client_id.map(path).transpose(), groups.map(path).transpose()) else {
        return;
    };
    let issuer = |prefer_username| Issuer {
        issuer: "https://idp.example".into(),
        audiences: Vec::new(),
        keys: KeySet::default(),
        remote: None,
        algorithms: Vec::new(),
        clock_skew: 0,
        claims: ClaimRules {
            username: username_path.clone(),
            client_id: client_path.clone(),
            prefer_username,
            groups: groups_path.clone(),
        },
    };
    let read = |prefer| Identity::assumed_from_claims(document, &issuer(prefer));
    let (client_first, user_first) = (read(false), read(true));
    // Who comes first changes who it is, never whether it is anybody.
    assert_eq!(client_first.is_ok(), user_first.is_ok());
    let (Ok(client_first), Ok(user_first)) = (client_first, user_first) else { return };
    let is_flat = |text: &str| !text.starts_with('$');
    if is_flat(username) && client_id.is_none_or(is_flat) {
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        let (user, client) = (text(username), client_id.and_then(text));
        let subject = |first: Option<Subject>, second: Option<Subject>| first.or(second).unwrap();
        let (user, client) = (user.map(Subject::User), client.map(Subject::Client));
        assert_eq!(*client_first.subject(), subject(client.clone(), user.clone()));
        assert_eq!(*user_first.subject(), subject(user, client));
    }
    assert_eq!(client_first.groups().is_some(), groups.is_some());
    if let Some(name) = groups.filter(|name| is_flat(name)) {
        let expected: Vec<&str> = match document.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().unwrap()).collect(),
            Some(one) => vec![one.as_str().unwrap()],
        };
        assert_eq!(client_first.groups().unwrap(), expected);
    }
}

/// A mapping rule makes an owner where the reference says so, too.
fn rule(claim: &str, value: &str, document: &Value) {
    let rule = Rule { id: "r".into(), claim: claim.into(), value: value.into() };
    let policy: Policy = portcullis::json::shape(serde_json::json!({
        "mappingRules": [{ "mappingRuleId": "r", "claimName": claim, "claimValue": value }],
        "roles": [{ "roleId": "role", "mappingRules": ["r"] }],
    }))
    .unwrap();
    let is_name = |text: &str| text.len() <= LONGEST_NAME && !text.contains(char::is_control);
    match policy::compile(&policy, 0) {
        Ok((table, warnings)) => {
            assert!(is_name(claim) && is_name(value), "{rule:?}");
            let identity = Identity::assumed(Subject::User("u".into()), None, document);
            let principal =
                Principal::resolve(&Rc::new(Table::open(table).unwrap()), Rc::new(identity), Version::new(8, 9));
            let is_owner = principal.owners_of(OwnerType::MappingRule) == ["r"];
            assert_eq!(is_owner, principal.owners_of(OwnerType::Role) == ["role"]);
            assert!(!is_owner || warnings.is_empty(), "a rule that is said never to match has matched");
            if claims::is_plain(&rule) {
                assert_eq!(is_owner, claims::matches(&rule, document, false), "{rule:?}");
            }
        }
        Err(_) if !is_name(claim) || !is_name(value) => {}
        Err(error) => {
            assert!(matches!(JsonPath::parse(claim), Err(PathError::Unsupported(_))), "{error}");
            assert!(!claims::is_plain(&rule), "{error}");
        }
    }
}

fn found(path: &JsonPath, document: &Value, length: usize) {
    let nodes: HashSet<*const Value> = all(document).into_iter().map(std::ptr::from_ref).collect();
    let found = bounded(BASE, length, FOR_EACH, || path.find(document));
    assert_eq!(found, path.find(document));
    let values = match found {
        Found::Missing => Vec::new(),
        Found::One(value) => vec![value],
        Found::Many(values) => values,
    };
    // What an object lacks at the end of an indefinite path is null.
    let is_there = |value: &&Value| value.is_null() || nodes.contains(&std::ptr::from_ref(*value));
    assert!(values.iter().all(is_there), "found what is not there");
}

fn all(value: &Value) -> Vec<&Value> {
    let mut found = vec![value];
    match value {
        Value::Array(items) => found.extend(items.iter().flat_map(all)),
        Value::Object(members) => found.extend(members.values().flat_map(all)),
        _ => (),
    }
    found
}
