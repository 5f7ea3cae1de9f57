//! The corpus of decisions, put to the gateway.

use super::with;
use crate::guard::{NAME, Rendering};
use crate::world::World;
use anyhow::{Context, Result, ensure};
use portcullis::config;
use portcullis::suite::Suite;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::suites::{Callers, Trust};
use portcullis_e2e::trial::{self, Asked, Paths};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

/// Each suite becomes a plugin on a port of its own; the belt stands on all. Every case is decided as
/// the engine decides it.
pub fn the_same_verdicts(world: &mut World) -> Result<()> {
    let corpus = trial::corpus().into_iter().map(streaming).collect::<Result<Vec<Suite>>>()?;
    let callers = Callers::new()?;
    let kinds: Vec<(usize, Trust)> = corpus
        .iter()
        .enumerate()
        .flat_map(|(number, suite)| {
            let needed: std::collections::BTreeSet<Trust> = suite.cases.iter().map(Trust::of).collect();
            needed.into_iter().map(move |trust| (number, trust))
        })
        .collect();
    // All at once, so that no two are the same.
    let free = kinds.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let ports = free.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    drop(free);
    let places: BTreeMap<(usize, Trust), SocketAddr> = kinds.into_iter().zip(ports.iter().copied()).collect();

    world.listen(&ports)?;
    let [_, belt] = world.guard()?;
    world.kube.apply([&belt, &request_ids()])?;
    for (number, ((suite, trust), port)) in places.iter().enumerate() {
        let configuration = callers.configuration(&corpus[*suite], *trust);
        // Fetched, the module runs in one VM, as in a gateway with one plugin.
        let url = world.web.url();
        let arguments = vec!["istio", "--url", &url];
        let objects = world.portcullis.render(&Rendering { arguments, configuration, policy: Value::Null });
        let plugin = objects.with_context(|| corpus[*suite].name.clone())?.swap_remove(0);
        let plugin = with(
            &plugin,
            "/metadata/name",
            format!("{}-{number}", belt["metadata"]["name"].as_str().unwrap_or_default()).into(),
        );
        world.kube.apply([&with(&plugin, "/spec/match", json!([{"ports": [{"number": port.port()}]}]))])?;
    }
    // Where there is the belt alone, it is what answers.
    let judged = |to: &SocketAddr| {
        client::send(*to, &Request::get("/v2/topology")).is_ok_and(|answer| answer.text() != "RBAC: access denied")
    };
    world.until("all plugins", || ports.iter().all(judged))?;

    let mut asked = Vec::new();
    for (number, suite) in corpus.iter().enumerate() {
        for case in &suite.cases {
            let to = places[&(number, Trust::of(case))];
            asked.push(Asked { suite, case, to, request: callers.request(suite, case)? });
        }
    }
    let findings = trial::hold(Paths::AsShipped, &asked, &world.upstream, || world.gateway().access_log()).0;
    let first: Vec<String> = findings.iter().take(10).cloned().collect();
    ensure!(findings.is_empty(), "{} findings, the first of them:\n{}", findings.len(), first.join("\n"));
    Ok(())
}

/// Lets callers name the lines of the access log, as the shipped Envoy configuration does.
fn request_ids() -> Value {
    let manager = "envoy.filters.network.http_connection_manager";
    let kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"name": "request-ids", "namespace": "default"},
        "spec": {
            "workloadSelector": {"labels": {"istio": "ingressgateway"}},
            "configPatches": [{
                "applyTo": "NETWORK_FILTER",
                "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {"name": manager}}}},
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
