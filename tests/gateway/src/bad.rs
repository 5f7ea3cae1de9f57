//! Manifests as they go wrong, and sources that are away: nothing passes that should not.

use crate::modules::Source;
use crate::report::Report;
use crate::stage::{OURS, Stage, guarded, refused};
use anyhow::Result;
use serde_json::{Value, json};

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::set()?;
    stage.web.go_away();
    stage.standalone.apply(OURS, &stage.rendered()?)?;
    stage.standalone.start()?;
    stage.watched(report, |report| {
        report.check("the module's source is away at the start", refused(Some(403)), stage.settle(&refused(Some(403))));
        stage.web.come_back();
        again(&stage, report)?;
        for bad in [misspelt, mangled, misread, empty, wrong_digest, away_later, sizes, second_plugin, made_again] {
            bad(&stage, report)?;
            again(&stage, report)?;
        }
        Ok(())
    })
}

/// The manifest as it should be, applied once more: the version is another one each time.
fn again(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut documents = stage.rendered()?;
    documents[0]["metadata"]["labels"] = json!({"applied": format!("{:?}", stage.standalone.log().len())});
    stage.standalone.apply(OURS, &documents)?;
    report.check("and all is well again", guarded(), stage.settle(&guarded()));
    Ok(())
}

fn wasm(documents: &mut [Value]) -> &mut Value {
    &mut documents[0]["spec"]["wasm"][0]
}

