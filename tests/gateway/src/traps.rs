//! Ways in which Envoy Gateway silently takes a plugin away, or never brings it: nothing passes, and
//! the doctor sees it.

use crate::report::Report;
use crate::stage::{OURS, Stage, guarded, metadata, refused, rest_refused, route};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The name under which something is applied beside ours.
const OTHER: &str = "other";

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::guarded()?;
    report.check("at first", guarded(), stage.settle(&guarded()));
    stage.watched(report, |report| {
        for trap in
            [deleted, second_route, overridden, merged, fail_open, refused_update, unquoted, belt_misses, restart]
        {
            trap(&stage, report)?;
            stage.standalone.apply(OURS, &stage.rendered()?)?;
            report.check("and all is well again", guarded(), stage.settle(&guarded()));
        }
        Ok(())
    })?;
    drop(stage);
    refused_at_start(report)
}

fn live(stage: &Stage, report: &mut Report, what: &str, expected: &[&str]) -> Result<()> {
    let (_, found) = stage.doctor_live()?;
    let expected: BTreeSet<String> = expected.iter().map(|code| (*code).to_owned()).collect();
    report.check(&format!("{what}: doctor on the running Envoy"), expected, found);
    Ok(())
}

fn file(stage: &Stage, report: &mut Report, what: &str, documents: &[Value], expected: &str) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    let (_, found) = stage.doctor_file(&list.to_string())?;
    report.check(&format!("{what}: doctor on the manifest"), true, found.contains(expected));
    Ok(())
}

/// A policy with a script on a route, such as another team might write.
fn script(name: &str, route: &str, more: &Value) -> Value {
    let mut spec = json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}],
        "lua": [{"type": "Inline", "inline": "function envoy_on_response(handle) end"}],
    });
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy",
        "metadata": metadata(name), "spec": spec})
}

/// The policy is deleted, and made again.
fn deleted(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut documents = stage.rendered()?;
    documents.remove(0);
    stage.standalone.apply(OURS, &documents)?;
    report.check("a deleted policy", refused(Some(403)), stage.settle(&refused(Some(403))));
    live(stage, report, "a deleted policy", &["critical filter_missing"])
}

/// A route beside ours, to the same cluster, that nobody has put a policy on.
fn second_route(stage: &Stage, report: &mut Report) -> Result<()> {
    stage.standalone.apply(OTHER, &[route("other", "/v2/")])?;
    let what = "a second route without a policy";
    report.check(what, rest_refused(), stage.settle(&rest_refused()));
    live(stage, report, what, &["warning route_refuses_all"])?;
    stage.standalone.remove(OTHER)
}

/// Ours stands on the gateway, another one on the route: it overrides ours there.
fn overridden(stage: &Stage, report: &mut Report) -> Result<()> {
    let what = "a policy on the gateway, overridden on a route";
    let mut documents = stage.rendered()?;
    documents[0]["spec"]["targetRefs"] =
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg"}]);
    file(stage, report, what, &documents, "warning gateway_level")?;
    stage.standalone.apply(OURS, &documents)?;
    stage.standalone.apply(OTHER, &[script("other", "orchestration", &json!({}))])?;
    report.check(what, rest_refused(), stage.settle(&rest_refused()));
    report.says(what, "Overridden", &stage.standalone.log());
    live(stage, report, what, &["warning route_refuses_all"])?;
    // The gateway's own does guard the routes that nobody overrides.
    stage.standalone.remove(OTHER)?;
    report.check("a policy on the gateway alone", guarded(), stage.settle(&guarded()));
    Ok(())
}

/// `mergeType` keeps the gateway's policy beside the route's.
fn merged(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut documents = stage.rendered()?;
    documents[0]["spec"]["targetRefs"] =
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg"}]);
    stage.standalone.apply(OURS, &documents)?;
    stage.standalone.apply(OTHER, &[script("other", "orchestration", &json!({"mergeType": "StrategicMerge"}))])?;
    let scripted = || stage.standalone.ask_admin("/config_dump").is_ok_and(|dump| dump.contains("envoy_on_response"));
    stage.until("the script", scripted)?;
    report.check("a policy on the gateway, merged with one on a route", guarded(), stage.settle(&guarded()));
    stage.standalone.remove(OTHER)
}

