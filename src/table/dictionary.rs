//! Sorted names, and the number of each.
//!
//! Names stand in blocks. The first of a block is plain, so that a search compares bytes as they
//! are; each next one says what it keeps of the one before and what is new.

use super::bits::{Bits, Cursor, width};
use super::huffman::Codes;
use std::cmp::Ordering;

/// How many names a block has.
pub const BLOCK: u32 = 32;
/// The longest name, in bytes.
pub const LONGEST_NAME: usize = 0xffff;
/// A plain name's length stands in one byte below this; else in two bytes after it.
pub const LONG: u8 = 0xff;

/// Where a dictionary is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dictionary {
    /// How many names it has.
    pub count: u32,
    /// The bits of a block's place.
    width: u32,
    /// Where the places, and the blocks, begin, in bits.
    places: u32,
    blocks: u32,
    /// Where the last block ends.
    end: u32,
}

impl Dictionary {
    /// Reads the head of a dictionary; `None` where it does not fit in.
    pub fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let count = cursor.bytes(4)?;
        let size = cursor.bytes(4)?;
        let places = cursor.at;
        let width = width(size);
        cursor.skip(places_size(count, width)?)?;
        let blocks = cursor.at;
        cursor.skip(size.checked_mul(8)?)?;
        // Every name takes at least a bit of each of its three codes, or a byte.
        (count <= size.checked_mul(8)?).then_some(Self { count, width, places, blocks, end: cursor.at })
    }

    /// The number of a name.
    pub fn find(&self, bits: &Bits, codes: &Codes, name: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.count.div_ceil(BLOCK));
        while low < high {
            let middle = low.midpoint(high);
            match self.head(bits, middle)?.1.cmp(name) {
                Ordering::Equal => return Some(middle.saturating_mul(BLOCK)),
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Greater => high = middle,
            }
        }
        let mut names = self.names_from(bits, codes, low.checked_sub(1)?)?;
        while let Some(number) = names.advance() {
            match names.current.as_slice().cmp(name) {
                Ordering::Equal => return Some(number),
                Ordering::Less => {}
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The name with this number.
    pub fn name(&self, bits: &Bits, codes: &Codes, number: u32) -> Option<Vec<u8>> {
        let mut names = self.names_from(bits, codes, number / BLOCK)?;
        while names.advance()? != number {}
        Some(names.current)
    }

    /// The names of one block.
    fn names_from<'a>(&self, bits: &'a Bits, codes: &'a Codes, block: u32) -> Option<Names<'a>> {
        let (at, head) = self.head(bits, block)?;
        let end = match self.place(bits, block.saturating_add(1)) {
            Some(end) if end >= at => end,
            _ => self.end,
        };
        let next = block.saturating_mul(BLOCK);
        let last = next.saturating_add(BLOCK).min(self.count);
        Some(Names { codes, cursor: Cursor { bits, at, end }, current: head.to_vec(), head: true, next, last })
    }

    /// The first name of a block, and where the rest of the block begins.
    fn head<'a>(&self, bits: &'a Bits, block: u32) -> Option<(u32, &'a [u8])> {
        let mut cursor = Cursor { bits, at: self.place(bits, block)?, end: self.end };
        let length = match cursor.bytes(1)? {
            long if long == u32::from(LONG) => cursor.bytes(2)?,
            short => short,
        };
        let at = cursor.at;
        cursor.skip(length.checked_mul(8)?)?;
        let from = usize::try_from(at / 8).ok()?;
        let to = usize::try_from(cursor.at / 8).ok()?;
        Some((cursor.at, bits.bytes().get(from..to)?))
    }

    fn place(&self, bits: &Bits, block: u32) -> Option<u32> {
        if block >= self.count.div_ceil(BLOCK) {
            return None;
        }
        let place = bits.number(self.places.saturating_add(block.saturating_mul(self.width)), self.width);
        self.blocks.checked_add(place.checked_mul(8)?).filter(|at| *at <= self.end)
    }
}

/// The bits that the places of all blocks take, in whole bytes.
#[must_use]
pub fn places_size(count: u32, width: u32) -> Option<u32> {
    count.div_ceil(BLOCK).checked_mul(width)?.checked_next_multiple_of(8)
}

/// The names of a block, one after the other.
struct Names<'a> {
    codes: &'a Codes,
    cursor: Cursor<'a>,
    current: Vec<u8>,
    /// The next name is the plain one.
    head: bool,
    next: u32,
    last: u32,
}

impl Names<'_> {
    /// Goes to the next name; its number, or `None` at the end of the block.
    fn advance(&mut self) -> Option<u32> {
        let number = Some(self.next).filter(|next| *next < self.last)?;
        self.next = number.saturating_add(1);
        if std::mem::take(&mut self.head) {
            return Some(number);
        }
        let keep = usize::from(self.codes.keep.symbol(&mut self.cursor)?);
        let rear = usize::from(self.codes.rear.symbol(&mut self.cursor)?);
        let middle = self.codes.middle.number(&mut self.cursor)?;
        let length = usize::try_from(middle).ok()?;
        let from = self.current.len().checked_sub(rear).filter(|from| *from >= keep)?;
        let whole = keep.saturating_add(length).saturating_add(rear);
        if whole > LONGEST_NAME || middle > self.cursor.left() {
            return None;
        }
        let Self { codes, cursor, current, .. } = self;
        // What is new takes as much room as what goes, mostly.
        match length.cmp(&from.saturating_sub(keep)) {
            Ordering::Less => drop(current.drain(keep.saturating_add(length)..from)),
            Ordering::Equal => {}
            Ordering::Greater => {
                let old = current.len();
                current.resize(whole, 0);
                current.copy_within(from..old, keep.saturating_add(length));
            }
        }
        for place in current.get_mut(keep..keep.saturating_add(length))? {
            *place = codes.text.symbol(cursor)?;
        }
        Some(number)
    }
}
