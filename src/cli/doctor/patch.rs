//! Patches of EnvoyFilters of Istio and EnvoyPatchPolicies of Envoy Gateway: what each brings, and where to.

use super::belt::{self, KEY, Rules};
use super::chain::{Filter, Manager, Named, WASM, field, filter, list, text, typed};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Listeners that hold all requests of their proxy.
const WHOLE: [&str; 3] = ["", "main_internal", "virtualInbound"];
/// Members of a match that leave other requests of the same listener without the patch.
const NARROWER: [&str; 5] = ["name", "sni", "destinationPort", "transportProtocol", "applicationProtocols"];

/// One patch, with the object that it stands in.
#[derive(Clone, Copy)]
pub struct Patch<'a> {
    pub object: &'a Value,
    /// The patch as its object has it.
    given: &'a Value,
    /// What it brings.
    pub value: &'a Value,
}

/// The patches of these objects.
pub fn among<'a>(documents: &[&'a Value]) -> Vec<Patch<'a>> {
    let of = |object: &'a Value| {
        let spec = field(object, "spec").unwrap_or(&Value::Null);
        let all = list(spec, "configPatches").iter().chain(list(spec, "jsonPatches"));
        all.filter_map(move |given| {
            let value = field(field(given, "patch").or_else(|| field(given, "operation"))?, "value")?;
            Some(Patch { object, given, value })
        })
    };
    let carriers = documents.iter().filter(|d| matches!(text(d, "kind"), "EnvoyFilter" | "EnvoyPatchPolicy"));
    carriers.flat_map(|object| of(object)).collect()
}

impl<'a> Patch<'a> {
    /// Where it stands, for people.
    pub fn at(&self) -> String {
        let name = field(self.object, "metadata").map(|m| text(m, "name")).unwrap_or_default();
        format!("{} {name}", text(self.object, "kind"))
    }

    /// Whether it has to do with the belt.
    pub fn has_key(&self) -> bool {
        self.value.to_string().contains(KEY)
    }

    /// What it demands as a belt, wherever in it the filter stands: of a chain, or of a cluster.
    pub fn rules(&self) -> Rules {
        demanded(self.value)
    }

    pub fn context(&self) -> &'a str {
        Some(self.matched("context")).filter(|name| *name != "ANY").unwrap_or_default()
    }

    fn matched(&self, name: &str) -> &'a str {
        field(self.given, "match").map(|m| text(m, name)).unwrap_or_default()
    }

    fn listener(&self) -> &'a Value {
        field(self.given, "match").and_then(|m| field(m, "listener")).unwrap_or(&Value::Null)
    }

    /// The one port that it is for, where it is not for all.
    pub fn port(&self) -> Option<&'a Value> {
        field(self.listener(), "portNumber")
    }

    /// Whether its match leaves some requests of its context out, the port aside.
    pub fn is_narrow(&self) -> bool {
        let chain = field(self.listener(), "filterChain").unwrap_or(&Value::Null);
        !WHOLE.contains(&text(self.listener(), "name"))
            || NARROWER.iter().any(|member| field(chain, member).is_some())
            || field(self.given, "match").is_some_and(|m| field(m, "proxy").is_some())
    }

    fn is(&self, kinds: &[&str]) -> bool {
        kinds.contains(&text(self.given, "applyTo"))
    }

    /// Whether it is a filter of chains.
    fn is_filter(&self) -> bool {
        self.is(&["HTTP_FILTER", ""]) && field(self.value, "typed_per_filter_config").is_none()
    }

    fn operation(&self) -> &'a str {
        field(self.given, "patch").map(|p| text(p, "operation")).unwrap_or_default()
    }

    /// The filter beside which it stands.
    fn beside(&self) -> &'a str {
        let filter = field(self.listener(), "filterChain").and_then(|chain| field(chain, "filter"));
        filter.and_then(|f| field(f, "subFilter")).map(|sub| text(sub, "name")).unwrap_or_default()
    }

    /// Whether it comes before all that stands in the chain already.
    pub fn is_first(&self) -> bool {
        let path = field(self.given, "operation").map(|operation| text(operation, "path")).unwrap_or_default();
        self.is_filter()
            && (self.operation() == "INSERT_FIRST"
                || self.operation() == "INSERT_BEFORE" && self.beside().is_empty()
                || path.ends_with("http_filters/0"))
    }

    /// The names of what it is a filter of, in JSON patches `<namespace>/<gateway>/<listener>`.
    pub fn name(&self) -> &'a str {
        text(self.given, "name")
    }

    /// Whether both are filters of the same chains.
    pub fn shares_chains_with(&self, other: &Self) -> bool {
        let listener = |patch: &Self| !text(patch.given, "type").ends_with(".Cluster");
        if !self.is_filter() || !other.is_filter() || !listener(self) || !listener(other) {
            return false;
        }
        if text(self.object, "kind") == "EnvoyPatchPolicy" {
            return !self.name().is_empty() && self.name() == other.name();
        }
        let (context, port) = (self.context(), self.port());
        let in_context = context.is_empty() || other.context().is_empty() || context == other.context();
        let on_port = port.is_none() || other.port().is_none() || port == other.port();
        in_context
            && on_port
            && !self.is_narrow()
            && !other.is_narrow()
            && misses(self.object, other.object).is_none()
            && misses(other.object, self.object).is_none()
    }

    /// What it has for filters on routes, and whether that is for all routes.
    pub fn overrides(&self) -> Option<(&'a Map<String, Value>, bool)> {
        let all = field(self.value, "typed_per_filter_config")?.as_object()?;
        let table = field(self.given, "match").and_then(|m| field(m, "routeConfiguration")).unwrap_or(&Value::Null);
        let named = field(table, "vhost").is_some() || !text(table, "name").is_empty();
        self.is(&["HTTP_ROUTE", "VIRTUAL_HOST", "ROUTE_CONFIGURATION", ""]).then_some((all, !named))
    }
}

