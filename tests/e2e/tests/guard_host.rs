//! A host that does not do its part: each function that the module asks for and each callback that
//! it offers is withheld in turn, from the start or from the first request on. What may pass then is
//! written down here; what ought not to pass never does.

mod broken;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use broken::Copy;
use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use serde_json::{Map, json};
use support::{CREATE, Fate, World, with_trailers};

/// What is withheld -> the calls that should have passed, and now do not.
type Losses = BTreeMap<String, BTreeSet<&'static str>>;

/// Calls that the policy allows: by their headers, by their body, by a body that trailers end.
const HONEST: [&str; 5] = ["topology", "own header", "any process", "invoice", "invoice, trailers"];
/// Calls that it does not allow, for want of a token, of a true one, of a grant.
const HOSTILE: [&str; 4] = ["no token", "forged token", "payroll", "payroll, trailers"];

fn call(world: &World, addr: SocketAddr, what: &str) -> Fate {
    let request = match what {
        "topology" => world.ask("ada"),
        "own header" => world.ask("ada").header("x-portcullis-user", "root"),
        "any process" => world.create("ada", "payroll"),
        "invoice" | "payroll" => world.create("dora", what),
        "no token" => Request::get("/v2/topology"),
        "forged token" => world.ask("ada, forged"),
        _ => world.chunked("dora", CREATE.0),
    };
    let mut exchange = Exchange::open(addr, &request).expect("a connection");
    if let Some(process) = what.strip_suffix(", trailers") {
        exchange.chunk(json!({CREATE.1: process}).to_string());
        exchange.finish(&[("x-checksum", "7")]);
    }
    let fate = world.fate_of(&request, exchange.response());
    if let Some(arrived) = world.upstream.find(request.id()) {
        assert_eq!(arrived.fields.get("x-portcullis-user"), None, "{what}");
    }
    fate
}

/// Makes all calls at all these listeners. A hostile one must have been stopped, unless it is among
/// `holes`; of the honest ones, what is lost is returned. Envoy must refuse no listener but those
/// in `refused`.
fn losses(world: &World, envoy: &Envoy, listeners: &[String], refused: &[&str], holes: &[(&str, &str)]) -> Losses {
    let losses = Mutex::new(Losses::new());
    let ask = |listener: &String| {
        let addr = envoy.addr(listener).ok();
        assert_eq!(addr.is_none(), refused.contains(&listener.as_str()), "{listener}");
        let Some(addr) = addr else { return };
        for what in HOSTILE {
            let fate = call(world, addr, what);
            let hole = holes.contains(&(listener, what));
            assert_eq!(fate.complete, hole, "{listener}: {what} {fate:?}");
            assert!(hole || fate.status.is_none_or(|status| status >= 400), "{listener}: {what} {fate:?}");
        }
        for what in HONEST {
            if !call(world, addr, what).passed() {
                losses.lock().expect("no panic").entry(listener.clone()).or_default().insert(what);
            }
        }
    };
    thread::scope(|scope| {
        for some in listeners.chunks(listeners.len().div_ceil(8)) {
            scope.spawn(|| some.iter().for_each(ask));
        }
    });
    losses.into_inner().expect("no panic")
}

/// Lists what is expected in the form of [`losses`].
fn expected<'a>(rows: &[(&[&'a str], &[&'static str])]) -> Losses {
    let row = |(names, lost): &(&[&'a str], &[&'static str])| {
        let lost: BTreeSet<&str> = lost.iter().copied().collect();
        names.iter().map(move |name| ((*name).to_owned(), lost.clone())).collect::<Vec<_>>()
    };
    rows.iter().flat_map(row).collect()
}

/// Allows the module everything that it imports and exports, but for one name.
fn withhold(listener: Listener, all: &[String], name: &str) -> Listener {
    let allowed: Map<_, _> = all.iter().filter(|n| *n != name).map(|n| (n.clone(), json!({}))).collect();
    listener.edit_filter(|filter| {
        filter["vm_config"]["capability_restriction_config"] = json!({"allowed_capabilities": allowed});
    })
}

/// Everything that stands between the module and its host, as the module itself lists it.
fn interface() -> Vec<String> {
    let module = Copy::new();
    let all = [module.imports(), module.callbacks()].concat();
    for known in ["proxy_send_local_response", "proxy_on_request_headers", "proxy_on_request_body"] {
        assert!(all.iter().any(|name| name == known), "{known} in {all:?}");
    }
    all
}

/// Envoy with these listeners; it leaves out those that it refuses.
fn start(gateway: Gateway) -> Envoy {
    Launch::new(gateway.build()).dynamic_listeners().start().expect("Envoy")
}

/// Without these, nothing can be judged: the configuration or the headers cannot be read, there is
/// no time to compare `exp` with, or the belt cannot be told.
const NEEDED: [&str; 7] = [
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_on_configure",
    "proxy_on_request_headers",
    "proxy_set_property",
    "proxy_set_tick_period_milliseconds",
];
/// Without this, Envoy refuses the configuration.
const REFUSED: [&str; 1] = ["proxy_on_context_create"];

