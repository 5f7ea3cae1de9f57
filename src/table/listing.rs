//! Everything in a table, by its names.

use super::header::Space;
use super::{CLAIM_JOINT, Column, Membership, Owner, OwnerType, Table};

/// A grant, by the names that the table itself has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Granted {
    /// The resource type.
    pub resource_type: String,
    /// `*`, an id, or the name of a property.
    pub resource_id: String,
    /// Whether it is the name of a property.
    pub is_property: bool,
    /// The permissions.
    pub permissions: Vec<String>,
}

impl Table {
    /// Every owner of one type.
    pub fn owners_of(&self, kind: OwnerType) -> impl Iterator<Item = Owner> + use<> {
        (0..self.owners(kind)).map(move |number| Owner { kind, number })
    }

    /// The ids of all tenants.
    pub fn tenants(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.head.names(Space::Tenant).count).map(|number| self.tenant_id(number))
    }

    /// What an owner itself has been granted.
    pub fn granted(&self, owner: Owner) -> impl Iterator<Item = Granted> + '_ {
        self.columns(owner).filter(|column| !column.is_membership()).flat_map(|column| self.in_column(column))
    }

    fn in_column(&self, column: Column) -> Vec<Granted> {
        let Some(grants) = self.head.grants(column.column) else { return Vec::new() };
        let sets = column.sets(&self.bits, grants);
        let resource_type = self.name(Space::Type, grants.type_name);
        let names: Vec<String> =
            grants.permissions.iter().map(|(name, _)| self.name(Space::Permission, *name)).collect();
        let held = |set: u16| {
            let bit = |index: u32| 1_u16.unbounded_shl(index);
            (0..).zip(&names).filter(|(index, _)| set & bit(*index) != 0).map(|(_, name)| name.clone()).collect()
        };
        let granted = (0..).zip(self.numbers(column)).map(|(index, number)| Granted {
            resource_type: resource_type.clone(),
            resource_id: self.id_name(&column, number).unwrap_or_default(),
            is_property: grants.is_property,
            permissions: held(sets.get(index)),
        });
        granted.collect()
    }

    /// The numbers of what an owner itself is a member of.
    pub fn members_of(&self, owner: Owner, membership: Membership) -> impl Iterator<Item = u32> + '_ {
        let columns = self.columns(owner).filter(move |column| Self::membership(column) == Some(membership));
        columns.flat_map(|column| self.numbers(column))
    }

    /// Every mapping rule with the path and the value of the claim that it asks for.
    pub fn claims(&self) -> impl Iterator<Item = (Owner, String, String)> + '_ {
        let names = self.head.names(Space::Claim);
        (0..names.count).flat_map(move |number| {
            let name = names.name(&self.bits, &self.head.codes, number).unwrap_or_default();
            let mut parts = name.splitn(2, |byte| *byte == CLAIM_JOINT);
            let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
            let (path, value) = (part(), part());
            self.rules(&path, &value).map(|rule| (rule, path.clone(), value.clone())).collect::<Vec<_>>()
        })
    }
}
