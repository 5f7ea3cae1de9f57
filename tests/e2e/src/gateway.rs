//! The Envoy configuration that users copy, brought into the shape that a test needs. Whatever a
//! test does not change is as shipped.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::tokens::Issuer;
use crate::workspace;

/// Where the pointer into a listener leads to the HTTP connection manager.
const MANAGER: &str = "/filter_chains/0/filters/0/typed_config";
/// The names that the shipped configuration gives to our filter and to the belt.
const FILTER: &str = "portcullis";
const BELT: &str = "portcullis-belt";

/// A bootstrap configuration under construction.
#[derive(Debug, Clone)]
pub struct Gateway {
    bootstrap: Value,
    shipped: Listener,
    listeners: Vec<Listener>,
}

impl Gateway {
    /// The shipped configuration before that upstream, on free loopback ports, with the module that
    /// `make wasm` leaves. It has no listener yet.
    pub fn new(upstream: SocketAddr) -> Result<Self> {
        Self::of("envoy.yaml", upstream)
    }

    /// The same of another shipped file that has one listener and the cluster first. Where its gRPC
    /// API has a cluster of its own, that is the same upstream, over HTTP/1.
    pub fn of(file: &str, upstream: SocketAddr) -> Result<Self> {
        let mut bootstrap = shipped(file)?;
        bootstrap["admin"]["address"] = socket_address(SocketAddr::from(([127, 0, 0, 1], 0)));
        let endpoint = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0";
        *at(&mut bootstrap, &format!("{endpoint}/endpoint/address")) = socket_address(upstream);
        let load = at(&mut bootstrap, "/static_resources/clusters/0/load_assignment").clone();
        if let Some(grpc) = grpc_cluster(&mut bootstrap) {
            grpc.remove("typed_extension_protocol_options");
            grpc.insert("load_assignment".into(), load);
        }
        let listener = bootstrap["static_resources"]["listeners"][0].take();
        let mut shipped = Listener(listener).port(0);
        // Where the filter's configuration is in a file of its own, so is the name of the module.
        if shipped.http_filter(FILTER).get("config_discovery").is_none() {
            shipped = shipped.module(workspace().join("target/portcullis.wasm"));
        }
        Ok(Self { bootstrap, shipped, listeners: Vec::new() })
    }

    /// Adds a listener: the shipped one under that name, in the shape that `shape` gives it.
    pub fn listener(mut self, name: &str, shape: impl FnOnce(Listener) -> Listener) -> Self {
        let mut listener = self.shipped.clone();
        listener.0["name"] = name.into();
        self.listeners.push(shape(listener));
        self
    }

    /// Sends gRPC calls to that upstream, as shipped over HTTP/2.
    pub fn grpc_upstream(mut self, upstream: SocketAddr) -> Result<Self> {
        let mut shipped = shipped("envoy.yaml")?;
        let mut cluster = grpc_cluster(&mut shipped).context("no cluster for gRPC")?.clone();
        let endpoint = "/endpoints/0/lb_endpoints/0/endpoint/address";
        *at(&mut cluster["load_assignment"], endpoint) = socket_address(upstream);
        *grpc_cluster(&mut self.bootstrap).context("no cluster for gRPC")? = cluster;
        Ok(self)
    }

    /// Adds a cluster of one address, as the shipped ones are.
    pub fn cluster(self, name: &str, addr: SocketAddr) -> Self {
        let endpoints = json!([{"lb_endpoints": [{"endpoint": {"address": socket_address(addr)}}]}]);
        let cluster = json!({
            "name": name, "type": "STATIC", "connect_timeout": "2s",
            "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        });
        self.edit(|bootstrap| {
            let clusters = at(bootstrap, "/static_resources/clusters");
            clusters.as_array_mut().expect("clusters").push(cluster);
        })
    }

    /// Changes anything outside the listeners.
    pub fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.bootstrap);
        self
    }

    /// The typed configuration of our filter in the first listener, for
    /// [`crate::envoy::Envoy::push_filter`].
    pub fn filter(&self) -> Value {
        let mut listener = self.listeners.first().expect("a listener").clone();
        listener.http_filter(FILTER)["typed_config"].clone()
    }

    /// The listeners alone, for [`crate::envoy::Envoy::push_listeners`].
    pub fn listeners(&self) -> Value {
        self.listeners.iter().map(|listener| listener.0.clone()).collect()
    }

    /// The whole bootstrap configuration, for [`crate::envoy::Launch::new`].
    pub fn build(self) -> Value {
        let listeners = self.listeners();
        let mut bootstrap = self.bootstrap;
        bootstrap["static_resources"]["listeners"] = listeners;
        bootstrap
    }
}