/// In `hold`, a request goes on when the filter says so, and only then: no function of the host is
/// such that its loss opens the gate. Without `proxy_call_foreign_function` the module checks
/// signatures itself; without `proxy_send_local_response` it closes the connection; the rest is
/// for metrics, logs and things that it does not do.
#[test]
fn hold_survives_any_loss() {
    let (world, all) = (World::new(), interface());
    let shape = |l| with_trailers(world.guarded(l));
    let gateway = all.iter().fold(world.gateway(), |g, name| g.listener(name, |l| withhold(shape(l), &all, name)));
    let envoy = start(gateway.listener("healthy", shape));
    let expected = expected(&[
        (&NEEDED, &HONEST),
        (&["proxy_on_request_body"], &["invoice", "invoice, trailers"]),
        (&["proxy_on_request_trailers"], &["invoice, trailers"]),
        (&["proxy_remove_header_map_value"], &["own header"]),
    ]);
    assert_eq!(losses(&world, &envoy, &all, &REFUSED, &[]), expected);
    assert_eq!(losses(&world, &envoy, &["healthy".to_owned()], &[], &[]), Losses::new());
}

/// In `stream`, the headers go on before the verdict. Nobody else then waits for the filter, so a
/// host that is told not to show it the body, or the trailers that end one, forwards what it would
/// have refused: these two must never be withheld. The same holds for no other function.
#[test]
fn stream_survives_any_loss_but_that_of_the_body() {
    let (world, all) = (World::new(), interface());
    let shape = |l| with_trailers(world.streaming(l));
    let gateway = all.iter().fold(world.gateway(), |g, name| g.listener(name, |l| withhold(shape(l), &all, name)));
    let envoy = start(gateway.listener("healthy", shape));
    let holes = [("proxy_on_request_body", "payroll"), ("proxy_on_request_trailers", "payroll, trailers")];
    let expected = expected(&[
        (&NEEDED, &HONEST),
        (&["proxy_on_request_body"], &["invoice, trailers"]),
        (&["proxy_remove_header_map_value"], &["own header"]),
    ]);
    assert_eq!(losses(&world, &envoy, &all, &REFUSED, &holes), expected);
    assert_eq!(losses(&world, &envoy, &["healthy".to_owned()], &[], &[]), Losses::new());
}

/// All is well while the plugin is configured; from a VM's first request on, one function fails.
#[test]
fn a_host_that_fails_after_configuration_opens_nothing() {
    let world = World::new();
    let names: Vec<String> = Copy::new().imports();
    let module = Copy::new().abandoned_after_configuration().save();
    let abandon = |listener: Listener, number: usize| {
        with_trailers(listener).module(&module).edit_filter(|filter| {
            filter["vm_config"]["configuration"] = json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": "x".repeat(number),
            });
        })
    };
    let gateway = names.iter().enumerate().fold(world.gateway(), |gateway, (number, name)| {
        gateway
            .listener(&format!("hold {name}"), |l| abandon(world.guarded(l), number))
            .listener(&format!("stream {name}"), |l| abandon(world.streaming(l), number))
    });
    let envoy = start(gateway.listener("healthy", |l| with_trailers(world.guarded(l))));
    for gate in ["hold", "stream"] {
        let listeners: Vec<String> = names.iter().map(|name| format!("{gate} {name}")).collect();
        let named = |name: &str| format!("{gate} {name}");
        let all = ["proxy_get_current_time_nanoseconds", "proxy_get_header_map_pairs", "proxy_set_property"].map(named);
        let expected = expected(&[
            (&all.each_ref().map(String::as_str), &HONEST),
            (&[&named("proxy_get_buffer_bytes")], &["invoice", "invoice, trailers"]),
            (&[&named("proxy_remove_header_map_value")], &["own header"]),
        ]);
        assert_eq!(losses(&world, &envoy, &listeners, &[], &[]), expected);
    }
    assert_eq!(losses(&world, &envoy, &["healthy".to_owned()], &[], &[]), Losses::new());
}

/// Where the host lets the filter neither answer nor close, a refused request stays where it is,
/// and others go on beside it.
#[test]
fn a_request_that_cannot_be_answered_stays_stopped() {
    let world = World::new();
    let mut names = interface();
    names.retain(|name| name != "proxy_close_stream");
    let mute = |listener| withhold(listener, &names, "proxy_send_local_response");
    let gateway = world.gateway().listener("hold", |l| mute(world.guarded(l)));
    let envoy = start(gateway.listener("stream", |l| mute(world.streaming(l))));
    for gate in ["hold", "stream"] {
        let addr = envoy.addr(gate).expect("an address");
        let refused = [world.ask("ada, forged"), world.create("dora", "payroll"), Request::get("/v2/topology")];
        let mut stuck: Vec<Exchange> = refused.iter().map(|r| Exchange::open(addr, r).expect("a connection")).collect();
        for _ in 0..5 {
            assert!(world.fate(addr, &world.create("dora", "invoice")).passed(), "{gate}");
        }
        assert!(!stuck.iter_mut().any(|exchange| exchange.answered_within(Duration::from_millis(1))));
        stuck.into_iter().for_each(Exchange::close);
        for request in &refused {
            assert_eq!(envoy.access_line(request.id()).expect("a line").status(), 0, "{gate}: {}", request.line());
            assert!(!world.upstream.find(request.id()).is_some_and(|arrived| arrived.complete), "{gate}");
        }
    }
}
