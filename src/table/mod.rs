//! What has been granted, in the form that decisions are made from.
//!
//! A table is bytes, and is read in place: opening one makes nothing that grows with it.
//! [`crate::policy`] writes tables; `docs/table-format.md` describes them. The reader trusts
//! nothing but what it checks itself: what lies outside the bytes reads as zero, every list is held
//! to the bounds that the table itself gives, and whatever does not add up grants nothing.
//!
//! [`bits`] reads numbers, [`huffman`] codes, [`sequence`] and [`set`] lists of numbers,
//! [`dictionary`] names, [`columns`] and [`record`] what owners hold, [`header`] where all that
//! stands.

pub(crate) mod bits;
pub(crate) mod checksum;
pub(crate) mod columns;
pub(crate) mod dictionary;
pub(crate) mod header;
pub(crate) mod huffman;
mod listing;
mod owner;
pub(crate) mod record;
pub(crate) mod sequence;
pub(crate) mod set;

pub use columns::Membership;
pub(crate) use header::Space;
pub use header::TableError;
pub use listing::Granted;
pub use owner::{Owner, OwnerType};
pub use record::Column;

use crate::api::catalogue::ResourceType;
use bits::Bits;
use header::Head;
use std::fmt::Write as _;
use std::rc::Rc;

/// What a claim's path and value are joined with: a byte that no text has.
pub(crate) const CLAIM_JOINT: u8 = 0xff;

/// A table, read in place.
#[derive(Debug)]
pub struct Table {
    bits: Bits,
    head: Head,
    digest: Rc<str>,
}

impl Table {
    /// Opens a table.
    ///
    /// # Errors
    /// The bytes are not a whole table of a format that is read here.
    pub fn open(bytes: Vec<u8>) -> Result<Self, TableError> {
        let bits = Bits::new(bytes);
        let head = Head::read(&bits)?;
        let mut digest = String::from("sha256:");
        for byte in head.digest {
            let _ = write!(digest, "{byte:02x}");
        }
        Ok(Self { bits, head, digest: digest.into() })
    }

    /// Whether bytes begin like a table.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&header::MAGIC)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// A digest of the policy that it was made of, the same whatever order that was written in.
    #[must_use]
    pub fn digest(&self) -> &Rc<str> {
        &self.digest
    }

    /// When it was made, in seconds since 1970, where it says so.
    #[must_use]
    pub fn built(&self) -> Option<u64> {
        Some(self.head.built).filter(|built| *built > 0)
    }

    /// How many grants it has.
    #[must_use]
    pub fn grants(&self) -> u32 {
        self.head.grants
    }

    /// How many owners of a type it has.
    #[must_use]
    pub fn owners(&self, kind: OwnerType) -> u32 {
        self.head.names(kind.space()).count
    }

    /// The owner of this type and id.
    #[must_use]
    pub fn find(&self, kind: OwnerType, id: &str) -> Option<Owner> {
        let number = self.head.names(kind.space()).find(&self.bits, &self.head.codes, id.as_bytes())?;
        Some(Owner { kind, number })
    }

    /// The id of an owner.
    #[must_use]
    pub fn owner_id(&self, owner: Owner) -> String {
        self.name(owner.kind.space(), owner.number)
    }

