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
use portcullis_e2e::gateway::Listener;
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

/// Makes all calls at the listeners of a gate. A hostile one must have been stopped, unless it is
/// among `holes`; of the honest ones, what is lost is returned. Envoy must have left out the
/// listeners of `refused`, and no others.
fn losses(
    world: &World,
    envoy: &Envoy,
    gate: &str,
    names: &[String],
    refused: &[&str],
    holes: &[(&str, &str)],
) -> Losses {
    let losses = Mutex::new(Losses::new());
    let ask = |name: &String| {
        let addr = envoy.addr(&format!("{gate} {name}")).ok();
        assert_eq!(addr.is_none(), refused.contains(&name.as_str()), "{gate} {name}");
        let Some(addr) = addr else { return };
        for what in HOSTILE {
            let fate = call(world, addr, what);
            let hole = holes.contains(&(name, what));
            assert_eq!(fate.complete, hole, "{gate} {name}: {what} {fate:?}");
            assert!(hole || fate.status.is_none_or(|status| status >= 400), "{gate} {name}: {what} {fate:?}");
        }
        for what in HONEST {
            if !call(world, addr, what).passed() {
                losses.lock().expect("no panic").entry(name.clone()).or_default().insert(what);
            }
        }
    };
    thread::scope(|scope| {
        for some in names.chunks(names.len().div_ceil(8)) {
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

/// Envoy with both gates for each of these, in a shape of its own; it leaves out the listeners that
/// it refuses. One beside them is whole.
fn start(world: &World, names: &[String], shape: impl Fn(Listener, &str) -> Listener) -> Envoy {
    let whole = |listener| with_trailers(world.guarded(listener));
    let gateway = names.iter().fold(world.gateway().listener("whole listener", whole), |gateway, name| {
        gateway
            .listener(&format!("hold {name}"), |l| shape(with_trailers(world.guarded(l)), name))
            .listener(&format!("stream {name}"), |l| shape(with_trailers(world.streaming(l)), name))
    });
    Launch::new(gateway.build()).dynamic_listeners().start().expect("Envoy")
}

/// The worker is alive, and guards.
fn alive(world: &World, envoy: &Envoy) {
    assert_eq!(losses(world, envoy, "whole", &["listener".to_owned()], &[], &[]), Losses::new());
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

/// Each function of the host and each callback withheld by Envoy's configuration, from the start.
#[test]
fn no_loss_of_a_function_opens_a_gate() {
    let (world, all) = (World::new(), interface());
    let envoy = start(&world, &all, |listener, name| withhold(listener, &all, name));

    // In `hold`, a request goes on when the filter says so, and only then. Without
    // `proxy_call_foreign_function` the module checks signatures itself, without
    // `proxy_send_local_response` it closes the connection; what is not listed here is for metrics
    // and logs, or nothing that the filter uses.
    let hold = expected(&[
        (&NEEDED, &HONEST),
        (&["proxy_on_request_body"], &["invoice", "invoice, trailers"]),
        (&["proxy_on_request_trailers"], &["invoice, trailers"]),
        (&["proxy_remove_header_map_value"], &["own header"]),
    ]);
    assert_eq!(losses(&world, &envoy, "hold", &all, &REFUSED, &[]), hold);

    // In `stream`, the headers go on before the verdict, and nobody else then waits for the filter.
    // A host that is told not to show it the body, or the trailers that end one, forwards what it
    // would have refused: these two must never be withheld. The same holds for no other function.
    let holes = [("proxy_on_request_body", "payroll"), ("proxy_on_request_trailers", "payroll, trailers")];
    let stream = expected(&[
        (&NEEDED, &HONEST),
        (&["proxy_on_request_body"], &["invoice, trailers"]),
        (&["proxy_remove_header_map_value"], &["own header"]),
    ]);
    assert_eq!(losses(&world, &envoy, "stream", &all, &REFUSED, &holes), stream);
    alive(&world, &envoy);
}

/// All is well while the plugin is configured; from a VM's first request on, one function fails.
#[test]
fn a_host_that_fails_after_configuration_opens_nothing() {
    let (world, names) = (World::new(), Copy::new().imports());
    let module = Copy::new().abandoned_after_configuration().save();
    let envoy = start(&world, &names, |listener, name| {
        let number = names.iter().position(|n| n == name).expect("a number");
        listener.module(&module).edit_filter(|filter| {
            filter["vm_config"]["configuration"] = json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": "x".repeat(number),
            });
        })
    });
    let expected = expected(&[
        (&["proxy_get_current_time_nanoseconds", "proxy_get_header_map_pairs", "proxy_set_property"], &HONEST),
        (&["proxy_get_buffer_bytes"], &["invoice", "invoice, trailers"]),
        (&["proxy_remove_header_map_value"], &["own header"]),
    ]);
    for gate in ["hold", "stream"] {
        assert_eq!(losses(&world, &envoy, gate, &names, &[], &[]), expected, "{gate}");
    }
    alive(&world, &envoy);
}

/// Where the host lets the filter neither answer nor close, a refused request stays where it is,
/// and others go on beside it.
#[test]
fn a_request_that_cannot_be_answered_stays_stopped() {
    let world = World::new();
    let mut names = interface();
    names.retain(|name| name != "proxy_close_stream");
    let mute = |listener: Listener, name: &str| withhold(listener, &names, name);
    let envoy = start(&world, &["proxy_send_local_response".to_owned()], mute);
    for gate in ["hold", "stream"] {
        let addr = envoy.addr(&format!("{gate} proxy_send_local_response")).expect("an address");
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
