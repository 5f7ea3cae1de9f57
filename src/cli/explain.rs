//! `portcullis explain`

use super::args::ExplainArguments;
use super::{End, Failure, policies};
use crate::authn::Subject;
use crate::decision::Decision;
use crate::json;
use crate::reason::Reason;
use crate::suite::{self, Caller, CaseRequest, SuiteError};
use serde_json::{Value, json};
use std::io::Write;
use std::rc::Rc;

pub fn run(arguments: &ExplainArguments, out: &mut impl Write) -> Result<End, Failure> {
    let decision = decide(arguments)?;
    if arguments.json {
        writeln!(out, "{}", decision.explain())?;
    } else {
        print(&decision, detail(arguments, &decision), out)?;
    }
    Ok(if decision.is_allow() { End::Yes } else { End::No })
}

fn decide(arguments: &ExplainArguments) -> Result<Decision, SuiteError> {
    let policy = arguments.policy.as_deref().or(arguments.table.as_deref());
    let plan = policies::plan(arguments.config.as_deref(), policy)?;
    let now = match &arguments.now {
        None => super::now(),
        Some(text) => suite::instant(text).ok_or(SuiteError(format!("--now: `{text}` is not a time of RFC 3339")))?,
    };
    let headers = arguments.header.iter().map(|h| header(h)).collect::<Result<_, _>>()?;
    let (method, path, body) = (arguments.method.clone(), arguments.path.clone(), arguments.body.clone());
    let request =
        CaseRequest::with_json(method, path, headers, body).map_err(|e| SuiteError(format!("--body: {e}")))?;
    Ok(suite::decide(&Rc::new(plan), &caller(arguments)?, &request, now))
}

fn caller(arguments: &ExplainArguments) -> Result<Caller, SuiteError> {
    let subject = match (&arguments.user, &arguments.client) {
        (Some(name), _) => Subject::User(name.clone()),
        (None, Some(id)) => Subject::Client(id.clone()),
        (None, None) => {
            if !arguments.group.is_empty() {
                return Err(SuiteError("--group needs --user or --client".into()));
            }
            return match (&arguments.token, &arguments.claims) {
                (Some(token), _) => Ok(Caller::Token(token.clone())),
                (None, Some(claims)) => match json::parse(claims.as_bytes()) {
                    Ok(claims @ Value::Object(_)) => Ok(Caller::Claims(claims)),
                    Ok(_) => Err(SuiteError("--claims: not a JSON object".into())),
                    Err(error) => Err(SuiteError(format!("--claims: {error}"))),
                },
                (None, None) => Ok(Caller::Nobody),
            };
        }
    };
    let groups = (!arguments.group.is_empty()).then(|| arguments.group.clone());
    Ok(Caller::Principal { subject, groups, claims: json!({}) })
}

fn header(text: &str) -> Result<(String, String), SuiteError> {
    let (name, value) = text.split_once(':').ok_or(SuiteError(format!("--header: `{text}` is not NAME: VALUE")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// What is amiss with the request. To the engine one without a body has an empty body, often without a
/// content type; who asks about it has left the body out.
fn detail(arguments: &ExplainArguments, decision: &Decision) -> Option<&'static str> {
    let has_type = arguments.header.iter().any(|h| {
        let name = h.split(':').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("content-type")
    });
    let is_of_type = has_type && decision.detail().is_some_and(|detail| detail.contains("content type"));
    if decision.reason() == Reason::BodyUnreadable && arguments.body.is_none() && !is_of_type {
        return Some("the body decides, and none was given (--body)");
    }
    decision.detail()
}

fn print(decision: &Decision, detail: Option<&str>, out: &mut impl Write) -> Result<(), Failure> {
    let explained = decision.explain();
    let text = |name: &str| explained.get(name).and_then(Value::as_str);
    let reason: Reason = decision.reason();
    let certainty = text("certainty").map(|c| format!(", {c}")).unwrap_or_default();
    writeln!(out, "{}{certainty}: {} ({})", text("decision").unwrap_or(""), reason.code(), reason.status())?;
    writeln!(out, "  {}", reason.meaning())?;
    if let Some(detail) = detail {
        writeln!(out, "  detail     {detail}")?;
    }
    writeln!(out, "  operation  {}", text("operation").unwrap_or("unknown"))?;
    if let Some(Value::Object(principal)) = explained.get("principal") {
        for (name, value) in principal {
            match value {
                Value::String(_) => writeln!(out, "  caller     {name} {value}")?,
                Value::Array(list) if !list.is_empty() => {
                    let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                    writeln!(out, "  {name:10} {}", list.join(", "))?;
                }
                _ => {}
            }
        }
    }
    if let Some(grant @ Value::Object(_)) = explained.get("grant") {
        let part = |name: &str| grant.get(name).and_then(Value::as_str).unwrap_or("-");
        writeln!(
            out,
            "  grant      {} {} has {} on {} {}",
            part("ownerType"),
            part("ownerId"),
            part("permissionType"),
            part("resourceType"),
            part("resourceId"),
        )?;
    }
    if !decision.is_allow() {
        writeln!(out, "  to do      {}", reason.advice())?;
    }
    Ok(())
}
