//! The workflow engine and Portcullis, asked the same.

use crate::case::{Case, Verdict, World};
use crate::generate::{self, Made};
use crate::grpc;
use crate::harness::Harness;
use crate::property::{self, Ours};
use crate::recorded::{self, Recorded};
use crate::rest::{self, Request};
use crate::world;
use anyhow::{Context, Result};
use portcullis::config::Plan;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// Calls on each policy.
const CALLS: u64 = 10;

/// What came of random calls.
#[derive(Debug, Default)]
pub struct Report {
    /// How often the cluster said this and Portcullis that.
    pub answers: BTreeMap<(Verdict, Ours), u64>,
    /// How many gRPC calls, which ask the engine the same, Portcullis decided besides.
    pub over_grpc: usize,
    /// How often the edge knew all that decides, and left the decision to the cluster all the same.
    pub hesitant: BTreeMap<String, u64>,
    /// Calls that broke the property.
    pub broken: u64,
}

impl Report {
    /// How many calls were put to both.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.answers.values().sum()
    }
}

/// Asks for all recorded verdicts anew, then for so many random ones; says whether the engine still
/// gives the same, and whether the property holds.
///
/// # Errors
/// The engine does not run.
pub fn run(pairs: u64, seed: u64) -> Result<bool> {
    let started = Instant::now();
    let mut harness = Harness::start()?;
    let same = again(&mut harness)?;
    eprintln!("{pairs} random pairs, --seed {seed}");
    let mut report = Report::default();
    for seed in (seed..).take(usize::try_from(pairs.div_ceil(CALLS))?) {
        let made = generate::world(seed, usize::try_from(CALLS)?);
        ask_all(&mut harness, &made, seed, &mut report).with_context(|| format!("--pairs {CALLS} --seed {seed}"))?;
        if report.pairs() % 500 == 0 {
            eprintln!("{:>8} pairs, {} broken, {:.0?}", report.pairs(), report.broken, started.elapsed());
        }
    }
    for ((verdict, ours), count) in &report.answers {
        println!("{count:>8} {:<14} {ours}", format!("{verdict:?}"));
    }
    for (operation, count) in &report.hesitant {
        println!("{count:>8} known here, and left to the cluster: {operation}");
    }
    let (pairs, broken) = (report.pairs(), report.broken);
    println!("{:>8} gRPC calls that ask the same", report.over_grpc);
    println!("{pairs} pairs, {broken} break the property, --seed {seed}, {:.0?}", started.elapsed());
    Ok(same && broken == 0)
}

/// Whether the engine still says what was recorded.
fn again(harness: &mut Harness) -> Result<bool> {
    let file = recorded::read()?;
    let mut differ = 0;
    for Recorded { case, verdict } in &file.cases {
        let (said, reason) = ask(harness, case).with_context(|| case.name.clone())?;
        if said != *verdict {
            differ += 1;
            println!("{}: recorded {verdict:?}, now {said:?}: {reason}", case.name);
        }
    }
    println!("{} recorded verdicts asked for again, {differ} differ", file.cases.len());
    Ok(differ == 0)
}

/// Puts one case to a new engine.
fn ask(harness: &mut Harness, case: &Case) -> Result<(Verdict, String)> {
    world::open(harness, &case.world)?.ask(&case.call, &world::caller(&case.principal))
}

fn ask_all(harness: &mut Harness, made: &Made, seed: u64, report: &mut Report) -> Result<()> {
    let plan = property::plan(&made.world, &Value::Object(made.world.policy.clone()))?;
    let mut engine = world::open(harness, &made.world)?;
    let mut suspects = Vec::new();
    for (number, (principal, call)) in made.calls.iter().enumerate() {
        let name = format!("seed {seed}, call {number}");
        let case = Case { name, world: made.world.clone(), principal: principal.clone(), call: call.clone() };
        let over_rest = rest::request(call).with_context(|| format!("no request for {call:?}"))?;
        let (verdict, _) = engine.ask(call, &world::caller(principal))?;
        let over_grpc = grpc::requests(call);
        report.over_grpc += over_grpc.len();
        for (number, request) in [over_rest].into_iter().chain(over_grpc).enumerate() {
            let (ours, _) = property::ours(&plan, &case, &request)?;
            if number == 0 {
                *report.answers.entry((verdict, ours)).or_default() += 1;
            }
            if ours == Ours::Deferred && verdict == Verdict::Allow && property::is_known(&case, &request) {
                let operation = request.value["grpc"].as_str().unwrap_or(&call.operation);
                *report.hesitant.entry(operation.to_owned()).or_default() += 1;
            }
            if property::broken(&case, verdict, ours).is_some() {
                suspects.push((case.clone(), request));
            }
        }
    }
    // Alone in an engine, nothing that other calls have left behind bears on it.
    for (case, request) in suspects {
        if let Some(story) = confirm(harness, &plan, &case, &request)? {
            report.broken += 1;
            println!("{story}");
        }
    }
    Ok(())
}

/// Asks once more; where the property is broken again, says how.
fn confirm(harness: &mut Harness, plan: &Rc<Plan>, case: &Case, request: &Request) -> Result<Option<String>> {
    let (verdict, reason) = ask(harness, case)?;
    let (ours, explanation) = property::ours(plan, case, request)?;
    let Some(why) = property::broken(case, verdict, ours) else {
        println!("{}: broken beside other calls only", case.name);
        return Ok(None);
    };
    let recorded = json!({
        "name": case.name, "multiTenancy": case.world.multi_tenancy, "groupsClaim": case.world.groups_claim,
        "policy": relevant(&case.world), "principal": case.principal, "call": case.call, "verdict": verdict,
    });
    let request = &request.value;
    Ok(Some(format!(
        "\n{why}: {}\n{recorded}\n{request}\ncluster: {reason}\nhere:    {explanation}",
        case.call.operation
    )))
}

/// A policy without what is empty.
fn relevant(world: &World) -> Value {
    let lists = world.policy.iter().filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()));
    lists.map(|(name, list)| (name.clone(), list.clone())).collect()
}
