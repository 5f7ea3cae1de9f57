//! Medians, and how sure they are.

use crate::random::Random;

/// How often a series of rounds is drawn anew from itself.
const RESAMPLES: usize = 2_000;

/// A number with the interval in which it lies with 95 % confidence.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// What `statistic` says of all rounds, and by bootstrap how much that hangs on which rounds there
/// were. It is given the numbers of the rounds to look at, so what it computes stays paired.
pub fn estimate(rounds: usize, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
    let mut random = Random::new();
    let mut all: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<usize> = (0..rounds).map(|_| random.below(rounds)).collect();
            statistic(&drawn)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    let every: Vec<usize> = (0..rounds).collect();
    Estimate { value: statistic(&every), low: all[RESAMPLES / 40], high: all[RESAMPLES - 1 - RESAMPLES / 40] }
}

/// The median; not a number where there is nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn an_interval_holds_its_value_and_shrinks_with_more_rounds() {
        let spread = |rounds: usize| {
            let estimate = estimate(rounds, |drawn| median(drawn.iter().map(|round| (round % 10) as f64)));
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
            estimate.high - estimate.low
        };
        assert!(spread(1_000) < spread(20));
        assert_eq!(spread(1), 0.0);
    }
}
