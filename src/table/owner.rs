//! What a grant is given to.

use super::header::Space;

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

    pub(crate) const fn space(self) -> Space {
        match self {
            Self::User => Space::User,
            Self::Client => Space::Client,
            Self::Group => Space::Group,
            Self::Role => Space::Role,
            Self::MappingRule => Space::Rule,
        }
    }
}

/// An owner of a table, by its number among those of its type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owner {
    /// Its type.
    pub kind: OwnerType,
    /// Its number.
    pub number: u32,
}
