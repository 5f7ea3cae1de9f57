//! The filter in the sidecar of the cluster's own pods. Nothing redirects connections to it here, so it listens
//! where a Sidecar object says; istiod, the agent, the chain of filters and the belt are the real ones.

use super::corpus::{self, Door, Way};
use crate::mesh::{Proxy, SIDECAR};
use crate::world::{CLOSED, GUARDED, OPEN, World};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What names it to `portcullis render`.
const ARGUMENTS: [&str; 3] = ["--sidecar", "--label", "app=orchestration"];

/// Each form of filter and belt guards a sidecar; where the plugin is gone, the belt lets nothing pass; the corpus
/// is decided there as the engine decides it.
pub fn a_sidecar(world: &mut World) -> Result<()> {
    let to = corpus::free(1)?[0];
    world.kube.apply(&sidecar(world, &[to], "HTTP"))?;
    let proxy = world.proxy(SIDECAR)?;
    let (file, image, digest) = (world.file_url.clone(), world.registry.url(), world.registry.digest.clone());
    let forms = [
        vec!["istio", "--url", &file],
        vec!["istio", "--url", &image, "--sha256", &digest],
        vec!["traffic-extension", "--url", &file],
        vec!["istio", "--hold", "--url", &file],
    ];
    for form in &forms {
        world.fresh_name();
        world.kube.clear()?;
        world.kube.apply(&sidecar(world, &[to], "HTTP"))?;
        world.becomes_at(to, OPEN)?;
        let objects = world.portcullis.render(&world.rendering(&[&form[..], &ARGUMENTS[..]].concat()))?;
        guards(world, &proxy, to, &objects).with_context(|| form.join(" "))?;
    }
    world.fresh_name();
    world.kube.clear()?;
    let door = Door {
        kube: &world.kube,
        proxy: &proxy,
        arguments: &ARGUMENTS,
        target: ("workloadSelector", json!({"labels": {"app": "orchestration"}})),
        context: "SIDECAR_INBOUND",
    };
    corpus::through(world, &door, |count| {
        let ports = corpus::free(count)?;
        world.kube.apply(&sidecar(world, &ports, "HTTP"))?;
        Ok(ports.into_iter().map(Way::port).collect())
    })
}

fn guards(world: &World, proxy: &Proxy, to: SocketAddr, objects: &[Value]) -> Result<()> {
    let found = world.portcullis.examine(objects)?;
    ensure!(found.is_empty(), "the doctor says {found:?} of the manifests");
    world.kube.apply(objects)?;
    world.becomes_at(to, GUARDED)?;
    world.doctor_says_of(proxy, &[])?;
    let [plugin, belt] = objects else { return Ok(()) };
    world.under_fire_at(to, |world| {
        world.kube.delete(plugin)?;
        world.becomes_at(to, CLOSED)
    })?;
    world.doctor_says_of(proxy, &["filter_missing"])?;
    world.kube.delete(belt)?;
    world.becomes_at(to, OPEN)
}

/// A port that Istio does not take for HTTP has no HTTP filters: everything passes, and that is why the page says to
/// name ports.
pub fn a_port_of_another_protocol(world: &mut World) -> Result<()> {
    let to = corpus::free(1)?[0];
    world.kube.apply(&sidecar(world, &[to], "HTTP"))?;
    let proxy = world.proxy(SIDECAR)?;
    let url = world.file_url.clone();
    let objects = world.portcullis.render(&world.rendering(&[&["istio", "--url", &url], &ARGUMENTS[..]].concat()))?;
    world.kube.apply(&objects)?;
    world.becomes_at(to, GUARDED)?;
    world.kube.apply(&sidecar(world, &[to], "TCP"))?;
    world.becomes_at(to, OPEN)?;
    world.doctor_says_of(&proxy, &["filter_missing"])?;
    world.kube.apply(&sidecar(world, &[to], "HTTP"))?;
    world.becomes_at(to, GUARDED)
}

/// A sidecar with these ports before the cluster, which speaks with callers without certificates: there is no
/// authority here that would give it one.
fn sidecar(world: &World, ports: &[SocketAddr], protocol: &str) -> [Value; 2] {
    let upstream = world.upstream.addr();
    let ingress = |port: &SocketAddr| {
        json!({
            "port": {"number": port.port(), "protocol": protocol, "name": format!("port-{}", port.port())},
            "bind": "127.0.0.1", "captureMode": "NONE", "defaultEndpoint": upstream.to_string(),
        })
    };
    [
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": "plain", "namespace": "default"},
            "spec": {"mtls": {"mode": "DISABLE"}},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
            "metadata": {"name": "orchestration", "namespace": "default"},
            "spec": {
                "workloadSelector": {"labels": {"app": "orchestration"}},
                "ingress": ports.iter().map(ingress).collect::<Vec<_>>(),
                "egress": [{"hosts": ["~/*"]}],
            },
        }),
    ]
}
