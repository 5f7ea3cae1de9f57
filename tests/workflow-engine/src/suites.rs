//! Recorded verdicts as suites: `tests/suites/engine`.
//!
//! What a suite expects comes from the verdict where the edge knows all that the cluster decides
//! by. Elsewhere it is what the reference evaluator says, which must keep the property.
//!
//! Cases whose policies are of plain names share a suite: every name in it says which case it is
//! of. A policy with mapping rules, odd names or the default roles stays as it is, and alone.

use crate::case::{Case, Verdict, World};
use crate::property::{self, Ours};
use crate::recorded::Recorded;
use crate::rest::{self, Request};
use anyhow::{Context, Result, bail, ensure};
use portcullis::suite;
use portcullis_reference::evaluate::{self, Outcome};
use portcullis_reference::policy::Policy;
use portcullis_reference::principal::Caller;
use portcullis_reference::settings::Settings;
use portcullis_reference::{claims, evaluate::evaluate};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of the suites.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/engine")
}

/// All suites: their paths below [`folder`], and what stands in them.
///
/// # Errors
/// A case breaks the property, or cannot be made a case of a suite.
pub fn of(recorded: &[Recorded]) -> Result<BTreeMap<PathBuf, String>> {
    let mut suites: BTreeMap<PathBuf, Suite> = BTreeMap::new();
    for one in recorded {
        let (path, label) = place(&one.case, &suites);
        let suite = suites.entry(path).or_default();
        suite.add(one, label.as_deref()).with_context(|| one.case.name.clone())?;
    }
    Ok(suites.into_iter().map(|(path, suite)| (path, suite.text())).collect())
}

/// Where a case stands, and what its names are to end in.
fn place(case: &Case, suites: &BTreeMap<PathBuf, Suite>) -> (PathBuf, Option<String>) {
    if !is_plain(case) {
        let known = suites.iter().find(|(_, suite)| suite.world.as_ref() == Some(&case.world));
        let path = || PathBuf::from(format!("{}.json", case.name.replace(':', "-")));
        return (known.map_or_else(path, |(path, _)| path.clone()), None);
    }
    let path = PathBuf::from(format!("{}.json", family(case)));
    let known = suites.get(&path).and_then(|suite| suite.labels.iter().find(|(world, _)| *world == case.world));
    let label = known.map_or_else(|| case.name.clone(), |(_, label)| label.clone());
    (path, Some(label))
}

fn family(case: &Case) -> &'static str {
    let has = |parts: &[&str]| parts.iter().any(|part| case.call.operation.contains(part));
    match case.name.split_once('/').map_or("", |(first, _)| first) {
        _ if case.world.groups_claim && case.world.multi_tenancy => "tenants-claimed-groups",
        _ if case.world.groups_claim => "claimed-groups",
        _ if case.world.multi_tenancy => "tenants",
        "grant" | "group" | "groups-claim" | "id" | "principal" | "role" => "memberships",
        _ if has(&["Batch", "Clock"]) => "batches-and-clock",
        _ if has(&["UserTask"]) => "user-tasks",
        _ if has(&["Job"]) => "jobs",
        _ if has(&["Message", "Signal"]) => "messages",
        _ if has(&["Resource", "Deployment", "Decision"]) => "resources",
        _ if has(&["Process", "Incident", "Variables"]) => "process-instances",
        _ => "identity",
    }
}

/// Whether every name of its policy and of its caller may have something put to its end, and
/// nothing else in its policy decides who somebody is.
fn is_plain(case: &Case) -> bool {
    let world = &case.world;
    let mut policy = Value::Object(world.policy.clone());
    let mut plain = !world.defaults && !world.policy.contains_key("mappingRules") && case.principal.claims.is_empty();
    for_names(&mut policy, &mut |name| plain &= is_plain_name(name));
    let principal = &case.principal;
    let own = principal.username.iter().chain(&principal.client_id).chain(principal.groups.iter().flatten());
    plain && own.into_iter().all(|name| is_plain_name(name))
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte))
}

/// Calls `change` with every name in a policy: of owners, groups and roles, and of members.
fn for_names(policy: &mut Value, change: &mut dyn FnMut(&mut String)) {
    let Some(lists) = policy.as_object_mut() else { return };
    for items in lists.values_mut() {
        for item in items.as_array_mut().into_iter().flatten() {
            for name in ["ownerId", "groupId", "roleId", "users", "clients", "groups", "roles", "mappingRules"] {
                match item.get_mut(name) {
                    Some(Value::String(text)) => change(text),
                    Some(Value::Array(list)) => {
                        for name in list {
                            if let Value::String(text) = name {
                                change(text);
                            }
                        }
                    }
                    _ => (),
                }
            }
        }
    }
}