fn demanded(value: &Value) -> Rules {
    let own = belt::rules(value);
    if own != Rules::NoBelt {
        return own;
    }
    let members = value.as_object().into_iter().flat_map(|members| members.iter());
    // What shadow rules demand is demanded of nobody.
    let inner = members.filter(|(name, _)| !name.starts_with("shadow")).map(|(_, member)| member);
    let inner = inner.chain(value.as_array().into_iter().flatten());
    inner.map(demanded).find(|rules| *rules != Rules::NoBelt).unwrap_or(Rules::NoBelt)
}

/// The namespace of an object.
pub fn namespace(object: &Value) -> &str {
    field(object, "metadata").map(|m| text(m, "namespace")).unwrap_or_default()
}

/// Whether two namespaces can be one: what names none goes where it is applied.
pub fn same_namespace(one: &str, other: &str) -> bool {
    one.is_empty() || other.is_empty() || one == other
}

/// Whether an EnvoyFilter stands in all proxies that an object of Istio is for; the reason where it may not.
pub fn misses(filter: &Value, object: &Value) -> Option<&'static str> {
    // What stands in the root namespace is for all.
    let (own, other) = (namespace(filter), namespace(object));
    if own != "istio-system" && !same_namespace(own, other) {
        return Some("it stands in another namespace");
    }
    let nothing = &Value::Null;
    let [own, other] = [filter, object].map(|object| field(object, "spec").unwrap_or(nothing));
    let labels = |spec| {
        let selector = field(spec, "workloadSelector").or_else(|| field(spec, "selector"))?;
        field(selector, "labels").or_else(|| field(selector, "matchLabels"))?.as_object()
    };
    let (wanted, given) = (labels(own), labels(other));
    if let (Some(wanted), Some(given)) = (wanted, given) {
        let missed = wanted.iter().any(|(name, value)| given.get(name) != Some(value));
        return missed.then_some("it selects other workloads");
    }
    let references = |spec| list(spec, "targetRefs").iter().chain(field(spec, "targetRef"));
    let (held, targets): (Vec<&Value>, Vec<&Value>) = (references(own).collect(), references(other).collect());
    if held.is_empty() || targets.is_empty() {
        return None;
    }
    let is = |reference: &Value, kind: &str| text(reference, "kind") == kind;
    let covered = |target: &&Value| {
        held.iter().any(|held| {
            is(held, "GatewayClass")
                || is(held, "Gateway") && !is(target, "Gateway") && !is(target, "GatewayClass")
                || text(held, "kind") == text(target, "kind") && text(held, "name") == text(target, "name")
        })
    };
    (!targets.iter().all(covered)).then_some("it is attached to other objects")
}

