//! Who a caller is: everything that grants can be given to and that the caller is, or is in.

use crate::claims;
use crate::policy::{Members, Policy};
use serde_json::Value;

/// A caller, as a token says.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whether it is a client; else it is a user.
    pub is_client: bool,
    /// The client id or username.
    pub name: String,
    /// The groups of a groups claim; `None` where no such claim is configured.
    pub groups: Option<Vec<String>>,
    /// All claims, for mapping rules.
    pub claims: Value,
}

/// A caller with what the policy makes of it.
#[derive(Clone, Debug, Default)]
pub struct Principal {
    /// Owner types and ids; some may stand there more than once.
    pub owners: Vec<(&'static str, String)>,
    /// Tenants that it is assigned to.
    pub tenants: Vec<String>,
}

impl Principal {
    /// Looks everything up; `flat` as in [`claims::matches`].
    #[must_use]
    pub fn of(policy: &Policy, caller: &Caller, flat: bool) -> Self {
        let mut owners = vec![(if caller.is_client { "CLIENT" } else { "USER" }, caller.name.clone())];
        for rule in &policy.rules {
            if claims::matches(rule, &caller.claims, flat) {
                owners.push(("MAPPING_RULE", rule.id.clone()));
            }
        }
        // Groups: those of the claim alone, or the memberships of the caller and of its rules.
        let individuals = owners.clone();
        match &caller.groups {
            Some(groups) => owners.extend(groups.iter().map(|group| ("GROUP", group.clone()))),
            None => {
                for group in &policy.groups {
                    if individuals.iter().any(|owner| has_member(group, owner)) {
                        owners.push(("GROUP", group.id.clone()));
                    }
                }
            }
        }
        // Roles of all of these, written down at the role or at the group.
        let before_roles = owners.clone();
        for role in &policy.roles {
            if before_roles.iter().any(|owner| has_member(role, owner)) {
                owners.push(("ROLE", role.id.clone()));
            }
        }
        for group in &policy.groups {
            if before_roles.iter().any(|(kind, id)| *kind == "GROUP" && *id == group.id) {
                owners.extend(group.roles.iter().map(|role| ("ROLE", role.clone())));
            }
        }
        // Tenants of all of these, roles included.
        let assigned = |tenant: &&Members| owners.iter().any(|owner| has_member(tenant, owner));
        let tenants = policy.tenants.iter().filter(assigned).map(|tenant| tenant.id.clone()).collect();
        Self { owners, tenants }
    }
}

fn has_member(members: &Members, (kind, id): &(&'static str, String)) -> bool {
    let list = match *kind {
        "USER" => &members.users,
        "CLIENT" => &members.clients,
        "GROUP" => &members.groups,
        "ROLE" => &members.roles,
        _ => &members.rules,
    };
    list.contains(id)
}
