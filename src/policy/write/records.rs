//! Writes the columns and what each owner holds.

use super::bits::{Writer, small};
use super::huffman::Codes;
use super::lists;
use crate::policy::facts::{Entry, Facts, GrantColumn};
use crate::table::bits::width;
use crate::table::columns::MEMBERSHIPS;
use std::collections::BTreeSet;

/// What records need to know of all of them.
pub struct Shared<'a> {
    facts: &'a Facts,
    /// The sets of permissions of each column of grants, ascending.
    permissions: Vec<Vec<u16>>,
    /// The sets of columns, ascending: a bit for each column.
    columns: Vec<u64>,
}

/// The entries of one owner, column by column.
fn columns(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    entries.chunk_by(|one, other| one.column == other.column)
}

fn column_set(entries: &[Entry]) -> u64 {
    columns(entries).filter_map(|c| c.first()).fold(0, |set, e| set | 1_u64.unbounded_shl(e.column.into()))
}

impl<'a> Shared<'a> {
    /// Looks over all owners, and counts what their records will write.
    pub fn new(facts: &'a Facts, codes: &mut Codes) -> Self {
        let mut permissions = vec![BTreeSet::new(); facts.columns.len()];
        let mut sets = BTreeSet::new();
        for (_, entries) in facts.owners() {
            sets.insert(column_set(entries));
            for column in columns(entries) {
                codes.count.count_number(small(column.len()).saturating_sub(1));
            }
        }
        for entry in &facts.entries {
            let number = usize::from(entry.column).checked_sub(MEMBERSHIPS);
            if let Some(sets) = number.and_then(|number| permissions.get_mut(number)) {
                sets.insert(entry.permissions);
            }
        }
        let permissions = permissions.into_iter().map(|sets| sets.into_iter().collect()).collect();
        Self { facts, permissions, columns: sets.into_iter().collect() }
    }

    /// Writes the descriptions of the columns of grants.
    pub fn columns(&self, out: &mut Writer, codes: &Codes) {
        out.number(small(self.facts.columns.len()), 8);
        for (column, sets) in self.facts.columns.iter().zip(&self.permissions) {
            out.number(column.type_name, 16);
            out.number(column.is_property.into(), 8);
            out.number(small(column.permissions.len()), 8);
            column.permissions.iter().for_each(|name| out.number(*name, 16));
            out.number(small(sets.len()), 32);
            sets.iter().for_each(|set| out.number(u32::from(*set), 16));
            super::names::write(out, codes, &column.ids);
        }
    }

    /// Writes the sets of columns.
    pub fn column_sets(&self, out: &mut Writer) {
        out.number(small(self.columns.len()), 32);
        let count = MEMBERSHIPS.saturating_add(self.facts.columns.len());
        for set in &self.columns {
            for column in (0..).take(count) {
                out.number((set.unbounded_shr(column) & 1 == 1).into(), 1);
            }
        }
    }

    /// Writes the records of a namespace.
    pub fn records(&self, out: &mut Writer, codes: &Codes, space: usize) {
        let mut written = Writer::default();
        let mut places = Vec::new();
        for (_, entries) in self.facts.owners().filter(|(owner, _)| *owner == space) {
            places.push(written.len());
            self.record(&mut written, codes, entries);
        }
        let size = written.len();
        out.number(size, 32);
        lists::sequence(out, &places, size.saturating_add(1));
        out.append(written);
        out.align();
    }

    fn record(&self, out: &mut Writer, codes: &Codes, entries: &[Entry]) {
        let set = self.columns.binary_search(&column_set(entries)).unwrap_or(0);
        out.number(small(set), width(small(self.columns.len()).saturating_sub(1)));
        for column in columns(entries) {
            let Some(number) = column.first().map(|e| usize::from(e.column)) else { continue };
            codes.count.number(out, small(column.len()).saturating_sub(1));
            let numbers: Vec<u32> = column.iter().map(|e| e.number).collect();
            lists::set(out, &numbers, self.facts.bound(number));
            let sets = number.checked_sub(MEMBERSHIPS).and_then(|number| self.permissions.get(number));
            if let Some(sets) = sets {
                permissions(out, column, sets);
            }
        }
    }
}

/// Writes the numbers of the permission sets of a column: one for all where they are equal.
fn permissions(out: &mut Writer, column: &[Entry], sets: &[u16]) {
    let width = width(small(sets.len()).saturating_sub(1));
    if width == 0 {
        return;
    }
    let one_for_all = column.windows(2).all(|pair| match pair {
        [one, other] => one.permissions == other.permissions,
        _ => true,
    });
    out.number(one_for_all.into(), 1);
    let written = if one_for_all { column.get(..1).unwrap_or_default() } else { column };
    for entry in written {
        out.number(small(sets.binary_search(&entry.permissions).unwrap_or(0)), width);
    }
}

impl GrantColumn {
    /// A set of permissions, a bit for each of the column's.
    pub fn local(&self, permissions: u16) -> u16 {
        let bit = |index: u32| 1_u16.unbounded_shl(index);
        (0..).zip(&self.bits).filter(|(_, known)| permissions & **known != 0).fold(0, |set, (i, _)| set | bit(i))
    }
}
