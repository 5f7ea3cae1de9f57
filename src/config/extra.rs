//! The operations that a configuration adds to the catalogue.

use super::ConfigError;
use super::source::{ExtraGrantSource, ExtraMethod, ExtraMode, ExtraOperationSource};
use crate::api::catalogue::{
    Alternative, Condition, Form, IdSource, Method, Mode, OPERATIONS, Operation, ResourceType, Surface, TenantSource,
    Text, Version,
};
use crate::api::extra::{ExtraOperations, Template, is_name};
use crate::policy::Warning;
use std::collections::BTreeSet;

/// The most operations that may be added; the newest API has 241 in all.
const MAX: usize = 500;
/// The longest name of a member, id or condition.
const MAX_TEXT: usize = 1_000;

/// Checks them against each other and against what the catalogue has in `version`.
pub(super) fn check(
    sources: &[ExtraOperationSource],
    version: Version,
    open: &[Surface],
    warnings: &mut Vec<Warning>,
) -> Result<ExtraOperations, ConfigError> {
    if sources.len() > MAX {
        let reason = format!("has {} operations; at most {MAX} are read", sources.len());
        return Err(ConfigError::new("api.extraOperations", reason));
    }
    // What is never opened is so in every version.
    let built_in = OPERATIONS.iter().filter(|operation| operation.since <= version || operation.blocked);
    let mut known: Vec<(Template, Known)> =
        built_in.map(|operation| (Template::of(&operation.path), Known::of(operation, None))).collect();
    let mut operations = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let at = At(format!("api.extraOperations[{number}]"));
        let (template, parameters) =
            Template::parse(&source.path).map_err(|why| at.refuse("path", format!("`{}` {why}", source.path)))?;
        let operation = operation(source, parameters, version, &at)?;
        for (other_template, other) in &known {
            other.check(&operation.id, &at)?;
            if other.clashes(operation.method, &template, other_template) {
                return Err(at.refuse("path", format!("`{}` can be {}", source.path, other.name())));
            }
        }
        if !open.contains(&operation.surface) {
            let reason = format!("has no effect: the surface `{}` is not open", operation.surface.name());
            warnings.push(Warning { path: at.0.clone(), reason });
        }
        known.push((template, Known::of(&operation, Some(number))));
        operations.push(operation);
    }
    Ok(ExtraOperations::new(operations))
}

/// Where in the configuration something stands.
struct At(String);

impl At {
    fn refuse(&self, field: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(format!("{}.{field}", self.0), reason)
    }
}

/// An operation that another one must differ from.
struct Known {
    id: Text,
    method: Method,
    /// Its number in the configuration; `None` where it is built in.
    extra: Option<usize>,
}

impl Known {
    fn of(operation: &Operation, extra: Option<usize>) -> Self {
        Self { id: operation.id.clone(), method: operation.method, extra }
    }

    fn name(&self) -> String {
        match self.extra {
            None => format!("`{}` of the catalogue", self.id),
            Some(number) => format!("`{}`, api.extraOperations[{number}]", self.id),
        }
    }

    fn check(&self, id: &str, at: &At) -> Result<(), ConfigError> {
        if self.id != id {
            return Ok(());
        }
        Err(at.refuse("operation", format!("`{id}` is {}: names must differ", self.name())))
    }

    /// Whether a request could be either. Beside an operation that is built in none may stand; among
    /// those that are added, a fixed segment beats a parameter.
    fn clashes(&self, method: Method, template: &Template, other: &Template) -> bool {
        let paths = if self.extra.is_some() { template == other } else { template.overlaps(other) };
        (self.method == method || self.method == Method::Any) && paths
    }
}

