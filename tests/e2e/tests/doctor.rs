//! `portcullis doctor` on a live Envoy.

mod support;

use portcullis_e2e::command::command_line;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Listener;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use support::World;

/// What the doctor finds in that Envoy: exit status and codes.
fn doctor(envoy: &Envoy) -> (Option<i32>, BTreeSet<String>) {
    let address = format!("http://{}", envoy.admin_addr());
    let output = Command::new(command_line()).args(["doctor", "--json", &address]).output().expect("the command runs");
    let lines = String::from_utf8(output.stdout).expect("text");
    let code = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["code"].as_str().map(Into::into);
    (output.status.code(), lines.lines().filter_map(code).collect())
}

fn start(world: &World, shape: impl FnOnce(Listener) -> Listener) -> Envoy {
    let config = world.gateway().listener("gateway", |l| shape(world.guarded(l))).build();
    Launch::new(config).start().expect("Envoy")
}

#[test]
fn a_guarded_envoy_is_found_to_be_fine() {
    let world = World::new();
    assert_eq!(doctor(&start(&world, |l| l)), (Some(0), BTreeSet::new()));
    let envoy = start(&world, |l| world.streaming(l));
    assert_eq!(doctor(&envoy), (Some(0), BTreeSet::new()));
}

#[test]
fn an_envoy_with_holes_is_not() {
    let world = World::new();
    let envoy = start(&world, |l| {
        l.belt(&["another:allow"]).edit_filter(|plugin| plugin["failure_policy"] = json!("FAIL_OPEN"))
    });
    let expected = ["belt_name", "fail_open"].map(Into::into);
    assert_eq!(doctor(&envoy), (Some(1), BTreeSet::from(expected)));
}