/// The module cannot be fetched, and the policy says to let traffic through then.
fn fail_open(stage: &Stage, report: &mut Report) -> Result<()> {
    let what = "failOpen, and no module";
    let mut documents = stage.rendered()?;
    let wasm = &mut documents[0]["spec"]["wasm"][0];
    wasm["failOpen"] = true.into();
    wasm["code"]["http"]["sha256"] = "0".repeat(64).into();
    file(stage, report, what, &documents, "critical fail_open")?;
    stage.standalone.apply(OURS, &documents)?;
    report.check(what, refused(Some(403)), stage.settle(&refused(Some(403))));
    live(stage, report, what, &["critical filter_missing"])
}

/// The plugin refuses an update: what was before goes on.
fn refused_update(stage: &Stage, report: &mut Report) -> Result<()> {
    let what = "an update that the plugin refuses";
    let mut documents = stage.rendered()?;
    documents[0]["spec"]["wasm"][0]["config"]["issuers"] = json!([]);
    file(stage, report, what, &documents, "critical configuration_refused")?;
    let before = stage.standalone.refused()?;
    stage.standalone.apply(OURS, &documents)?;
    stage.until("the refusal", || stage.standalone.refused().is_ok_and(|now| now > before))?;
    report.check(what, guarded(), stage.answers());
    report.says(what, "issuers: the list is empty", &stage.standalone.log());
    live(stage, report, what, &[])
}

/// A digest of digits alone, unquoted, is a number: refused before it is applied.
fn unquoted(stage: &Stage, report: &mut Report) -> Result<()> {
    let what = "an unquoted digest of digits";
    let mut documents = stage.rendered()?;
    documents[0]["spec"]["wasm"][0]["code"]["http"]["sha256"] = json!(12_345_678_901_234_567_u64);
    file(stage, report, what, &documents, "critical sha256_wrong")?;
    let mark = stage.standalone.log().len();
    stage.standalone.apply(OURS, &documents)?;
    let said = || stage.standalone.log()[mark..].contains("local validation error");
    stage.until("the refusal", said)?;
    report.check(what, guarded(), stage.answers());
    Ok(())
}

/// The belt names a listener that is not there: the doctor says that it is missing.
fn belt_misses(stage: &Stage, report: &mut Report) -> Result<()> {
    let what = "a belt for a listener that is not there";
    let mut documents = stage.rendered()?;
    documents[1]["spec"]["jsonPatches"].as_array_mut().into_iter().flatten().for_each(|patch| {
        patch["name"] = "camunda/eg/https".into();
    });
    stage.standalone.apply(OURS, &documents)?;
    let beltless = || stage.standalone.ask_admin("/config_dump").is_ok_and(|dump| !dump.contains("portcullis-belt"));
    stage.until("the belt's end", beltless)?;
    report.check(what, guarded(), stage.answers());
    report.says(what, "camunda/eg/https", &stage.standalone.log());
    live(stage, report, what, &["critical belt_missing", "warning no_reload", "warning vm_id_fixed"])
}

/// Envoy Gateway starts again while the module's source is away: it gives Envoy the route without the
/// plugin, and an answer of its own, 500. The belt refuses before that.
fn restart(stage: &Stage, report: &mut Report) -> Result<()> {
    stage.web.go_away();
    stage.standalone.stop();
    stage.standalone.start()?;
    report.check("a start without the module's source", refused(Some(403)), stage.settle(&refused(Some(403))));
    stage.web.come_back();
    Ok(())
}

/// The plugin refuses its first configuration: nothing passes. With `failOpen` beside the patch of
/// the failure policy, Envoy refuses the whole listener.
fn refused_at_start(report: &mut Report) -> Result<()> {
    for (fail_open, status) in [(false, Some(503)), (true, None)] {
        let stage = Stage::set()?;
        let mut documents = stage.rendered()?;
        let wasm = &mut documents[0]["spec"]["wasm"][0];
        wasm["failOpen"] = fail_open.into();
        wasm["config"]["issuers"] = json!([]);
        stage.standalone.apply(OURS, &documents)?;
        stage.standalone.start()?;
        stage.watched(report, |report| {
            let what = format!("a first configuration that the plugin refuses, failOpen: {fail_open}");
            if fail_open {
                stage.until("the refusal", || stage.standalone.refused().is_ok_and(|refused| refused > 0))?;
            }
            report.check(&what, refused(status), stage.settle(&refused(status)));
            Ok(())
        })?;
    }
    Ok(())
}
