//! The filter in a waypoint: a control plane of its own, with ambient mode on; the waypoint's Envoy, run by the agent;
//! and before it an Envoy that tunnels as ztunnel does (HTTP/2 CONNECT over mutual TLS), from which callers reach
//! services by their addresses.

use super::corpus::{self, Door, Way};
use super::{broken, with};
use crate::guard::Rendering;
use crate::kube::Kube;
use crate::mesh::{Istiod, Proxy, WAYPOINT};
use crate::parts::{run, shown};
use crate::world::{CLOSED, FAILED, GUARDED, OPEN, World};
use anyhow::{Context, Result, ensure};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::idp::{Answer, Provider};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMESPACE: &str = "default";
/// Who all workloads are here.
const IDENTITY: &str = "spiffe://cluster.local/ns/default/sa/default";
/// The waypoint's own service.
const OWN: &str = "waypoint";
/// What refers to the waypoint as a whole.
const WHOLE: [&str; 2] = ["--target-ref", "Gateway/waypoint"];

/// What is dropped first stands first.
struct Ambient {
    tunnel: Option<Envoy>,
    proxy: Proxy,
    istiod: Istiod,
    kube: Kube,
    folder: PathBuf,
}

impl Ambient {
    fn start(world: &World) -> Result<Self> {
        let folder = world.folder().join("ambient");
        fs::create_dir_all(&folder)?;
        let kube = Kube::start(&world.parts, &folder)?;
        let gateways = ("gateway.networking.k8s.io/v1", "Gateway");
        kube.install(&world.parts.file("gateway-crds.yaml"), [gateways])?;
        kube.apply(&objects(world))?;
        kube.report(&gateway())?;
        // Nobody makes pods here, so what istiod would tell of them is told by the objects above.
        let settings = [
            ("PILOT_ENABLE_AMBIENT", "true"),
            ("PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER", "false"),
            ("PILOT_ENABLE_GATEWAY_API_STATUS", "false"),
        ];
        let istiod = Istiod::start(&world.parts, &kube, &folder, &settings)?;
        certify(&Proxy::home(&folder, WAYPOINT).join("etc/certs"))?;
        let proxy = Proxy::start(&world.parts, &istiod, &folder, WAYPOINT)?;
        Ok(Self { tunnel: None, proxy, istiod, kube, folder })
    }

    /// Makes services of that many numbers, and ways to them.
    fn services(&mut self, world: &World, count: usize) -> Result<Vec<SocketAddr>> {
        for number in 0..count {
            self.kube.apply([&service(world, number)])?;
        }
        let tunnel = Launch::new(tunnel(&Proxy::home(&self.folder, WAYPOINT).join("etc/certs"), count)).start()?;
        let addrs = (0..count).map(|number| tunnel.addr(&name(number))).collect::<Result<Vec<_>>>()?;
        self.tunnel = Some(tunnel);
        Ok(addrs)
    }

    /// Takes the scenario's objects away, and waits until nothing is judged.
    fn reset(&self, world: &mut World, to: SocketAddr) -> Result<()> {
        world.fresh_name();
        self.kube.clear()?;
        self.kube.apply([&stock_envoy()])?;
        world.becomes_at(to, OPEN)
    }
}

/// Attached to the whole waypoint or to a service, the plugin guards, in every form; where it is gone, broken, or
/// attached to another service, the belt lets nothing pass. The corpus is decided there as the engine decides it.
pub fn a_waypoint(world: &mut World) -> Result<()> {
    let mut ambient = Ambient::start(world)?;
    let ways = ambient.services(world, 2)?;
    let (to, other) = (ways[0], ways[1]);
    world.becomes_at(to, OPEN).with_context(|| words(&ambient))?;
    let (file, image, digest) = (world.file_url.clone(), world.registry.url(), world.registry.digest.clone());
    for form in [
        vec!["istio", "--url", &file],
        vec!["istio", "--url", &image, "--sha256", &digest],
        vec!["traffic-extension", "--url", &file],
        vec!["istio", "--hold", "--url", &file],
    ] {
        ambient.reset(world, to)?;
        let objects = world.portcullis.render(&world.rendering(&[&form[..], &WHOLE[..]].concat()))?;
        guards(world, &ambient, to, &objects).with_context(|| form.join(" "))?;
    }
    one_service(world, &ambient, [to, other])?;
    remote_keys(world, &ambient, to)?;
    the_corpus(world, &mut ambient)
}

