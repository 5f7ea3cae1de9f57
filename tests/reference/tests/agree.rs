//! The engine and the reference agree on random policies and requests.
//!
//! A longer run, of a million: `make test-reference`.

use portcullis_reference::compare::Answer;
use portcullis_reference::run::{REQUESTS, run};

const PAIRS: u64 = 50_000;
const SEED: u64 = 1;

#[test]
fn agree() {
    let report = run(SEED, PAIRS, 1, |_| ());
    if let Some(found) = report.disagreements.first() {
        let again = format!("cargo run -p portcullis-reference -- --pairs {REQUESTS} --seed {}", found.seed);
        let (engine, reference, suite) = (&found.engine, &found.reference, found.suite());
        let differ = report.differ;
        panic!("{differ} differ. The engine says {engine}, the reference {reference}:\n{suite}\nagain: {again}");
    }
    assert_eq!(report.pairs, PAIRS);

    // Agreement means something only where every answer is given often enough.
    let deny = |reason: &str| Answer::Deny(reason.to_owned());
    let allow = |certainty: &str| Answer::Allow(certainty.to_owned());
    for (answer, per_mille) in [
        (allow("final"), 60),
        (allow("deferred"), 100),
        (deny("permission_missing"), 200),
        (deny("resource_not_granted"), 60),
        (deny("tenant_not_assigned"), 2),
        (deny("unresolved"), 15),
        (deny("body_unreadable"), 1),
        (deny("operation_unknown"), 30),
    ] {
        let actual = report.per_mille(&answer);
        assert!(actual >= per_mille, "{answer}: {actual} in a thousand");
    }
}
