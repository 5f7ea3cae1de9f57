//! Headers as they pass between proxy and module: a count, the lengths of each name and value, then
//! names and values, each with a NUL after it. Numbers are little-endian.

use crate::host::{HostError, Result};
use crate::memory::Bytes;

/// Headers from the proxy.
pub struct Pairs(Bytes);

impl Pairs {
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Each name and value, in their order; an error where the bytes are not what they should be.
    pub fn read<'a>(&'a self, take: impl FnMut(&'a [u8], &'a [u8])) -> Result<()> {
        self.split(take).ok_or(HostError(u32::MAX))
    }

    /// How many there are, at most.
    pub fn count(&self) -> usize {
        number(&self.0).map_or(0, |(count, rest)| count.min(rest.len() / 8))
    }

    fn split<'a>(&'a self, mut take: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
        let (count, rest) = number(&self.0)?;
        let (lengths, mut texts) = rest.split_at_checked(count.checked_mul(8)?)?;
        for length in lengths.as_chunks::<8>().0 {
            let (name_length, length) = number(length)?;
            let (value_length, _) = number(length)?;
            let (name, after) = texts.split_at_checked(name_length)?;
            let (value, after) = after.get(1..)?.split_at_checked(value_length)?;
            texts = after.get(1..)?;
            take(name, value);
        }
        Some(())
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

/// Headers for the proxy.
pub fn serialise(pairs: &[(&str, &str)]) -> Vec<u8> {
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = length(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend(length(name.len()));
        bytes.extend(length(value.len()));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}
