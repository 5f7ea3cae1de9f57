//! Sets of bytes: which may stand in a token, or in a path.

/// A set of bytes, looked up in one step.
pub(crate) struct Bytes([bool; 256]);

impl Bytes {
    /// ASCII letters and digits, and these others.
    #[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "every byte has its place")]
    pub(crate) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut byte = 0;
        while byte < u8::MAX {
            set[byte as usize] = byte.is_ascii_alphanumeric();
            byte = byte.saturating_add(1);
        }
        let mut rest = others;
        while let Some((byte, after)) = rest.split_first() {
            set[*byte as usize] = true;
            rest = after;
        }
        Self(set)
    }

    /// Whether a byte is in it.
    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).is_some_and(|is_in| *is_in)
    }
}
