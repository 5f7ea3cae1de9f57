//! Writes numbers of any width, most significant bit first.

/// A length or place, as tables have it.
pub fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Bytes that grow bit by bit.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, and how many.
    pending: u64,
    held: u32,
}

impl Writer {
    /// Writes a number in `width` bits, at most 32.
    pub fn number(&mut self, number: u32, width: u32) {
        self.pending = self.pending.unbounded_shl(width) | u64::from(number);
        self.held = self.held.saturating_add(width);
        while self.held >= 8 {
            self.held = self.held.saturating_sub(8);
            let [.., byte] = self.pending.unbounded_shr(self.held).to_be_bytes();
            self.bytes.push(byte);
        }
    }

    /// Writes zeros.
    pub fn zeros(&mut self, mut count: u32) {
        while count > 0 {
            let some = count.min(32);
            self.number(0, some);
            count = count.saturating_sub(some);
        }
    }

    /// Writes bytes, after the end of a byte.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.align();
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes what another has written, bit after bit.
    pub fn append(&mut self, other: Self) {
        other.bytes.iter().for_each(|byte| self.number(u32::from(*byte), 8));
        self.number(u32::try_from(other.pending & 0xff).unwrap_or(0) & !u32::MAX.unbounded_shl(other.held), other.held);
    }

    /// Goes to the end of a byte.
    pub fn align(&mut self) {
        if self.held > 0 {
            self.number(0, 8_u32.saturating_sub(self.held));
        }
    }

    /// How many bits there are.
    pub fn len(&self) -> u32 {
        small(self.bytes.len()).saturating_mul(8).saturating_add(self.held)
    }

    /// What was written, in whole bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }
}
