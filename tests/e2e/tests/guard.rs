//! What stands around the filter: where it is missing, switched off or another one, the belt of the
//! shipped configuration lets nothing pass, and nothing that a caller sends can stand in for it.

mod support;

use portcullis_e2e::client::Request;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use serde_json::Value;
use support::World;

/// What RBAC says in the access log where nobody left on the request what it asks for.
const BELT: &str = "rbac_access_denied_matched_policy[none]";

/// The listeners below, one for each gate.
const GATES: [&str; 2] = ["hold", "stream"];

/// Both gates, each with its belt, in one shape; and beside them one listener as shipped.
fn start(world: &World, shape: impl Fn(Listener) -> Listener) -> Envoy {
    let gateway = world.gateway().listener("healthy", |l| world.guarded(l));
    let gateway = gateway.listener("hold", |l| shape(world.guarded(l)));
    launch(gateway.listener("stream", |l| shape(world.streaming(l))))
}

fn launch(gateway: Gateway) -> Envoy {
    Launch::new(gateway.build()).start().expect("Envoy")
}

/// Calls that pass where the filter is in its place, and such as never do.
fn calls(world: &World) -> Vec<Request> {
    vec![
        world.ask("ada"),
        world.create("ada", "payroll"),
        world.create("dora", "invoice"),
        world.create("dora", "payroll"),
        Request::get("/v2/status"),
        Request::get("/v2/topology"),
        world.ask("ada, forged"),
        Request::get("/v2/topology/"),
        Request::get("/actuator/env"),
    ]
}

/// Nothing passes either gate, and the belt is what stops it; the listener as shipped works.
fn nothing_passes(world: &World, envoy: &Envoy) {
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        for request in calls(world) {
            let fate = world.fate(addr, &request);
            assert!(fate.refused(403) && !fate.begun, "{gate}: {} {fate:?}", request.line());
            assert_eq!(envoy.access_line(request.id()).expect("a line").details(), BELT, "{}", request.line());
        }
    }
    let healthy = envoy.addr("healthy").expect("an address");
    assert!(world.fate(healthy, &world.create("dora", "invoice")).passed());
    assert!(world.fate(healthy, &world.create("dora", "payroll")).refused(403));
}

#[test]
fn nothing_passes_without_the_filter() {
    let world = World::new();
    let envoy = start(&world, Listener::without_filter);
    nothing_passes(&world, &envoy);
}

#[test]
fn nothing_passes_where_the_filter_is_switched_off() {
    let world = World::new();
    let by_route = |listener: Listener| listener.disabled_under("/");
    let envoy = start(&world, by_route);
    nothing_passes(&world, &envoy);

    let by_default = |listener: Listener| listener.edit_manager(|m| m["http_filters"][0]["disabled"] = true.into());
    let envoy = start(&world, by_default);
    nothing_passes(&world, &envoy);
}

#[test]
fn switched_off_on_one_route_it_still_guards_the_others() {
    let world = World::new();
    let envoy = start(&world, |l| l.disabled_under("/v2/topology"));
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        assert!(world.fate(addr, &world.ask("ada")).refused(403), "{gate}");
        assert!(world.fate(addr, &world.create("dora", "invoice")).passed(), "{gate}");
        assert!(world.fate(addr, &world.create("dora", "payroll")).refused(403), "{gate}");
    }
}

