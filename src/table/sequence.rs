//! Ascending numbers in Elias-Fano form: the low bits of each as they are, the rest in unary.
//!
//! P. Elias, "Efficient storage and retrieval by content and address of static files", J. ACM 21
//! (1974). The upper part has a one for each number and a zero for each step of the rest; before
//! it stand hints, where the ones number 256, 512 and so on are.

use super::bits::{Bits, width};

/// A hint stands for every so many numbers.
const STEP: u32 = 256;

/// Where the parts of a sequence are, by its length and the bound of its numbers alone.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// How many low bits each number has.
    pub low: u32,
    /// How many bits the upper part has.
    pub upper: u32,
    /// How many hints there are.
    pub hints: u32,
    /// How many bits each hint has.
    pub hint: u32,
}

impl Layout {
    /// The layout of `count` numbers below `bound`.
    #[must_use]
    pub fn new(count: u32, bound: u32) -> Self {
        let low = bound.checked_div(count).and_then(u32::checked_ilog2).unwrap_or(0);
        let upper = count.saturating_add(bound.saturating_sub(1).unbounded_shr(low));
        Self { low, upper, hints: count.saturating_sub(1) / STEP, hint: width(upper) }
    }

    /// How many bits all of it takes.
    #[must_use]
    pub fn size(&self, count: u32) -> u64 {
        let product = |a: u32, b: u32| u64::from(a).saturating_mul(u64::from(b));
        product(self.hints, self.hint).saturating_add(u64::from(self.upper)).saturating_add(product(count, self.low))
    }
}

/// A sequence in a table.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    bits: &'a Bits,
    layout: Layout,
    /// Where the hints, the upper part and the low bits begin.
    hints: u32,
    upper: u32,
    lows: u32,
}

impl<'a> Sequence<'a> {
    /// The `count` numbers below `bound` from bit `at` on.
    #[inline]
    pub fn new(bits: &'a Bits, at: u32, count: u32, bound: u32) -> Self {
        let layout = Layout::new(count, bound);
        let upper = at.saturating_add(layout.hints.saturating_mul(layout.hint));
        Self { bits, layout, hints: at, upper, lows: upper.saturating_add(layout.upper) }
    }

    /// The number with this index.
    pub fn get(&self, index: u32) -> u32 {
        let known = (index / STEP).min(self.layout.hints);
        let at = self.hint(known);
        let ones = index.saturating_sub(known.saturating_mul(STEP));
        let at = self.nth(at, ones, |window| window);
        at.saturating_sub(index).unbounded_shl(self.layout.low) | self.low(index)
    }

    /// The index of a number.
    #[inline]
    pub fn find(&self, number: u32) -> Option<u32> {
        let (high, low) = (number.unbounded_shr(self.layout.low), self.mask(number));
        let mut at = 0;
        if high > 0 {
            let known = self.before(high);
            let at_hint = self.hint(known);
            let zeros = at_hint.saturating_sub(known.saturating_mul(STEP));
            at = self.nth(at_hint, high.saturating_sub(zeros).saturating_sub(1), |window| !window).saturating_add(1);
        }
        while at < self.layout.upper && self.bits.number(self.upper.saturating_add(at), 1) == 1 {
            let index = at.saturating_sub(high);
            match self.low(index) {
                here if here < low => at = at.saturating_add(1),
                here => return (here == low).then_some(index),
            }
        }
        None
    }

    /// Where the one of this hint stands in the upper part.
    fn hint(&self, number: u32) -> u32 {
        let Some(index) = number.checked_sub(1) else { return 0 };
        let width = self.layout.hint;
        self.bits.number(self.hints.saturating_add(index.saturating_mul(width)), width)
    }

    /// The last hint with fewer than `high` zeros before it.
    fn before(&self, high: u32) -> u32 {
        let (mut low, mut end) = (0, self.layout.hints);
        while low < end {
            let middle = end.saturating_sub(end.saturating_sub(low) / 2);
            if self.hint(middle).saturating_sub(middle.saturating_mul(STEP)) < high {
                low = middle;
            } else {
                end = middle.saturating_sub(1);
            }
        }
        low
    }

    /// Where in the upper part, from `at` on, the bit stands that has `skip` set bits before it.
    #[inline]
    fn nth(&self, mut at: u32, mut skip: u32, of: impl Fn(u32) -> u32) -> u32 {
        while at < self.layout.upper {
            let mut window = of(self.bits.window(self.upper.saturating_add(at)));
            let ones = window.count_ones();
            if skip < ones {
                for _ in 0..skip {
                    window &= !0x8000_0000_u32.unbounded_shr(window.leading_zeros());
                }
                return at.saturating_add(window.leading_zeros());
            }
            skip = skip.saturating_sub(ones);
            at = at.saturating_add(32);
        }
        self.layout.upper
    }

    #[inline]
    fn low(&self, index: u32) -> u32 {
        let width = self.layout.low;
        self.bits.number(self.lows.saturating_add(index.saturating_mul(width)), width)
    }

    fn mask(&self, number: u32) -> u32 {
        number & !u32::MAX.unbounded_shl(self.layout.low)
    }
}
