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

    /// Names and values; an error where the bytes are not what they should be.
    pub fn read(&self) -> Result<Vec<(&[u8], &[u8])>> {
        self.split().ok_or(HostError(u32::MAX))
    }

    fn split(&self) -> Option<Vec<(&[u8], &[u8])>> {
        let (count, rest) = number(&self.0)?;
        let (mut lengths, mut texts) = rest.split_at_checked(count.checked_mul(8)?)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (name_length, after) = number(lengths)?;
            let (value_length, after) = number(after)?;
            lengths = after;
            let (name, after) = texts.split_at_checked(name_length)?;
            let (value, after) = after.get(1..)?.split_at_checked(value_length)?;
            texts = after.get(1..)?;
            pairs.push((name, value));
        }
        Some(pairs)
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
