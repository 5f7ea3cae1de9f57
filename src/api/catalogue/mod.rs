//! The operations of the orchestration cluster's API and what each requires.
//!
//! The data stands in `operations.json`, `grpc.json` and `resources.json` beside this file; the build
//! turns it into static tables. A `when` that the edge can evaluate is written `body:/member=true|false`;
//! any other text is a condition that only the cluster can evaluate.

mod resource;

pub use resource::{Permission, Resource, ResourceType};
use std::borrow::Cow::{self, Borrowed};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// A name: static in the catalogue, owned in an operation that a configuration adds.
pub type Text = Cow<'static, str>;

/// A list, static or owned as [`Text`] is.
pub type List<T> = Cow<'static, [T]>;

/// A version of the cluster's API, such as 8.9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// Those whose operations the catalogue knows.
    pub const KNOWN: [Self; 3] = [Self::new(8, 8), Self::new(8, 9), Self::new(8, 10)];

    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Reads `8.9`; `None` where the text is not two numbers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if !digits(major) || !digits(minor) {
            return None;
        }
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A family of operations, opened or closed as a whole by `api.surfaces`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Surface {
    /// The orchestration cluster's REST API, `/v2`.
    V2,
    /// The orchestration cluster's gRPC API, `/gateway_protocol.Gateway`.
    Grpc,
    /// Cluster administration, `/cluster/v2`.
    Cluster,
    /// The deprecated APIs of Operate and Tasklist, `/v1`.
    V1,
    /// Web applications and their login.
    Webapps,
    /// MCP servers.
    Mcp,
    /// Every API of a physical tenant, under `/physical-tenants`.
    PhysicalTenants,
    /// Health, metrics, documentation.
    Infra,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::V2, Self::Grpc, Self::Cluster, Self::V1, Self::Webapps, Self::Mcp, Self::PhysicalTenants, Self::Infra];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Grpc => "grpc",
            Self::Cluster => "cluster",
            Self::V1 => "v1",
            Self::Webapps => "webapps",
            Self::Mcp => "mcp",
            Self::PhysicalTenants => "physicalTenants",
            Self::Infra => "infra",
        }
    }
}

/// The method of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Any method (web applications, prefixes).
    Any,
    /// GET; a HEAD request is one, too, as Spring answers HEAD by the GET handler.
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The method of a request; `None` for one that no operation has. Methods are case-sensitive
    /// (RFC 9110 section 9.1).
    #[must_use]
    pub fn of_request(name: &[u8]) -> Option<Self> {
        match name {
            b"GET" | b"HEAD" => Some(Self::Get),
            b"POST" => Some(Self::Post),
            b"PUT" => Some(Self::Put),
            b"PATCH" => Some(Self::Patch),
            b"DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// The name as it is written in a request, `*` for any.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How the alternatives of an operation are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// No grant is needed, but an identity is, unless the operation is public.
    None,
    /// The one alternative.
    Single,
    /// One of the alternatives.
    AnyOf,
    /// Every alternative whose condition holds.
    AllOf,
    /// The one alternative that fits the type behind the key.
    OneByType,
    /// The alternatives of everything that is subscribed, all of them.
    AllMatched,
    /// A rule of its own, outside the authorizations: cluster administrators.
    ClusterAdmin,
    /// What is asked for, or what it requires, is not known here; any identity may ask the cluster.
    Unmapped,
}

/// Where the id that a grant is compared with stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdSource {
    /// Nowhere: only a grant on `*` counts.
    Wildcard,
    /// In the path: the parameter with this number, from 0.
    Path(usize),
    /// In the body, in one of its members.
    Body {
        /// The member that holds the id.
        id: Text,
        /// The member that may hold a key instead; then only the cluster knows the id.
        key: Option<Text>,
    },
    /// Behind a key that only the cluster can resolve.
    Key,
    /// The cluster filters what it answers by the ids that the caller holds.
    ResultFilter,
    /// Fixed.
    Literal(Text),
}