/// Objects with wasm plugins among their patches, and the names of those.
pub fn with_plugins<'a>(patches: &[Patch<'a>]) -> Vec<(&'a Value, Vec<&'a str>)> {
    let mut found: Vec<(&Value, Vec<&str>)> = Vec::new();
    let is_plugin = |p: &&Patch<'_>| field(p.value, "typed_config").is_some_and(|any| typed(any).0.ends_with(WASM));
    for patch in patches.iter().filter(|p| text(p.object, "kind") == "EnvoyFilter").filter(is_plugin) {
        let name = text(patch.value, "name");
        match found.iter_mut().find(|(object, _)| std::ptr::eq(*object, patch.object)) {
            Some((_, names)) => names.push(name),
            None => found.push((patch.object, vec![name])),
        }
    }
    found
}

/// The chains that EnvoyFilters make where one brings a wasm plugin: one for each context, and port, that they name.
pub fn managers<'a>(documents: &[&'a Value]) -> Vec<Manager<'a>> {
    let patches = among(documents);
    with_plugins(&patches).into_iter().flat_map(|(object, _)| of_object(object, &patches)).collect()
}

fn of_object<'a>(object: &'a Value, patches: &[Patch<'a>]) -> Vec<Manager<'a>> {
    let mut named = Named::default();
    let here: Vec<Patch<'a>> = patches
        .iter()
        .filter(|p| text(p.object, "kind") == "EnvoyFilter" && misses(p.object, object).is_none())
        .copied()
        .collect();
    let extensions = here.iter().filter(|p| p.is(&["EXTENSION_CONFIG"]));
    named.filters.extend(extensions.map(|p| (text(p.value, "name"), p.value)));
    let here: Vec<Patch<'a>> = here.into_iter().filter(|p| p.is_filter()).collect();
    let contexts: BTreeSet<&str> = here.iter().map(Patch::context).filter(|name| !name.is_empty()).collect();
    // What names none stands in all.
    let contexts = if contexts.is_empty() { BTreeSet::from([""]) } else { contexts };
    let mut ports: Vec<Option<&Value>> = vec![None];
    ports.extend(here.iter().map(Patch::port).filter(Option::is_some));
    ports.dedup();
    let mut managers = Vec::new();
    for context in contexts {
        for port in ports.iter().copied() {
            let stands = |p: &&Patch<'a>| {
                (p.context().is_empty() || p.context() == context) && (p.port().is_none() || p.port() == port)
            };
            let chain = chain(here.iter().filter(stands), &named);
            if chain.iter().any(|f| f.kind.ends_with(WASM)) {
                let name = field(object, "metadata").map(|m| text(m, "name")).unwrap_or_default();
                let at = format!("EnvoyFilter {name} {context}").trim_end().to_owned();
                let at = port.map_or(at.clone(), |port| format!("{at}, port {port}"));
                managers.push(Manager::patched(at, chain));
            }
        }
    }
    managers
}

/// The chain that patches make, before the router.
fn chain<'a: 'p, 'p>(patches: impl Iterator<Item = &'p Patch<'a>>, named: &Named<'a>) -> Vec<Filter<'a>> {
    let mut chain: Vec<Filter<'a>> = Vec::new();
    for patch in patches {
        let beside = chain.iter().position(|f| f.name == patch.beside());
        let place = match patch.operation() {
            _ if patch.is_first() => 0,
            "INSERT_BEFORE" => beside.unwrap_or(chain.len()),
            "INSERT_AFTER" => beside.map_or(chain.len(), |place| place.saturating_add(1)),
            "MERGE" | "REMOVE" => continue,
            _ => chain.len(),
        };
        chain.insert(place, filter(patch.value, named));
    }
    chain
}
