//! The HTTP filter chains of a configuration, with the routes that lead on from them.

use super::route::{Route, routes};
use serde_json::Value;
use std::collections::BTreeMap;

const MANAGER: &str = "filters.network.http_connection_manager.v3.HttpConnectionManager";
const TCP_PROXY: &str = "filters.network.tcp_proxy.v3.TcpProxy";
pub const WASM: &str = "filters.http.wasm.v3.Wasm";
/// How much of a body the listener holds over HTTP/1, and a stream over HTTP/2.
const BUFFER: &str = "per_connection_buffer_limit_bytes";
const WINDOW: &str = "initial_stream_window_size";
/// Envoy's default for the first; for the second it is far above.
const DEFAULT_BUFFER: u64 = 1024 * 1024;

/// A member, in the spelling of Envoy's own dumps or in camelCase, as JSON of protobuf also has it.
pub fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| value.get(camel(name))).filter(|found| !found.is_null())
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut all, part| {
        let (head, tail) = part.split_at(part.len().min(1));
        all.push_str(&head.to_uppercase());
        all.push_str(tail);
        all
    })
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    field(value, name).and_then(Value::as_str).unwrap_or_default()
}

pub fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    field(value, name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Envoy also takes the word in quotes.
pub fn flag(value: &Value, name: &str) -> bool {
    field(value, name).is_some_and(|found| found == true || found == "true")
}

/// A member of an enumeration, which Envoy also takes as its number.
pub fn choice<'a>(value: &'a Value, name: &str, names: &[&'static str]) -> &'a str {
    let numbered = |number: u64| names.get(usize::try_from(number).ok()?).copied();
    field(value, name).and_then(number).map_or(text(value, name), |given| numbered(given).unwrap_or_default())
}

/// The type of an `Any`, and what is in it, also where a `TypedStruct` stands between.
pub fn typed(any: &Value) -> (&str, &Value) {
    let kind = text(any, "@type");
    if kind.ends_with(".TypedStruct") {
        return (text(any, "type_url"), field(any, "value").unwrap_or(&Value::Null));
    }
    (kind, any)
}

/// An HTTP filter in its chain.
#[derive(Debug)]
pub struct Filter<'a> {
    pub name: &'a str,
    /// The type's URL.
    pub kind: &'a str,
    pub config: &'a Value,
    /// Switched off until a route switches it on.
    pub disabled: bool,
}

/// An HTTP connection manager.
#[derive(Debug)]
pub struct Manager<'a> {
    /// Where it stands, for people.
    pub at: String,
    pub filters: Vec<Filter<'a>>,
    pub routes: Vec<Route<'a>>,
    /// The filter chains of their own that some upgrades have.
    pub upgrades: Vec<Upgrade<'a>>,
    /// Bytes that a held body may take, and the setting that says so.
    pub buffer: (u64, &'static str),
    /// Routes come from elsewhere and are not in the document.
    pub routes_elsewhere: Option<&'a str>,
}

impl<'a> Manager<'a> {
    /// What patches make of one, whose routes and buffer are not known.
    pub fn patched(at: String, filters: Vec<Filter<'a>>) -> Self {
        let (routes, upgrades) = (Vec::new(), Vec::new());
        Self { at, filters, routes, upgrades, buffer: (u64::MAX, BUFFER), routes_elsewhere: None }
    }
}

/// What requests to upgrade go through in place of the chain.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// To what.
    pub kind: &'a str,
    pub chain: Manager<'a>,
}

/// A proxy of plain connections: nothing that stands in chains of HTTP filters sees what goes through it.
#[derive(Debug)]
pub struct Tunnel<'a> {
    /// Where it stands, for people.
    pub at: String,
    /// The clusters that it leads to.
    pub clusters: Vec<&'a str>,
    /// Only other listeners of the same Envoy lead to it.
    pub internal: bool,
}

/// What the sections of a dump hold by name.
#[derive(Default)]
pub struct Named<'a> {
    routes: BTreeMap<&'a str, &'a Value>,
    pub filters: BTreeMap<&'a str, &'a Value>,
    scopes: BTreeMap<&'a str, &'a [Value]>,
}

