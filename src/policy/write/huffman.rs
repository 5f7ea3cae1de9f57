//! Makes canonical Huffman codes of limited length.
//!
//! L. Larmore, D. Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", J. ACM
//! 37 (1990): package-merge.

use super::bits::Writer;
use crate::table::huffman::{ESCAPE, LONGEST};

/// How often each symbol occurs, and then its code.
#[derive(Debug)]
pub struct Code {
    frequencies: [u32; 256],
    /// The code of each symbol and its length.
    codes: [(u32, u32); 256],
}

impl Default for Code {
    fn default() -> Self {
        Self { frequencies: [0; 256], codes: [(0, 0); 256] }
    }
}

/// A number as a symbol, and whether the number itself follows.
fn number_symbol(number: u32) -> (u8, bool) {
    match u8::try_from(number) {
        Ok(small) if small < ESCAPE => (small, false),
        _ => (ESCAPE, true),
    }
}

impl Code {
    /// Counts a symbol.
    pub fn count(&mut self, symbol: u8) {
        if let Some(frequency) = self.frequencies.get_mut(usize::from(symbol)) {
            *frequency = frequency.saturating_add(1);
        }
    }

    /// Counts a number.
    pub fn count_number(&mut self, number: u32) {
        self.count(number_symbol(number).0);
    }

    /// Makes the code of what was counted, and writes it down.
    pub fn seal(&mut self, out: &mut Writer) {
        let lengths = self.lengths();
        let symbols = |length: u32| (0..=u8::MAX).zip(lengths).filter(move |(_, l)| *l == length).map(|(s, _)| s);
        for length in 1..=LONGEST {
            out.number(super::bits::small(symbols(length).count()), 8);
        }
        let mut next = 0_u32;
        for length in 1..=LONGEST {
            next = next.unbounded_shl(1);
            for symbol in symbols(length) {
                out.number(symbol.into(), 8);
                if let Some(code) = self.codes.get_mut(usize::from(symbol)) {
                    *code = (next, length);
                }
                next = next.saturating_add(1);
            }
        }
    }

    /// Writes a symbol.
    pub fn symbol(&self, out: &mut Writer, symbol: u8) {
        if let Some((code, length)) = self.codes.get(usize::from(symbol)) {
            out.number(*code, *length);
        }
    }

    /// Writes a number.
    pub fn number(&self, out: &mut Writer, number: u32) {
        let (symbol, follows) = number_symbol(number);
        self.symbol(out, symbol);
        if follows {
            out.number(number, 32);
        }
    }

    /// The length of each symbol's code.
    fn lengths(&self) -> [u32; 256] {
        let mut lengths = [0_u32; 256];
        let mut leaves: Vec<(u64, Vec<u8>)> = (0..=u8::MAX)
            .zip(self.frequencies)
            .filter(|(_, frequency)| *frequency > 0)
            .map(|(symbol, frequency)| (u64::from(frequency), vec![symbol]))
            .collect();
        sort(&mut leaves);
        let mut merged: Vec<(u64, Vec<u8>)> = Vec::new();
        for _ in 0..LONGEST {
            let packages = merged.chunks_exact(2).map(|pair| {
                let weight = pair.iter().fold(0_u64, |sum, (weight, _)| sum.saturating_add(*weight));
                (weight, pair.iter().flat_map(|(_, symbols)| symbols.iter().copied()).collect())
            });
            let mut next: Vec<(u64, Vec<u8>)> = leaves.iter().cloned().chain(packages).collect();
            sort(&mut next);
            merged = next;
        }
        // A lone symbol has a code of one bit.
        let taken = leaves.len().saturating_mul(2).saturating_sub(2).max(1);
        for symbol in merged.iter().take(taken).flat_map(|(_, symbols)| symbols) {
            if let Some(length) = lengths.get_mut(usize::from(*symbol)) {
                *length = length.saturating_add(1);
            }
        }
        lengths
    }
}

/// Sorts by weight; what weighs the same stays as it was.
#[inline(never)]
fn sort(packages: &mut [(u64, Vec<u8>)]) {
    packages.sort_by_key(|(weight, _)| *weight);
}

/// The codes of a table.
#[derive(Debug, Default)]
pub struct Codes {
    pub keep: Code,
    pub rear: Code,
    pub middle: Code,
    pub text: Code,
    pub count: Code,
}

impl Codes {
    /// Makes all codes, and writes them down.
    pub fn seal(&mut self, out: &mut Writer) {
        for code in [&mut self.keep, &mut self.rear, &mut self.middle, &mut self.text, &mut self.count] {
            code.seal(out);
        }
    }
}