/// The filter has allowed the good ones, but under a name that this belt does not ask for.
#[test]
fn nothing_passes_under_another_name() {
    let world = World::new();
    let named = |name: &'static str| move |plugin: &mut Value| plugin["name"] = name.into();
    let gateway = world.gateway();
    let gateway = gateway
        .listener("renamed", |l| world.guarded(l).edit_plugin(named("orders-2")))
        .listener("renamed, stream", |l| world.streaming(l).edit_plugin(named("Orders")))
        .listener("its own", |l| world.guarded(l).edit_plugin(named("billing")).belt(&["billing:allow"]))
        .listener("of another", |l| world.guarded(l).belt(&["billing:allow"]));
    let envoy = launch(gateway);
    let addr = |name: &str| envoy.addr(name).expect("an address");
    for listener in ["renamed", "renamed, stream", "of another"] {
        for (user, process) in [("ada", "payroll"), ("dora", "invoice"), ("dora", "payroll")] {
            let fate = world.fate(addr(listener), &world.create(user, process));
            assert!(fate.refused(403) && !fate.begun, "{listener}: {user} {process} {fate:?}");
        }
        assert!(world.fate(addr(listener), &world.ask("ada")).refused(403), "{listener}");
        assert!(world.fate(addr(listener), &Request::get("/v2/topology")).refused(401), "{listener}");
    }
    assert!(world.fate(addr("its own"), &world.ask("ada")).passed());
}

/// A belt for `hold` under the gate `stream` stops what waits for its body, and lets what is
/// decided by its headers pass.
#[test]
fn a_belt_that_knows_no_pending_lets_nothing_pend() {
    let world = World::new();
    let envoy = launch(world.gateway().listener("stream", |l| world.streaming(l).belt(&["orders:allow"])));
    let addr = envoy.addr("stream").expect("an address");
    for process in ["invoice", "payroll"] {
        let fate = world.fate(addr, &world.create("dora", process));
        assert!(fate.refused(403) && !fate.begun, "{process}: {fate:?}");
    }
    assert!(world.fate(addr, &world.create("ada", "payroll")).passed());
}

#[test]
fn nothing_passes_where_the_belt_comes_first() {
    let world = World::new();
    let swap = |manager: &mut Value| manager["http_filters"].as_array_mut().expect("filters").swap(0, 1);
    let envoy = start(&world, |l| l.edit_manager(swap));
    nothing_passes(&world, &envoy);
}

/// Header fields that look like the filter's own word, in spellings that some reader may take for
/// it, and such as look like filter state.
const FORGERIES: [(&str, &str); 8] = [
    ("x-portcullis-belt", "orders:allow"),
    ("X-Portcullis-User", "ada"),
    ("x_portcullis_user", "ada"),
    ("X_Portcullis-Decision", "allow"),
    ("x-portcullis_reason", "granted_wildcard"),
    ("x-portcullis-", "allow"),
    ("portcullis_belt", "orders:allow"),
    ("wasm.portcullis_belt", "orders:allow"),
];

#[test]
fn forged_headers_are_no_belt() {
    let world = World::new();
    let envoy = start(&world, Listener::without_filter);
    let forge = |request: Request| FORGERIES.iter().fold(request, |r, (name, value)| r.header(name, value));
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        for request in [forge(world.ask("ada")), forge(world.create("dora", "payroll"))] {
            assert!(world.fate(addr, &request).refused(403), "{gate}");
        }
    }
    let healthy = envoy.addr("healthy").expect("an address");
    assert!(world.fate(healthy, &forge(world.create("dora", "payroll"))).refused(403));
    assert!(world.fate(healthy, &forge(Request::get("/v2/topology"))).refused(401));
}

/// What callers say in the filter's name never reaches the cluster, whichever way they spell it and
/// however often; other fields do.
#[test]
fn forged_headers_do_not_reach_the_cluster() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        for bare in [world.ask("ada"), world.create("dora", "invoice"), Request::get("/v2/license")] {
            let both = FORGERIES.iter().chain(&FORGERIES);
            let request = both.fold(bare, |r, (name, value)| r.header(name, value)).header("x-other", "kept");
            assert!(world.fate(addr, &request).passed(), "{gate}: {}", request.line());
            let arrived = world.upstream.find(request.id()).expect("the request");
            let ours = |name: &str| name.to_lowercase().replace('_', "-").starts_with("x-portcullis-");
            let left: Vec<&str> = arrived.fields.iter().map(|(name, _)| name).filter(|name| ours(name)).collect();
            assert_eq!(left, [""; 0], "{gate}: {}", request.line());
            assert_eq!(arrived.fields.text("x-other"), Some("kept"));
        }
    }
}