/// When an alternative counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Always.
    None,
    /// When a member of the body is this boolean.
    Body {
        /// The member's name.
        member: Text,
        /// Its value.
        equals: bool,
    },
    /// When something holds that only the cluster knows.
    Cluster(Text),
}

/// One permission that can satisfy an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alternative {
    /// The type of the resource.
    pub resource: ResourceType,
    /// The permission on it.
    pub permission: Permission,
    /// Where the resource id stands.
    pub id: IdSource,
    /// The first API version in which it counts.
    pub since: Version,
    /// When it counts.
    pub condition: Condition,
}

/// Where a request names a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TenantSource {
    /// It concerns no tenant.
    None,
    /// The tenant hangs on a key.
    Key,
    /// In a filter or query: the cluster leaves out what is not the caller's.
    Filter,
    /// In the path: the parameter with this number, from 0.
    Path(usize),
    /// A member of the body.
    BodyOne(Text),
    /// A list in the body.
    BodyMany {
        /// The member that lists them.
        ids: &'static str,
        /// The member that may say that the cluster goes by the caller's own tenants instead.
        filter: &'static str,
    },
}

/// How a body is written, and which of its members may decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// A JSON object; members of the outermost one.
    Json(List<Text>),
    /// One gRPC message (protobuf); its fields, also those of messages inside it.
    Message(&'static [Field]),
    /// `multipart/form-data`; the name of a part.
    Multipart(Text),
}

/// A field of a protobuf message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name, with the names of the fields that lead to it.
    pub name: &'static str,
    /// Its number, after the numbers of the fields that lead to it.
    pub path: &'static [u32],
    /// What it holds.
    pub kind: FieldKind,
}

/// What a field of a protobuf message holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// A string.
    Text,
    /// Any number of strings.
    Texts,
    /// A number, of which only counts whether it is zero.
    Number,
}

/// One entry of the cluster's API.
#[derive(Debug)]
pub struct Operation {
    /// The operation id of the API specification, or one of our own where it has none.
    pub id: Text,
    /// The family it belongs to.
    pub surface: Surface,
    /// The first API version that has it.
    pub since: Version,
    /// Its method.
    pub method: Method,
    /// Its path, with `{parameters}`, or `/**` at its end for a prefix.
    pub path: Text,
    /// The parameters' names, in their order.
    pub parameters: List<Text>,
    /// Whether the cluster answers it without a credential.
    pub public: bool,
    /// Never opened, whatever the configuration says.
    pub blocked: bool,
    /// How the alternatives are combined.
    pub mode: Mode,
    /// What can satisfy it.
    pub grants: List<Alternative>,
    /// Files of a web application, and its page for those who may not use it, need no grant.
    pub static_files: bool,
    /// A caller without any grant may still succeed.
    pub never_denied: bool,
    /// Where it names a tenant.
    pub tenant: TenantSource,
    /// How its body is written, and what of it may decide.
    pub body: Form,
    /// A remark on the rule.
    pub note: Option<Text>,
}

impl Operation {
    /// Whether the cluster answers with what the caller may see instead of refusing.
    #[must_use]
    pub fn filters(&self) -> bool {
        self.grants.iter().any(|g| g.id == IdSource::ResultFilter)
    }

    /// The operation of this name.
    #[must_use]
    pub fn named(id: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|o| o.id == id)
    }
}

/// An operation of the catalogue, or one that a configuration adds.
#[derive(Clone, Debug)]
pub enum OperationRef {
    /// Of the catalogue.
    BuiltIn(&'static Operation),
    /// Of a configuration.
    Extra(Rc<Operation>),
}

impl Deref for OperationRef {
    type Target = Operation;

    fn deref(&self) -> &Operation {
        match self {
            Self::BuiltIn(operation) => operation,
            Self::Extra(operation) => operation,
        }
    }
}

/// A node of the tree of path segments.
pub(super) struct Node {
    pub literals: &'static [(&'static str, usize)],
    pub parameter: Option<usize>,
    pub operations: &'static [(Method, usize)],
    pub rest: &'static [(Method, usize)],
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));