/// A suite in the making.
#[derive(Default)]
struct Suite {
    config: Map<String, Value>,
    policy: Map<String, Value>,
    /// The only policy, as it was recorded; none where there are several.
    world: Option<World>,
    /// Policies that are in it, and what their names end in.
    labels: Vec<(World, String)>,
    cases: Vec<String>,
}

impl Suite {
    fn add(&mut self, recorded: &Recorded, label: Option<&str>) -> Result<()> {
        let Recorded { case, verdict } = recorded;
        let request = rest::request(&case.call).context("no request makes this call")?;
        let mut expect = Map::new();
        expect.insert("operation".to_owned(), json!(case.call.operation));
        expectation(case, *verdict, &request, &mut expect)?;
        let end = label.map(|label| format!(" of {label}")).unwrap_or_default();
        let renamed = |name: &String| format!("{name}{end}");
        let mut principal = json!({});
        if let Some(id) = &case.principal.client_id {
            principal["clientId"] = json!(renamed(id));
        } else {
            principal["username"] = json!(case.principal.username.as_ref().map(renamed));
        }
        if let Some(groups) = property::groups(case) {
            principal["groups"] = groups.iter().map(renamed).collect();
        }
        if !case.principal.claims.is_empty() {
            principal["claims"] = Value::Object(case.principal.claims.clone());
        }
        let said = match verdict {
            Verdict::Allow => "allowed",
            Verdict::Filtered => "no rows",
            Verdict::FilteredSome => "some rows",
            Verdict::Deny => "refused",
            Verdict::NotFound => "not found",
            Verdict::Rejected => "not done",
        };
        let name = format!("{} (the cluster: {said})", case.name);
        self.cases.push(case_line(&name, "principal", &principal, &request.value, &Value::Object(expect)));
        self.config = property::configuration(&case.world);
        match label {
            None if self.world.is_none() => {
                self.policy = whole_policy(&case.world)?;
                self.world = Some(case.world.clone());
            }
            Some(label) if self.labels.iter().all(|(world, _)| *world != case.world) => {
                self.labels.push((case.world.clone(), label.to_owned()));
                let mut policy = Value::Object(case.world.policy.clone());
                for_names(&mut policy, &mut |name| name.push_str(&end));
                merge(&mut self.policy, &policy);
            }
            _ => (),
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut policy = String::from("{}");
        if !self.policy.is_empty() {
            let items = |list: &Value| list.as_array().into_iter().flatten().map(Value::to_string).collect::<Vec<_>>();
            let section = |(name, list): (&String, &Value)| format!("    {name:?}: {}", lines(&items(list), "    "));
            let sections: Vec<String> = self.policy.iter().map(section).collect();
            policy = format!("{{\n{}\n  }}", sections.join(",\n"));
        }
        let config = Value::Object(self.config.clone());
        let cases = lines(&self.cases, "  ");
        format!("{{\n  \"policy\": {policy},\n  \"config\": {config},\n  \"cases\": {cases}\n}}\n")
    }
}

/// A JSON list with one item a line.
pub(crate) fn lines(items: &[String], indent: &str) -> String {
    if items.is_empty() {
        return "[]".to_owned();
    }
    let lines: Vec<String> = items.iter().map(|item| format!("{indent}  {item}")).collect();
    format!("[\n{}\n{indent}]", lines.join(",\n"))
}

/// A case, its members in the order in which one reads them.
pub(crate) fn case_line(name: &str, caller: &str, who: &Value, request: &Value, expect: &Value) -> String {
    let name = json!(name);
    format!(r#"{{"name":{name},"{caller}":{who},"request":{request},"expect":{expect}}}"#)
}

/// Adds a policy to another one. Tenants keep their names: who is in them has been renamed.
fn merge(into: &mut Map<String, Value>, policy: &Value) {
    for (name, items) in policy.as_object().into_iter().flatten() {
        let list = into.entry(name.clone()).or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else { continue };
        for item in items.as_array().into_iter().flatten() {
            let same = |other: &&mut Value| name == "tenants" && other["tenantId"] == item["tenantId"];
            let Some(tenant) = list.iter_mut().find(same).and_then(Value::as_object_mut) else {
                list.push(item.clone());
                continue;
            };
            for (kind, members) in item.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "tenantId") {
                let known = tenant.entry(kind.clone()).or_insert_with(|| json!([]));
                if let (Some(known), Some(members)) = (known.as_array_mut(), members.as_array()) {
                    known.extend(members.iter().cloned());
                }
            }
        }
    }
}

/// The policy of a world, with the cluster's default roles where it has made them.
///
/// # Errors
/// The default roles cannot be read.
pub fn whole_policy(world: &World) -> Result<Map<String, Value>> {
    if !world.defaults {
        return Ok(world.policy.clone());
    }
    let file = folder().join("../policies/default-roles-8.8.yaml");
    let Value::Object(mut policy) = suite::document(&file)? else { bail!("{}: no policy", file.display()) };
    for join in world.policy.get("roles").and_then(Value::as_array).into_iter().flatten() {
        let roles = policy.get_mut("roles").and_then(Value::as_array_mut).context("no roles")?;
        let role = roles.iter_mut().find(|role| role["roleId"] == join["roleId"]);
        let role = role.with_context(|| format!("no default role {join}"))?;
        for (kind, members) in join.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "roleId") {
            role[kind] = members.clone();
        }
    }
    Ok(policy)
}

