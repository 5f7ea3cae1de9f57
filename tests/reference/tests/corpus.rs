//! The suites: the reference says what the engine says, and what is expected.

use portcullis::authn::Subject;
use portcullis::suite::{self, Caller as CaseCaller, Case, Suite};
use portcullis_reference::catalogue::{self, Route};
use portcullis_reference::claims;
use portcullis_reference::compare::{Answer, Both};
use portcullis_reference::evaluate::Call;
use portcullis_reference::principal::Caller;
use portcullis_reference::settings::Settings;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[test]
fn corpus() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites"), &mut files);
    files.sort();
    let (mut asked, mut skipped, mut wrong) = (0, 0, Vec::new());
    for file in &files {
        let suite = suite::read(file).unwrap();
        let settings = Settings::read(&suite.configuration);
        let both = both(&suite);
        for case in &suite.cases {
            let Some(caller) = caller(case) else { continue };
            let (method, path) = (case.request.method.clone(), case.request.path.clone());
            let message = case.request.message.as_ref().map(|message| message.to_string().into_bytes());
            let call = Call { method, path, body: message.or_else(|| case.request.body.clone()) };
            let route = route(&settings, &call);
            let is_plain = is_plain_path(&call, route.as_ref())
                && is_plain_body(case, route.as_ref())
                && hangs_on_no_other_rule(&suite, &both, &caller, &call);
            if !is_plain {
                skipped += 1;
                continue;
            }
            asked += 1;
            let (engine, reference) = (both.engine(&caller, &call), both.reference(&caller, &call));
            if engine != reference || !is_expected(&reference, case) {
                wrong.push(format!("{}: {}: engine {engine}, reference {reference}", suite.name, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
    println!("{asked} asked, {skipped} skipped");
    assert!(asked > 5 * skipped, "{asked} asked, {skipped} skipped");
}

/// All suites: files with cases, not the policies that they name.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if suite::document(&path).unwrap().get("cases").is_some() {
            found.push(path);
        }
    }
}

fn both(suite: &Suite) -> Both {
    let mut configuration = suite.configuration.as_object().cloned().unwrap();
    let policy = configuration.remove("policy").unwrap_or_default();
    Both::new(configuration, policy).unwrap()
}

fn caller(case: &Case) -> Option<Caller> {
    let CaseCaller::Principal { subject, groups, claims } = &case.caller else { return None };
    let (is_client, name) = match subject {
        Subject::User(name) => (false, name.clone()),
        Subject::Client(id) => (true, id.clone()),
    };
    Some(Caller { is_client, name, groups: groups.clone(), claims: claims.clone() })
}

/// Decision and certainty, and the reason of a deny.
fn is_expected(reference: &Answer, case: &Case) -> bool {
    let (decision, certainty, reason) = match reference {
        Answer::Deny(reason) => ("deny", Value::Null, Some(reason)),
        Answer::Allow(certainty) => ("allow", Value::from(certainty.as_str()), None),
    };
    let agrees = |name: &str, value: Value| case.expect.get(name).is_none_or(|expected| *expected == value);
    agrees("decision", Value::from(decision))
        && agrees("certainty", certainty)
        && reason.is_none_or(|reason| agrees("reason", Value::from(reason.as_str())))
}

fn route(settings: &Settings, call: &Call) -> Option<Route> {
    let path = call.path.split('?').next().unwrap_or_default().strip_prefix(&settings.base)?;
    catalogue::find(settings.version, &call.method, path)
}

/// Whether a path is one that every reader reads alike. The reference knows no others.
fn is_plain_path(call: &Call, route: Option<&Route>) -> bool {
    let path = call.path.split('?').next().unwrap_or_default();
    let Some(segments) = path.strip_prefix('/') else { return false };
    segments.split('/').all(|segment| {
        if segment.is_empty() || !segment.bytes().all(|byte| byte.is_ascii_graphic() && !b";\\".contains(&byte)) {
            return false;
        }
        let Some(decoded) = catalogue::decode(segment) else { return false };
        let is_parameter = |(_, value): &(String, String)| *value == decoded;
        let is_odd = |c: char| c.is_control() || matches!(c, ';' | '\\');
        let is_encoded_once = catalogue::decode(&decoded).is_none_or(|again| again == decoded);
        (segment == decoded || route.is_some_and(|route| route.parameters.iter().any(is_parameter)))
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

/// Whether a header is one that a case's call has anyway.
fn is_of_every_call((name, value): &(String, String)) -> bool {
    [("content-type", "application/grpc"), ("te", "trailers")].contains(&(name, value))
}

/// Whether a body bears on nothing, or is absent, or a JSON object without doubled names, sent as
/// such, or a message that was written as JSON. The reference reads no forms.
fn is_plain_body(case: &Case, route: Option<&Route>) -> bool {
    if route.is_some_and(|route| route.operation.is_call()) {
        return case.request.message.is_some() && case.request.headers.iter().all(is_of_every_call);
    }
    if route.is_some_and(|route| route.operation.tenant.as_deref().is_some_and(|t| t.starts_with("multipart:"))) {
        return case.request.body.is_none();
    }
    if !route.is_some_and(|route| route.operation.looks_at_body()) {
        return true;
    }
    let is_plain_header = |(name, value): &(String, String)| match name.to_ascii_lowercase().as_str() {
        "content-type" => value == "application/json",
        "content-encoding" => false,
        _ => true,
    };
    case.request.headers.iter().all(is_plain_header)
        && case.request.body.as_deref().is_none_or(|body| serde_json::from_slice::<Distinct>(body).is_ok())
}

/// An object whose names differ.
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
        while let Some((name, _)) = map.next_entry::<String, Value>()? {
            if names.contains(&name) {
                return Err(serde::de::Error::custom("doubled"));
            }
            names.push(name);
        }
        Ok(self)
    }
}

/// Whether the answer is the same if every mapping rule whose path the reference does not read
/// matches, and if none does.
fn hangs_on_no_other_rule(suite: &Suite, both: &Both, caller: &Caller, call: &Call) -> bool {
    if both.policy.rules.iter().all(claims::is_plain) {
        return true;
    }
    let mut other = self::both(suite);
    other.policy.rules.iter_mut().filter(|rule| !claims::is_plain(rule)).for_each(|rule| {
        (rule.claim, rule.value) = ("matches".to_owned(), "always".to_owned());
    });
    let mut claims = caller.claims.clone();
    claims["matches"] = Value::from("always");
    let caller_with = Caller { claims, ..caller.clone() };
    both.reference(caller, call) == other.reference(&caller_with, call)
}
