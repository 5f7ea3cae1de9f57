//! Claims -> username, client id and groups, as the cluster's `camunda.security.authentication.oidc`
//! settings have them.

use super::Refused;
use crate::json;
use crate::jsonpath::{Found, JsonPath};
use crate::reason::Reason;
use serde_json::Value;

/// Claims as mapping rules of the cluster see them, from their text: its decoder makes a list of an `aud` that is not one
/// (Spring Security's `MappedJwtClaimSetConverter`). `None` where the text is no JSON.
pub(crate) fn parsed(text: &str) -> Option<Value> {
    let mut claims = json::parse(text.as_bytes()).ok()?;
    if let Some(audience) = claims.get_mut("aud").filter(|audience| audience.is_string()) {
        *audience = Value::Array(vec![audience.take()]);
    }
    Some(claims)
}

/// How an issuer's claims name the caller.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// Where the username stands.
    pub username: JsonPath,
    /// Where the client id stands; `None` where the cluster has no client-id claim.
    pub client_id: Option<JsonPath>,
    /// A username wins over a client id.
    pub prefer_username: bool,
    /// Where the groups stand; `None` where the cluster has no groups claim.
    pub groups: Option<JsonPath>,
}

/// What claims say about the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    pub username: Option<String>,
    pub client_id: Option<String>,
    pub groups: Option<Vec<String>>,
}

const fn missing(detail: &'static str) -> Refused {
    Refused::new(Reason::IdentityMissing, detail)
}

impl ClaimRules {
    /// Where anything stands that is read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &JsonPath> {
        [Some(&self.username), self.client_id.as_ref(), self.groups.as_ref()].into_iter().flatten()
    }

    pub(super) fn read(&self, claims: &Value) -> Result<Reading, Refused> {
        let username = text(&self.username, claims, "the username claim is not text")?;
        let client_id = match &self.client_id {
            Some(path) => text(path, claims, "the client id claim is not text")?,
            None => None,
        };
        let groups = self.groups.as_ref().map(|path| texts(path, claims)).transpose()?;
        Ok(Reading { username, client_id, groups })
    }
}

/// One text; an empty one is a value like any other.
fn text(path: &JsonPath, claims: &Value, detail: &'static str) -> Result<Option<String>, Refused> {
    match path.find(claims) {
        Found::Missing | Found::One(Value::Null) => Ok(None),
        Found::One(Value::String(text)) => Ok(Some(text.clone())),
        _ => Err(missing(detail)),
    }
}

/// One text is one group, whatever is in it; anything but texts is an error, as in the cluster.
fn texts(path: &JsonPath, claims: &Value) -> Result<Vec<String>, Refused> {
    let list: Vec<&Value> = match path.find(claims) {
        Found::Missing | Found::One(Value::Null) => Vec::new(),
        Found::One(Value::Array(items)) => items.iter().collect(),
        Found::One(other) => vec![other],
        Found::Many(items) => items,
    };
    let texts: Option<Vec<String>> = list.into_iter().map(|v| v.as_str().map(Into::into)).collect();
    texts.ok_or(missing("the groups claim is neither text nor a list of texts"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_audience_is_always_a_list() {
        for (text, expected) in [
            (r#"{"aud":"a","sub":"s"}"#, json!({"aud": ["a"], "sub": "s"})),
            (r#"{"aud":["a","b"]}"#, json!({"aud": ["a", "b"]})),
            (r#"{"sub":"s"}"#, json!({"sub": "s"})),
        ] {
            assert_eq!(parsed(text), Some(expected));
        }
        assert_eq!(parsed("no JSON"), None);
    }
}
