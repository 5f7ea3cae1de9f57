//! The policy changes while callers call: every answer is right, none is an error of the edge.

use crate::report::Report;
use crate::stage::{OURS, Stage, guarded};
use anyhow::Result;
use serde_json::json;

/// How often the policy changes.
const PUSHES: usize = 10;

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::guarded()?;
    report.check("at first", guarded(), stage.settle(&guarded()));
    let pushed = || (1..=PUSHES).try_for_each(|number| push(&stage, report, number));
    let (right, wrong) = stage.called(pushed)?;
    report.check(&format!("{right} calls meanwhile, wrong answers"), 0, wrong);
    report.check("refused updates", 0, stage.standalone.refused()?);
    Ok(())
}

/// Lets `dora` start another process than before, and waits until she may.
fn push(stage: &Stage, report: &mut Report, number: usize) -> Result<()> {
    let process = |number: usize| format!("p{number}");
    let mut configuration = stage.configuration();
    let grants = &mut configuration["policy"]["authorizations"];
    let mut grant = grants[1].clone();
    grant["resourceId"] = json!(process(number));
    grants.as_array_mut().into_iter().for_each(|grants| grants.push(grant.clone()));
    stage.standalone.apply_text(OURS, &stage.render(&configuration, &stage.web.source(), &[])?)?;
    stage.until("the policy", || stage.fate(&stage.create("dora", &process(number))) == (Some(200), true))?;
    let before = stage.fate(&stage.create("dora", &process(number - 1)));
    report.check(&format!("policy {number} in place of {}", number - 1), (Some(403), false), before);
    Ok(())
}
