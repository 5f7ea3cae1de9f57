//! One route, guarded: by the module from a web server, then by the same from a registry.

use crate::modules::Registry;
use crate::report::Report;
use crate::stage::{OURS, Stage, guarded};
use anyhow::Result;
use std::collections::BTreeSet;

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::guarded()?;
    report.check("the module from a web server", guarded(), stage.settle(&guarded()));
    report.check("doctor on the running Envoy", (Some(0), BTreeSet::new()), stage.doctor_live()?);
    let registry = Registry::start(stage.standalone.folder())?;
    let fetches = stage.web.fetches();
    let mut configuration = stage.configuration();
    configuration["policy"]["authorizations"][1]["resourceId"] = "payroll".into();
    stage.standalone.apply_text(OURS, &stage.render(&configuration, &registry.source(), &[])?)?;
    stage.until("the image's policy", || stage.fate(&stage.create("dora", "payroll")) == (Some(200), true))?;
    report.check("the module from an image", (Some(403), false), stage.fate(&stage.create("dora", "invoice")));
    report.check("and not from the web server", fetches, stage.web.fetches());
    holds(&stage, report)
}

/// With `--hold`, not even the head of a refused request goes on.
fn holds(stage: &Stage, report: &mut Report) -> Result<()> {
    stage.standalone.apply_text(OURS, &stage.render(&stage.configuration(), &stage.web.source(), &["--hold"])?)?;
    let held = || {
        stage.standalone.ask_admin("/config_dump").is_ok_and(|dump| dump.contains("allow_on_headers_stop_iteration"))
    };
    stage.until("the gate", held)?;
    report.check("the gate `hold`", guarded(), stage.settle(&guarded()));
    report.check("doctor on the gate `hold`", (Some(0), BTreeSet::new()), stage.doctor_live()?);
    let request = stage.create("dora", "payroll");
    report.check("a refused body", (Some(403), false), stage.fate(&request));
    report.check("and its head at the cluster", false, stage.upstream.find(request.id()).is_some());
    Ok(())
}
