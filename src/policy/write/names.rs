//! Writes dictionaries.

use super::bits::{Writer, small};
use super::huffman::Codes;
use crate::table::bits::width;
use crate::table::dictionary::{BLOCK, LONG};

/// The most bytes that a name says it keeps.
const MOST_KEPT: usize = 253;

/// A name against the one before: what is kept of that one's start and end, and what is new.
struct Delta<'a> {
    keep: u8,
    rear: u8,
    middle: &'a [u8],
}

impl<'a> Delta<'a> {
    fn new(before: &[u8], name: &'a [u8]) -> Self {
        let alike = |a: &mut dyn Iterator<Item = (&u8, &u8)>, most: usize| {
            a.take_while(|(one, other)| one == other).take(most.min(MOST_KEPT)).count()
        };
        let keep = alike(&mut before.iter().zip(name), MOST_KEPT);
        let left = before.len().min(name.len()).saturating_sub(keep);
        let rear = alike(&mut before.iter().rev().zip(name.iter().rev()), left);
        let middle = name.get(keep..name.len().saturating_sub(rear)).unwrap_or_default();
        let byte = |number: usize| u8::try_from(number).unwrap_or(0);
        Self { keep: byte(keep), rear: byte(rear), middle }
    }
}

/// The names of each block: the first, and the others against the one before each.
fn blocks<'a>(names: &'a [Box<[u8]>]) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = Delta<'a>>)> {
    let block = usize::try_from(BLOCK).unwrap_or(1);
    names.chunks(block).map(|names| {
        let deltas = names.iter().zip(names.iter().skip(1)).map(|(before, name)| Delta::new(before, name));
        (names.first().map_or(&[][..], |name| name), deltas)
    })
}

/// Counts what the names will write.
pub fn count(codes: &mut Codes, names: &[Box<[u8]>]) {
    for delta in blocks(names).flat_map(|(_, deltas)| deltas) {
        codes.keep.count(delta.keep);
        codes.rear.count(delta.rear);
        codes.middle.count_number(small(delta.middle.len()));
        delta.middle.iter().for_each(|byte| codes.text.count(*byte));
    }
}

/// Writes sorted names.
pub fn write(out: &mut Writer, codes: &Codes, names: &[Box<[u8]>]) {
    let mut written = Writer::default();
    let mut places = Vec::new();
    for (first, deltas) in blocks(names) {
        written.align();
        places.push(written.len() / 8);
        match u8::try_from(first.len()) {
            Ok(length) if length < LONG => written.number(length.into(), 8),
            _ => {
                written.number(LONG.into(), 8);
                written.number(small(first.len()), 16);
            }
        }
        written.bytes(first);
        for delta in deltas {
            codes.keep.symbol(&mut written, delta.keep);
            codes.rear.symbol(&mut written, delta.rear);
            codes.middle.number(&mut written, small(delta.middle.len()));
            delta.middle.iter().for_each(|byte| codes.text.symbol(&mut written, *byte));
        }
    }
    let written = written.finish();
    out.number(small(names.len()), 32);
    out.number(small(written.len()), 32);
    let width = width(small(written.len()));
    places.into_iter().for_each(|place| out.number(place, width));
    out.bytes(&written);
}