/// All HTTP connection managers of config dumps, bootstraps, listeners, or resources that an Envoy is given in files.
pub fn managers<'a>(documents: &[&'a Value]) -> Vec<Manager<'a>> {
    let (listeners, named) = listeners(documents);
    listeners.into_iter().flat_map(|listener| of_listener(listener, &named)).collect()
}

/// All proxies of plain connections of the same.
pub fn tunnels<'a>(documents: &[&'a Value]) -> Vec<Tunnel<'a>> {
    listeners(documents).0.into_iter().flat_map(tunnels_of).collect()
}

fn listeners<'a>(documents: &[&'a Value]) -> (Vec<&'a Value>, Named<'a>) {
    let mut named = Named::default();
    let mut listeners = Vec::new();
    for document in documents {
        if let Some(sections) = document.get("configs").and_then(Value::as_array) {
            sections.iter().for_each(|section| section_of(section, &mut named, &mut listeners));
        } else if let Some(resources) = field(document, "static_resources") {
            listeners.extend(list(resources, "listeners"));
        } else if let Some(resources) = document.get("resources").and_then(Value::as_array) {
            resources.iter().for_each(|resource| resource_of(resource, &mut named, &mut listeners));
        } else {
            listeners.push(document);
        }
    }
    (listeners, named)
}

/// A resource of a file that an Envoy watches.
fn resource_of<'a>(resource: &'a Value, named: &mut Named<'a>, listeners: &mut Vec<&'a Value>) {
    let name = text(resource, "name");
    if field(resource, "virtual_hosts").is_some() {
        named.routes.insert(name, resource);
    } else if field(resource, "typed_config").is_some() {
        named.filters.insert(name, resource);
    } else {
        listeners.push(resource);
    }
}

fn section_of<'a>(section: &'a Value, named: &mut Named<'a>, listeners: &mut Vec<&'a Value>) {
    listeners.extend(list(section, "static_listeners").iter().filter_map(|l| field(l, "listener")));
    for dynamic in list(section, "dynamic_listeners") {
        // What drains is on its way out.
        let states = ["active_state", "warming_state"].into_iter().filter_map(|state| field(dynamic, state));
        listeners.extend(states.filter_map(|state| field(state, "listener")));
    }
    for routes in ["static_route_configs", "dynamic_route_configs"] {
        let configs = list(section, routes).iter().filter_map(|r| field(r, "route_config"));
        named.routes.extend(configs.map(|config| (text(config, "name"), config)));
    }
    for scopes in ["inline_scoped_route_configs", "dynamic_scoped_route_configs"] {
        let scopes = list(section, scopes).iter();
        named.scopes.extend(scopes.map(|scope| (text(scope, "name"), list(scope, "scoped_route_configs"))));
    }
    let filters = list(section, "ecds_filters").iter().filter_map(|f| field(f, "ecds_filter"));
    named.filters.extend(filters.map(|filter| (text(filter, "name"), filter)));
}

/// The network filters of a listener of one type, each with the place of its chain.
fn network_filters<'a>(listener: &'a Value, wanted: &'static str) -> impl Iterator<Item = (String, &'a Value)> {
    let name = text(listener, "name");
    let chains = list(listener, "filter_chains").iter().chain(field(listener, "default_filter_chain"));
    chains.enumerate().flat_map(move |(number, chain)| {
        let typed = list(chain, "filters").iter().filter_map(|filter| field(filter, "typed_config")).map(typed);
        let of_type = typed.filter(move |(kind, _)| kind.ends_with(wanted));
        of_type.map(move |(_, config)| (format!("listener {name}, filter chain {number}"), config))
    })
}

fn of_listener<'a>(listener: &'a Value, named: &Named<'a>) -> Vec<Manager<'a>> {
    let buffer = field(listener, BUFFER).and_then(number).unwrap_or(DEFAULT_BUFFER);
    network_filters(listener, MANAGER).map(|(at, config)| manager(at, config, buffer, named)).collect()
}

