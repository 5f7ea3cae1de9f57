//! Changes that users make on purpose, as the page describes them: another version of the module, the way back, and
//! shadow mode.

use crate::report::Report;
use crate::stage::{OURS, Stage, guarded};
use anyhow::{Context as _, Result};
use portcullis_e2e::client::Request;
use portcullis_e2e::version::{self, NEXT_WORD, WORD};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::guarded()?;
    report.check("at first", guarded(), stage.settle(&guarded()));
    upgrade(&stage, report)?;
    shadow(&stage, report)
}

/// Another module, and the one before again, by their manifests alone: no call is answered wrong meanwhile.
fn upgrade(stage: &Stage, report: &mut Report) -> Result<()> {
    let next = stage.web.next();
    let manifest = |source| stage.render(&stage.configuration(), source, &[]);
    let (before, after) = (manifest(&stage.web.source())?, manifest(&next)?);
    // What is configured is not yet what runs.
    let counted = |word: &str| {
        version::counted(&stage.standalone.ask_admin("/stats?filter=portcullis_decisions").unwrap_or_default(), word)
    };
    let (right, wrong) = stage.called(|| {
        stage.standalone.apply_text(OURS, &after)?;
        let runs = |word| {
            let so_far = counted(word);
            stage.until(&format!("{word}, counted"), || {
                stage.fate(&Request::get("/v2/topology")).0 == Some(401) && counted(word) > so_far
            })
        };
        runs(NEXT_WORD)?;
        report.check("an upgrade", guarded(), stage.settle(&guarded()));
        stage.standalone.apply_text(OURS, &before)?;
        runs(WORD)?;
        report.check("the way back", guarded(), stage.settle(&guarded()));
        Ok(())
    })?;
    report.check(&format!("{right} calls meanwhile, wrong answers"), 0, wrong);
    Ok(())
}

/// Shadow mode with a belt that passes it, as the page says: what would be denied is forwarded and counted, and the
/// doctor reminds. With the belt as it was, what would be denied is refused.
fn shadow(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut configuration = stage.configuration();
    configuration["mode"] = "shadow".into();
    configuration["shadow"] = json!({"until": "2099-01-01T00:00:00Z"});
    let strict = stage.documents(&stage.render(&configuration, &stage.web.source(), &[])?)?;
    let mut passing = strict.clone();
    pass_shadow(&mut passing[1])?;
    let denied = || stage.fate(&stage.create("dora", "payroll"));
    stage.standalone.apply(OURS, &passing)?;
    stage.until("shadow mode", || denied() == (Some(200), true))?;
    report.check("what would be allowed", (Some(200), true), stage.fate(&stage.create("dora", "invoice")));
    let counted = || {
        let stats = stage.standalone.ask_admin("/stats?filter=shadow_denials").unwrap_or_default();
        stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum::<u64>() > 0
    };
    stage.until("a counted denial", counted)?;
    let expected = ["warning belt_passes_shadow", "warning shadow"].map(str::to_owned);
    report.check("doctor on shadow mode", (Some(1), BTreeSet::from(expected)), stage.doctor_live()?);

    stage.standalone.apply(OURS, &strict)?;
    stage.until("the belt", || stage.fate(&Request::get("/v2/topology")) == (Some(403), false))?;
    stage.standalone.apply_text(OURS, &stage.render(&stage.configuration(), &stage.web.source(), &[])?)?;
    report.check("enforced again", guarded(), stage.settle(&guarded()));
    report.check("doctor on it", (Some(0), BTreeSet::new()), stage.doctor_live()?);
    Ok(())
}

/// Lets the belt of the patches pass `orders:shadow` as well.
fn pass_shadow(patches: &mut Value) -> Result<()> {
    let value = "/spec/jsonPatches/0/operation/value/typed_config/rules/policies/judged/principals";
    let principals = patches.pointer_mut(value).and_then(Value::as_array_mut).context("the belt's principals")?;
    principals.push(json!({"filter_state": {
        "key": "wasm.portcullis_belt", "string_match": {"exact": "orders:shadow"},
    }}));
    Ok(())
}
