//! The same call by either door: over gRPC it is decided as over REST, whatever the policy, for
//! every call of the gateway.

use anyhow::anyhow;
use portcullis::api::catalogue::{OPERATIONS, Surface};
use portcullis::config::{self, Plan};
use portcullis::suite;
use portcullis_reference::dice::Dice;
use portcullis_workflow_engine::case::{Case, World};
use portcullis_workflow_engine::property::{self, Ours};
use portcullis_workflow_engine::{generate, grpc, rest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The newest version, with settings that make a difference.
fn plan(world: &World, dice: &mut Dice) -> Rc<Plan> {
    let configuration = json!({
        "api": {"version": "8.10", "multiTenancy": world.multi_tenancy},
        "unresolved": {"default": dice.pick(&["defer", "defer", "deny"])},
        "searches": dice.pick(&["forward", "deny"]),
    });
    let Value::Object(configuration) = configuration else { unreachable!("an object") };
    let whole = suite::configuration(configuration, Some(Value::Object(world.policy.clone())));
    let plan = config::read(whole.to_string().as_bytes()).map_err(|error| anyhow!("{error}"));
    Rc::new(plan.expect("a plan").0)
}

#[test]
fn over_grpc_a_call_is_decided_as_over_rest() {
    let mut seen: BTreeMap<String, BTreeMap<Ours, usize>> = BTreeMap::new();
    for seed in 0..800 {
        let made = generate::world_over_grpc(seed, 10);
        let plan = plan(&made.world, &mut Dice::new(seed));
        for (principal, call) in made.calls {
            let over_rest = rest::request(&call).expect("a request");
            let over_grpc = grpc::requests(&call);
            let case = Case { name: String::new(), world: made.world.clone(), principal, call };
            let (_, mut expected) = property::ours(&plan, &case, &over_rest).expect("a decision");
            for request in over_grpc {
                let (ours, explanation) = property::ours(&plan, &case, &request).expect("a decision");
                let operation = format!("Gateway.{}", request.value["grpc"].as_str().expect("a call"));
                *seen.entry(operation.clone()).or_default().entry(ours).or_default() += 1;
                expected["operation"] = json!(operation);
                assert_eq!(explanation, expected, "seed {seed}: {case:?}\n{}\n{}", over_rest.value, request.value);
            }
        }
    }
    let calls: Vec<&str> = OPERATIONS.iter().filter(|o| o.surface == Surface::Grpc).map(|o| &*o.id).collect();
    assert!(calls.len() >= 24 && calls.iter().all(|call| seen.contains_key(*call)), "{seen:?}");
    for (call, outcomes) in seen {
        // Topology is open to every identity, so no policy decides it.
        let decided = if call == "Gateway.Topology" { 1 } else { 2 };
        assert!(outcomes.len() >= decided && outcomes.values().sum::<usize>() > 20, "{call}: {outcomes:?}");
    }
}