fn operation(
    source: &ExtraOperationSource,
    parameters: Vec<String>,
    version: Version,
    at: &At,
) -> Result<Operation, ConfigError> {
    if !is_name(&source.operation) {
        return Err(at.refuse("operation", format!("`{}` is not up to 100 letters and digits", source.operation)));
    }
    let surface = if source.path.starts_with("/v2/") {
        Surface::V2
    } else if source.path.starts_with("/cluster/v2/") {
        Surface::Cluster
    } else {
        return Err(at.refuse("path", format!("`{}` is not below /v2/ or /cluster/v2/", source.path)));
    };
    check_mode(source, surface, at)?;
    let mut body = Wanted { parameters: &parameters, members: BTreeSet::new() };
    let grant = |(number, grant): (usize, &ExtraGrantSource)| {
        alternative(grant, version, &mut body, &At(format!("{}.grants[{number}]", at.0)))
    };
    let grants: Vec<Alternative> = source.grants.iter().enumerate().map(grant).collect::<Result<_, _>>()?;
    let tenant = source.tenant.as_deref().map_or(Ok(TenantSource::None), |tenant| body.tenant(tenant));
    let tenant = tenant.map_err(|why| at.refuse("tenant", why))?;
    let part = source.tenant.as_deref().and_then(|tenant| tenant.strip_prefix("multipart:"));
    let body = match part {
        Some(_) if !body.members.is_empty() => {
            return Err(at.refuse("tenant", "a body is multipart or JSON: nothing else can stand in it as `body:/`"));
        }
        Some(part) => Form::Multipart(part.to_owned().into()),
        None => Form::Json(body.members.into_iter().map(Text::from).collect()),
    };
    Ok(Operation {
        id: source.operation.clone().into(),
        surface,
        since: version,
        method: method(source.method),
        path: source.path.clone().into(),
        parameters: parameters.into_iter().map(Text::from).collect(),
        public: source.public,
        blocked: false,
        mode: mode(source.mode),
        grants: grants.into(),
        static_files: false,
        never_denied: source.never_denied,
        tenant,
        body,
        note: source.note.clone().map(Text::from),
    })
}

/// What must hold of a mode, and what hangs on it.
fn check_mode(source: &ExtraOperationSource, surface: Surface, at: &At) -> Result<(), ConfigError> {
    let mode = source.mode;
    let wanted = match mode {
        ExtraMode::None | ExtraMode::ClusterAdmin | ExtraMode::Unmapped => 0..=0,
        ExtraMode::Single => 1..=1,
        ExtraMode::AnyOf | ExtraMode::AllOf | ExtraMode::OneByType | ExtraMode::AllMatched => 1..=50,
    };
    if !wanted.contains(&source.grants.len()) {
        let count = if wanted.start() == wanted.end() {
            wanted.end().to_string()
        } else {
            format!("{} to {}", wanted.start(), wanted.end())
        };
        return Err(at.refuse("grants", format!("has {}; this mode takes {count}", source.grants.len())));
    }
    let for_administrators = surface == Surface::Cluster && !source.public;
    if (mode == ExtraMode::ClusterAdmin) != for_administrators {
        return Err(at.refuse("mode", "must be cluster-admin below /cluster/v2/, unless public, and only there"));
    }
    if source.public && mode != ExtraMode::None {
        return Err(at.refuse("public", "needs mode: none"));
    }
    if source.never_denied && mode != ExtraMode::AllMatched {
        return Err(at.refuse("neverDenied", "needs mode: all-matched"));
    }
    Ok(())
}

fn alternative(
    source: &ExtraGrantSource,
    since: Version,
    body: &mut Wanted<'_>,
    at: &At,
) -> Result<Alternative, ConfigError> {
    let resource = ResourceType::named(&source.resource_type)
        .ok_or_else(|| at.refuse("resourceType", format!("`{}` is not a resource type", source.resource_type)))?;
    let permission = resource.permission(&source.permission_type).ok_or_else(|| {
        let reason = format!("{} has no permission `{}`", resource.name(), source.permission_type);
        at.refuse("permissionType", reason)
    })?;
    let id = body.id(&source.resource_id_source).map_err(|why| at.refuse("resourceIdSource", why))?;
    let id = match (id, source.resource_key_source.as_deref()) {
        (id, None) => id,
        (IdSource::Body { id, .. }, Some(key)) => {
            let key = body.member(key).map_err(|why| at.refuse("resourceKeySource", why))?;
            IdSource::Body { id, key: Some(key) }
        }
        (_, Some(_)) => return Err(at.refuse("resourceKeySource", "only beside a resourceIdSource in the body")),
    };
    let condition = source.condition.as_deref().map_or(Ok(Condition::None), |text| body.condition(text));
    let condition = condition.map_err(|why| at.refuse("condition", why))?;
    Ok(Alternative { resource, permission, id, since, condition })
}