fn words(ambient: &Ambient) -> String {
    let last = |text: String| text.lines().rev().take(15).collect::<Vec<_>>().join("\n");
    format!("istiod: {}\nwaypoint: {}", last(ambient.istiod.log()), last(ambient.proxy.log()))
}

fn guards(world: &World, ambient: &Ambient, to: SocketAddr, objects: &[Value]) -> Result<()> {
    let found = world.portcullis.examine(objects)?;
    ensure!(found.is_empty(), "the doctor says {found:?} of the manifests");
    ambient.kube.apply(objects)?;
    world.becomes_at(to, GUARDED)?;
    world.doctor_says_of(&ambient.proxy, &[])?;
    let [plugin, belt] = objects else { return Ok(()) };
    world.under_fire_at(to, |world| {
        ambient.kube.delete(plugin)?;
        world.becomes_at(to, CLOSED)
    })?;
    world.doctor_says_of(&ambient.proxy, &["filter_missing"])?;
    if plugin["kind"] == "WasmPlugin" {
        // Envoy remembers names of broken ones.
        let renamed = with(&broken(plugin), "/metadata/name", format!("{}-broken", world.name()).into());
        world.under_fire_at(to, |world| {
            ambient.kube.apply([&renamed])?;
            world.becomes_at(to, FAILED)
        })?;
    }
    ambient.kube.delete(belt).map(drop)
}

/// A plugin for one service, and a belt for the whole waypoint: the other service is closed.
fn one_service(world: &mut World, ambient: &Ambient, [to, other]: [SocketAddr; 2]) -> Result<()> {
    ambient.reset(world, to)?;
    let url = world.file_url.clone();
    let target = format!("Service/{}", name(0));
    let render =
        |target: &str| world.portcullis.render(&world.rendering(&["istio", "--url", &url, "--target-ref", target]));
    let (of_service, of_all) = (render(&target)?, render(WHOLE[1])?);
    ambient.kube.apply([&of_service[0], &of_all[1]])?;
    world.becomes_at(to, GUARDED)?;
    world.becomes_at(other, CLOSED)
}

/// A waypoint knows no cluster but those of its services. That of the keys' provider is named to it by what `render`
/// writes; without that, requests are refused.
fn remote_keys(world: &mut World, ambient: &Ambient, to: SocketAddr) -> Result<()> {
    ambient.reset(world, to)?;
    let provider = Provider::start()?;
    provider.answer("/keys", Answer::json(&world.issuer.jwks()));
    ambient.kube.apply([&super::keys::entry("login", "login.internal", 80, "HTTP", provider.addr())])?;
    let url = world.file_url.clone();
    let mut rendering: Rendering<'_> = world.rendering(&[&["istio", "--url", &url][..], &WHOLE[..]].concat());
    rendering.configuration["issuers"][0]["jwks"] =
        json!({"remote": {"uri": "http://login.internal/keys", "cluster": "outbound|80||login.internal"}});
    let objects = world.portcullis.render(&rendering)?;
    let unnamed = with(&objects[1], "/metadata/annotations", Value::Null);
    ambient.kube.apply([&objects[0], &unnamed])?;
    world.comes_to(to, [503, 503, 503, 503, 401])?;
    ambient.kube.apply(&objects)?;
    world.becomes_at(to, GUARDED)?;
    ensure!(provider.fetches("/keys") > 0, "nobody has fetched keys");
    Ok(())
}

fn the_corpus(world: &mut World, ambient: &mut Ambient) -> Result<()> {
    world.fresh_name();
    ambient.kube.clear()?;
    ambient.kube.apply([&stock_envoy()])?;
    // One service for each kind of suite, each with its plugin.
    let ways = ambient.services(world, COUNT)?;
    let door = Door {
        kube: &ambient.kube,
        proxy: &ambient.proxy,
        arguments: &WHOLE,
        target: ("targetRefs", json!([reference("Gateway", OWN)])),
        context: "SIDECAR_INBOUND",
    };
    corpus::through(world, &door, |count| {
        ensure!(count <= ways.len(), "{count} kinds of suites");
        let way = |(number, to): (usize, &SocketAddr)| Way {
            to: *to,
            only: ("/spec/targetRefs", json!([reference("Service", &name(number))])),
        };
        Ok(ways.iter().enumerate().take(count).map(way).collect())
    })
}

/// More than the corpus has kinds of suites, and fewer than there are addresses.
const COUNT: usize = 200;

/// A service's name.
fn name(number: usize) -> String {
    format!("orchestration-{number}")
}

/// And its address.
fn address(number: usize) -> String {
    format!("10.96.0.{}", number + 20)
}