    /// What an owner holds and belongs to.
    pub fn columns(&self, owner: Owner) -> impl Iterator<Item = Column> + '_ {
        self.head.records(owner.kind.space()).columns(&self.bits, &self.head, owner.number)
    }

    /// What a column of memberships is about; `None` for one of grants.
    #[must_use]
    pub fn membership(column: &Column) -> Option<Membership> {
        use Membership::{Groups, Roles, Rules, Tenants};
        [Groups, Roles, Tenants, Rules].get(usize::from(column.column)).copied()
    }

    /// The numbers in a column: of its groups, roles, tenants or rules, or of its ids.
    pub fn numbers(&self, column: Column) -> impl Iterator<Item = u32> + '_ {
        let bound = self.head.bound(column.column.into()).unwrap_or(0);
        column.numbers(&self.bits, bound).numbers()
    }

    /// The number of a tenant.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<u32> {
        self.head.names(Space::Tenant).find(&self.bits, &self.head.codes, id.as_bytes())
    }

    /// The id of a tenant.
    #[must_use]
    pub fn tenant_id(&self, number: u32) -> String {
        self.name(Space::Tenant, number)
    }

    /// Whether a column has a number.
    #[must_use]
    pub fn has(&self, column: &Column, number: u32) -> bool {
        let bound = self.head.bound(column.column.into()).unwrap_or(0);
        column.numbers(&self.bits, bound).find(number).is_some()
    }

    /// The paths of claims that mapping rules look at.
    pub fn claim_paths(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.head.names(Space::ClaimPath).count).map(|number| self.name(Space::ClaimPath, number))
    }

    /// The mapping rules that ask for this value of a claim.
    pub fn rules(&self, path: &str, value: &str) -> impl Iterator<Item = Owner> + '_ {
        let name = [path.as_bytes(), &[CLAIM_JOINT], value.as_bytes()].concat();
        let claim = self.head.names(Space::Claim).find(&self.bits, &self.head.codes, &name);
        let columns = claim.map(|claim| self.head.records(Space::Claim).columns(&self.bits, &self.head, claim));
        let rules = columns.into_iter().flatten().filter(|column| Self::membership(column) == Some(Membership::Rules));
        rules.flat_map(|column| self.numbers(column)).map(|number| Owner { kind: OwnerType::MappingRule, number })
    }

    /// What a column of grants is about, and whether its ids are properties; `None` for one of
    /// memberships and for a resource type that the catalogue does not know.
    #[must_use]
    pub fn resource(&self, column: &Column) -> Option<(ResourceType, bool)> {
        let grants = self.head.grants(column.column)?;
        Some((grants.resource?, grants.is_property))
    }

    /// The permissions that a column has on `*`, and on anything else.
    #[must_use]
    pub fn permissions(&self, column: &Column) -> (u16, u16) {
        let Some(grants) = self.head.grants(column.column) else { return (0, 0) };
        let sets = column.sets(&self.bits, grants);
        let has_star = column.numbers(&self.bits, grants.bound()).find(0).is_some();
        let star = if has_star { sets.get(0) } else { 0 };
        let only_star = has_star && column.count == 1;
        let some = if only_star { 0 } else { sets.all_from(has_star.into()) };
        (grants.known(star), grants.known(some))
    }

    /// The number of a resource id within a column.
    #[must_use]
    pub fn id(&self, column: &Column, id: &str) -> Option<u32> {
        let ids = &self.head.grants(column.column)?.ids;
        ids.find(&self.bits, &self.head.codes, id.as_bytes())?.checked_add(1)
    }

    /// The resource id with this number within a column, `*` for 0.
    #[must_use]
    pub fn id_name(&self, column: &Column, number: u32) -> Option<String> {
        let grants = self.head.grants(column.column)?;
        let Some(number) = number.checked_sub(1) else { return Some("*".to_owned()) };
        String::from_utf8(grants.ids.name(&self.bits, &self.head.codes, number)?).ok()
    }

    /// The permissions that a column has on the id with this number.
    #[must_use]
    pub fn permissions_on(&self, column: &Column, number: u32) -> u16 {
        let on = || {
            let grants = self.head.grants(column.column)?;
            let index = column.numbers(&self.bits, grants.bound()).find(number)?;
            Some(grants.known(column.sets(&self.bits, grants).get(index)))
        };
        on().unwrap_or(0)
    }

    /// The first number after `*` on which a column has one of these permissions.
    #[must_use]
    pub fn first_with(&self, column: &Column, permissions: u16) -> Option<u32> {
        let grants = self.head.grants(column.column)?;
        let sets = column.sets(&self.bits, grants);
        let mut numbers = (0..).zip(self.numbers(*column));
        let found = |(index, number): &(u32, u32)| *number > 0 && grants.known(sets.get(*index)) & permissions != 0;
        numbers.find(found).map(|(_, number)| number)
    }

    fn name(&self, space: Space, number: u32) -> String {
        let name = self.head.names(space).name(&self.bits, &self.head.codes, number);
        name.and_then(|name| String::from_utf8(name).ok()).unwrap_or_default()
    }
}
