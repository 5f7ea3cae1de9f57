//! Canonical Huffman codes of bytes.
//!
//! A code is written as the number of symbols of each length, and the symbols in the order of their
//! codes, as in JPEG (ITU-T T.81, annex C).

use super::bits::Cursor;

/// The longest code, in bits.
pub const LONGEST: u32 = 11;
/// A number is its own symbol below this; this symbol stands before a number of 32 bits.
pub const ESCAPE: u8 = 254;

/// A code, as a look-up by the next [`LONGEST`] bits.
#[derive(Debug)]
pub struct Code {
    /// The symbol, and the length of its code; no length where the bits are no code.
    symbols: Vec<(u8, u8)>,
}

impl Code {
    /// Reads a code; `None` where it is none.
    pub fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut counts = [0_u32; 11];
        for count in &mut counts {
            *count = cursor.bytes(1)?;
        }
        let slots = 1_usize << LONGEST;
        let mut symbols = Vec::with_capacity(slots);
        for (length, count) in (1..).zip(counts) {
            let share = slots.checked_shr(length)?;
            let length = u8::try_from(length).ok()?;
            for _ in 0..count {
                let symbol = u8::try_from(cursor.bytes(1)?).ok()?;
                let filled = symbols.len().checked_add(share).filter(|filled| *filled <= slots)?;
                symbols.resize(filled, (symbol, length));
            }
        }
        symbols.resize(slots, (0, 0));
        Some(Self { symbols })
    }

    /// The next symbol.
    #[inline]
    pub fn symbol(&self, cursor: &mut Cursor<'_>) -> Option<u8> {
        let slot = usize::try_from(cursor.bits.number(cursor.at, LONGEST)).ok()?;
        let (symbol, length) = self.symbols.get(slot).filter(|(_, length)| *length > 0)?;
        cursor.skip(u32::from(*length))?;
        Some(*symbol)
    }

    /// The next number.
    #[inline]
    pub fn number(&self, cursor: &mut Cursor<'_>) -> Option<u32> {
        match self.symbol(cursor)? {
            ESCAPE => cursor.number(32),
            small => Some(u32::from(small)),
        }
    }
}

/// The codes of a table.
#[derive(Debug)]
pub struct Codes {
    /// How many bytes a name keeps from the start of the one before.
    pub keep: Code,
    /// How many it keeps from its end.
    pub rear: Code,
    /// How many are new between them.
    pub middle: Code,
    /// Those bytes.
    pub text: Code,
    /// The lengths of lists, less one.
    pub count: Code,
}

impl Codes {
    /// Reads all codes, in their order.
    pub fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut next = || Code::read(cursor);
        Some(Self { keep: next()?, rear: next()?, middle: next()?, text: next()?, count: next()? })
    }
}
