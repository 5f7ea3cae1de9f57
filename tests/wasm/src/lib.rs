//! The suites, decided by the engine as wasm32-unknown-unknown. `sh tests/wasm/run.sh` runs them.

pub mod shape;

use portcullis::{config, suite};
use std::rc::Rc;

/// Decides every case of a suite, and gives how many there are.
///
/// # Panics
/// A decision is not as expected, or not exactly as it was natively.
pub fn run(text: &str) -> usize {
    let suite: shape::Suite = serde_json::from_str(text).unwrap();
    let plan = Rc::new(config::read(suite.configuration.to_string().as_bytes()).unwrap().0);
    let mut wrong = Vec::new();
    for case in &suite.cases {
        let actual = suite::decide(&plan, &case.caller, &case.request, suite.now).explain();
        if actual != case.natively || !suite::includes(&actual, &case.expect) {
            let expected = serde_json::Value::Object(case.expect.clone());
            wrong.push(format!("{}: expected {expected}, natively {}, was {actual}", case.name, case.natively));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), suite.cases.len(), wrong.join("\n"));
    suite.cases.len()
}
