//! The policy changes while callers call: every answer is right, none is an error of the edge.

use crate::report::Report;
use crate::stage::{OURS, Stage, guarded};
use anyhow::Result;
use portcullis_e2e::client;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How often the policy changes.
const PUSHES: usize = 10;
const CALLERS: usize = 3;
/// How long each waits between calls.
const PAUSE: Duration = Duration::from_millis(5);

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::guarded()?;
    report.check("at first", guarded(), stage.settle(&guarded()));
    let (done, right, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    // What no push changes.
    let call = || {
        while !done.load(Ordering::SeqCst) {
            for (process, expected) in [("invoice", 200), ("payroll", 403)] {
                let status = client::send(stage.to, &stage.create("dora", process)).ok().map(|r| r.status);
                let count = if status == Some(expected) { &right } else { &wrong };
                count.fetch_add(1, Ordering::SeqCst);
                thread::sleep(PAUSE);
            }
        }
    };
    let pushed = thread::scope(|scope| {
        (0..CALLERS).for_each(|_| drop(scope.spawn(call)));
        let pushed = (1..=PUSHES).try_for_each(|number| push(&stage, report, number));
        done.store(true, Ordering::SeqCst);
        pushed
    });
    pushed?;
    report.check(&format!("{} calls meanwhile, wrong answers", right.into_inner()), 0, wrong.into_inner());
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
