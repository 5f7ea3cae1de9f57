//! Which requests every reader reads alike. The reference evaluator has an opinion on no others.

use crate::catalogue::{self, Operation, Route};
use crate::evaluate::Call;
use crate::settings::Settings;
use serde::Deserialize;
use serde_json::Value;

/// Segments that no operation's path has.
const TOO_MANY: usize = 64;

/// Whether a path is one that every reader reads alike. The reference knows no others.
#[must_use]
pub fn is_plain_path(settings: &Settings, call: &Call, route: Option<&Route>) -> bool {
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    // Some readers take the method from the query; the base path alone is the root of web pages.
    let names_method = catalogue::decode(query).unwrap_or_else(|| query.to_owned()).contains("_method");
    if names_method || !settings.base.is_empty() && path == settings.base {
        return false;
    }
    let Some(segments) = path.strip_prefix('/') else { return false };
    // What may stand in a segment (RFC 3986 section 3.3), without the semicolon.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@%".contains(&byte);
    if segments.split('/').count() > TOO_MANY {
        return false;
    }
    segments.split('/').all(|segment| {
        if segment.is_empty() || !segment.bytes().all(is_plain) {
            return false;
        }
        let Some(decoded) = catalogue::decode(segment) else { return false };
        let is_parameter = |(_, value): &(String, String)| *value == decoded;
        let is_odd = |c: char| c.is_control() || matches!(c, ';' | '\\');
        let is_encoded_once = catalogue::decode(&decoded).is_none_or(|again| again == decoded);
        // One that is a fixed segment of some operation, too, is read as either.
        let is_fixed = |operation: &&Operation| operation.path.split('/').any(|part| part == decoded);
        let may_be_escaped = route.is_some_and(|route| route.parameters.iter().any(is_parameter))
            && !settings.extra.iter().any(is_fixed);
        (segment == decoded || may_be_escaped)
            && is_encoded_once
            && !decoded.contains(is_odd)
            && !decoded.split('/').any(|part| matches!(part, "." | ".."))
            && (!decoded.contains(['/', '%']) || route.is_some_and(|route| may_hold_slash(route, &decoded)))
    })
}

/// Names that come from elsewhere may have any form.
fn may_hold_slash(route: &Route, value: &str) -> bool {
    let is_foreign = |name: &str| matches!(name, "groupId" | "clientId" | "username");
    route.parameters.iter().all(|(name, other)| other != value || is_foreign(name))
}

/// Members of a body, bytes of their names and items of their lists, past which it is not plain: the
/// reference keeps all of them, and a proxy cannot.
const AT_MOST: usize = 200;

/// Whether a body is absent, or a JSON object without doubled names and of usual size.
#[must_use]
pub fn is_plain_body(body: Option<&[u8]>) -> bool {
    body.is_none_or(|body| serde_json::from_slice::<Distinct>(body).is_ok())
}

/// An object whose names differ, of usual size.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> serde::de::Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if names.contains(&name) {
                return Err(serde::de::Error::custom("doubled"));
            }
            let is_long_list = value.as_array().is_some_and(|items| items.len() > AT_MOST);
            if name.len() > AT_MOST || names.len() >= AT_MOST || is_long_list {
                return Err(serde::de::Error::custom("larger than what a client sends"));
            }
            names.push(name);
        }
        Ok(self)
    }
}