/// One listener of a [`Gateway`], as shipped until changed.
///
/// Its methods panic where the shipped file no longer has what they change.
#[derive(Debug, Clone)]
pub struct Listener(Value);

impl Listener {
    /// Listens on that loopback port; 0 for a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.0["address"] = socket_address(SocketAddr::from(([127, 0, 0, 1], port)));
        self
    }

    /// Loads the module from that file.
    pub fn module(self, file: impl AsRef<Path>) -> Self {
        let file = json!(file.as_ref());
        self.edit_filter(|filter| *at(filter, "/vm_config/code/local/filename") = file)
    }

    /// Trusts that issuer instead of the one in the shipped plugin configuration.
    pub fn issuer(self, issuer: &Issuer) -> Self {
        self.edit_plugin(|plugin| {
            let entry = &mut plugin["issuers"][0];
            entry["issuer"] = issuer.name().into();
            entry["audiences"] = json!([issuer.audience()]);
            entry["jwks"] = json!({"inline": issuer.jwks()});
        })
    }

    /// Goes by that policy instead of the one in the shipped plugin configuration.
    pub fn policy(self, policy: &Value) -> Self {
        self.edit_plugin(|plugin| plugin["policy"] = policy.clone())
    }

    /// Changes the plugin configuration.
    pub fn edit_plugin(self, edit: impl FnOnce(&mut Value)) -> Self {
        let mut plugin = self.plugin();
        edit(&mut plugin);
        self.plugin_text(plugin.to_string())
    }

    /// The plugin configuration as it is now.
    pub fn plugin(&self) -> Value {
        let mut copy = self.clone();
        let text = at(copy.filter(), "/configuration/value").as_str().map(serde_json::from_str);
        text.expect("a StringValue").expect("plugin configuration in JSON")
    }

    /// Hands the plugin this text as its configuration, JSON or not.
    pub fn plugin_text(self, text: impl Into<String>) -> Self {
        let value = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text.into(),
        });
        self.edit_filter(|filter| filter["configuration"] = value)
    }

    /// Hands the plugin its configuration as a protobuf `Struct` instead of text.
    pub fn plugin_struct(self) -> Self {
        let value = json!({
            "@type": "type.googleapis.com/google.protobuf.Struct", "value": self.plugin(),
        });
        self.edit_filter(|filter| filter["configuration"] = value)
    }

    /// Changes what Envoy is told about the filter: names, failure policy, VM.
    pub fn edit_filter(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(self.filter());
        self
    }

    /// Sets what Envoy does when the module fails.
    pub fn failure_policy(self, policy: &str) -> Self {
        self.edit_filter(|filter| filter["failure_policy"] = policy.into())
    }

    /// Takes away the permission to hold headers back while the body is read.
    pub fn without_stop_iteration(self) -> Self {
        self.edit_filter(|filter| {
            filter["allow_on_headers_stop_iteration"] = false.into();
        })
    }

    /// Takes one function of the host, or one callback, away from the module.
    pub fn without_capability(self, name: &str) -> Self {
        let all = || CAPABILITIES.split_whitespace();
        assert!(all().any(|capability| capability == name), "{name} is no capability");
        let left = all().filter(|capability| *capability != name);
        let allowed: Map<_, _> = left.map(|left| (left.to_owned(), json!({}))).collect();
        self.edit_filter(|filter| {
            filter["vm_config"]["capability_restriction_config"] = json!({"allowed_capabilities": allowed});
        })
    }

    /// Takes our filter out of the chain.
    pub fn without_filter(self) -> Self {
        self.without(FILTER)
    }

    /// Takes the belt out of the chain.
    pub fn without_belt(self) -> Self {
        self.without(BELT)
    }

    /// Lets the belt pass exactly these values.
    pub fn belt(mut self, values: &[&str]) -> Self {
        let principals: Vec<Value> = values
            .iter()
            .map(|value| {
                let exact = json!({"exact": value});
                json!({"filter_state": {"key": "wasm.portcullis_belt", "string_match": exact}})
            })
            .collect();
        let belt = self.http_filter(BELT);
        *at(belt, "/typed_config/rules/policies/judged/principals") = principals.into();
        self
    }

    /// Gives our filter another name in the chain.
    pub fn rename_filter(mut self, name: &str) -> Self {
        self.http_filter(FILTER)["name"] = name.into();
        self
    }

    /// Adds a route for paths with that prefix, before the others, on which our filter is off.
    pub fn disabled_under(mut self, prefix: &str) -> Self {
        let routes = at(&mut self.0, &format!("{MANAGER}/route_config/virtual_hosts/0/routes"));
        let mut route = routes[0].clone();
        route["match"] = json!({"prefix": prefix});
        route["typed_per_filter_config"] = json!({FILTER: {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true,
        }});
        routes.as_array_mut().expect("routes").insert(0, route);
        self
    }

    /// Sets how many bytes Envoy may buffer for a connection.
    pub fn buffer_limit(mut self, bytes: u32) -> Self {
        self.0["per_connection_buffer_limit_bytes"] = bytes.into();
        self
    }

    /// Changes the HTTP connection manager: path normalization, routes, filters.
    pub fn edit_manager(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(at(&mut self.0, MANAGER));
        self
    }

    fn filters(&mut self) -> &mut Vec<Value> {
        let filters = at(&mut self.0, &format!("{MANAGER}/http_filters"));
        filters.as_array_mut().expect("http_filters")
    }

    fn http_filter(&mut self, name: &str) -> &mut Value {
        let found = self.filters().iter_mut().find(|filter| filter["name"] == name);
        found.unwrap_or_else(|| panic!("no filter {name} in the chain"))
    }

    fn filter(&mut self) -> &mut Value {
        at(self.http_filter(FILTER), "/typed_config/config")
    }

    fn without(mut self, name: &str) -> Self {
        self.http_filter(name);
        self.filters().retain(|filter| filter["name"] != name);
        self
    }
}