/// What is expected of a case.
fn expectation(case: &Case, verdict: Verdict, request: &Request, expect: &mut Map<String, Value>) -> Result<()> {
    let by_verdict = match verdict {
        _ if !property::is_known(case, request) => None,
        Verdict::Allow | Verdict::Filtered | Verdict::FilteredSome => Some(Ours::Final),
        Verdict::Deny | Verdict::NotFound => Some(Ours::Deny),
        Verdict::Rejected => None,
    };
    let by_reference = reference(case, request)?;
    let (ours, reason) = match (by_verdict, by_reference) {
        (Some(ours), None) => (ours, None),
        (Some(ours), Some((said, reason))) if ours == said => (ours, reason),
        (None, Some(said)) => said,
        (by_verdict, by_reference) => {
            bail!("by the verdict {by_verdict:?}, by the reference {by_reference:?}");
        }
    };
    if let Some(why) = property::broken(case, verdict, ours) {
        bail!("{verdict:?}, and the reference says {ours}: {why}");
    }
    match ours {
        Ours::Deny => {
            expect.insert("decision".to_owned(), json!("deny"));
            expect.insert("status".to_owned(), json!(403));
            expect.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
        }
        Ours::Deferred => {
            expect.insert("decision".to_owned(), json!("allow"));
            expect.insert("certainty".to_owned(), json!("deferred"));
        }
        Ours::Final => {
            expect.insert("decision".to_owned(), json!("allow"));
            expect.insert("certainty".to_owned(), json!("final"));
        }
    }
    Ok(())
}

/// What the reference evaluator says; nothing where it reads no such request or rule.
fn reference(case: &Case, request: &Request) -> Result<Option<(Ours, Option<&'static str>)>> {
    let policy = Value::Object(whole_policy(&case.world)?);
    let configuration = suite::configuration(property::configuration(&case.world), Some(policy.clone()));
    let policy = Policy::read(&policy);
    if !policy.rules.iter().all(claims::is_plain) {
        return Ok(None);
    }
    let principal = &case.principal;
    let name = principal.client_id.as_ref().or(principal.username.as_ref());
    let caller = Caller {
        is_client: principal.client_id.is_some(),
        name: name.cloned().unwrap_or_default(),
        groups: property::groups(case),
        claims: Value::Object(principal.claims.clone()),
    };
    let text = |name: &str| request.value[name].as_str().unwrap_or_default().to_owned();
    let body = match &request.value["body"] {
        Value::Null => request.value["rawBody"].as_str().map(|raw| raw.as_bytes().to_vec()),
        body => Some(body.to_string().into_bytes()),
    };
    let call = evaluate::Call { method: text("method"), path: text("path"), body };
    let outcome = evaluate(&Settings::read(&configuration), &policy, &caller, &call);
    ensure!(outcome != Outcome::Deny("operation_unknown"), "the reference knows no such operation");
    Ok(Some(match outcome {
        Outcome::Deny(reason) => (Ours::Deny, Some(reason)),
        Outcome::Deferred => (Ours::Deferred, None),
        Outcome::Final => (Ours::Final, None),
    }))
}
