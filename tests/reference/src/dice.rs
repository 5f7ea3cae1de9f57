//! Random choices that a seed repeats.

/// A generator of numbers (splitmix64), or of numbers that somebody else has chosen.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
    /// What comes first, the next one last.
    chosen: Vec<u8>,
}

impl Dice {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, chosen: Vec::new() }
    }

    /// The numbers of these bytes, a byte for each choice, and random ones after them.
    #[must_use]
    pub fn chosen(bytes: &[u8]) -> Self {
        Self { state: 0, chosen: bytes.iter().rev().copied().collect() }
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        if let Some(byte) = self.chosen.pop() {
            return u64::from(byte);
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        let mut number = self.roll();
        if limit > 256 && !self.chosen.is_empty() {
            number = number << 8 | self.roll();
        }
        (number % limit as u64) as usize
    }

    /// Yes, so often in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of a list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Some of a list, each with a chance in a hundred, in their order.
    pub fn some<T: Clone>(&mut self, list: &[T], percent: usize) -> Vec<T> {
        list.iter().filter(|_| self.chance(percent)).cloned().collect()
    }
}
