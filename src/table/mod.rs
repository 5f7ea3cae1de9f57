//! What has been granted, in the form that decisions are made from.
//!
//! A table holds owners: users, clients, groups, roles and mapping rules, each with its grants and
//! memberships. It is immutable; [`crate::policy`] makes it.

mod grants;

pub use grants::{Grants, Holding};

use crate::jsonpath::JsonPath;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

/// What a grant is given to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OwnerType {
    /// A user, by username.
    User,
    /// A client, by client id.
    Client,
    /// A group.
    Group,
    /// A role.
    Role,
    /// A mapping rule.
    MappingRule,
}

impl OwnerType {
    /// All owner types.
    pub const ALL: [Self; 5] = [Self::User, Self::Client, Self::Group, Self::Role, Self::MappingRule];

    /// The name in an authorization.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Client => "CLIENT",
            Self::Group => "GROUP",
            Self::Role => "ROLE",
            Self::MappingRule => "MAPPING_RULE",
        }
    }

    /// The owner type of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

/// The number of an owner within its table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OwnerNumber(usize);

/// An owner with what it holds and belongs to.
#[derive(Debug)]
pub struct Owner {
    /// Its type.
    pub kind: OwnerType,
    /// Its id.
    pub id: Rc<str>,
    /// Its own grants.
    pub grants: Grants,
    /// Roles it is a member of.
    pub roles: Vec<OwnerNumber>,
    /// Groups it is a member of.
    pub groups: Vec<OwnerNumber>,
    /// Tenants it is assigned to.
    pub tenants: Vec<Rc<str>>,
}

/// A rule that makes whoever carries a claim an owner.
#[derive(Debug)]
pub struct MappingRule {
    /// The owner it makes.
    pub owner: OwnerNumber,
    /// Where the claim stands; `None` where the path is one that never finds anything.
    pub claim: Option<JsonPath>,
    /// The text it must be, or hold.
    pub value: String,
}

/// All owners of a policy.
#[derive(Debug, Default)]
pub struct Table {
    owners: Vec<Owner>,
    index: BTreeMap<OwnerType, BTreeMap<Rc<str>, OwnerNumber>>,
    rules: Vec<MappingRule>,
    digest: String,
}

impl Table {
    /// The owner of this type and id.
    #[must_use]
    pub fn find(&self, kind: OwnerType, id: &str) -> Option<OwnerNumber> {
        self.index.get(&kind)?.get(id).copied()
    }

    /// The owner with this number.
    #[must_use]
    pub fn owner(&self, number: OwnerNumber) -> Option<&Owner> {
        self.owners.get(number.0)
    }

    /// All mapping rules.
    #[must_use]
    pub fn rules(&self) -> &[MappingRule] {
        &self.rules
    }

    /// A digest of everything in it, the same whatever order the policy was written in.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The owner of this type and id, made where there is none.
    pub(crate) fn owner_or_new(&mut self, kind: OwnerType, id: &str) -> OwnerNumber {
        if let Some(number) = self.find(kind, id) {
            return number;
        }
        let number = OwnerNumber(self.owners.len());
        let id: Rc<str> = id.into();
        self.index.entry(kind).or_default().insert(Rc::clone(&id), number);
        self.owners.push(Owner {
            kind,
            id,
            grants: Grants::default(),
            roles: Vec::new(),
            groups: Vec::new(),
            tenants: Vec::new(),
        });
        number
    }

    pub(crate) fn owner_mut(&mut self, number: OwnerNumber) -> Option<&mut Owner> {
        self.owners.get_mut(number.0)
    }

    pub(crate) fn add_rule(&mut self, rule: MappingRule) {
        self.rules.push(rule);
    }

    /// Puts everything into one order and computes the digest; the last step of making a table.
    pub(crate) fn seal(mut self) -> Self {
        for owner in &mut self.owners {
            for list in [&mut owner.roles, &mut owner.groups] {
                list.sort_unstable();
                list.dedup();
            }
            owner.tenants.sort_unstable();
            owner.tenants.dedup();
        }
        let mut digest = Sha256::new();
        let id = |n: &OwnerNumber| self.owner(*n).map_or("", |o| &*o.id);
        for number in self.index.values().flat_map(BTreeMap::values) {
            let Some(owner) = self.owner(*number) else {
                continue;
            };
            let mut roles: Vec<&str> = owner.roles.iter().map(id).collect();
            let mut groups: Vec<&str> = owner.groups.iter().map(id).collect();
            roles.sort_unstable();
            groups.sort_unstable();
            // Debug output quotes every text, so no two tables are written alike.
            digest.update(format!(
                "{:?} {:?} {roles:?} {groups:?} {:?} {:?}\n",
                owner.kind, owner.id, owner.tenants, owner.grants
            ));
        }
        let mut rules: Vec<String> =
            self.rules.iter().map(|r| format!("{:?} {:?} {:?}\n", id(&r.owner), r.claim, r.value)).collect();
        rules.sort_unstable();
        rules.iter().for_each(|rule| digest.update(rule));
        let mut text = String::from("sha256:");
        for byte in digest.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        self.digest = text;
        self
    }
}
