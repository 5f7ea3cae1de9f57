//! One Envoy before one cluster, with a listener for each way of coming by keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::idp::{Answer, Key, Provider};
use portcullis_e2e::upstream::Upstream;
use portcullis_e2e::wait;
use serde_json::{Value, json};

/// How many VMs fetch keys where there is one worker: its own and that of the main thread.
pub const VMS: usize = 2;
/// How long a request waits for keys, roughly, and how long is far too long.
pub const PATIENCE: Duration = Duration::from_secs(5);
pub const TOO_LONG: Duration = Duration::from_secs(9);

/// An Envoy to be started.
pub struct Sketch {
    pub gateway: Gateway,
    upstream: Upstream,
    plugins: Vec<String>,
    listeners: Vec<Value>,
}

/// A running one.
pub struct Site {
    pub envoy: Envoy,
    pub upstream: Upstream,
    addrs: BTreeMap<String, SocketAddr>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: u16,
    pub reason: String,
}

/// The outcome that is meant in a test's text.
pub fn outcome(status: u16, reason: &str) -> Outcome {
    Outcome { status, reason: reason.to_owned() }
}

pub fn unavailable() -> Outcome {
    outcome(503, "keys_unavailable")
}

/// A provider that gives these keys at that target.
pub fn provider(target: &str, keys: &[&Key]) -> Provider {
    let provider = Provider::start().expect("a provider");
    provider.answer(target, Answer::keys(keys));
    provider
}

/// An entry of `issuers`.
pub fn issuer(name: &str, jwks: Value) -> Value {
    json!({
        "issuer": name, "audiences": ["orchestration-api"], "jwks": jwks, "clockSkew": "0s",
        "claims": {"username": "preferred_username"},
    })
}

/// An issuer whose keys stand at that target of cluster `idp`, with these settings.
pub fn remote(name: &str, target: &str, settings: Value) -> Value {
    let mut remote = json!({"uri": format!("http://idp.test{target}"), "cluster": "idp"});
    let all = remote.as_object_mut().expect("an object");
    all.extend(settings.as_object().cloned().unwrap_or_default());
    issuer(name, json!({"remote": remote}))
}

/// An issuer whose metadata, at that cluster, says where its keys are.
pub fn discovery(name: &str, cluster: &str) -> Value {
    issuer(name, json!({"discovery": {"cluster": cluster}}))
}

/// `ada` may start any process; `dora` only `invoice`, so that her bodies decide.
pub fn policy() -> Value {
    let grant = |owner: &str, id: &str| {
        json!({
            "ownerType": "USER", "ownerId": owner, "resourceType": "PROCESS_DEFINITION", "resourceId": id,
            "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        })
    };
    json!({"authorizations": [grant("ada", "*"), grant("dora", "invoice")]})
}

/// The shipped listener with a plugin of that name.
pub fn guarded(listener: Listener, plugin: &str, issuers: &[Value]) -> Listener {
    let gates = [format!("{plugin}:allow"), format!("{plugin}:pending")];
    listener.policy(&policy()).belt(&gates.each_ref().map(String::as_str)).edit_plugin(|config| {
        config["name"] = plugin.into();
        config["issuers"] = issuers.into();
    })
}

/// A cluster of one address, as the shipped ones are.
pub fn cluster(name: &str, address: Value) -> Value {
    let endpoints = json!([{"lb_endpoints": [{"endpoint": {"address": address}}]}]);
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    })
}

impl Sketch {
    /// Without a listener yet.
    pub fn new() -> Self {
        let upstream = Upstream::start().expect("an upstream");
        let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
        Self { gateway, upstream, plugins: Vec::new(), listeners: Vec::new() }
    }

    /// A further cluster at that address.
    pub fn cluster(self, name: &str, addr: SocketAddr) -> Self {
        let (host, port) = (addr.ip().to_string(), addr.port());
        self.edit_clusters(|all| {
            all.push(cluster(name, json!({"socket_address": {"address": host, "port_value": port}})));
        })
    }

