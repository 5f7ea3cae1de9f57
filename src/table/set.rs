//! Sets of numbers: all there are, a bitmap, or a sequence, whichever is shortest.

use super::bits::Bits;
use super::sequence::{Layout, Sequence};

/// The most bits that a bitmap has.
const BITMAP: u32 = 1024;

/// The form of a set, by its size and the bound of its numbers alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Every number below the bound; nothing is written.
    All,
    /// A bit for each number.
    Bitmap,
    /// Elias-Fano.
    Sequence,
}

impl Form {
    /// The form of `count` numbers below `bound`, and how many bits it takes.
    #[must_use]
    #[inline]
    pub fn new(count: u32, bound: u32) -> (Self, u64) {
        if count >= bound {
            return (Self::All, 0);
        }
        let size = Layout::new(count, bound).size(count);
        if bound <= BITMAP && u64::from(bound) <= size { (Self::Bitmap, bound.into()) } else { (Self::Sequence, size) }
    }
}

/// A set in a table.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    bits: &'a Bits,
    form: Form,
    at: u32,
    count: u32,
    bound: u32,
}

impl<'a> Set<'a> {
    /// The `count` numbers below `bound` from bit `at` on.
    #[inline]
    pub fn new(bits: &'a Bits, at: u32, count: u32, bound: u32) -> Self {
        Self { bits, form: Form::new(count, bound).0, at, count, bound }
    }

    /// The index of a number among those of the set.
    #[inline]
    pub fn find(&self, number: u32) -> Option<u32> {
        match self.form {
            _ if number >= self.bound => None,
            Form::All => Some(number),
            Form::Bitmap => (self.bits.number(self.at.saturating_add(number), 1) == 1).then(|| self.before(number)),
            Form::Sequence => Sequence::new(self.bits, self.at, self.count, self.bound).find(number),
        }
    }

    /// How many numbers of a bitmap stand before this one.
    fn before(&self, number: u32) -> u32 {
        let windows = (0..number).step_by(32).map(|from| {
            let width = number.saturating_sub(from).min(32);
            self.bits.number(self.at.saturating_add(from), width).count_ones()
        });
        windows.fold(0, u32::saturating_add)
    }

    /// The numbers, ascending.
    pub fn numbers(self) -> impl Iterator<Item = u32> + 'a {
        let last = match self.form {
            Form::Bitmap | Form::All => self.bound,
            Form::Sequence => self.count,
        };
        let sequence = Sequence::new(self.bits, self.at, self.count, self.bound);
        (0..last).filter_map(move |index| match self.form {
            Form::All => Some(index),
            Form::Bitmap => (self.bits.number(self.at.saturating_add(index), 1) == 1).then_some(index),
            Form::Sequence => Some(sequence.get(index)),
        })
    }
}
