//! `portcullis operations import`: what a specification has and a version lacks.

use super::openapi;
use super::rule::Rule;
use crate::api::catalogue::{OPERATIONS, Operation, Version};
use crate::api::extra::Template;
use crate::cli::args::ImportArguments;
use crate::cli::{End, Failure};
use crate::config;
use crate::suite::{self, SuiteError};
use serde::Serialize;
use serde_json::json;
use std::io::Write;

pub fn run(arguments: &ImportArguments, out: &mut impl Write) -> Result<End, Failure> {
    let version = Version::parse(&arguments.api_version).filter(|version| Version::KNOWN.contains(version));
    let version = version.ok_or_else(|| {
        let known: Vec<String> = Version::KNOWN.iter().map(ToString::to_string).collect();
        SuiteError(format!("--api-version: `{}` is not one of {}", arguments.api_version, known.join(", ")))
    })?;
    let specification = openapi::read(&arguments.specification)?;
    let mut imported = Imported { version, rules: Vec::new(), later: Vec::new() };
    for why in &specification.left_out {
        say("left out", why);
    }
    for (rule, open) in specification.rules {
        imported.take(rule, open);
    }
    if let Some(newest) = imported.later.iter().max() {
        say(
            "hint",
            &format!(
                "{} of these operations are built in: with api.version \"{newest}\" they need not be listed",
                imported.later.len()
            ),
        );
    }
    if imported.rules.is_empty() {
        say("hint", &format!("{version} lacks nothing that can be imported"));
    }
    let api = Api { version: version.to_string(), extra_operations: imported.rules };
    let document = Document { api };
    // What is written must be what a configuration takes.
    let configuration = suite::configuration_of(json!(document), None)?;
    config::read(configuration.to_string().as_bytes()).map_err(|e| SuiteError(e.to_string()))?;
    if arguments.json {
        writeln!(out, "{:#}", json!(document))?;
    } else {
        let text = serde_saphyr::to_string(&document).map_err(|e| SuiteError(e.to_string()))?;
        write!(out, "{text}")?;
    }
    Ok(End::Yes)
}

/// What is written: a section of a configuration.
#[derive(Serialize)]
struct Document {
    api: Api,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Api {
    version: String,
    extra_operations: Vec<Rule>,
}

fn say(what: &str, text: &str) {
    eprintln!("portcullis: {what}: {text}");
}

/// What has been taken so far.
struct Imported {
    version: Version,
    rules: Vec<Rule>,
    /// Of those that are built into later versions, these versions.
    later: Vec<Version>,
}

impl Imported {
    /// Takes an operation, unless the version has it; says what is open of it, and why it is left out.
    fn take(&mut self, rule: Rule, open: Option<String>) {
        let template = Template::of(&rule.path);
        let place = format!("{} {} ({})", rule.method, rule.path, rule.operation);
        let is_it = |operation: &&Operation| {
            operation.method.name() == rule.method && Template::of(&operation.path) == template
        };
        let built_in = OPERATIONS.iter().find(is_it);
        match built_in {
            Some(operation) if operation.blocked => return say("left out", &format!("{place}: it is never opened")),
            Some(operation) if operation.since <= self.version => return,
            _ => {}
        }
        let there = OPERATIONS.iter().filter(|operation| operation.since <= self.version || operation.blocked);
        let could_be = |operation: &&Operation| {
            ["*", &rule.method].contains(&operation.method.name()) && Template::of(&operation.path).overlaps(&template)
        };
        if let Some(other) = there.clone().find(could_be) {
            return say("left out", &format!("{place}: {} has paths like it: {}", self.version, other.id));
        }
        // What is known of a later version says more than its specification.
        let known = built_in.filter(|operation| Rule::can_be_extra(operation));
        let known = known.and_then(|operation| Some((Rule::of(operation, operation.since)?, operation.since)));
        let mut rule = match known {
            Some((rule, since)) => {
                self.later.push(since);
                rule
            }
            None => {
                if let Some(open) = open {
                    say("open", &format!("{place}: {open}: taken as what the cluster decides where it is not denied"));
                }
                rule
            }
        };
        let twin = |other: &&Rule| other.method == rule.method && Template::of(&other.path) == template;
        if self.rules.iter().any(|other| twin(&other)) {
            return say("left out", &format!("{place}: it stands twice"));
        }
        let is_taken = |id: &str| {
            there.clone().any(|operation| operation.id == id) || self.rules.iter().any(|rule| rule.operation == id)
        };
        if is_taken(&rule.operation) {
            let free = (2..=1_000).map(|number| format!("{}{number}", rule.operation)).find(|id| !is_taken(id));
            let Some(free) = free else { return say("left out", &format!("{place}: its name is taken")) };
            say("renamed", &format!("{place}: {free}, because another operation has its name"));
            rule.operation = free;
        }
        self.rules.push(rule);
    }
}
