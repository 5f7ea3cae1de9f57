//! Numbers of any width in a table's bytes, most significant bit first.

/// How many zero bytes end a table, so that eight bytes can be read at once anywhere before them.
pub const PADDING: usize = 8;

/// The bytes of a table. What lies beyond their end reads as zero.
#[derive(Debug)]
pub struct Bits(Vec<u8>);

impl Bits {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The 32 bits from bit `at` on.
    #[inline]
    pub fn window(&self, at: u32) -> u32 {
        let byte = usize::try_from(at >> 3).unwrap_or(usize::MAX);
        let word = self.0.get(byte..).and_then(|bytes| bytes.first_chunk()).map_or(0, |word| u64::from_be_bytes(*word));
        u32::try_from(word.unbounded_shl(at & 7) >> 32).unwrap_or(0)
    }

    /// The number in `width` bits, at most 32, from bit `at` on.
    #[inline]
    pub fn number(&self, at: u32, width: u32) -> u32 {
        self.window(at).unbounded_shr(32_u32.saturating_sub(width))
    }
}

/// The bits that a number up to `most` takes.
#[must_use]
pub fn width(most: u32) -> u32 {
    32_u32.saturating_sub(most.leading_zeros())
}

/// Reads one thing after the other.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    pub bits: &'a Bits,
    pub at: u32,
    /// Where what is read ends.
    pub end: u32,
}

impl Cursor<'_> {
    /// How many bits are left.
    pub fn left(&self) -> u32 {
        self.end.saturating_sub(self.at)
    }

    /// Steps over bits; `None` where there are not so many.
    #[inline]
    pub fn skip(&mut self, count: u32) -> Option<()> {
        let at = self.at.checked_add(count).filter(|at| *at <= self.end)?;
        self.at = at;
        Some(())
    }

    /// The number in the next `width` bits, at most 32.
    #[inline]
    pub fn number(&mut self, width: u32) -> Option<u32> {
        let at = self.at;
        self.skip(width)?;
        Some(self.bits.number(at, width))
    }

    /// The number in the next `count` bytes, at most 4.
    pub fn bytes(&mut self, count: u32) -> Option<u32> {
        self.number(count.saturating_mul(8))
    }
}
