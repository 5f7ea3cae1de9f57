//! The checked form of a configuration: immutable, and ready to judge with.

use super::source::{
    ApiSource, Configuration, CookieCredential, DecisionLogSource, DeferOrDeny, ForwardToken, GateSource,
    HeaderCredential, Mode, Preflight, PrincipalsSource, Searches,
};
use super::{ConfigError, Scope, extra, issuers, scope, surfaces, tables};
use crate::api::catalogue::{Operation, Surface, Text, Version};
use crate::api::extra::ExtraOperations;
use crate::api::route::{BasePath, Routes};
use crate::authn::credential::Source;
use crate::authn::{Issuers, UnixSeconds};
use crate::authz::{ClusterAdmin, Rules, Unresolved};
use crate::decision::log::{LogRules, Principals, Share};
use crate::policy;
use crate::reply::forward::{self, Forward};
use crate::table::Table;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The longest body that `body.maxBytes` may allow.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// What is held back until the verdict on a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// The whole request, headers and all.
    Hold,
    /// The part of the body that would complete it.
    Stream,
}

/// Something in a configuration that has no effect.
pub type Warning = policy::Warning;

/// A plugin configuration, checked and ready to judge with.
#[derive(Debug)]
pub struct Plan {
    /// The plugin's name, in logs, metrics and the belt.
    pub name: String,
    /// Which requests are judged; `None` for all.
    pub scope: Option<Scope>,
    /// Who may sign tokens.
    pub issuers: Issuers,
    /// A digest of who may sign tokens: verified identities stay good while it is the same.
    pub issuers_digest: [u8; 32],
    /// Where tokens may stand.
    pub credentials: Vec<Source>,
    /// What requests are looked up in.
    pub routes: Routes,
    /// The families of operations that are open.
    pub surfaces: Vec<Surface>,
    /// How decisions are made.
    pub rules: Rules,
    /// What has been granted.
    pub table: Rc<Table>,
    /// A table that is judged beside it and never enforced.
    pub candidate: Option<Rc<Table>>,
    /// The table's digest, shared by all decisions.
    pub table_digest: Rc<str>,
    /// What is held back until the verdict on a body.
    pub gate: Gate,
    /// The longest body that is read, in bytes.
    pub max_body: u64,
    /// Operations that need no credential.
    pub anonymous: Vec<Text>,
    /// Until when decisions are only logged and counted; `None` where they are enforced.
    pub shadow_until: Option<UnixSeconds>,
    /// How permitted requests are forwarded.
    pub forward: Forward,
    /// Whether preflight requests are forwarded.
    pub forward_preflight: bool,
    /// Whether refusals carry the reason in a header.
    pub explain_header: bool,
    /// What is logged of decisions.
    pub log: LogRules,
}

impl Plan {
    /// Whether what would be denied is forwarded now.
    #[must_use]
    pub fn shadows(&self, now: UnixSeconds) -> bool {
        self.shadow_until.is_some_and(|until| now < until)
    }
}

pub(super) fn build(source: &Configuration) -> Result<(Plan, Vec<Warning>), ConfigError> {
    if source.version != 1 {
        let reason = format!("{} is not a version that this module reads; it reads 1", source.version);
        return Err(ConfigError::new("version", reason));
    }
    check_name(&source.name)?;
    let mut warnings = Vec::new();
    let issuers = issuers::check(&source.issuers, &mut warnings)?;
    let table = Rc::new(tables::live(source, &mut warnings)?);
    if source.body.max_bytes == 0 || source.body.max_bytes > MAX_BODY {
        return Err(ConfigError::new("body.maxBytes", format!("must be from 1 to {MAX_BODY}")));
    }
    let open = surfaces::open(&source.api)?;
    let version = version(&source.api)?;
    let routes = Routes {
        base: BasePath::parse(&source.api.base_path)
            .map_err(|e| ConfigError::new("api.basePath", format!("`{}`: {}", source.api.base_path, e.0)))?,
        version,
        extra: extra::check(&source.api.extra_operations, version, &open, &mut warnings)?,
    };
    let plan = Plan {
        name: source.name.clone(),
        scope: scope::check(source.scope.as_ref())?,
        issuers_digest: Sha256::digest(format!("{:?}", source.issuers)).into(),
        issuers,
        credentials: credentials(source)?,
        rules: rules(
            source,
            version,
            &routes.extra,
            surfaces::cluster_admin(source.cluster_admin.as_ref(), &open, &mut warnings)?,
        )?,
        table_digest: Rc::clone(table.digest()),
        table,
        candidate: tables::candidate(source)?.map(Rc::new),
        gate: match source.body.gate {
            GateSource::Hold => Gate::Hold,
            GateSource::Stream => Gate::Stream,
        },
        max_body: source.body.max_bytes,
        anonymous: surfaces::anonymous(&source.anonymous, &open, &routes.extra)?,
        surfaces: open,
        routes,
        shadow_until: shadow(source)?,
        forward: Forward {
            identity_headers: source.forward.identity_headers,
            remove_token: source.forward.token == ForwardToken::Remove,
        },
        forward_preflight: source.cors.preflight == Preflight::Forward,
        explain_header: source.debug.explain_header,
        log: log(&source.decision_log)?,
    };
    Ok((plan, warnings))
}

