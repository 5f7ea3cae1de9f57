//! Documents with changes that a fuzzer's bytes choose.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};

/// Words of configurations and policies, right and wrong ones.
const WORDS: &[&str] = &[
    "",
    "*",
    "a",
    "$",
    "$.a[*]",
    "$..a",
    "a.b",
    "sub",
    "60s",
    "601s",
    "-1s",
    "5m",
    "8.8",
    "8.10",
    "/",
    "/engine",
    "//",
    "/a%20b",
    "v2",
    "grpc",
    "defer",
    "deny",
    "forward",
    "remove",
    "keep",
    "shadow",
    "enforce",
    "hold",
    "stream",
    "RS256",
    "EdDSA",
    "HS256",
    "none",
    "USER",
    "CLIENT",
    "GROUP",
    "ROLE",
    "MAPPING_RULE",
    "PROCESS_DEFINITION",
    "USER_TASK",
    "SYSTEM",
    "READ",
    "CREATE_PROCESS_INSTANCE",
    "UPDATE_USER_TASK",
    "getTopology",
    "getLicense",
    "createAdminUser",
    "authorization",
    "cookie",
    "host",
    "x-portcullis-a",
    "Bearer ",
    "https://idp.example",
    "http://[::1]",
    "file:///",
    "2030-01-01T00:00:00Z",
    "AQAB",
    "\u{0}",
    "ünal",
];
/// Names of members.
const NAMES: &[&str] = &[
    "version",
    "name",
    "issuers",
    "issuer",
    "audiences",
    "jwks",
    "inline",
    "remote",
    "discovery",
    "keys",
    "uri",
    "cluster",
    "timeout",
    "refresh",
    "maxStale",
    "algorithms",
    "clockSkew",
    "claims",
    "username",
    "clientId",
    "preferUsername",
    "groups",
    "credentials",
    "header",
    "cookie",
    "prefix",
    "api",
    "basePath",
    "surfaces",
    "multiTenancy",
    "policy",
    "mode",
    "shadow",
    "until",
    "forward",
    "identityHeaders",
    "token",
    "unresolved",
    "default",
    "operations",
    "searches",
    "body",
    "gate",
    "maxBytes",
    "anonymous",
    "cors",
    "preflight",
    "debug",
    "explainHeader",
    "decisionLog",
    "filterState",
    "authorizations",
    "roles",
    "mappingRules",
    "tenants",
    "ownerType",
    "ownerId",
    "resourceType",
    "resourceId",
    "resourcePropertyName",
    "permissionTypes",
    "permissions",
    "roleId",
    "groupId",
    "tenantId",
    "mappingRuleId",
    "claimName",
    "claimValue",
    "users",
    "clients",
    "description",
    "kty",
    "crv",
    "alg",
    "use",
    "kid",
    "n",
    "e",
    "x",
    "y",
];

/// The document with some changes.
pub fn edited(mut document: Value, bytes: &mut Unstructured<'_>) -> Result<Value> {
    for _ in 0..bytes.int_in_range(0..=8)? {
        let value = place(&mut document, bytes)?;
        change(value, bytes)?;
    }
    Ok(document)
}

/// Some value in it.
fn place<'a>(mut here: &'a mut Value, bytes: &mut Unstructured<'_>) -> Result<&'a mut Value> {
    loop {
        let count = match &here {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        let choice = usize::from(bytes.arbitrary::<u8>()?);
        if count == 0 || choice % 8 == 7 {
            return Ok(here);
        }
        here = match here {
            Value::Array(items) => &mut items[choice / 8 % count],
            Value::Object(members) => members.values_mut().nth(choice % count).unwrap(),
            _ => unreachable!("it has parts"),
        };
    }
}

fn change(value: &mut Value, bytes: &mut Unstructured<'_>) -> Result<()> {
    match (bytes.int_in_range(0..=3)?, &mut *value) {
        (0, Value::Object(members)) => {
            members.insert((*bytes.choose(NAMES)?).to_owned(), any(bytes)?);
        }
        (1, Value::Object(members)) => {
            let name = members.keys().nth(usize::from(bytes.arbitrary::<u8>()?)).cloned();
            name.and_then(|name| members.remove(&name));
        }
        (0, Value::Array(items)) => items.push(any(bytes)?),
        (1, Value::Array(items)) => items.extend(items.first().cloned()),
        (2, Value::Array(items)) => drop(items.pop()),
        (0, Value::String(text)) => text.push(bytes.arbitrary()?),
        (1, Value::String(text)) => drop(text.pop()),
        (2, Value::Bool(flag)) => *flag = !*flag,
        _ => *value = any(bytes)?,
    }
    Ok(())
}

fn any(bytes: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match bytes.int_in_range(0..=9)? {
        0 => Value::Null,
        1 => Value::from(bytes.arbitrary::<bool>()?),
        2 => Value::from(bytes.arbitrary::<i64>()?),
        3 => Value::from(bytes.arbitrary::<u8>()?),
        4 => json!([*bytes.choose(WORDS)?]),
        5 => Value::Object(Map::from_iter([((*bytes.choose(NAMES)?).to_owned(), json!(*bytes.choose(WORDS)?))])),
        6 => Value::from(bytes.arbitrary::<&str>()?),
        _ => json!(*bytes.choose(WORDS)?),
    })
}
