//! The suites: the reference says what the engine says, and what is expected.

use portcullis::authn::Subject;
use portcullis::suite::{self, Caller as CaseCaller, Case, Suite};
use portcullis_reference::catalogue::{Operation, Route};
use portcullis_reference::claims;
use portcullis_reference::compare::{Answer, Both};
use portcullis_reference::evaluate::{Call, route};
use portcullis_reference::plain::{self, is_plain_path};
use portcullis_reference::principal::Caller;
use portcullis_reference::settings::Settings;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[test]
fn corpus() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites"), &mut files);
    files.sort();
    let (mut asked, mut skipped, mut unread, mut wrong) = (0, 0, 0, Vec::new());
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
            if !is_of_known_surface(&settings, route.as_ref()) {
                continue;
            }
            // How a body is written is a matter of the engine's reader alone.
            if !is_plain_body(case, route.as_ref()) {
                unread += 1;
                continue;
            }
            let is_plain = is_plain_path(&settings, &call, route.as_ref())
                && case.request.headers.iter().all(is_no_disguise)
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
    let counts = format!("{asked} asked, {skipped} skipped, {unread} bodies not read");
    println!("{counts}");
    assert!(asked > 5 * skipped && asked > 5 * unread, "{counts}");
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

/// Whether an operation that is open is one of a surface that the reference has rules for.
fn is_of_known_surface(settings: &Settings, route: Option<&Route>) -> bool {
    let is_known = |operation: &Operation| operation.surface == "v2" || operation.is_call();
    route.is_none_or(|route| is_known(route.operation) || !settings.surfaces.contains(&route.operation.surface))
}

/// Whether a header makes no reader take the request for another one. The reference knows no headers.
fn is_no_disguise((name, value): &(String, String)) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "upgrade" | "x-forwarded-prefix" => false,
        "content-type" => !value.to_ascii_lowercase().contains("urlencoded"),
        _ => true,
    }
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
    let is_content_type = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-type");
    case.request.headers.iter().filter(is_content_type).count() <= 1
        && case.request.headers.iter().all(is_plain_header)
        && plain::is_plain_body(case.request.body.as_deref())
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
