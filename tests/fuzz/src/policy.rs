//! Policies: JSON, or bytes that change a good one.

use crate::edit::edited;
use crate::memory::bounded;
use arbitrary::Unstructured;
use portcullis::json;
use portcullis::policy::{self, Policy};
use portcullis_reference::claims;
use portcullis_reference::compare::Both;
use portcullis_reference::evaluate::Call;
use portcullis_reference::policy::Policy as Lists;
use portcullis_reference::principal::Caller;
use serde_json::{Map, Value, json};

/// A policy that is accepted is accepted again alike, in whatever order it stands, and grants what
/// the reference says that it grants.
pub fn check(data: &[u8]) {
    let (document, rest) = match data {
        [b'{', ..] => (json::parse(data).ok(), &[][..]),
        _ => {
            let mut bytes = Unstructured::new(data);
            let document = edited(good(), &mut bytes).ok();
            (document, bytes.take_rest())
        }
    };
    let Some(document) = document else { return };
    let length = document.to_string().len();
    let Ok(source) = json::shape::<Policy>(document.clone()) else { return };
    let compiled = bounded(64 * 1024, length, 512, || policy::compile(&source, 0));
    let (table, warnings) = match (compiled, policy::compile(&source, 0)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other);
            one
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            assert!(!one.path.is_empty() && !one.reason.is_empty());
            return;
        }
        _ => panic!("not twice the same"),
    };
    assert!(warnings.iter().all(|warning| !warning.path.is_empty() && !warning.reason.is_empty()));
    let mut backwards = document.clone();
    for list in backwards.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut) {
        list.reverse();
    }
    let backwards = policy::compile(&json::shape(backwards).unwrap(), 0).unwrap();
    assert_eq!(table, backwards.0, "the order makes a difference");
    grants(&document, rest);
}

/// Everybody whom the policy names asks for some of what it grants.
fn grants(document: &Value, choices: &[u8]) {
    let lists = Lists::read(document);
    let is_readable = lists.rules.iter().all(claims::is_plain);
    let is_in_range = lists.grants.len() < 100 && lists.roles.len() + lists.groups.len() < 50;
    if !is_readable || !is_in_range {
        return;
    }
    let is_multi_tenant = choices.first().is_some_and(|choice| choice % 2 == 1);
    let mut configuration = Map::new();
    configuration.insert("api".into(), json!({ "version": "8.10", "multiTenancy": is_multi_tenant }));
    let both = Both::new(configuration, document.clone()).unwrap();
    let mut names = vec!["ada".to_owned(), String::new()];
    let members = both.policy.roles.iter().chain(&both.policy.groups).chain(&both.policy.tenants);
    names.extend(members.flat_map(|list| list.users.iter().chain(&list.clients).cloned()));
    names.extend(both.policy.grants.iter().map(|grant| grant.owner.clone()));
    names.sort_unstable();
    names.dedup();
    let claims = json!({ "dept": "ops", "teams": ["a", "b"] });
    for name in names.into_iter().take(12) {
        for (is_client, groups) in [(false, None), (true, None), (false, Some(vec!["ops".to_owned(), name.clone()]))] {
            let caller = Caller { is_client, name: name.clone(), groups, claims: claims.clone() };
            for call in calls() {
                assert_eq!(
                    both.engine(&caller, &call),
                    both.reference(&caller, &call),
                    "{document} {caller:?} {call:?}"
                );
            }
        }
    }
}

fn calls() -> impl Iterator<Item = Call> {
    [
        ("POST", "/v2/process-instances", Some(r#"{"processDefinitionId":"invoice","tenantId":"acme"}"#)),
        ("POST", "/v2/process-instances", Some(r#"{"processDefinitionKey":"12"}"#)),
        ("GET", "/v2/process-definitions/12", None),
        ("POST", "/v2/user-tasks/12/completion", Some("{}")),
        ("GET", "/v2/users/ada", None),
        ("GET", "/v2/roles/admin", None),
        ("POST", "/v2/deployments", None),
        ("POST", "/v2/process-instances/search", Some("{}")),
        ("POST", "/v2/authorizations/search", Some("{}")),
    ]
    .into_iter()
    .map(|(method, path, body)| Call {
        method: method.into(),
        path: path.into(),
        body: body.map(|body| body.as_bytes().to_vec()),
    })
}

fn good() -> Value {
    json!({
        "authorizations": [
            {
                "ownerType": "ROLE", "ownerId": "admin", "resourceType": "PROCESS_DEFINITION", "resourceId": "*",
                "permissionTypes": ["CREATE_PROCESS_INSTANCE", "READ_PROCESS_DEFINITION", "READ_PROCESS_INSTANCE"],
            },
            {
                "ownerType": "GROUP", "ownerId": "ops", "resourceType": "PROCESS_DEFINITION", "resourceId": "invoice",
                "permissionTypes": ["CREATE_PROCESS_INSTANCE", "UPDATE_USER_TASK"],
            },
            {
                "ownerType": "MAPPING_RULE", "ownerId": "r", "resourceType": "USER_TASK",
                "resourcePropertyName": "assignee", "permissionTypes": ["UPDATE", "COMPLETE"],
            },
            {
                "ownerType": "USER", "ownerId": "ada", "resourceType": "USER", "resourceId": "ada",
                "permissionTypes": ["READ"], "authorizationKey": "12",
            },
            {
                "ownerType": "CLIENT", "ownerId": "worker", "resourceType": "RESOURCE", "resourceId": "*",
                "permissionTypes": ["CREATE"],
            },
        ],
        "roles": [{ "roleId": "admin", "name": "A", "users": ["ada"], "groups": ["ops"], "mappingRules": ["r"] }],
        "groups": [{ "groupId": "ops", "users": ["bob"], "clients": ["worker"], "roles": ["admin"] }],
        "mappingRules": [{ "mappingRuleId": "r", "claimName": "dept", "claimValue": "ops" }],
        "tenants": [{ "tenantId": "acme", "users": ["ada"], "groups": ["ops"], "roles": ["admin"] }],
    })
}
