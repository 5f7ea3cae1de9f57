//! The head of a table: what it is, that it came whole, and where everything in it stands.

use super::bits::{Bits, Cursor, PADDING, width};
use super::checksum::crc32;
use super::columns::{Grants, MEMBERSHIPS};
use super::dictionary::Dictionary;
use super::huffman::Codes;
use super::record::Records;
use crate::api::catalogue::ResourceType;
use std::fmt;

/// What a table begins with.
pub const MAGIC: [u8; 4] = *b"PCTB";
/// The format that is written. A module reads this one and the one before.
pub const FORMAT: u32 = 1;
/// The bytes of the head before the places of the parts.
pub const FIXED: u32 = 60;
/// Where what the checksum covers begins.
pub const CHECKED: usize = 16;
/// The longest table, in bytes: places in it are counted in bits.
pub const LONGEST: usize = 0x1000_0000;
/// The parts of a table, each at a place of its own.
pub const PARTS: u32 = 19;
/// The most columns.
const COLUMNS: usize = 64;

/// A namespace of a table: what names and numbers belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Users; the first five are owners.
    User,
    /// Clients.
    Client,
    /// Groups.
    Group,
    /// Roles.
    Role,
    /// Mapping rules.
    Rule,
    /// What mapping rules ask for: a claim's path, the byte 0xff, and a value.
    Claim,
    /// Tenants.
    Tenant,
    /// Paths of claims.
    ClaimPath,
    /// Resource types.
    Type,
    /// Permissions.
    Permission,
}

/// How many namespaces there are, and how many of them, from the first, have records.
pub const SPACES: usize = 10;
/// The namespaces that have records.
pub const RECORDS: usize = 6;

/// Why bytes are not a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableError {
    /// They do not begin like one.
    NotATable,
    /// A format that this module does not read.
    Format(u32),
    /// They are fewer or more than they should be.
    Length,
    /// The checksum does not fit.
    Checksum,
    /// A part is not what it should be.
    Part(&'static str),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATable => f.write_str("is not a table: `portcullis compile` makes one"),
            Self::Format(format) => {
                write!(f, "is of table format {format}; this version reads {FORMAT}: compile it again")
            }
            Self::Length => f.write_str("the table was cut or has bytes too many"),
            Self::Checksum => f.write_str("the table is damaged: its checksum does not fit"),
            Self::Part(part) => write!(f, "the table is damaged: its {part} cannot be read"),
        }
    }
}

impl std::error::Error for TableError {}

/// Where everything in a table stands.
#[derive(Debug)]
pub struct Head {
    /// When it was made, in seconds since 1970; 0 where that is not said.
    pub built: u64,
    /// A digest of the policy that it was made of.
    pub digest: [u8; 32],
    /// How many grants it has.
    pub grants: u32,
    /// Its codes.
    pub codes: Codes,
    names: [Dictionary; SPACES],
    records: [Records; RECORDS],
    columns: Vec<Grants>,
    /// Where the sets of columns stand, how many there are and how many bits each has.
    sets: u32,
    set_count: u32,
    set_bits: u32,
}

