//! Files -> suites. Documents are JSON or YAML; what a suite's configuration leaves out is filled
//! in with defaults.

use super::{Suite, case};
use crate::authn::UnixSeconds;
use crate::config;
use crate::json::{self, Strict};
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// A public RSA key whose private half nobody needs: suites that judge assumed identities must
/// name some key. It is the example of RFC 7517 appendix A.1.
pub const PLACEHOLDER_JWK: &str = r#"{"kty":"RSA","use":"sig","kid":"placeholder","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;

/// Why a document or suite cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SuiteError(pub String);

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SuiteError {}

fn error(place: impl fmt::Display, reason: impl fmt::Display) -> SuiteError {
    SuiteError(format!("{place}: {reason}"))
}

/// Reads a JSON or YAML document; no object may have two members of one name.
///
/// # Errors
/// It cannot be read, or is neither.
pub fn document(path: &Path) -> Result<Value, SuiteError> {
    document_with(path, &mut |path| std::fs::read(path))
}

fn document_with<E: fmt::Display>(
    path: &Path,
    load: &mut impl FnMut(&Path) -> Result<Vec<u8>, E>,
) -> Result<Value, SuiteError> {
    document_of(path, &load(path).map_err(|e| error(path.display(), e))?)
}

/// What stands in the file of that path, as [`document`] reads it.
pub(crate) fn document_of(path: &Path, bytes: &[u8]) -> Result<Value, SuiteError> {
    if matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return json::parse(bytes).map_err(|e| error(path.display(), e));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| error(path.display(), "not UTF-8"))?;
    serde_saphyr::from_str::<Strict>(text).map(|strict| strict.0).map_err(|e| error(path.display(), e))
}

/// A plugin configuration over the defaults: what a suite may leave out is filled in.
#[must_use]
pub fn configuration(given: Map<String, Value>, policy: Option<Value>) -> Value {
    let mut whole = Map::new();
    whole.insert("version".into(), json!(1));
    whole.insert("name".into(), json!("suite"));
    whole.insert("issuers".into(), json!([{ "issuer": "https://issuer.example", "audiences": ["orchestration-api"] }]));
    whole.extend(given);
    if let Some(policy) = policy {
        whole.remove("table");
        whole.insert("policy".into(), policy);
    }
    if !whole.contains_key("table") {
        whole.entry("policy").or_insert_with(|| json!({}));
    }
    let placeholder: Value = serde_json::from_str(PLACEHOLDER_JWK).unwrap_or_default();
    for issuer in whole.get_mut("issuers").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(issuer) = issuer.as_object_mut() {
            issuer.entry("jwks").or_insert_with(|| json!({ "inline": { "keys": [placeholder.clone()] } }));
            issuer.entry("audiences").or_insert_with(|| json!(["orchestration-api"]));
        }
    }
    Value::Object(whole)
}

/// A configuration file over the defaults, with a policy from elsewhere in place of its own.
///
/// # Errors
/// It is not an object.
pub fn configuration_of(given: Value, policy: Option<Value>) -> Result<Value, SuiteError> {
    match given {
        Value::Object(given) => Ok(configuration(given, policy)),
        _ => Err(SuiteError("the configuration is not an object".into())),
    }
}

/// Reads a suite.
///
/// # Errors
/// Something in it is not as it should be; the message says where.
pub fn read(path: &Path) -> Result<Suite, SuiteError> {
    read_with(path, |path| std::fs::read(path))
}

/// Reads a suite where files come by other ways: `load` gives the bytes of the suite, and of its
/// policy.
///
/// # Errors
/// As [`read`].
pub fn read_with<E: fmt::Display>(
    path: &Path,
    mut load: impl FnMut(&Path) -> Result<Vec<u8>, E>,
) -> Result<Suite, SuiteError> {
    let place = path.display();
    let Value::Object(mut file) = document_with(path, &mut load)? else {
        return Err(error(place, "a suite is an object"));
    };
    let policy = match file.remove("policy") {
        None => None,
        Some(Value::String(name)) => {
            Some(document_with(&path.parent().unwrap_or(Path::new("")).join(name), &mut load)?)
        }
        Some(policy) => Some(policy),
    };
    let given = match file.remove("config") {
        None => Map::new(),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(error(place, "config: must be an object")),
    };
    let now = file.remove("now").map(|v| v.as_str().and_then(instant).ok_or("now: must be a time of RFC 3339"));
    let now = now.transpose().map_err(|e| error(&place, e))?;
    let Some(Value::Array(cases)) = file.remove("cases") else {
        return Err(error(place, "cases: must be a list"));
    };
    if let Some(name) = file.keys().next() {
        return Err(error(place, format_args!("{name}: unknown field; a suite has policy, config, now and cases")));
    }
    let read_case = |(number, value): (usize, Value)| {
        let name = value.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
        case::parse(value).map_err(|e| error(&place, format_args!("cases[{number}] {name:?}: {e}")))
    };
    let cases = cases.into_iter().enumerate().map(read_case).collect::<Result<_, _>>()?;
    let configuration = configuration(given, policy);
    let (plan, warnings) = config::read(configuration.to_string().as_bytes()).map_err(|e| error(&place, e))?;
    Ok(Suite { name: path.display().to_string(), configuration, plan: Rc::new(plan), warnings, now, cases })
}

/// A time of RFC 3339, in seconds since 1970.
pub(crate) fn instant(text: &str) -> Option<UnixSeconds> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp())
}
