//! What a body says, where it says anything.

use serde_json::Value;

/// A request's body.
#[derive(Clone, Debug)]
pub enum Body {
    /// There is none.
    None,
    /// Nothing can be known about it: it is longer than what is read.
    Unknown,
    /// Its value.
    Json(Value),
}

/// A member of a body.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// It is not there, or null.
    Absent,
    /// Whether it is there cannot be known.
    Unknown,
    /// Its value.
    Is(&'a Value),
}

/// Tenants in a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// None is named.
    Nothing,
    /// These, and nothing else.
    These(Vec<String>),
    /// These, and something that is no tenant.
    Unclear(Vec<String>),
}

impl Body {
    /// Reads a body; `None` where it is not JSON.
    #[must_use]
    pub fn read(bytes: Option<&[u8]>, max_bytes: u64) -> Option<Self> {
        Some(match bytes {
            None | Some([]) => Self::None,
            Some(bytes) if bytes.len() as u64 > max_bytes => Self::Unknown,
            Some(bytes) => Self::Json(serde_json::from_slice(bytes).ok()?),
        })
    }

    /// A member of the outermost object, by a source such as `body:/name`.
    #[must_use]
    pub fn member(&self, source: &str) -> Member<'_> {
        let name = source.strip_prefix("body:/").expect("a source in the body");
        match self {
            Self::None => Member::Absent,
            Self::Unknown => Member::Unknown,
            Self::Json(Value::Object(object)) => match object.get(name) {
                None | Some(Value::Null) => Member::Absent,
                Some(value) => Member::Is(value),
            },
            Self::Json(_) => Member::Unknown,
        }
    }

    /// A condition such as `body:/allowOverride=false`: whether it holds, where that can be known.
    #[must_use]
    pub fn fulfils(&self, condition: &str) -> Option<bool> {
        let (source, wanted) = condition.split_once('=').expect("a condition on the body");
        match self.member(source) {
            Member::Absent => Some(false),
            Member::Is(Value::Bool(value)) => Some(value.to_string() == wanted),
            Member::Is(_) | Member::Unknown => None,
        }
    }

    /// The tenants that a member names: one as text (`tenantId`), or a list (`tenantIds`).
    #[must_use]
    pub fn tenants(&self, source: &str) -> Named {
        let is_list = source.ends_with('s');
        match self.member(source) {
            Member::Absent => Named::Nothing,
            Member::Is(Value::String(tenant)) if !is_list => Named::These(vec![tenant.clone()]),
            Member::Is(Value::Array(list)) if is_list => {
                let tenants: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                match tenants.len() {
                    0 if list.is_empty() => Named::Nothing,
                    count if count == list.len() => Named::These(tenants),
                    _ => Named::Unclear(tenants),
                }
            }
            Member::Is(_) | Member::Unknown => Named::Unclear(Vec::new()),
        }
    }
}