impl Head {
    /// Checks a table and reads its head.
    pub fn read(bits: &Bits) -> Result<Self, TableError> {
        let bytes = bits.bytes();
        let word = |at: u32| bits.number(at.saturating_mul(8), 32);
        if !bytes.starts_with(&MAGIC) {
            return Err(TableError::NotATable);
        }
        let format = word(4) >> 16;
        if format != FORMAT {
            return Err(TableError::Format(format));
        }
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= LONGEST).ok_or(TableError::Length)?;
        let padding = bytes.last_chunk::<PADDING>();
        let end = length.checked_sub(8).filter(|end| *end >= FIXED).ok_or(TableError::Length)?;
        if word(8) != length || word(4) & 0xffff != 0 || padding != Some(&[0; PADDING]) {
            return Err(TableError::Length);
        }
        if word(12) != crc32(bytes.get(CHECKED..).unwrap_or_default()) {
            return Err(TableError::Checksum);
        }
        let end = end.saturating_mul(8);
        let part = |index: u32, name: &'static str| {
            let place = word(FIXED.saturating_add(index.saturating_mul(4))).checked_mul(8);
            let at = place.filter(|at| *at <= end).ok_or(TableError::Part(name))?;
            Ok(Cursor { bits, at, end })
        };
        let codes = Codes::read(&mut part(0, "codes")?).ok_or(TableError::Part("codes"))?;
        let mut names = [Dictionary::default(); SPACES];
        for (index, names) in (3..).zip(&mut names) {
            *names = Dictionary::read(&mut part(index, "names")?).ok_or(TableError::Part("names"))?;
        }
        let mut records = [Records::default(); RECORDS];
        for ((index, records), names) in (13..).zip(&mut records).zip(&names) {
            let read = Records::read(&mut part(index, "records")?, names.count);
            *records = read.ok_or(TableError::Part("records"))?;
        }
        let columns = columns(&mut part(1, "columns")?, bits, &codes, &names).ok_or(TableError::Part("columns"))?;
        let mut cursor = part(2, "column sets")?;
        let set_bits = u32::try_from(columns.len().saturating_add(MEMBERSHIPS)).unwrap_or(u32::MAX);
        let set_count = cursor.bytes(4).ok_or(TableError::Part("column sets"))?;
        let sets = cursor.at;
        set_count.checked_mul(set_bits).and_then(|size| cursor.skip(size)).ok_or(TableError::Part("column sets"))?;
        let mut digest = [0; 32];
        digest.copy_from_slice(bytes.get(24..56).ok_or(TableError::Length)?);
        let built = u64::from(word(16)).unbounded_shl(32) | u64::from(word(20));
        Ok(Self { built, digest, grants: word(56), codes, names, records, columns, sets, set_count, set_bits })
    }

    /// The names of a namespace.
    pub fn names(&self, space: Space) -> Dictionary {
        self.names.iter().zip(0..).find(|(_, index)| *index == space.index()).map_or(Dictionary::default(), |(n, _)| *n)
    }

    /// The records of a namespace.
    pub fn records(&self, space: Space) -> Records {
        self.records.get(space.index()).copied().unwrap_or_default()
    }

    /// A column of grants by its number; `None` for one of memberships.
    #[inline]
    pub fn grants(&self, column: u8) -> Option<&Grants> {
        self.columns.get(usize::from(column).checked_sub(MEMBERSHIPS)?)
    }

    /// The bound of the numbers of a column.
    pub fn bound(&self, column: usize) -> Option<u32> {
        let members = [Space::Group, Space::Role, Space::Tenant, Space::Rule];
        match members.get(column) {
            Some(space) => Some(self.names(*space).count),
            None => self.columns.get(column.checked_sub(MEMBERSHIPS)?).map(Grants::bound),
        }
    }

    /// How many bits the number of a set of columns has.
    pub fn set_width(&self) -> u32 {
        width(self.set_count.saturating_sub(1))
    }

    /// A set of columns: a bit for each.
    pub fn set(&self, bits: &Bits, number: u32) -> u64 {
        if number >= self.set_count {
            return 0;
        }
        let at = self.sets.saturating_add(number.saturating_mul(self.set_bits));
        let first = self.set_bits.min(32);
        let rest = self.set_bits.saturating_sub(first);
        let low = bits.number(at, first).reverse_bits().unbounded_shr(32_u32.saturating_sub(first));
        let high =
            bits.number(at.saturating_add(first), rest).reverse_bits().unbounded_shr(32_u32.saturating_sub(rest));
        u64::from(low) | (u64::from(high) << 32)
    }
}

fn columns(cursor: &mut Cursor<'_>, bits: &Bits, codes: &Codes, names: &[Dictionary; SPACES]) -> Option<Vec<Grants>> {
    let text = |space: Space, number: u32| String::from_utf8(names.get(space.index())?.name(bits, codes, number)?).ok();
    let count = usize::try_from(cursor.bytes(1)?).ok()?;
    if count.saturating_add(MEMBERSHIPS) > COLUMNS {
        return None;
    }
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let read = Grants::read(
            cursor,
            |name| ResourceType::named(&text(Space::Type, name)?),
            |resource, name| resource.permission(&text(Space::Permission, name)?),
        );
        columns.push(read?);
    }
    Some(columns)
}

impl Space {
    /// Its number.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::User => 0,
            Self::Client => 1,
            Self::Group => 2,
            Self::Role => 3,
            Self::Rule => 4,
            Self::Claim => 5,
            Self::Tenant => 6,
            Self::ClaimPath => 7,
            Self::Type => 8,
            Self::Permission => 9,
        }
    }
}