fn log(source: &DecisionLogSource) -> Result<LogRules, ConfigError> {
    let share = |name: &str, part: f64| {
        Share::new(part)
            .ok_or_else(|| ConfigError::new(format!("decisionLog.sample.{name}"), format!("{part} is not from 0 to 1")))
    };
    Ok(LogRules {
        filter_state: source.filter_state,
        lines: source.lines,
        allow: share("allow", source.sample.allow)?,
        deny: share("deny", source.sample.deny)?,
        principals: match source.principals {
            PrincipalsSource::Plain => Principals::Plain,
            PrincipalsSource::Hashed => Principals::Hashed,
        },
    })
}

/// Shadow mode must end by itself, so that nobody forgets it.
fn shadow(source: &Configuration) -> Result<Option<UnixSeconds>, ConfigError> {
    match (source.mode, &source.shadow) {
        (Mode::Enforce, None) => Ok(None),
        (Mode::Enforce, Some(_)) => Err(ConfigError::new("shadow", "only with mode: shadow")),
        (Mode::Shadow, None) => Err(ConfigError::new("shadow", "is required with mode: shadow")),
        (Mode::Shadow, Some(shadow)) => {
            let time = chrono::DateTime::parse_from_rfc3339(&shadow.until);
            let time = time.map_err(|_| {
                let reason = format!("`{}` is not a time of RFC 3339", shadow.until);
                ConfigError::new("shadow.until", reason)
            })?;
            Ok(Some(time.timestamp()))
        }
    }
}

/// The name stands in metrics and, before a colon, in the belt.
fn check_name(name: &str) -> Result<(), ConfigError> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(good) {
        return Err(ConfigError::new("name", "must be 1 to 63 letters, digits, `-` or `_`"));
    }
    Ok(())
}

fn credentials(source: &Configuration) -> Result<Vec<Source>, ConfigError> {
    if source.credentials.is_empty() {
        return Err(ConfigError::new("credentials", "the list is empty; at least one place is needed"));
    }
    let mut sources: Vec<Source> = Vec::new();
    for (number, credential) in source.credentials.iter().enumerate() {
        let path = format!("credentials[{number}]");
        let (place, found) = match (&credential.header, &credential.cookie) {
            (Some(source), None) => (format!("{path}.header.name"), header(&path, source)?),
            (None, Some(source)) => (format!("{path}.cookie.name"), cookie(&path, source)?),
            _ => return Err(ConfigError::new(path, "must have exactly one of header and cookie")),
        };
        if sources.iter().any(|s| same_place(s, &found)) {
            return Err(ConfigError::new(place, "the same place stands twice"));
        }
        sources.push(found);
    }
    Ok(sources)
}

fn same_place(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::Header { name, .. }, Source::Header { name: other, .. })
        | (Source::Cookie { name }, Source::Cookie { name: other }) => name == other,
        _ => false,
    }
}

/// A token of RFC 9110 section 5.6.2: the name of a header or a cookie.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn header(path: &str, source: &HeaderCredential) -> Result<Source, ConfigError> {
    if !is_token(&source.name) {
        return Err(ConfigError::new(format!("{path}.header.name"), "is not a header name"));
    }
    let reserved = ["connection", "content-length", "host", "te", "transfer-encoding", "upgrade"];
    if reserved.iter().any(|name| source.name.eq_ignore_ascii_case(name)) || forward::is_ours(source.name.as_bytes()) {
        return Err(ConfigError::new(format!("{path}.header.name"), "is a header with a meaning of its own"));
    }
    if source.name.eq_ignore_ascii_case("cookie") {
        return Err(ConfigError::new(format!("{path}.header.name"), "use `cookie` for a token in a cookie"));
    }
    if !source.prefix.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(ConfigError::new(format!("{path}.header.prefix"), "must be printable ASCII"));
    }
    Ok(Source::Header { name: source.name.to_ascii_lowercase(), prefix: source.prefix.clone() })
}

fn cookie(path: &str, source: &CookieCredential) -> Result<Source, ConfigError> {
    if !is_token(&source.name) {
        return Err(ConfigError::new(format!("{path}.cookie.name"), "is not a cookie name"));
    }
    if source.name == "camunda-session" {
        return Err(ConfigError::new(format!("{path}.cookie.name"), "is the cluster's own session, which is no token"));
    }
    Ok(Source::Cookie { name: source.name.clone() })
}

fn version(api: &ApiSource) -> Result<Version, ConfigError> {
    Version::parse(&api.version).filter(|v| Version::KNOWN.contains(v)).ok_or_else(|| {
        let known: Vec<String> = Version::KNOWN.iter().map(ToString::to_string).collect();
        ConfigError::new("api.version", format!("`{}` is not one of {}", api.version, known.join(", ")))
    })
}

fn rules(
    source: &Configuration,
    version: Version,
    extra: &ExtraOperations,
    cluster_admin: ClusterAdmin,
) -> Result<Rules, ConfigError> {
    let unresolved = |value| match value {
        DeferOrDeny::Defer => Unresolved::Defer,
        DeferOrDeny::Deny => Unresolved::Deny,
    };
    let mut unresolved_operations = BTreeMap::new();
    for (id, value) in &source.unresolved.operations {
        let operation = extra.named(id).or(Operation::named(id)).ok_or_else(|| {
            ConfigError::new(format!("unresolved.operations.{id}"), "is not an operation of the catalogue")
        })?;
        unresolved_operations.insert(operation.id.clone(), unresolved(*value));
    }
    Ok(Rules {
        version,
        multi_tenancy: source.api.multi_tenancy,
        unresolved: unresolved(source.unresolved.default),
        unresolved_operations,
        deny_empty_searches: source.searches == Searches::Deny,
        cluster_admin,
    })
}