/// Manifests that the schema of Envoy Gateway refuses, or that pass it and do nothing: the doctor
/// finds each.
fn misspelt(stage: &Stage, report: &mut Report) -> Result<()> {
    type Edit = fn(&mut Value);
    let cases: [(&str, &str, Edit); 5] = [
        ("failopen", "warning field_unknown", |policy| policy["wasm"][0]["failopen"] = true.into()),
        ("a code of type OCI", "critical code_type", |policy| policy["wasm"][0]["code"]["type"] = "OCI".into()),
        ("an image under http", "critical code_type", |policy| {
            let http = policy["wasm"][0]["code"]["http"].take();
            policy["wasm"][0]["code"] = json!({"type": "image", "http": http});
        }),
        ("pluginConfig", "warning field_unknown", |policy| {
            policy["wasm"][0]["pluginConfig"] = policy["wasm"][0]["config"].take();
        }),
        ("a phase", "warning field_unknown", |policy| policy["phase"] = "AUTHN".into()),
    ];
    for (what, code, edit) in cases {
        let mut documents = stage.rendered()?;
        edit(&mut documents[0]["spec"]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
        let (status, found) = stage.doctor_file(&list.to_string())?;
        report.check(&format!("{what}: doctor on the manifest"), (Some(1), true), (status, found.contains(code)));
        let mark = stage.standalone.log().len();
        stage.standalone.apply(OURS, &documents)?;
        let said = || stage.standalone.log()[mark..].contains("local validation error");
        stage.until(&format!("the refusal of {what}"), said)?;
        report.check(what, guarded(), stage.answers());
    }
    Ok(())
}

/// Numbers with a point, members in another order, nulls, signs that JSON may escape.
fn mangled(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut configuration = stage.configuration();
    let grants = &mut configuration["policy"]["authorizations"];
    let mut grant = grants[1].clone();
    grant["resourceId"] = json!("<a>&\u{e9}9007199254740993");
    grants.as_array_mut().into_iter().for_each(|grants| grants.push(grant.clone()));
    let text = stage.render(&configuration, &stage.web.source(), &[])?;
    let text = text.replace("version: 1\n", "version: 1.0\n      body: {maxBytes: 1048576.0, gate: stream}\n");
    let text =
        text.replace("      body:\n        gate: stream\n", "      zeebe: null\n").replace("      zeebe: null\n", "");
    stage.standalone.apply_text(OURS, &text)?;
    let odd = || stage.fate(&stage.create("dora", "<a>&\u{e9}9007199254740993"));
    stage.until("the odd id", || odd() == (Some(200), true))?;
    report.check("numbers with a point, and signs that JSON may escape", guarded(), stage.answers());
    Ok(())
}

/// What YAML takes for another type: the plugin refuses it and says where; what was before goes on.
fn misread(stage: &Stage, report: &mut Report) -> Result<()> {
    let text = stage.render(&stage.configuration(), &stage.web.source(), &[])?;
    for (what, from, to, said) in [
        ("an unquoted yes", "ownerId: ada", "ownerId: yes", "policy.authorizations[0].ownerId"),
        (
            "an unquoted number",
            "resourceId: invoice",
            "resourceId: 9007199254740993",
            "policy.authorizations[1].resourceId",
        ),
        ("an unknown member", "version: 1\n", "version: 1\n      isuers: []\n", "isuers"),
        ("a null in place of text", "name: orders", "name: null", "name"),
    ] {
        let before = stage.standalone.refused()?;
        let mark = stage.standalone.log().len();
        stage.standalone.apply_text(OURS, &text.replace(from, to))?;
        stage.until("the refusal", || stage.standalone.refused().is_ok_and(|now| now > before))?;
        report.check(what, guarded(), stage.answers());
        report.says(what, "configuration refused", &stage.standalone.log()[mark..]);
        report.says(what, said, &stage.standalone.log()[mark..]);
        let (status, found) = stage.doctor_file(&text.replace(from, to))?;
        let named = found.contains("critical configuration_refused");
        report.check(&format!("{what}: doctor on the manifest"), (Some(1), true), (status, named));
    }
    Ok(())
}

/// No configuration at all.
fn empty(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut documents = stage.rendered()?;
    wasm(&mut documents).as_object_mut().into_iter().for_each(|wasm| drop(wasm.remove("config")));
    let before = stage.standalone.refused()?;
    stage.standalone.apply(OURS, &documents)?;
    stage.until("the refusal", || stage.standalone.refused().is_ok_and(|now| now > before))?;
    report.check("no configuration", guarded(), stage.answers());
    Ok(())
}

/// The digest of something else: for a module, and for an image of a registry that is not there.
fn wrong_digest(stage: &Stage, report: &mut Report) -> Result<()> {
    let digest = "0123456789abcdef".repeat(4);
    let nowhere = Source { url: "oci://127.0.0.1:9/portcullis:1".into(), sha256: digest.clone() };
    let wrong = Source { sha256: digest, ..stage.web.source() };
    for (what, source, said) in [
        ("the digest of another module", wrong, "does not match"),
        ("a registry that is away", nowhere, "connection refused"),
    ] {
        let mark = stage.standalone.log().len();
        stage.standalone.apply_text(OURS, &stage.render(&stage.configuration(), &source, &[])?)?;
        stage.until(&format!("`{said}`"), || stage.standalone.log()[mark..].contains(said))?;
        report.check(what, refused(Some(403)), stage.settle(&refused(Some(403))));
    }
    Ok(())
}

/// The source goes away while all is well: policies still change, the module is in Envoy Gateway's
/// cache; until it starts again.
fn away_later(stage: &Stage, report: &mut Report) -> Result<()> {
    stage.web.go_away();
    let mut configuration = stage.configuration();
    configuration["policy"]["authorizations"][1]["resourceId"] = "holidays".into();
    stage.standalone.apply_text(OURS, &stage.render(&configuration, &stage.web.source(), &[])?)?;
    stage.until("the policy", || stage.fate(&stage.create("dora", "holidays")) == (Some(200), true))?;
    report.check(
        "a new policy while the source is away",
        (Some(403), false),
        stage.fate(&stage.create("dora", "invoice")),
    );
    stage.web.come_back();
    Ok(())
}

/// Manifests about as large as Kubernetes takes them, and larger.
fn sizes(stage: &Stage, report: &mut Report) -> Result<()> {
    for size in [1_400_000, 1_600_000] {
        let mut configuration = stage.configuration();
        let grants = configuration["policy"]["authorizations"].as_array_mut();
        let grant = |number: usize| {
            json!({"ownerType": "USER", "ownerId": format!("user-{number:09}"), "resourceType": "PROCESS_DEFINITION",
                "resourceId": format!("process-{number:09}"), "permissionTypes": ["CREATE_PROCESS_INSTANCE"]})
        };
        let each = grant(0).to_string().len() + 1;
        grants.into_iter().for_each(|grants| grants.extend((0..size / each).map(grant)));
        let mut documents = stage.rendered()?;
        configuration["body"] = json!({"gate": "stream"});
        wasm(&mut documents)["config"] = configuration;
        stage.standalone.apply(OURS, &documents)?;
        let last = format!("process-{:09}", size / each - 1);
        let user = format!("user-{:09}", size / each - 1);
        stage.until("the large policy", || stage.fate(&stage.create(&user, &last)) == (Some(200), true))?;
        report.check(&format!("a configuration of {size} bytes"), guarded(), stage.answers());
    }
    Ok(())
}

/// Another plugin before ours, and after it.
fn second_plugin(stage: &Stage, report: &mut Report) -> Result<()> {
    let noop = stage.web.noop();
    let other = json!({"name": "noop", "rootID": "noop", "code": {"type": "HTTP", "http": {"url": noop.url, "sha256": noop.sha256}}});
    for (place, what, expected) in [
        (0, "another plugin before ours", "notice other_plugins"),
        (1, "another plugin after ours", "warning filter_after_changes"),
    ] {
        let mut documents = stage.rendered()?;
        let plugins = documents[0]["spec"]["wasm"].as_array_mut();
        plugins.into_iter().for_each(|plugins| plugins.insert(place, other.clone()));
        stage.standalone.apply(OURS, &documents)?;
        let there = || stage.doctor_live().is_ok_and(|(_, found)| found.contains(expected));
        stage.until(&format!("the doctor's {expected}"), there)?;
        report.check(what, guarded(), stage.settle(&guarded()));
    }
    Ok(())
}

/// The policy is deleted, and made again with a configuration that the plugin refuses.
fn made_again(stage: &Stage, report: &mut Report) -> Result<()> {
    let mut documents = stage.rendered()?;
    stage.standalone.apply(OURS, &documents[1..])?;
    report.check("a deleted policy", refused(Some(403)), stage.settle(&refused(Some(403))));
    wasm(&mut documents)["config"]["issuers"] = json!([]);
    let before = stage.standalone.refused()?;
    stage.standalone.apply(OURS, &documents)?;
    stage.until("the refusal", || stage.standalone.refused().is_ok_and(|now| now > before))?;
    report.check("made again with a configuration that is refused", refused(Some(403)), stage.answers());
    Ok(())
}
