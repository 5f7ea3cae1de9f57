//! Keys that the filter fetches from an identity provider, through a cluster as Istio names it.

use crate::world::{GUARDED, World};
use anyhow::{Result, ensure};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::idp::{Answer, Certificate, Provider};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;

/// The provider's name.
const HOST: &str = "login.internal";
/// Where its keys stand.
const KEYS: &str = "/keys";
/// What callers with a token are answered while there are no keys.
const WAITING: [u16; 5] = [503, 503, 503, 503, 401];

/// In plain text, and over TLS as the page has it (ServiceEntry and DestinationRule): keys are fetched. Where the
/// provider goes away, they are kept, also over a change of the policy; after a restart without it nobody passes,
/// until it is back. A provider whose certificate is another's gives no keys.
pub fn fetched_keys(world: &mut World) -> Result<()> {
    let provider = Provider::start()?;
    let answers = || provider.answer(KEYS, Answer::json(&world.issuer.jwks()));
    answers();
    world.kube.apply([&entry("login", HOST, 80, "HTTP", provider.addr())])?;
    let [plugin, belt] = guard(world, 80)?;
    world.guarded_by(&[plugin, belt.clone()])?;
    ensure!(provider.fetches(KEYS) > 0, "nobody has fetched keys");
    world.doctor_says(&[])?;

    provider.answer(KEYS, Answer::hang_up());
    let ((), fire) = world.under_fire(|world| {
        let mut rendering = rendering(world, 80);
        rendering.policy = crate::guard::policy(&["invoice", "holidays"]);
        world.kube.apply(&world.portcullis.render(&rendering)?)?;
        world.until("the policy", || world.dora_may("holidays"))
    })?;
    fire.answered_right()?;
    world.restart_gateway()?;
    world.comes_to(world.ports[0], WAITING)?;
    let answers = || provider.answer(KEYS, Answer::json(&world.issuer.jwks()));
    answers();
    world.becomes(GUARDED)?;
    over_tls(world, &provider)
}

fn over_tls(world: &mut World, provider: &Provider) -> Result<()> {
    world.reset()?;
    let folder = world.folder().join("login");
    fs::create_dir_all(&folder)?;
    let [own, other] = [Certificate::new(HOST)?, Certificate::new(HOST)?];
    for (name, text) in [("chain.pem", &own.certificate), ("key.pem", &own.key), ("other.pem", &other.certificate)] {
        fs::write(folder.join(name), text)?;
    }
    let front: Envoy = Launch::new(front(&folder, provider.addr())).start()?;
    world.kube.apply([&entry("login-tls", HOST, 443, "HTTPS", front.addr("tls")?)])?;
    let trusting = |file: &str| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "login", "namespace": "default"},
            "spec": {"host": HOST, "trafficPolicy": {"portLevelSettings": [{"port": {"number": 443}, "tls": {
                "mode": "SIMPLE", "sni": HOST, "subjectAltNames": [HOST], "caCertificates": folder.join(file),
            }}]}},
        })
    };
    world.kube.apply([&trusting("other.pem")])?;
    world.kube.apply(&guard(world, 443)?)?;
    world.comes_to(world.ports[0], WAITING)?;
    world.kube.apply([&trusting("chain.pem")])?;
    world.becomes(GUARDED)?;
    world.doctor_says(&[])
}

/// Of a module that is fetched a change of the policy keeps the VM, and with it the keys.
fn rendering(world: &World, port: u16) -> crate::guard::Rendering<'_> {
    let mut rendering = world.rendering(&["istio", "--url", &world.web_url]);
    let scheme = if port == 443 { "https" } else { "http" };
    rendering.configuration["issuers"][0]["jwks"] = json!({"remote": {
        "uri": format!("{scheme}://{HOST}{KEYS}"), "cluster": format!("outbound|{port}||{HOST}"),
    }});
    rendering
}

fn guard(world: &World, port: u16) -> Result<[Value; 2]> {
    let made = world.portcullis.render(&rendering(world, port))?;
    made.try_into().map_err(|made| anyhow::anyhow!("a plugin and a belt, not {made:?}"))
}

/// A host outside the mesh, at that address.
pub fn entry(name: &str, host: &str, port: u16, protocol: &str, addr: SocketAddr) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "hosts": [host], "location": "MESH_EXTERNAL", "resolution": "STATIC",
            "ports": [{"number": port, "name": "port", "protocol": protocol}],
            "endpoints": [{"address": addr.ip().to_string(), "ports": {"port": addr.port()}}],
        },
    })
}

/// An Envoy that ends TLS before the provider.
fn front(folder: &std::path::Path, provider: SocketAddr) -> Value {
    let file = |name: &str| json!({"filename": folder.join(name)});
    let address = |host: String, port: u16| json!({"socket_address": {"address": host, "port_value": port}});
    json!({"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}, "static_resources": {
        "listeners": [{
            "name": "tls", "address": address("127.0.0.1".into(), 0),
            "filter_chains": [{
                "transport_socket": {"name": "tls", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {"tls_certificates": [
                        {"certificate_chain": file("chain.pem"), "private_key": file("key.pem")},
                    ]},
                }},
                "filters": [{"name": "tcp", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    "stat_prefix": "tls", "cluster": "provider",
                }}],
            }],
        }],
        "clusters": [{
            "name": "provider", "type": "STATIC",
            "load_assignment": {"cluster_name": "provider", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": address(provider.ip().to_string(), provider.port())}},
            ]}]},
        }],
    }})
}