/// The cluster that gRPC calls go to.
fn grpc_cluster(bootstrap: &mut Value) -> Option<&mut Map<String, Value>> {
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut()?;
    clusters.iter_mut().find(|cluster| cluster["name"] == "orchestration-grpc")?.as_object_mut()
}

/// A file of `envoy/`, as it is in the repository.
pub fn shipped(file: &str) -> Result<Value> {
    let file = workspace().join("envoy").join(file);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", file.display()))
}

/// Takes our filter's configuration out of a bootstrap configuration with one listener, and has it
/// read from a file in that folder instead: what has to stand in the file.
pub fn discover(bootstrap: &mut Value, folder: &Path) -> Value {
    bootstrap["node"] = json!({"id": "envoy", "cluster": "envoy"});
    let filters = at(bootstrap, &format!("/static_resources/listeners/0{MANAGER}/http_filters"));
    let filters = filters.as_array_mut().expect("filters");
    let filter = filters.iter_mut().find(|filter| filter["name"] == FILTER).expect("our filter");
    let config = filter["typed_config"].take();
    *filter = json!({"name": FILTER, "config_discovery": {
        "config_source": {
            "resource_api_version": "V3",
            "path_config_source": {"path": folder.join("filter.yaml"), "watched_directory": {"path": folder}},
        },
        "type_urls": [config["@type"].clone()],
    }});
    json!({"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": FILTER, "typed_config": config})
}

fn socket_address(addr: SocketAddr) -> Value {
    json!({"socket_address": {"address": addr.ip().to_string(), "port_value": addr.port()}})
}

fn at<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Value {
    value.pointer_mut(pointer).unwrap_or_else(|| panic!("the configuration has no {pointer}"))
}

/// Everything that a module can be given or be called by, in the proxy-wasm interface 0.2.1 and in
/// the part of WASI that Envoy offers.
const CAPABILITIES: &str = "
    proxy_on_vm_start proxy_on_configure proxy_validate_configuration proxy_on_context_create
    proxy_on_done proxy_on_log proxy_on_delete proxy_on_tick proxy_on_queue_ready
    proxy_on_foreign_function proxy_on_request_headers proxy_on_request_body
    proxy_on_request_trailers proxy_on_request_metadata proxy_on_response_headers
    proxy_on_response_body proxy_on_response_trailers proxy_on_response_metadata
    proxy_on_http_call_response proxy_log proxy_get_log_level
    proxy_get_current_time_nanoseconds proxy_set_tick_period_milliseconds proxy_get_property
    proxy_set_property proxy_get_buffer_bytes proxy_get_buffer_status proxy_set_buffer_bytes
    proxy_get_header_map_pairs proxy_set_header_map_pairs proxy_get_header_map_size
    proxy_get_header_map_value proxy_add_header_map_value proxy_replace_header_map_value
    proxy_remove_header_map_value proxy_continue_stream proxy_close_stream
    proxy_send_local_response proxy_http_call proxy_call_foreign_function
    proxy_set_effective_context proxy_done proxy_get_shared_data proxy_set_shared_data
    proxy_register_shared_queue proxy_resolve_shared_queue proxy_enqueue_shared_queue
    proxy_dequeue_shared_queue proxy_define_metric proxy_increment_metric proxy_record_metric
    proxy_get_metric fd_write fd_read fd_seek fd_close fd_fdstat_get fd_fdstat_set_flags
    fd_prestat_get fd_prestat_dir_name path_open environ_get environ_sizes_get args_get
    args_sizes_get clock_time_get random_get sched_yield poll_oneoff proc_exit
";