fn reference(kind: &str, name: &str) -> Value {
    let group = if kind == "Gateway" { "gateway.networking.k8s.io" } else { "" };
    json!({"group": group, "kind": kind, "name": name})
}

fn metadata(name: &str, labels: &Value) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "labels": labels})
}

/// A service of the cluster that is reached through the waypoint.
fn service(world: &World, number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(&name(number), &json!({"istio.io/use-waypoint": OWN})),
        "spec": {
            "clusterIP": address(number), "selector": {"app": "orchestration"},
            "ports": [{"name": "http", "port": 80, "targetPort": world.upstream.addr().port(), "appProtocol": "http"}],
        },
    })
}

fn gateway() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": metadata(OWN, &json!({"istio.io/waypoint-for": "service"})),
        "spec": {
            "gatewayClassName": "istio-waypoint", "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
        },
        "status": {"addresses": [{"type": "Hostname", "value": format!("{OWN}.{NAMESPACE}.svc.cluster.local")}]},
    })
}

/// The waypoint as an object, its service, and what would be pods: of the waypoint and of the cluster.
fn objects(world: &World) -> Vec<Value> {
    let own = json!({"gateway.networking.k8s.io/gateway-name": OWN});
    let workload = |name: &str, address: &str, labels: &Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": metadata(name, labels),
            "spec": {"address": address, "labels": labels, "serviceAccount": "default"},
        })
    };
    let mut gateway = gateway();
    gateway.as_object_mut().into_iter().for_each(|members| drop(members.remove("status")));
    vec![
        gateway,
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata(OWN, &own),
            "spec": {
                "clusterIP": "10.96.0.10", "selector": own,
                "ports": [{"name": "mesh", "port": 15008, "appProtocol": "hbone"}],
            },
        }),
        workload(OWN, "127.0.0.11", &own),
        workload("orchestration", &world.upstream.addr().ip().to_string(), &json!({"app": "orchestration"})),
        stock_envoy(),
    ]
}

/// Takes out filters of metrics that only Istio's build of Envoy has.
fn stock_envoy() -> Value {
    let without = |name: &str| {
        let filter = json!({"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": name}});
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {"context": "SIDECAR_INBOUND", "listener": {"filterChain": {"filter": filter}}},
            "patch": {"operation": "REMOVE"},
        })
    };
    json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"name": "stock-envoy", "namespace": NAMESPACE},
        "spec": {
            "targetRefs": [reference("Gateway", OWN)],
            "configPatches": [
                without("waypoint_downstream_peer_metadata"), without("waypoint_upstream_peer_metadata"),
            ],
        },
    })
}

/// Certificates as a workload has them, from an authority of their own; the agent takes those that lie there.
fn certify(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let file = |name: &str| shown(&folder.join(name));
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments)).map(drop);
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=test"];
    let (root, root_key, request) = (file("root-cert.pem"), file("root-key.pem"), file("request.pem"));
    let (chain, key, names) = (file("cert-chain.pem"), file("key.pem"), file("names"));
    fs::write(&names, format!("subjectAltName=critical,URI:{IDENTITY}\n"))?;
    openssl(&[&["req", "-x509", "-days", "2", "-keyout", &root_key, "-out", &root][..], &new].concat())?;
    openssl(&[&["req", "-keyout", &key, "-out", &request][..], &new].concat())?;
    let signing = ["x509", "-req", "-days", "2", "-CAcreateserial", "-CA", &root, "-CAkey", &root_key];
    openssl(&[&signing[..], &["-in", &request, "-extfile", &names, "-out", &chain]].concat())
}

/// An Envoy that tunnels to the waypoint: one listener for each service.
fn tunnel(certificates: &Path, count: usize) -> Value {
    let file = |name: &str| json!({"filename": certificates.join(name)});
    let listener = |number: usize| {
        json!({
            "name": name(number),
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "tunnel", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "tunnel", "cluster": OWN,
                "tunneling_config": {"hostname": format!("{}:80", address(number))},
            }}]}],
        })
    };
    json!({"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}, "static_resources": {
        "listeners": (0..count).map(listener).collect::<Vec<_>>(),
        "clusters": [{
            "name": OWN, "type": "STATIC", "connect_timeout": "5s",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "load_assignment": {"cluster_name": OWN, "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 15008}},
            }}]}]},
            "transport_socket": {"name": "tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_params": {
                        "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
                    },
                    "tls_certificates": [{
                        "certificate_chain": file("cert-chain.pem"), "private_key": file("key.pem"),
                    }],
                    "validation_context": {"trusted_ca": file("root-cert.pem")},
                },
            }},
        }],
    }})
}