/// What an operation's sources can refer to: parameters of its path, members of its body.
struct Wanted<'a> {
    parameters: &'a [String],
    members: BTreeSet<String>,
}

impl Wanted<'_> {
    fn id(&mut self, source: &str) -> Result<IdSource, String> {
        match source {
            "wildcard" => return Ok(IdSource::Wildcard),
            "key" => return Ok(IdSource::Key),
            "result-filter" => return Ok(IdSource::ResultFilter),
            _ => {}
        }
        if let Some(name) = source.strip_prefix("path:") {
            return self.parameter(name).map(IdSource::Path);
        }
        if let Some(id) = source.strip_prefix("literal:") {
            return if id == "*" { Err("`*` is written `wildcard`".into()) } else { Ok(IdSource::Literal(text(id)?)) };
        }
        if source.starts_with("body:") {
            return Ok(IdSource::Body { id: self.member(source)?, key: None });
        }
        Err(format!("`{source}` is not wildcard, path:, body:/, literal:, key or result-filter"))
    }

    fn tenant(&mut self, source: &str) -> Result<TenantSource, String> {
        if let Some(name) = source.strip_prefix("path:") {
            return self.parameter(name).map(TenantSource::Path);
        }
        if let Some(part) = source.strip_prefix("multipart:") {
            return text(part).map(TenantSource::BodyOne);
        }
        match source {
            "key" => Ok(TenantSource::Key),
            "filter" => Ok(TenantSource::Filter),
            _ if source.starts_with("body:") => self.member(source).map(TenantSource::BodyOne),
            _ => Err(format!("`{source}` is not body:/, multipart:, path:, filter or key")),
        }
    }

    fn condition(&mut self, source: &str) -> Result<Condition, String> {
        if !source.starts_with("body:/") {
            return text(source).map(Condition::Cluster);
        }
        let (member, equals) = match source.split_once('=') {
            Some((member, "true")) => (member, true),
            Some((member, "false")) => (member, false),
            _ => return Err(format!("`{source}` is not body:/name=true or body:/name=false")),
        };
        Ok(Condition::Body { member: self.member(member)?, equals })
    }

    fn parameter(&self, name: &str) -> Result<usize, String> {
        let number = self.parameters.iter().position(|parameter| parameter == name);
        number.ok_or_else(|| format!("the path has no parameter `{name}`"))
    }

    /// A member of the outermost object.
    fn member(&mut self, source: &str) -> Result<Text, String> {
        let name = source.strip_prefix("body:/").filter(|name| !name.contains(['/', '~']));
        let name = name.ok_or_else(|| format!("`{source}` is not body:/name, a member of the outermost object"))?;
        let name = text(name)?;
        self.members.insert(name.clone().into_owned());
        Ok(name)
    }
}

fn text(source: &str) -> Result<Text, String> {
    if source.is_empty() || source.len() > MAX_TEXT {
        return Err(format!("is not 1 to {MAX_TEXT} bytes long"));
    }
    Ok(source.to_owned().into())
}

const fn method(method: ExtraMethod) -> Method {
    match method {
        ExtraMethod::Get => Method::Get,
        ExtraMethod::Post => Method::Post,
        ExtraMethod::Put => Method::Put,
        ExtraMethod::Patch => Method::Patch,
        ExtraMethod::Delete => Method::Delete,
    }
}

const fn mode(mode: ExtraMode) -> Mode {
    match mode {
        ExtraMode::None => Mode::None,
        ExtraMode::Single => Mode::Single,
        ExtraMode::AnyOf => Mode::AnyOf,
        ExtraMode::AllOf => Mode::AllOf,
        ExtraMode::OneByType => Mode::OneByType,
        ExtraMode::AllMatched => Mode::AllMatched,
        ExtraMode::ClusterAdmin => Mode::ClusterAdmin,
        ExtraMode::Unmapped => Mode::Unmapped,
    }
}
