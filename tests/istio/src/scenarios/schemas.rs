//! Manifests as users get them wrong: who says so first.

use super::with;
use crate::world::World;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A mistake: what is changed in the plugin, whether the API server and `istioctl validate` take it, and
/// what the doctor says.
type Mistake = (&'static str, &'static str, Value, [bool; 2], &'static [&'static str]);

/// Each mistake is refused by the API server, or found by the doctor before it is applied; most by both.
pub fn what_users_get_wrong(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let no = [false, false];
    let yes = [true, true];
    let mistakes: [Mistake; 16] = [
        ("FAIL_CLOSED", "failStrategy", json!("FAIL_CLOSED"), no, &["fail_strategy_unknown"]),
        ("FAIL_OPEN", "failStrategy", json!("FAIL_OPEN"), yes, &["fail_open"]),
        ("no fail strategy", "failStrategy", Value::Null, yes, &["no_reload"]),
        ("no scheme", "url", json!("registry.example/portcullis:1"), yes, &["url_without_scheme"]),
        ("no scheme, a port", "url", json!("10.0.0.1:5000/portcullis:1"), yes, &["url_without_scheme"]),
        ("another scheme", "url", json!("ftp://registry.example/p"), no, &["url_scheme"]),
        ("no url", "url", Value::Null, no, &["url_missing"]),
        ("no phase", "phase", Value::Null, yes, &["phase_missing"]),
        ("a wrong phase", "phase", json!("AUTHENTICATION"), no, &["phase_unknown"]),
        ("a late phase", "phase", json!("STATS"), yes, &["phase_late"]),
        ("a misspelt field", "failstrategy", json!("FAIL_RELOAD"), no, &["field_unknown"]),
        ("port 0", "match", json!([{"ports": [{"number": 0}]}]), no, &["port_wrong"]),
        ("port 70000", "match", json!([{"ports": [{"number": 70_000}]}]), no, &["port_wrong"]),
        ("a short digest", "sha256", json!("ABC"), no, &["sha256_wrong"]),
        ("two targets", "targetRefs", json!([{"group": "", "kind": "Service", "name": "x"}]), no, &["two_targets"]),
        ("a text as configuration", "pluginConfig", json!("{}"), no, &["configuration_refused"]),
    ];
    let mut wrong = Vec::new();
    for (what, field, value, taken, codes) in mistakes {
        let object = with(&plugin, &format!("/spec/{field}"), value);
        let answer = world.kube.try_apply(&object)?;
        let (valid, said) = world.istioctl(std::slice::from_ref(&object))?;
        let found = world.portcullis.examine(&[object, belt.clone()])?;
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        if ([answer.status < 300, valid], &found) != (taken, &codes) {
            wrong.push(format!("{what}: {answer:?}, istioctl {valid} {said}, the doctor {found:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n  "));
    attached_otherwise(world)
}

/// What is written for sidecars, waypoints and gateways by reference is valid, too.
fn attached_otherwise(world: &World) -> Result<()> {
    for (kind, arguments) in [
        ("istio", &["--sidecar", "--label", "app=orchestration"][..]),
        ("istio", &["--target-ref", "Gateway/edge", "--target-ref", "Service/orchestration"]),
        ("traffic-extension", &["--target-ref", "GatewayClass/istio-waypoint"]),
        ("istio", &["--hold", "--sidecar", "--label", "app=orchestration"]),
    ] {
        let arguments = [&[kind, "--url", &world.file_url], arguments].concat();
        let objects = world.portcullis.render(&world.rendering(&arguments))?;
        world.kube.apply(&objects)?;
        let (valid, said) = world.istioctl(&objects)?;
        ensure!(valid, "{arguments:?}: {said}");
        let found = world.portcullis.examine(&objects)?;
        ensure!(found.is_empty(), "{arguments:?}: the doctor says {found:?}");
        world.kube.clear()?;
    }
    Ok(())
}
