//! The decision corpus, put to the Envoy of Envoy Gateway: a route for each configuration, found by
//! a header.

use crate::report::Report;
use crate::stage::{OURS, Stage, metadata, route};
use anyhow::{Context as _, Result};
use portcullis::config::Gate;
use portcullis::suite::Suite;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::suites::{Callers, Trust};
use portcullis_e2e::trial::{self, Asked, Paths};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The header that says which route is meant.
const SUITE: &str = "x-suite";
/// So many configurations at a time: each has VMs of its own.
const BATCH: usize = 24;

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::set()?;
    stage.standalone.apply("10-gateway", &gateway(&stage)?)?;
    stage.standalone.start()?;
    let mut corpus = trial::corpus();
    // Headers go on before the body is judged: no manifest of Envoy Gateway can hold them.
    for suite in &mut corpus {
        Rc::get_mut(&mut suite.plan).context("the suite's own")?.gate = Gate::Stream;
    }
    let needed = |suite: &'_ Suite| -> BTreeSet<Trust> { suite.cases.iter().map(Trust::of).collect() };
    let all: Vec<(&Suite, Trust)> = corpus.iter().flat_map(|s| needed(s).into_iter().map(move |t| (s, t))).collect();
    let (callers, mut cases, mut findings) = (Callers::new()?, 0, Vec::new());
    for (number, batch) in all.chunks(BATCH).enumerate() {
        stage.standalone.apply(OURS, &resources(&stage, &callers, batch, number)?)?;
        for (place, _) in batch.iter().enumerate() {
            // The first check of all, whatever the configuration; nobody but the filter answers 400 here.
            let probe = || Request::get("/v2/;x").header(SUITE, name(number, place));
            stage.until("a route", || client::send(stage.to, &probe()).is_ok_and(|answer| answer.status == 400))?;
        }
        let mut asked = Vec::new();
        for (place, (suite, trust)) in batch.iter().enumerate() {
            for case in suite.cases.iter().filter(|case| Trust::of(case) == *trust) {
                let request = callers.request(suite, case)?.header(SUITE, name(number, place));
                asked.push(Asked { suite, case, to: stage.to, request });
            }
        }
        cases += asked.len();
        let access_log = || stage.standalone.access_log();
        findings.extend(trial::hold(Paths::AsShipped, &asked, &stage.upstream, access_log).0);
    }
    for finding in findings.iter().take(20) {
        println!("{finding}");
    }
    report.check(
        &format!("{} configurations, {cases} cases, those that differ from the engine", all.len()),
        0,
        findings.len(),
    );
    Ok(())
}

fn name(batch: usize, place: usize) -> String {
    format!("suite-{batch}-{place}")
}

/// The shipped gateway, but for names with underscores, which Envoy Gateway has Envoy refuse, and
/// some cases are about; and without the route for gRPC: each configuration's own leads everywhere.
fn gateway(stage: &Stage) -> Result<Vec<Value>> {
    let mut gateway = stage.gateway()?;
    gateway.retain(|document| document["kind"] != "GRPCRoute");
    for document in gateway.iter_mut().filter(|d| d["kind"] == "ClientTrafficPolicy") {
        document["spec"]["headers"]["withUnderscoresAction"] = "Allow".into();
    }
    Ok(gateway)
}

/// A route and a policy for each configuration, and one belt that passes what each of them allows.
fn resources(stage: &Stage, callers: &Callers, batch: &[(&Suite, Trust)], number: usize) -> Result<Vec<Value>> {
    let [policy, mut belt] = <[Value; 2]>::try_from(stage.rendered()?).ok().context("a policy and a belt")?;
    let mut documents = Vec::new();
    let mut principals = BTreeSet::new();
    for (place, (suite, trust)) in batch.iter().enumerate() {
        let name = name(number, place);
        let mut configuration = callers.configuration(suite, *trust);
        configuration["body"]["gate"] = "stream".into();
        let mut policy = policy.clone();
        policy["metadata"] = metadata(&name);
        policy["spec"]["targetRefs"] =
            json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name}]);
        policy["spec"]["wasm"][0]["config"] = configuration;
        let mut route = route(&name, "/");
        route["spec"]["rules"][0]["matches"][0]["headers"] = json!([{"name": SUITE, "value": name}]);
        documents.extend([policy, route]);
        principals.extend(["allow", "pending"].map(|verdict| format!("{}:{verdict}", suite.plan.name)));
    }
    let principal = |value| json!({"filter_state": {"key": "wasm.portcullis_belt", "string_match": {"exact": value}}});
    let value = &mut belt["spec"]["jsonPatches"][0]["operation"]["value"];
    value["typed_config"]["rules"]["policies"]["judged"]["principals"] =
        principals.into_iter().map(principal).collect();
    documents.push(belt);
    Ok(documents)
}
