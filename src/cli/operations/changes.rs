//! `portcullis operations diff`: what an upgrade of the cluster adds, removes and changes, and what it
//! denies under a policy.

use super::openapi;
use super::rule::{Permission, Rule};
use crate::api::catalogue::{OPERATIONS, Surface, Version};
use crate::cli::args::OperationsDiffArguments;
use crate::cli::diff::{Right, rights};
use crate::cli::{End, Failure, policies};
use crate::suite::SuiteError;
use crate::table::{OwnerType, Table};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

pub fn run(arguments: &OperationsDiffArguments, out: &mut impl Write) -> Result<End, Failure> {
    let (a, b) = (Side::read(&arguments.a)?, Side::read(&arguments.b)?);
    let holders = match &arguments.policy {
        Some(path) => {
            let (table, warnings) = policies::load(path)?;
            policies::warn(&warnings);
            Some(Holders::of(&table))
        }
        None => None,
    };
    let changes = changes(&a, &b);
    for change in &changes {
        let denied = holders.as_ref().map(|holders| change.denied(holders)).filter(|denied| !denied.is_none());
        if arguments.json {
            writeln!(out, "{}", change.json(denied.as_ref()))?;
        } else {
            change.print(denied.as_ref(), out)?;
        }
    }
    Ok(if changes.is_empty() { End::Yes } else { End::No })
}

/// One side of the comparison.
struct Side {
    rules: BTreeMap<(String, String), Rule>,
    is_specification: bool,
    /// Whether it says of its operations what they require.
    has_requirements: bool,
}

impl Side {
    fn read(name: &str) -> Result<Self, SuiteError> {
        let version = Version::parse(name);
        if let Some(version) = version.filter(|version| Version::KNOWN.contains(version)) {
            let rules = OPERATIONS.iter().filter_map(|operation| Rule::of(operation, version));
            return Ok(Self { rules: by_path(rules), is_specification: false, has_requirements: true });
        }
        if version.is_some() && !Path::new(name).exists() {
            let known: Vec<String> = Version::KNOWN.iter().map(ToString::to_string).collect();
            return Err(SuiteError(format!("`{name}` is not one of {}, nor a file", known.join(", "))));
        }
        let specification = openapi::read(Path::new(name))?;
        for why in &specification.left_out {
            eprintln!("portcullis: left out: {name}: {why}");
        }
        let has_requirements = specification.rules.iter().any(|(rule, _)| !rule.grants.is_empty());
        if !has_requirements {
            eprintln!("portcullis: {name} does not say what operations require: only their paths are compared");
        }
        let rules = by_path(specification.rules.into_iter().map(|(rule, _)| rule));
        Ok(Self { rules, is_specification: true, has_requirements })
    }
}

/// By method and path; what parameters are called does not matter.
fn by_path(rules: impl Iterator<Item = Rule>) -> BTreeMap<(String, String), Rule> {
    let shape = |path: &str| {
        let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    };
    rules.map(|rule| ((shape(&rule.path), rule.method.clone()), rule)).collect()
}

