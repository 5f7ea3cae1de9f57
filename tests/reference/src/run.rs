//! Many pairs of policy and request.

use crate::compare::{Answer, Both, Disagreement};
use crate::generate::World;
use std::collections::BTreeMap;

/// Requests per policy.
pub const REQUESTS: u64 = 50;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Pairs that were asked.
    pub pairs: u64,
    /// Pairs on which the two differ.
    pub differ: u64,
    /// How often the engine gave each answer.
    pub answers: BTreeMap<Answer, u64>,
    /// The first of the pairs on which they differ.
    pub disagreements: Vec<Disagreement>,
}

impl Report {
    /// The share of an answer, in a thousand.
    #[must_use]
    pub fn per_mille(&self, answer: &Answer) -> u64 {
        self.answers.get(answer).copied().unwrap_or_default() * 1000 / self.pairs.max(1)
    }
}

/// Asks so many pairs; the world of each policy is that of the seed, the seed + 1, and so on. Of
/// the disagreements the first `keep` are kept, as small as they can be made.
///
/// # Panics
/// The engine refuses a configuration.
#[must_use]
pub fn run(seed: u64, pairs: u64, keep: usize, mut progress: impl FnMut(&Report)) -> Report {
    let mut report = Report::default();
    for seed in (0..).map(|number| seed.wrapping_add(number)) {
        let mut world = World::new(seed);
        let both = Both::new(world.configuration.clone(), world.policy.clone())
            .unwrap_or_else(|error| panic!("seed {seed}: the engine refuses the configuration: {error}"));
        for _ in 0..REQUESTS {
            if report.pairs >= pairs {
                return report;
            }
            let (caller, call) = world.request();
            let (engine, reference) = (both.engine(&caller, &call), both.reference(&caller, &call));
            report.pairs += 1;
            if engine != reference {
                report.differ += 1;
                if report.disagreements.len() < keep {
                    let (configuration, policy) = (world.configuration.clone(), world.policy.clone());
                    let engine = engine.clone();
                    let found = Disagreement { seed, configuration, policy, caller, call, engine, reference };
                    report.disagreements.push(found.shrunk());
                }
            }
            *report.answers.entry(engine).or_default() += 1;
        }
        progress(&report);
    }
    report
}
