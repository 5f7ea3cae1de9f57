//! Routes as they stand in tables: where each leads, and what it has for filters.

use super::chain::{field, list, text};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Types of what a virtual host's matcher chooses in place of routes of its own.
const ROUTE: &str = "config.route.v3.Route";
const ROUTES: &str = "config.route.v3.RouteList";

/// Where a route forwards to.
#[derive(Clone, Debug, Default)]
pub struct Destination<'a> {
    /// Clusters that it names.
    pub clusters: Vec<&'a str>,
    /// What may name any other.
    pub unnamed: Option<Unnamed<'a>>,
}

/// What names a cluster when the request is there.
#[derive(Clone, Copy, Debug)]
pub enum Unnamed<'a> {
    /// A header of the request.
    Header,
    /// A plugin, with what is known of it.
    Plugin(Option<&'a Value>),
}

/// Whether a route leads to one of some clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leads {
    No,
    /// A plugin decides, whose configuration does not name them.
    Perhaps,
    Surely,
}

impl<'a> Destination<'a> {
    fn of(owner: &'a Value, table: &'a Value) -> Self {
        let named = [text(owner, "cluster"), text(owner, "name")].into_iter().filter(|name| !name.is_empty());
        let plugin = || {
            let extension = |plugin: &'a Value| field(plugin, "extension");
            if let Some(inline) = field(owner, "inline_cluster_specifier_plugin") {
                return Some(Unnamed::Plugin(extension(inline)));
            }
            let wanted = field(owner, "cluster_specifier_plugin")?.as_str()?;
            let mut extensions = list(table, "cluster_specifier_plugins").iter().filter_map(extension);
            Some(Unnamed::Plugin(extensions.find(|extension| text(extension, "name") == wanted)))
        };
        let header = (!text(owner, "cluster_header").is_empty()).then_some(Unnamed::Header);
        Self { clusters: named.collect(), unnamed: header.or_else(plugin) }
    }

    fn of_action(action: &'a Value, table: &'a Value) -> Self {
        parts(action).iter().map(|part| Self::of(part, table)).fold(Self::of(action, table), |mut all, part| {
            all.clusters.extend(part.clusters);
            all.unnamed = all.unnamed.or(part.unnamed);
            all
        })
    }

    /// Whether it leads to one of these. A header can name each of them.
    pub fn leads_to(&self, clusters: &BTreeSet<&str>) -> Leads {
        if self.clusters.iter().any(|name| clusters.contains(name)) {
            return Leads::Surely;
        }
        match self.unnamed {
            Some(_) if clusters.is_empty() => Leads::No,
            Some(Unnamed::Header) => Leads::Surely,
            Some(Unnamed::Plugin(plugin)) => {
                let said = plugin.map(Value::to_string).unwrap_or_default();
                if clusters.iter().any(|name| said.contains(name)) { Leads::Surely } else { Leads::Perhaps }
            }
            None => Leads::No,
        }
    }
}

/// The parts of an action that goes by weight.
fn parts(action: &Value) -> &[Value] {
    field(action, "weighted_clusters").map(|weighted| list(weighted, "clusters")).unwrap_or_default()
}

/// One route, with what stands above it.
#[derive(Debug)]
pub struct Route<'a> {
    /// Where it stands, for people.
    pub at: String,
    pub route: &'a Value,
    pub destination: Destination<'a>,
    host: &'a Value,
    table: &'a Value,
    /// Where copies of its requests go, by the clusters' names; `None` where a header names one.
    pub mirrors: Vec<Option<&'a str>>,
    /// Per-filter configurations from the most specific to the least.
    overrides: Vec<&'a Map<String, Value>>,
}

