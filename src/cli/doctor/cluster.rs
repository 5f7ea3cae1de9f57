//! The clusters of a configuration: their own filters, and which of them lead to one another.

use super::chain::{Filter, Named, field, filter, list, text, typed};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const AGGREGATE: &str = "clusters.aggregate.v3.ClusterConfig";
const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The clusters of documents, by name.
#[derive(Default)]
pub struct Clusters<'a> {
    all: BTreeMap<&'a str, &'a Value>,
}

/// The clusters of config dumps, bootstraps, or resources that an Envoy is given in files.
pub fn clusters<'a>(documents: &[&'a Value]) -> Clusters<'a> {
    let mut found: Vec<&Value> = Vec::new();
    for document in documents {
        for section in document.get("configs").and_then(Value::as_array).into_iter().flatten() {
            for clusters in ["static_clusters", "dynamic_active_clusters"] {
                found.extend(list(section, clusters).iter().filter_map(|c| field(c, "cluster")));
            }
        }
        found.extend(field(document, "static_resources").map(|r| list(r, "clusters")).unwrap_or_default());
        found.extend(list(document, "resources").iter().filter(|resource| text(resource, "@type").ends_with(CLUSTER)));
    }
    Clusters { all: found.into_iter().map(|cluster| (text(cluster, "name"), cluster)).collect() }
}

impl<'a> Clusters<'a> {
    /// The HTTP filters of the clusters that have some of their own: what passes there has passed every listener and
    /// route. Those of the members of an aggregate do not run for what goes to the aggregate.
    pub fn filters(&self) -> BTreeMap<&'a str, Vec<Filter<'a>>> {
        let filters = |cluster: &'a Value| {
            let http = field(cluster, "typed_extension_protocol_options")?.get(OPTIONS)?;
            Some(list(http, "http_filters").iter().map(|f| filter(f, &Named::default())).collect())
        };
        self.all.iter().filter_map(|(name, cluster)| Some((*name, filters(cluster)?))).collect()
    }

    /// The aggregates that lead to one of these.
    pub fn aggregates_of(&self, clusters: &BTreeSet<&str>) -> BTreeSet<&'a str> {
        let leads = |cluster: &&'a Value| members(cluster).any(|member| clusters.contains(member));
        self.all.iter().filter(|(_, cluster)| leads(cluster)).map(|(name, _)| *name).collect()
    }

    /// These, and all that lead where they lead: aggregates of them, their members, and clusters with an address of
    /// theirs, apart from those that the chains with the filter know as others.
    pub fn around(&self, clusters: BTreeSet<&'a str>, others: &BTreeSet<&str>) -> BTreeSet<&'a str> {
        let mut known = clusters;
        loop {
            let mut more = self.aggregates_of(&known);
            let given: Vec<&Value> = known.iter().filter_map(|name| self.all.get(name).copied()).collect();
            more.extend(given.iter().flat_map(|cluster| members(cluster)));
            let known_addresses: BTreeSet<String> = given.iter().flat_map(|cluster| addresses(cluster)).collect();
            let same = |cluster: &&'a Value| addresses(cluster).any(|address| known_addresses.contains(&address));
            let same = self.all.iter().filter(|(name, cluster)| !others.contains(*name) && same(cluster));
            more.extend(same.map(|(name, _)| *name));
            let before = known.len();
            known.extend(more);
            if known.len() == before {
                return known;
            }
        }
    }
}

/// The clusters that an aggregate is made of.
fn members(cluster: &Value) -> impl Iterator<Item = &str> {
    let config = field(cluster, "cluster_type").and_then(|kind| field(kind, "typed_config")).map(typed);
    let config = config.filter(|(kind, _)| kind.ends_with(AGGREGATE)).map(|(_, config)| list(config, "clusters"));
    config.unwrap_or_default().iter().filter_map(Value::as_str)
}

/// The addresses of a cluster that stand in it, each with how it is spoken to: behind one name a proxy can tell
/// applications apart by what TLS says.
fn addresses(cluster: &Value) -> impl Iterator<Item = String> {
    let socket = field(cluster, "transport_socket").map(Value::to_string).unwrap_or_default();
    let given = field(cluster, "load_assignment").map(|given| list(given, "endpoints")).unwrap_or_default();
    let endpoints = given.iter().flat_map(|locality| list(locality, "lb_endpoints"));
    let addresses = endpoints.filter_map(|one| field(field(field(one, "endpoint")?, "address")?, "socket_address"));
    addresses.filter_map(move |address| {
        let port = field(address, "port_value")?;
        Some(format!("{} {} {socket}", text(address, "address"), port.to_string().trim_matches('"')))
    })
}
