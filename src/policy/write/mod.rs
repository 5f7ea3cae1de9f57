//! Facts -> table. `docs/table-format.md` says what is written.

mod bits;
mod huffman;
mod lists;
mod names;
mod records;

use super::facts::Facts;
use crate::table::bits::PADDING;
use crate::table::checksum::crc32;
use crate::table::header::{CHECKED, FIXED, FORMAT, MAGIC, PARTS, RECORDS};
use bits::{Writer, small};
use huffman::Codes;
use records::Shared;
use std::collections::BTreeMap;

/// Writes a table; `built` is when it was made, in seconds since 1970, or 0.
pub fn table(facts: &Facts, built: u64) -> Vec<u8> {
    let mut codes = Codes::default();
    facts.names.iter().for_each(|space| names::count(&mut codes, space));
    facts.columns.iter().for_each(|column| names::count(&mut codes, &column.ids));
    let shared = Shared::new(facts, &mut codes);

    let mut parts: Vec<Writer> = Vec::new();
    let mut part = |write: &mut dyn FnMut(&mut Writer)| {
        let mut out = Writer::default();
        write(&mut out);
        parts.push(out);
    };
    part(&mut |out| codes.seal(out));
    part(&mut |out| shared.columns(out, &codes));
    part(&mut |out| shared.column_sets(out));
    facts.names.iter().for_each(|space| part(&mut |out| names::write(out, &codes, space)));
    (0..RECORDS).for_each(|space| part(&mut |out| shared.records(out, &codes, space)));

    // Parts that are alike, such as empty ones, stand once.
    let first = FIXED.saturating_add(PARTS.saturating_mul(4));
    let mut written = Vec::new();
    let mut places = Writer::default();
    let mut known: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for part in parts {
        let bytes = part.finish();
        let next = first.saturating_add(small(written.len()));
        let place = *known.entry(bytes).or_insert_with_key(|bytes| {
            written.extend_from_slice(bytes);
            next
        });
        places.number(place, 32);
    }
    let mut checked = built.to_be_bytes().to_vec();
    checked.extend_from_slice(&facts.digest());
    checked.extend_from_slice(&facts.grants().to_be_bytes());
    checked.extend_from_slice(&places.finish());
    checked.extend_from_slice(&written);
    checked.extend_from_slice(&[0; PADDING]);

    let mut table = MAGIC.to_vec();
    table.extend_from_slice(&FORMAT.unbounded_shl(16).to_be_bytes());
    table.extend_from_slice(&small(CHECKED.saturating_add(checked.len())).to_be_bytes());
    table.extend_from_slice(&crc32(&checked).to_be_bytes());
    table.append(&mut checked);
    table
}