impl<'a> Route<'a> {
    /// The configuration that the route, or what stands above it, has for a filter.
    pub fn override_of(&self, filter: &str) -> Option<&'a Value> {
        self.overrides.iter().find_map(|all| all.get(filter))
    }

    /// The action, where it forwards to a cluster.
    pub fn action(&self) -> Option<&'a Value> {
        field(self.route, "route")
    }

    /// The parts that can change headers: of the action, the route, its virtual host, the table.
    pub fn places(&self) -> impl Iterator<Item = &'a Value> {
        let parts = self.action().map(parts).unwrap_or_default();
        parts.iter().chain([self.route, self.host, self.table])
    }

    /// Whether requests for a host come here: no other virtual host knows it better.
    pub fn serves(&self, host: &str) -> bool {
        let known =
            |one: &Value| list(one, "domains").iter().filter_map(Value::as_str).filter_map(|d| fits(d, host)).max();
        let best = list(self.table, "virtual_hosts").iter().filter_map(known).max();
        best.is_some() && known(self.host) == best
    }

    /// The clusters that it names.
    pub fn clusters(&self) -> &[&'a str] {
        &self.destination.clusters
    }
}

/// How well a domain of a virtual host fits a host: whole names before those with a sign for the rest, long before short.
fn fits(domain: &str, host: &str) -> Option<(u8, usize)> {
    let domain = domain.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let bare =
        domain.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map(|(name, _)| name);
    if domain == host || bare == Some(host.as_str()) {
        return Some((3, domain.len()));
    }
    if let Some(end) = domain.strip_prefix('*') {
        let kind = if end.is_empty() { 0 } else { 2 };
        return host.ends_with(end).then_some((kind, domain.len()));
    }
    domain.strip_suffix('*').filter(|start| host.starts_with(start)).map(|_| (1, domain.len()))
}

fn per_filter(value: &Value) -> Option<&Map<String, Value>> {
    field(value, "typed_per_filter_config").and_then(Value::as_object)
}

/// All routes of a table.
pub fn routes<'a>(at: &str, table: &'a Value) -> Vec<Route<'a>> {
    let mut routes = Vec::new();
    for host in list(table, "virtual_hosts") {
        let mut of_host: Vec<&Value> = list(host, "routes").iter().collect();
        field(host, "matcher").into_iter().for_each(|matcher| chosen(matcher, &mut of_host));
        for (number, route) in of_host.into_iter().enumerate() {
            let name = match text(route, "name") {
                "" => number.to_string(),
                name => name.to_owned(),
            };
            let at = format!("{at}, virtual host {}, route {name}", text(host, "name"));
            let overrides: Vec<_> = [route, host, table].into_iter().filter_map(per_filter).collect();
            let action = field(route, "route");
            for part in action.map(parts).unwrap_or_default() {
                let Some(own) = per_filter(part) else { continue };
                routes.push(Route {
                    at: format!("{at}, weighted cluster"),
                    route,
                    destination: Destination::of(part, table),
                    host,
                    table,
                    mirrors: Vec::new(),
                    overrides: [vec![own], overrides.clone()].concat(),
                });
            }
            let destination = action.map(|action| Destination::of_action(action, table)).unwrap_or_default();
            let mirrors = mirrors([action, Some(host), Some(table)].into_iter().flatten());
            routes.push(Route { at, route, destination, host, table, mirrors, overrides });
        }
    }
    routes
}

/// The routes that a matcher chooses from, wherever they stand in its tree.
fn chosen<'a>(tree: &'a Value, routes: &mut Vec<&'a Value>) {
    let kind = text(tree, "@type");
    if kind.ends_with(ROUTE) {
        routes.push(tree);
    } else if kind.ends_with(ROUTES) {
        routes.extend(list(tree, "routes"));
    } else if let Some(members) = tree.as_object() {
        members.values().for_each(|member| chosen(member, routes));
    } else if let Some(items) = tree.as_array() {
        items.iter().for_each(|item| chosen(item, routes));
    }
}

/// The mirrors that hold: those of the first, from the most specific on, that has any.
fn mirrors<'a>(mut places: impl Iterator<Item = &'a Value>) -> Vec<Option<&'a str>> {
    let found = places.find_map(|place| Some(list(place, "request_mirror_policies")).filter(|all| !all.is_empty()));
    let cluster = |policy| Some(text(policy, "cluster")).filter(|name| !name.is_empty());
    found.unwrap_or_default().iter().map(cluster).collect()
}