/// What is different of one operation.
enum Change<'a> {
    Added(&'a Rule),
    Removed(&'a Rule),
    Changed(&'a Rule, &'a Rule),
}

fn changes<'a>(a: &'a Side, b: &'a Side) -> Vec<Change<'a>> {
    let is_specification = a.is_specification || b.is_specification;
    // What no specification of the REST API speaks of is not missing in one.
    let comparable = |rule: &Rule| !is_specification || is_rest(rule);
    let mut all = Vec::new();
    for (key, before) in a.rules.iter().filter(|(_, rule)| comparable(rule)) {
        match b.rules.get(key) {
            None => all.push(Change::Removed(before)),
            Some(after) => {
                let differs = if is_specification {
                    a.has_requirements && b.has_requirements && differs_in_specification(before, after)
                } else {
                    before != after
                };
                if differs || (is_specification && before.operation != after.operation) {
                    all.push(Change::Changed(before, after));
                }
            }
        }
    }
    let added = b.rules.iter().filter(|(key, rule)| comparable(rule) && !a.rules.contains_key(*key));
    all.extend(added.map(|(_, rule)| Change::Added(rule)));
    all
}

fn is_rest(rule: &Rule) -> bool {
    let surfaces = [Surface::V2, Surface::Cluster];
    let built_in = OPERATIONS.iter().find(|operation| operation.id == rule.operation);
    built_in.is_none_or(|operation| surfaces.contains(&operation.surface) && !operation.blocked)
}

/// A specification says which permissions, and not where ids stand.
fn differs_in_specification(before: &Rule, after: &Rule) -> bool {
    let open = |rule: &Rule| rule.mode == "unmapped";
    !open(before) && !open(after) && before.permissions() != after.permissions()
}

impl Change<'_> {
    fn rule(&self) -> &Rule {
        match self {
            Self::Added(rule) | Self::Removed(rule) | Self::Changed(_, rule) => rule,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Removed(_) => "removed",
            Self::Changed(..) => "changed",
        }
    }

    /// Whom it denies: of what is new, everybody, where nobody holds what it needs; of what is there
    /// already, those who may use it before and not after.
    fn denied(&self, holders: &Holders) -> Denied {
        let may = |rule: &Rule| holders.who(|held| rule.may_be_satisfied(held));
        match self {
            Self::Removed(_) => Denied::Everybody,
            Self::Added(rule) if !rule.may_be_satisfied(&BTreeSet::new()) && may(rule).is_empty() => Denied::Everybody,
            Self::Added(_) => Denied::These(Vec::new()),
            Self::Changed(before, after) => {
                let still = may(after);
                Denied::These(may(before).difference(&still).cloned().collect())
            }
        }
    }

    fn json(&self, denied: Option<&Denied>) -> Value {
        let rule = self.rule();
        let mut object = json!({
            "change": self.name(),
            "operation": rule.operation,
            "method": rule.method,
            "path": rule.path,
        });
        let (before, after) = match self {
            Self::Added(rule) => (None, Some(rule)),
            Self::Removed(rule) => (Some(rule), None),
            Self::Changed(before, after) => (Some(before), Some(after)),
        };
        if let Some(members) = object.as_object_mut() {
            members.insert("before".into(), json!(before));
            members.insert("after".into(), json!(after));
            members.insert("denied".into(), denied.map_or(Value::Null, Denied::json));
        }
        object
    }

    fn print(&self, denied: Option<&Denied>, out: &mut impl Write) -> Result<(), Failure> {
        let rule = self.rule();
        let sign = match self {
            Self::Added(_) => '+',
            Self::Removed(_) => '-',
            Self::Changed(..) => '~',
        };
        writeln!(out, "{sign} {} {} {}", rule.operation, rule.method, rule.path)?;
        match self {
            Self::Added(rule) => writeln!(out, "    requires {}", rule.requirement())?,
            Self::Removed(_) => {}
            Self::Changed(before, after) => {
                if before.operation != after.operation {
                    writeln!(out, "    was called {}", before.operation)?;
                }
                if before.requirement() != after.requirement() {
                    writeln!(out, "    required {}", before.requirement())?;
                    writeln!(out, "    requires {}", after.requirement())?;
                }
            }
        }
        match denied {
            None => {}
            Some(Denied::Everybody) => writeln!(out, "    denied to everybody")?,
            Some(Denied::These(owners)) => {
                let names: Vec<String> = owners.iter().map(|(kind, id)| format!("{kind} {id}")).collect();
                writeln!(out, "    denied to {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Who is denied.
enum Denied {
    Everybody,
    These(Vec<Holder>),
}

impl Denied {
    fn is_none(&self) -> bool {
        matches!(self, Self::These(owners) if owners.is_empty())
    }

    fn json(&self) -> Value {
        match self {
            Self::Everybody => json!("everybody"),
            Self::These(owners) => {
                owners.iter().map(|(kind, id)| json!({ "ownerType": kind, "ownerId": id })).collect()
            }
        }
    }
}

/// The type and id of an owner.
type Holder = (&'static str, String);

/// What each owner of a policy holds, on whatever it be.
struct Holders(BTreeMap<Holder, BTreeSet<Permission>>);

impl Holders {
    fn of(table: &Table) -> Self {
        let mut all = BTreeMap::new();
        for kind in OwnerType::ALL {
            for owner in table.owners_of(kind) {
                let id = table.owner_id(owner);
                let held = rights(table, kind, &id).into_iter().filter_map(|right| match right {
                    Right::Permission { resource_type, permission, .. } => Some((resource_type, permission)),
                    Right::Tenant(_) => None,
                });
                all.insert((kind.name(), id), held.collect());
            }
        }
        Self(all)
    }

    fn who(&self, may: impl Fn(&BTreeSet<Permission>) -> bool) -> BTreeSet<Holder> {
        self.0.iter().filter(|(_, held)| may(held)).map(|(holder, _)| holder.clone()).collect()
    }
}