fn tunnels_of(listener: &Value) -> impl Iterator<Item = Tunnel<'_>> {
    let internal = field(listener, "internal_listener").is_some();
    network_filters(listener, TCP_PROXY).map(move |(at, config)| {
        let weighted = field(config, "weighted_clusters").map(|w| list(w, "clusters")).unwrap_or_default();
        let names = [text(config, "cluster")].into_iter().chain(weighted.iter().map(|w| text(w, "name")));
        Tunnel { at, clusters: names.filter(|name| !name.is_empty()).collect(), internal }
    })
}

/// A number, also where JSON of protobuf writes it as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn manager<'a>(at: String, config: &'a Value, buffer: u64, named: &Named<'a>) -> Manager<'a> {
    let upgrades = list(config, "upgrade_configs").iter().filter(|upgrade| !list(upgrade, "filters").is_empty());
    let upgrades = upgrades.map(|upgrade| {
        let kind = text(upgrade, "upgrade_type");
        let at = format!("{at}, upgrades to {kind}");
        Upgrade { kind, chain: chain(at, list(upgrade, "filters"), config, buffer, named) }
    });
    let upgrades = upgrades.collect();
    Manager { upgrades, ..chain(at, list(config, "http_filters"), config, buffer, named) }
}

/// Filters of a manager, with what else it has for them.
fn chain<'a>(at: String, filters: &'a [Value], config: &'a Value, buffer: u64, named: &Named<'a>) -> Manager<'a> {
    let (tables, routes_elsewhere) = tables(config, named);
    let window = field(config, "http2_protocol_options").and_then(|options| number(field(options, WINDOW)?));
    Manager {
        filters: filters.iter().map(|f| filter(f, named)).collect(),
        routes: tables.into_iter().flat_map(|table| routes(&at, table)).collect(),
        upgrades: Vec::new(),
        buffer: match window {
            Some(window) if window < buffer => (window, WINDOW),
            _ => (buffer, BUFFER),
        },
        routes_elsewhere,
        at,
    }
}

/// The tables of routes that a manager goes by, and the name of what is not in the document.
fn tables<'a>(config: &'a Value, named: &Named<'a>) -> (Vec<&'a Value>, Option<&'a str>) {
    let mut found = Vec::new();
    let mut elsewhere = None;
    let mut take = |name: &'a str, table: Option<&'a Value>| match table {
        // Virtual hosts can come one by one.
        Some(table) => {
            found.push(table);
            elsewhere = elsewhere.or(field(table, "vhds").map(|_| name));
        }
        None => elsewhere = elsewhere.or(Some(name)),
    };
    let by_name = |name: &str| named.routes.get(name).copied();
    if let Some(scoped) = field(config, "scoped_routes") {
        let given = field(scoped, "scoped_route_configurations_list");
        let given = given.map(|all| list(all, "scoped_route_configurations"));
        let name = text(scoped, "name");
        let scopes: Vec<&Value> = match given.or_else(|| named.scopes.get(name).copied()) {
            Some(scopes) => scopes.iter().collect(),
            None => return (found, Some(name)),
        };
        for scope in scopes {
            let name = text(scope, "route_configuration_name");
            take(name, field(scope, "route_configuration").or_else(|| by_name(name)));
        }
    } else if let Some(table) = field(config, "route_config") {
        take(text(table, "name"), Some(table));
    } else {
        let name = field(config, "rds").map(|rds| text(rds, "route_config_name")).unwrap_or_default();
        take(name, by_name(name));
    }
    (found, elsewhere)
}

pub fn filter<'a>(filter: &'a Value, named: &Named<'a>) -> Filter<'a> {
    let name = text(filter, "name");
    let any = field(filter, "typed_config")
        .or_else(|| named.filters.get(name).and_then(|found| field(found, "typed_config")));
    let (kind, inner) = any.map_or(("", &Value::Null), typed);
    Filter { name, kind, config: inner, disabled: flag(filter, "disabled") }
}
