//! The corpus of decisions, put to a proxy.

use super::with;
use crate::guard::{NAME, Rendering};
use crate::kube::Kube;
use crate::mesh::Proxy;
use crate::world::World;
use anyhow::{Context, Result, ensure};
use portcullis::config;
use portcullis::suite::Suite;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::suites::{Callers, Trust};
use portcullis_e2e::trial::{self, Asked, Paths};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

/// Where the corpus goes through.
pub struct Door<'a> {
    /// The API of its control plane.
    pub kube: &'a Kube,
    /// What runs there.
    pub proxy: &'a Proxy,
    /// What names it to `portcullis render`.
    pub arguments: &'a [&'a str],
    /// What names it in an EnvoyFilter: a member of `spec`, and its value.
    pub target: (&'a str, Value),
    /// What an EnvoyFilter calls its listeners.
    pub context: &'a str,
}

/// One way in, with a plugin of its own.
pub struct Way {
    /// Where callers call.
    pub to: SocketAddr,
    /// What attaches the plugin to it alone: a pointer into the plugin, and the value there.
    pub only: (&'static str, Value),
}

/// Addresses of this machine that nobody listens at.
pub fn free(count: usize) -> Result<Vec<SocketAddr>> {
    // All at once, so that no two are the same.
    let free = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    Ok(free.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

impl Way {
    /// A port of a proxy.
    pub fn port(to: SocketAddr) -> Self {
        Self { to, only: ("/spec/match", json!([{"ports": [{"number": to.port()}]}])) }
    }
}

/// Through the gateway, on ports of it.
pub fn the_same_verdicts(world: &mut World) -> Result<()> {
    let door = Door {
        kube: &world.kube,
        proxy: world.gateway(),
        arguments: &[],
        target: ("workloadSelector", json!({"labels": {"istio": "ingressgateway"}})),
        context: "GATEWAY",
    };
    through(world, &door, |count| {
        let ports = free(count)?;
        world.listen(&ports)?;
        Ok(ports.into_iter().map(Way::port).collect())
    })
}

/// Each suite becomes a plugin for a way of its own; the belt stands on all. Every case is decided as
/// the engine decides it.
pub fn through(world: &World, door: &Door<'_>, open: impl FnOnce(usize) -> Result<Vec<Way>>) -> Result<()> {
    let corpus = trial::corpus().into_iter().map(streaming).collect::<Result<Vec<Suite>>>()?;
    let callers = Callers::new()?;
    let kinds: Vec<(usize, Trust)> = corpus
        .iter()
        .enumerate()
        .flat_map(|(number, suite)| {
            let needed: BTreeSet<Trust> = suite.cases.iter().map(Trust::of).collect();
            needed.into_iter().map(move |trust| (number, trust))
        })
        .collect();
    let ways = open(kinds.len())?;
    let places: BTreeMap<(usize, Trust), &Way> = kinds.into_iter().zip(&ways).collect();

    // Fetched, the module runs in one VM, as in a proxy with one plugin.
    let url = world.web.url();
    let render = |configuration: Value| {
        let arguments = [&["istio", "--url", &url], door.arguments].concat();
        world.portcullis.render(&Rendering { arguments, configuration, policy: Value::Null })
    };
    for (number, ((suite, trust), way)) in places.iter().enumerate() {
        let objects = render(callers.configuration(&corpus[*suite], *trust));
        let mut objects = objects.with_context(|| corpus[*suite].name.clone())?.into_iter();
        let (plugin, belt) = (objects.next().context("a plugin")?, objects.next().context("a belt")?);
        if number == 0 {
            door.kube.apply([&belt, &request_ids(door)])?;
        }
        let name = format!("{}-{number}", world.name());
        let plugin = with(&plugin, "/metadata/name", name.into());
        let (pointer, value) = &way.only;
        door.kube.apply([&with(&plugin, pointer, value.clone())])?;
    }
    // Where there is the belt alone, it is what answers.
    let judged = |to: &SocketAddr| {
        client::send(*to, &Request::get("/v2/topology"))
            .is_ok_and(|answer| answer.status < 500 && answer.text() != "RBAC: access denied")
    };
    world.until("all plugins", || ways.iter().all(|way| judged(&way.to)))?;

    let mut asked = Vec::new();
    for (number, suite) in corpus.iter().enumerate() {
        for case in &suite.cases {
            let to = places[&(number, Trust::of(case))].to;
            asked.push(Asked { suite, case, to, request: callers.request(suite, case)? });
        }
    }
    let findings = trial::hold(Paths::AsShipped, &asked, &world.upstream, || door.proxy.access_log()).0;
    let first: Vec<String> = findings.iter().take(10).cloned().collect();
    ensure!(findings.is_empty(), "{} findings, the first of them:\n{}", findings.len(), first.join("\n"));
    println!("  {} decisions", asked.len());
    Ok(())
}

/// Lets callers name the lines of the access log, as the shipped Envoy configuration does.
fn request_ids(door: &Door<'_>) -> Value {
    let manager = "envoy.filters.network.http_connection_manager";
    let kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let (member, target) = &door.target;
    json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"name": "request-ids", "namespace": "default"},
        "spec": {
            (*member): target,
            "configPatches": [{
                "applyTo": "NETWORK_FILTER",
                "match": {"context": door.context, "listener": {"filterChain": {"filter": {"name": manager}}}},
                "patch": {"operation": "MERGE", "value": {
                    "typed_config": {"@type": kind, "preserve_external_request_id": true},
                }},
            }],
        },
    })
}

/// The suite with what a WasmPlugin can: headers are not held.
fn streaming(mut suite: Suite) -> Result<Suite> {
    suite.configuration["name"] = NAME.into();
    suite.configuration["body"]["gate"] = "stream".into();
    let (plan, _) = config::read(suite.configuration.to_string().as_bytes()).map_err(anyhow::Error::msg)?;
    suite.plan = Rc::new(plan);
    Ok(suite)
}