    pub fn edit_clusters(mut self, edit: impl FnOnce(&mut Vec<Value>)) -> Self {
        self.gateway = self.gateway.edit(|bootstrap| {
            edit(bootstrap["static_resources"]["clusters"].as_array_mut().expect("clusters"));
        });
        self
    }

    /// The shipped listener with these issuers; its plugin has the same name.
    pub fn plugin(self, name: &str, issuers: &[Value]) -> Self {
        self.shaped(name, issuers, |listener| listener)
    }

    /// [`Sketch::plugin`] with changes.
    pub fn shaped(mut self, name: &str, issuers: &[Value], shape: impl FnOnce(Listener) -> Listener) -> Self {
        self.plugins.push(name.to_owned());
        self.gateway = self.gateway.listener(name, |listener| shape(guarded(listener, name, issuers)));
        self
    }

    /// A listener of another kind.
    pub fn listener(mut self, listener: Value) -> Self {
        self.listeners.push(listener);
        self
    }

    /// With one worker.
    pub fn start(self) -> Site {
        self.launch(|launch| launch)
    }

    pub fn launch(self, shape: impl FnOnce(Launch) -> Launch) -> Site {
        let mut config = self.gateway.build();
        config["static_resources"]["listeners"].as_array_mut().expect("listeners").extend(self.listeners);
        let envoy = shape(Launch::new(config)).start().expect("Envoy");
        let addr = |name: &String| (name.clone(), envoy.addr(name).expect("an address"));
        let addrs = self.plugins.iter().map(addr).collect();
        Site { envoy, upstream: self.upstream, addrs }
    }
}

impl Site {
    pub fn addr(&self, plugin: &str) -> SocketAddr {
        self.addrs[plugin]
    }

    /// What becomes of a request, and for which reason.
    pub fn send(&self, plugin: &str, request: &Request) -> Outcome {
        let response = client::send(self.addr(plugin), request).expect("an answer");
        self.outcome(request.id(), response.status)
    }

    pub fn outcome(&self, id: &str, status: u16) -> Outcome {
        Outcome { status, reason: self.envoy.access_line(id).expect("a line").reason() }
    }

    /// A GET that every caller may make.
    pub fn get(&self, plugin: &str, token: &str) -> Outcome {
        self.send(plugin, &Request::get("/v2/topology").bearer(token))
    }

    /// The request is served.
    pub fn serves(&self, what: &str, plugin: &str, token: &str) {
        assert_eq!(self.get(plugin, token), outcome(200, "no_permission_required"), "{what} at {plugin}");
    }

    /// How many fetches of a plugin were good, and how many failed, in all VMs.
    pub fn fetched(&self, plugin: &str) -> (u64, u64) {
        let count = |which: &str| {
            let name = format!("wasmcustom.wasm_filter.{plugin}.component.{which}.portcullis_key_fetches");
            self.envoy.stat(&name).expect("stats").unwrap_or_default()
        };
        (count("good"), count("failed"))
    }

    /// Waits until every VM has the keys of that many issuers of a plugin.
    pub fn await_keys(&self, plugin: &str, issuers: usize) {
        let wanted = (VMS * issuers) as u64;
        wait::until(&format!("the first keys of {plugin}"), || (self.fetched(plugin).0 >= wanted).then_some(()))
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.fetched(plugin)));
    }

    /// Nothing has gone wrong in the VM, all the time; Envoy itself is well.
    pub fn assert_unharmed(&self) {
        let log = self.envoy.log();
        for word in ["panicked", "Function: proxy_on", "Uncaught RuntimeError"] {
            assert!(!log.contains(word), "{word} in Envoy's log:\n{log}");
        }
        let reloads = self.envoy.stats("vm_reload").expect("stats");
        assert_eq!(reloads.values().sum::<u64>(), 0, "{reloads:?}");
        assert!(self.envoy.admin("/ready").is_ok_and(|state| state.starts_with("LIVE")));
    }
}

/// A good token of that issuer for `ada`, unlike any before.
pub fn token(key: &Key, issuer: &str) -> String {
    key.token(issuer, &json!({"preferred_username": "ada", "jti": Request::get("/").id()}))
}

/// Runs `probe` and says how long it took.
pub fn timed<T>(probe: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (probe(), start.elapsed())
}
