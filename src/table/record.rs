//! What one owner holds and belongs to: its columns, one list after the other.

use super::bits::{Bits, Cursor};
use super::columns::{Grants, MEMBERSHIPS};
use super::header::Head;
use super::sequence::{Layout, Sequence};
use super::set::{Form, Set};

/// The records of owners of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records {
    count: u32,
    /// How many bits the records have, and where they and their places begin.
    size: u32,
    places: u32,
    start: u32,
}

impl Records {
    /// Reads the head of the records of `count` owners; `None` where they do not fit in.
    pub fn read(cursor: &mut Cursor<'_>, count: u32) -> Option<Self> {
        let size = cursor.bytes(4)?;
        let places = cursor.at;
        let layout = Layout::new(count, size.checked_add(1)?);
        cursor.skip(u32::try_from(layout.size(count)).ok()?)?;
        let start = cursor.at;
        cursor.skip(size)?;
        cursor.skip(cursor.at.checked_next_multiple_of(8)?.saturating_sub(cursor.at))?;
        Some(Self { count, size, places, start })
    }

    /// Where a record begins and ends.
    fn record<'a>(&self, bits: &'a Bits, number: u32) -> Option<Cursor<'a>> {
        if number >= self.count {
            return None;
        }
        let places = Sequence::new(bits, self.places, self.count, self.size.saturating_add(1));
        let from = places.get(number).min(self.size);
        let next = number.saturating_add(1);
        let to = if next < self.count { places.get(next).min(self.size) } else { self.size };
        Some(Cursor { bits, at: self.start.saturating_add(from), end: self.start.saturating_add(to) })
    }

    /// The columns of a record.
    pub fn columns<'a>(&self, bits: &'a Bits, head: &'a Head, number: u32) -> Columns<'a> {
        let record = self.record(bits, number).and_then(|mut cursor| {
            let set = cursor.number(head.set_width())?;
            Some((cursor, head.set(bits, set)))
        });
        let (cursor, left) = record.unwrap_or((Cursor { bits, at: 0, end: 0 }, 0));
        Columns { head, cursor, left }
    }
}

/// One column of a record: a list of numbers and, where they are grants, their permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// The number of the column.
    pub column: u8,
    /// Where its list begins.
    pub at: u32,
    /// How many numbers it has.
    pub count: u32,
}

/// The columns of a record, in their order.
pub struct Columns<'a> {
    head: &'a Head,
    cursor: Cursor<'a>,
    /// A bit for each column that is still to come.
    left: u64,
}

impl Iterator for Columns<'_> {
    type Item = Column;

    fn next(&mut self) -> Option<Column> {
        if self.left == 0 {
            return None;
        }
        let number = self.left.trailing_zeros();
        self.left &= self.left.wrapping_sub(1);
        let column = self.read(number);
        if column.is_none() {
            self.left = 0;
        }
        column
    }
}

impl Columns<'_> {
    fn read(&mut self, number: u32) -> Option<Column> {
        let bound = self.head.bound(usize::try_from(number).ok()?)?;
        let count = self.head.codes.count.number(&mut self.cursor)?.checked_add(1).filter(|count| *count <= bound)?;
        let column = Column { column: u8::try_from(number).ok()?, at: self.cursor.at, count };
        self.cursor.skip(u32::try_from(Form::new(count, bound).1).ok()?)?;
        if let Some(grants) = self.head.grants(column.column) {
            let width = grants.set_width();
            if width > 0 {
                let one_for_all = self.cursor.number(1)? == 1;
                let sets = if one_for_all { 1 } else { count };
                self.cursor.skip(sets.checked_mul(width)?)?;
            }
        }
        Some(column)
    }
}

impl Column {
    /// The numbers in it.
    pub fn numbers<'a>(&self, bits: &'a Bits, bound: u32) -> Set<'a> {
        Set::new(bits, self.at, self.count, bound)
    }

    /// The sets of permissions beside its numbers.
    pub fn sets<'a>(&self, bits: &'a Bits, grants: &'a Grants) -> Sets<'a> {
        let (_, size) = Form::new(self.count, grants.bound());
        let at = self.at.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
        let width = grants.set_width();
        let one_for_all = width == 0 || bits.number(at, 1) == 1;
        let at = at.saturating_add(u32::from(width > 0));
        Sets { bits, grants, at, width, count: if one_for_all { 1 } else { self.count }, one_for_all }
    }

    /// Whether it is a column of memberships.
    pub fn is_membership(&self) -> bool {
        usize::from(self.column) < MEMBERSHIPS
    }
}

/// The sets of permissions of a column.
pub struct Sets<'a> {
    bits: &'a Bits,
    grants: &'a Grants,
    at: u32,
    width: u32,
    /// How many are written.
    count: u32,
    one_for_all: bool,
}

impl Sets<'_> {
    /// The permissions on the number with this index.
    #[inline]
    pub fn get(&self, index: u32) -> u16 {
        let index = if self.one_for_all { 0 } else { index };
        let at = self.at.saturating_add(index.saturating_mul(self.width));
        self.grants.set(self.bits, self.bits.number(at, self.width))
    }

    /// All permissions on the numbers from this index on.
    pub fn all_from(&self, index: u32) -> u16 {
        if self.one_for_all {
            return self.get(0);
        }
        (index..self.count).fold(0, |all, index| all | self.get(index))
    }
}
