//! What is asked of the workflow engine, and what it says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A cluster's policy and settings, one caller and one call.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The cluster's settings and its policy.
    #[serde(flatten)]
    pub world: World,
    /// Who calls, as in a suite.
    pub principal: Principal,
    /// What is called.
    pub call: Call,
}

/// A cluster's settings and its policy.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct World {
    /// Whether the cluster has made its default roles at its first start.
    #[serde(skip_serializing_if = "is_default")]
    pub defaults: bool,
    /// Whether it checks tenants.
    #[serde(skip_serializing_if = "is_default")]
    pub multi_tenancy: bool,
    /// Whether groups come from a claim.
    #[serde(skip_serializing_if = "is_default")]
    pub groups_claim: bool,
    /// The policy, as Portcullis reads it; over the default roles where there are such.
    pub policy: Map<String, Value>,
}

/// Who calls.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Principal {
    /// A user.
    #[serde(skip_serializing_if = "is_default")]
    pub username: Option<String>,
    /// Or a client.
    #[serde(skip_serializing_if = "is_default")]
    pub client_id: Option<String>,
    /// What stands in the claim for groups.
    #[serde(skip_serializing_if = "is_default")]
    pub groups: Option<Vec<String>>,
    /// All claims, for mapping rules.
    #[serde(skip_serializing_if = "is_default")]
    pub claims: Map<String, Value>,
}

/// One call of an operation. What it works on is made first, unless it is `missing`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Call {
    /// The operation, by the id that it has in the catalogue.
    pub operation: String,
    /// The id of what it works on: a process, a decision, a role.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// The process or decision is called by its key.
    #[serde(skip_serializing_if = "is_default")]
    pub by_key: bool,
    /// What it works on is not there.
    #[serde(skip_serializing_if = "is_default")]
    pub missing: bool,
    /// The tenant of what it works on; named in the request where the operation names one.
    #[serde(skip_serializing_if = "is_default")]
    pub tenant: Option<String>,
    /// The tenants whose jobs are activated.
    #[serde(skip_serializing_if = "is_default")]
    pub tenants: Option<Vec<String>>,
    /// What is deployed or deleted: `bpmn`, `dmn`, `form` or `resource`.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: Option<Kind>,
    /// The name of a message or signal.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Processes that the message starts.
    #[serde(skip_serializing_if = "is_default")]
    pub message_start: Vec<String>,
    /// Processes of which an instance waits for the message.
    #[serde(skip_serializing_if = "is_default")]
    pub message_catch: Vec<String>,
    /// Processes that the signal starts.
    #[serde(skip_serializing_if = "is_default")]
    pub signal_start: Vec<String>,
    /// Processes of which an instance waits for the signal.
    #[serde(skip_serializing_if = "is_default")]
    pub signal_catch: Vec<String>,
    /// Who is to get a user task.
    #[serde(skip_serializing_if = "is_default")]
    pub assignee: Option<String>,
    /// The assignment must not take the task from somebody else.
    #[serde(skip_serializing_if = "is_default")]
    pub claims: bool,
    /// Who has it.
    #[serde(skip_serializing_if = "is_default")]
    pub task_assignee: Option<String>,
    /// Which group may claim it.
    #[serde(skip_serializing_if = "is_default")]
    pub task_candidate_group: Option<String>,
    /// Who is added or taken away.
    #[serde(skip_serializing_if = "is_default")]
    pub member: String,
    /// The process to which an instance migrates.
    #[serde(skip_serializing_if = "is_default")]
    pub target: Option<String>,
    /// The processes that have jobs; else only `id`.
    #[serde(skip_serializing_if = "is_default")]
    pub ids: Vec<String>,
    /// How many jobs are activated at most.
    #[serde(skip_serializing_if = "is_default")]
    pub max: Option<u32>,
    /// Jobs of a type that there is not are asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub other_type: bool,
    /// A process that the process calls.
    #[serde(skip_serializing_if = "is_default")]
    pub calls: Option<String>,
    /// A decision that the process evaluates.
    #[serde(skip_serializing_if = "is_default")]
    pub decides: Option<String>,
    /// What of a job is updated: `retries`, `timeout`, or from 8.10 on `priority`; else the first two.
    #[serde(skip_serializing_if = "is_default")]
    pub attribute: Option<String>,
    /// The claim of a mapping rule.
    #[serde(skip_serializing_if = "is_default")]
    pub claim_name: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "is_default")]
    pub claim_value: Option<String>,
    /// The grant that is made, changed or deleted.
    #[serde(skip_serializing_if = "is_default")]
    pub grant: Option<Value>,
}

/// What can be deployed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A process.
    #[default]
    Bpmn,
    /// A decision.
    Dmn,
    /// A form.
    Form,
    /// Anything else.
    Resource,
}

/// What the workflow engine says to a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does it.
    Allow,
    /// It does it, and leaves out all that the caller may not have.
    Filtered,
    /// The same, and something is left.
    FilteredSome,
    /// The caller may not.
    Deny,
    /// It says that there is no such thing.
    NotFound,
    /// It does not do it for another reason.
    Rejected,
}

impl Call {
    /// Whether what it works on is not there, so that "not found" says nothing about the caller.
    #[must_use]
    pub fn finds_nothing(&self) -> bool {
        let listens = !(self.message_start.is_empty() && self.message_catch.is_empty());
        self.missing || (self.operation == "correlateMessage" && !listens)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
