//! The other form of the belt, a SecurityPolicy, as docs/envoy-gateway.md has it: where patches are
//! not to be had.

use crate::report::Report;
use crate::stage::{OURS, Stage, guarded, refused};
use anyhow::{Context as _, Result};
use portcullis_e2e::workspace;
use std::collections::BTreeSet;
use std::fs;

/// The name under which it is applied.
const BELT: &str = "belt";

pub fn play(report: &mut Report) -> Result<()> {
    let page = fs::read_to_string(workspace().join("docs/envoy-gateway.md"))?;
    let (_, rest) = page.split_once("```yaml\n").context("the page's only YAML")?;
    let (belt, _) = rest.split_once("```").context("the end of it")?;
    let stage = Stage::set()?;
    let policy = [stage.rendered()?.remove(0)];
    stage.standalone.apply(OURS, &policy)?;
    stage.standalone.apply_text(BELT, belt)?;
    stage.standalone.start()?;
    stage.watched(report, |report| {
        report.check("a SecurityPolicy as the belt", guarded(), stage.settle(&guarded()));
        let both = format!("{}---\n{belt}", stage.render(&stage.configuration(), &stage.web.source(), &[])?);
        let patchless = both.replace("kind: EnvoyPatchPolicy", "kind: Other");
        report.check("doctor on the manifests", (Some(0), BTreeSet::new()), stage.doctor_file(&patchless)?);
        // Without a patch there is no way to `FAIL_RELOAD`, nor to a VM's name that changes with the module.
        let unpatched = BTreeSet::from(["warning no_reload", "warning vm_id_fixed"].map(str::to_owned));
        report.check("doctor on the running Envoy", (Some(1), unpatched), stage.doctor_live()?);
        stage.standalone.remove(OURS)?;
        report.check("the plugin's policy is deleted", refused(Some(403)), stage.settle(&refused(Some(403))));
        stage.standalone.apply(OURS, &policy)?;
        report.check("and made again", guarded(), stage.settle(&guarded()));
        stage.standalone.apply_text(BELT, &belt.replace("b'", "'"))?;
        // What the plugin refuses it still refuses itself.
        stage.until("the belt", || stage.fate(&stage.create("dora", "invoice")) == (Some(403), false))?;
        let named = BTreeSet::from(
            ["critical belt_name", "critical belt_without_pending", "warning no_reload", "warning vm_id_fixed"]
                .map(str::to_owned),
        );
        report.check("doctor on text", (Some(1), named), stage.doctor_live()?);
        report.check(
            "compared with text it passes nothing",
            (Some(403), false),
            stage.fate(&stage.create("ada", "any")),
        );
        Ok(())
    })
}
