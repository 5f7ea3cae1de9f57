//! What a policy says, in one order: the form that tables are written from.

use crate::api::catalogue::ResourceType;
use crate::table::Space;
use crate::table::columns::MEMBERSHIPS;
use crate::table::header::{RECORDS, SPACES};
use sha2::{Digest as _, Sha256};

/// One number in one column of an owner's record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// The owner's namespace, and its number there.
    pub space: u8,
    pub owner: u32,
    /// The column, and the number in it.
    pub column: u8,
    pub number: u32,
    /// Of a grant: the permissions.
    pub permissions: u16,
}

/// What one column of grants is about.
#[derive(Debug)]
pub struct GrantColumn {
    pub resource: ResourceType,
    pub is_property: bool,
    /// The number of the resource type's name.
    pub type_name: u32,
    /// Its permissions: the numbers of their names, and their bits in the catalogue.
    pub permissions: Vec<u32>,
    pub bits: Vec<u16>,
    /// Sorted; the first has number 1, as `*` is number 0.
    pub ids: Vec<Box<[u8]>>,
}

/// All that a policy says.
#[derive(Debug)]
pub struct Facts {
    /// The names of each namespace, sorted.
    pub names: [Vec<Box<[u8]>>; SPACES],
    /// The columns of grants, by resource type.
    pub columns: Vec<GrantColumn>,
    /// Sorted, with no number twice.
    pub entries: Vec<Entry>,
}

impl Facts {
    /// Every owner, by its namespace, with its entries.
    pub fn owners(&self) -> impl Iterator<Item = (usize, &[Entry])> {
        let mut rest = &*self.entries;
        let counts = self.names.iter().take(RECORDS).enumerate();
        let owners = counts.flat_map(|(space, names)| names.iter().zip(0..).map(move |(_, owner)| (space, owner)));
        owners.map(move |(space, owner): (usize, u32)| {
            let own = |e: &&Entry| usize::from(e.space) == space && e.owner == owner;
            let count = rest.iter().take_while(own).count();
            let (own, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = others;
            (space, own)
        })
    }

    /// The bound of the numbers of a column.
    pub fn bound(&self, column: usize) -> u32 {
        let members = [Space::Group, Space::Role, Space::Tenant, Space::Rule];
        let count = match (members.get(column), column.checked_sub(MEMBERSHIPS).and_then(|c| self.columns.get(c))) {
            (Some(space), _) => self.names.get(space.index()).map_or(0, Vec::len),
            (None, Some(column)) => column.ids.len().saturating_add(1),
            (None, None) => 0,
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How many grants there are.
    pub fn grants(&self) -> u32 {
        let is_grant = |e: &&Entry| usize::from(e.column) >= MEMBERSHIPS;
        u32::try_from(self.entries.iter().filter(is_grant).count()).unwrap_or(u32::MAX)
    }

    /// A digest of everything, the same whatever order the policy was written in.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        // The same on machines of any word size.
        let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes();
        let mut names = |list: &[Box<[u8]>]| {
            digest.update(length(list.len()));
            for name in list {
                digest.update(length(name.len()));
                digest.update(name);
            }
        };
        self.names.iter().chain(self.columns.iter().map(|column| &column.ids)).for_each(|list| names(list));
        for GrantColumn { type_name, is_property, permissions, .. } in &self.columns {
            digest.update(format!("{type_name} {is_property} {permissions:?}\n"));
        }
        for Entry { space, owner, column, number, permissions } in &self.entries {
            digest.update([*space, *column]);
            digest.update(owner.to_be_bytes());
            digest.update(number.to_be_bytes());
            digest.update(permissions.to_be_bytes());
        }
        digest.finalize().into()
    }
}
