//! Methods, headers and targets that could change what a request is, in a real Envoy: what arrives
//! at the cluster is what was judged. `docs/methods.md` lists them.

mod support;

use portcullis_e2e::client::Request;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::http2::Exchange;
use serde_json::json;
use std::net::SocketAddr;
use support::{Fate, World};

fn start(world: &World, upgrades: &[&str]) -> (Envoy, SocketAddr) {
    let connects = !upgrades.is_empty();
    let upgrades: Vec<_> = upgrades.iter().map(|kind| json!({"upgrade_type": kind})).collect();
    let shape = |manager: &mut serde_json::Value| {
        manager["upgrade_configs"] = json!(upgrades);
        manager["http2_protocol_options"] = json!({"allow_connect": connects});
    };
    let config = world.gateway().listener("gateway", |l| world.guarded(l).edit_manager(shape)).build();
    let envoy = Launch::new(config).start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    (envoy, addr)
}

fn over_http2(world: &World, addr: SocketAddr, request: &Request) -> Fate {
    let mut exchange = Exchange::open(addr, request, false).expect("a connection");
    world.fate_of(request, exchange.response())
}

#[test]
fn what_names_another_method_or_path_does_not_arrive() {
    let world = World::new();
    let (_envoy, addr) = start(&world, &[]);
    let names = [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X_HTTP_Method_Override",
        "X-Original-URL",
        "X-Rewrite-URL",
    ];
    for (name, http2) in names.into_iter().flat_map(|name| [(name, false), (name, true)]) {
        let request = world.ask("ada").header(name, "DELETE").header(name, "/v2/users/ada");
        let fate = if http2 { over_http2(&world, addr, &request) } else { world.fate(addr, &request) };
        assert!(fate.passed(), "{name}");
        let arrived = world.upstream.find(request.id()).expect("it arrived");
        assert_eq!((&*arrived.method, &*arrived.target), ("GET", &b"/v2/topology"[..]));
        assert!(arrived.fields.all(&name.to_ascii_lowercase()).is_empty(), "{name}");
    }
}

#[test]
fn other_methods_do_not_arrive() {
    let world = World::new();
    let (_envoy, addr) = start(&world, &[]);
    let head = Request::new("HEAD", "/v2/topology").bearer(world.token("ada"));
    assert!(world.fate(addr, &head).complete);
    for method in ["TRACE", "OPTIONS", "PROPFIND", "get", "GETGET"] {
        let fate = world.fate(addr, &Request::new(method, "/v2/topology").bearer(world.token("ada")));
        assert!(fate.refused(403) || fate.refused(400), "{method}: {fate:?}");
    }
    for target in ["orchestration.test:443", "/v2/topology"] {
        let fate = world.fate(addr, &Request::new("CONNECT", target).bearer(world.token("ada")));
        assert!(!fate.begun, "{target}: {fate:?}");
    }
}

#[test]
fn no_other_protocol_is_spoken() {
    let world = World::new();
    let ask = |kind: &str| world.ask("ada").header("connection", "upgrade").header("upgrade", kind);
    let (_plain, addr) = start(&world, &[]);
    assert!(world.fate(addr, &ask("websocket")).refused(403));
    let request = ask("h2c");
    assert!(world.fate(addr, &request).passed(), "Envoy takes it off");
    assert_eq!(world.upstream.find(request.id()).expect("it arrived").fields.get("upgrade"), None);
    let (envoy, addr) = start(&world, &["websocket", "CONNECT"]);
    let request = ask("websocket");
    assert!(world.fate(addr, &request).refused(400));
    let line = envoy.access_line(request.id()).expect("a line");
    assert_eq!(line.decision().expect("a decision")["reason"], "request_ambiguous");
    let connect = Request::new("CONNECT", "orchestration.test:443").bearer(world.token("ada"));
    assert!(!world.fate(addr, &connect).begun);
    // Over HTTP/2 a protocol is asked for by CONNECT.
    for path in ["/v2/topology", "/v2/process-instances"] {
        let connect = Request::new("CONNECT", path).bearer(world.token("ada")).header("upgrade", "websocket");
        let fate = over_http2(&world, addr, &connect);
        assert!(fate.refused(400) && !fate.begun, "{path}: {fate:?}");
        let line = envoy.access_line(connect.id()).expect("a line");
        assert_eq!(line.decision().expect("a decision")["reason"], "request_ambiguous");
    }
}

#[test]
fn the_path_of_an_absolute_target_is_judged_whatever_the_host() {
    let world = World::new();
    let (_envoy, addr) = start(&world, &[]);
    let request = |target: &str| Request::get(target).bearer(world.token("ada"));
    let good = request("http://elsewhere.test/v2/topology");
    assert!(world.fate(addr, &good).passed());
    assert_eq!(world.upstream.find(good.id()).expect("it arrived").target, b"/v2/topology");
    let other_host = world.ask("ada").header("host", "elsewhere.test").header("x-forwarded-host", "evil.test");
    assert!(world.fate(addr, &other_host).passed());
    for target in ["http://elsewhere.test/v2/users/ada", "http://elsewhere.test/actuator/health"] {
        assert!(world.fate(addr, &request(target)).refused(403), "{target}");
    }
    for target in
        ["http:///v2/topology", "ftp://elsewhere.test/v2/topology", "//elsewhere.test/v2/topology", "*", "v2/topology"]
    {
        let fate = world.fate(addr, &request(target));
        assert!(!fate.begun, "{target}: {fate:?}");
    }
}
