//! `portcullis doctor`: whether an Envoy, or what is about to be given to one, is really guarded.
//!
//! - `document`: reads a live `/config_dump`, a file of it, a bootstrap, or manifests.
//! - `chain`: the filter chains that stand in it; `route`: their routes; `cluster`: where those lead.
//! - `plugin`, `belt`, `after`, `routes`: what can be wrong with each.
//! - `cel`: what the belt of a SecurityPolicy demands.
//! - `manifest`, `gateway`: what can be wrong with manifests of Istio and Envoy Gateway; `carrier`, `security`: with the
//!   belt beside them;
//!   `patch`: what EnvoyFilters and EnvoyPatchPolicies bring.

mod after;
mod belt;
mod carrier;
mod cel;
mod chain;
mod cluster;
mod document;
mod finding;
mod gateway;
mod manifest;
mod patch;
mod plugin;
mod route;
mod routes;
mod security;

use super::args::DoctorArguments;
use super::{End, Failure};
use chain::Manager;
use finding::{Finding, Severity};
use plugin::Guard;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;

pub fn run(arguments: &DoctorArguments, out: &mut impl Write) -> Result<End, Failure> {
    let policy = arguments.policy.as_deref().map(crate::suite::document).transpose()?;
    let mut findings = Vec::new();
    for set in document::sets(&arguments.sources)? {
        findings.extend(examine(&set.documents, policy.as_ref()).into_iter().map(|f| f.within(&set.name)));
    }
    findings.sort_by_key(|f| f.severity);
    if arguments.json {
        for finding in &findings {
            writeln!(out, "{}", finding.json())?;
        }
    } else {
        print(&findings, out)?;
    }
    let found = findings.iter().any(|f| f.severity != Severity::Notice);
    Ok(if found { End::No } else { End::Yes })
}

fn print(findings: &[Finding], out: &mut impl Write) -> Result<(), Failure> {
    for finding in findings {
        writeln!(out, "{}: {} ({})", finding.severity.name(), finding.what, finding.code)?;
        writeln!(out, "  at      {}", finding.at)?;
        writeln!(out, "  to do   {}", finding.advice)?;
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let [critical, warnings, notices] = [Severity::Critical, Severity::Warning, Severity::Notice].map(count);
    writeln!(out, "{critical} critical, {warnings} warnings, {notices} notices")?;
    Ok(())
}

/// All findings about documents that belong together.
fn examine(documents: &[Value], policy: Option<&Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let values: Vec<&Value> = documents.iter().collect();
    let manifests = manifest::among(&values);
    manifest::examine(&manifests, policy, &mut findings);
    carrier::examine_patched(&values, &mut findings);
    let managers: Vec<Manager> = chain::managers(&values).into_iter().chain(patch::managers(&values)).collect();
    let upgrades = managers.iter().flat_map(|manager| &manager.upgrades).map(|upgrade| &upgrade.chain);
    let upgrades = upgrades.map(|chain| (chain, plugin::find(chain))).filter(|(_, guards)| !guards.is_empty());
    let judged: Vec<(&Manager, Vec<Guard>)> =
        managers.iter().map(|manager| (manager, plugin::find(manager))).chain(upgrades).collect();
    let with_filter = || judged.iter().flat_map(|(manager, guards)| guards.iter().map(|guard| (*manager, guard)));
    let nowhere = !with_filter().any(|(manager, guard)| routes::judges(manager, guard));
    let guarded: BTreeSet<&str> =
        with_filter().flat_map(|(manager, guard)| routes::guarded(manager, guard, nowhere)).collect();
    let clusters = cluster::clusters(&values);
    let named = with_filter().flat_map(|(manager, _)| &manager.routes).flat_map(|route| route.clusters());
    let guarded = clusters.around(guarded, &named.copied().collect());
    let filters = clusters.filters();
    let belts = belt::at_clusters(&filters);
    let stopping = belt::stopping_copies(&filters);
    for (manager, guards) in &judged {
        // Of several the last: the belt sees its verdict. One with a scope of its own has a belt of its own.
        if let Some((guard, earlier)) = guards.split_last() {
            plugin::examine(manager, guard, policy, &mut findings);
            belt::examine(manager, guard, &clusters, &belts, &mut findings);
            for other in earlier.iter().filter(|other| other.is_apart_from(guard)) {
                belt::examine(manager, other, &clusters, &belts, &mut findings);
            }
            after::examine(manager, guard, &mut findings);
            routes::examine(manager, guards, &guarded, &belts, nowhere, &mut findings);
        } else {
            routes::examine_unguarded(manager, &guarded, &belts, &mut findings);
        }
        if !guarded.is_empty() {
            after::examine_forged(manager, &mut findings);
            routes::examine_mirrors(manager, &guarded, &stopping, &mut findings);
        }
    }
    for (name, filters) in filters.iter().filter(|(name, _)| guarded.contains(*name)) {
        after::examine_cluster(name, filters, &mut findings);
    }
    routes::examine_tunnels(&chain::tunnels(&values), &guarded, &mut findings);
    if manifests.is_empty() && judged.iter().all(|(_, guards)| guards.is_empty()) {
        findings.push(Finding {
            severity: Severity::Critical,
            code: "filter_missing",
            at: "the whole configuration".into(),
            what: "no filter chain has Portcullis".into(),
            advice: "Add the filter and the belt; envoy/envoy.yaml shows where. If it stands in the source, Envoy has \
                     dropped it: look for `wasm` in its log. If it stands in a file that Envoy watches \
                     (`config_discovery`), give that file in the same call."
                .into(),
        });
    }
    findings
}
