//! A module that fails: its VM ends while bodies are on their way, workers refuse what the canary
//! has accepted, configurations are broken or too many, and bodies that are to be held never come.

mod broken;
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use broken::{Answer, Copy};
use portcullis_e2e::client::{self, Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch, Pushed};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::{wait, workspace};
use support::{CREATE, World, bytes_read, with_trailers};

/// Requests of `dora` that the end of the VM finds on their way: what has been sent of the body, and
/// what is sent afterwards.
const ON_THEIR_WAY: [(&str, &str); 5] = [
    (r#"{"processDefinitionId":"#, r#""invoice"}"#),
    (r#"{"processDefinitionId":"#, r#""payroll"}"#),
    (r#"{"processDefinitionId":"invoice"}"#, ""),
    (r#"{"processDefinitionId":"payroll"}"#, ""),
    ("", r#"{"processDefinitionId":"payroll"}"#),
];

/// Starts them at a gate, and waits until Envoy has all that was sent.
fn on_their_way(world: &World, envoy: &Envoy, gate: &str) -> Vec<(Request, Exchange)> {
    let addr = envoy.addr(gate).expect("an address");
    let start = |(begin, _): &(&str, &str)| {
        let request = world.chunked("dora", CREATE.0);
        let mut exchange = Exchange::open(addr, &request).expect("a connection");
        if !begin.is_empty() {
            exchange.chunk(begin);
        }
        (request, exchange)
    };
    let before = bytes_read(envoy);
    let started: Vec<_> = ON_THEIR_WAY.iter().map(start).collect();
    let heads: usize = started.iter().map(|(request, _)| request.bytes().len()).sum();
    let chunks: usize = ON_THEIR_WAY.iter().map(|(begin, _)| begin.len()).sum();
    let sent = u64::try_from(heads + chunks).expect("a number");
    wait::until("Envoy to read what was sent", || (bytes_read(envoy) >= before + sent).then_some(())).expect("read");
    if gate == "stream" {
        for (request, _) in &started {
            world.upstream.wait_for(request.id(), |_| true).expect("its head, which goes on at once");
        }
    }
    started
}

/// Ends the VM behind that address: the module there traps at trailers.
fn kill(world: &World, addr: SocketAddr) {
    let request = world.chunked("ada", CREATE.0);
    let mut exchange = Exchange::open(addr, &request).expect("a connection");
    exchange.chunk("{}");
    exchange.finish(&[("x-checksum", "7")]);
    assert!(world.fate_of(&request, exchange.response()).refused(503));
}

/// Sends the rest of what was on its way: it is answered 503, and the cluster never has all of it.
fn none_passes(world: &World, started: Vec<(Request, Exchange)>, gate: &str) {
    for ((request, mut exchange), (begin, rest)) in started.into_iter().zip(ON_THEIR_WAY) {
        if !rest.is_empty() {
            exchange.chunk(rest);
        }
        exchange.finish(&[]);
        let fate = world.fate_of(&request, exchange.response());
        assert!(fate.refused(503), "{gate}: {begin} {rest} {fate:?}");
        assert_eq!(fate.begun, gate == "stream", "{gate}: {begin} {rest} {fate:?}");
    }
}

/// Both gates with this module.
fn gates(world: &World, module: &Path, policy: &str) -> Gateway {
    let shape = |listener: Listener| with_trailers(listener).module(module).failure_policy(policy);
    let apart = |listener: Listener| listener.edit_filter(|filter| filter["vm_config"]["vm_id"] = "stream".into());
    let gateway = world.gateway().listener("hold", |l| shape(world.guarded(l)));
    gateway.listener("stream", |l| apart(shape(world.streaming(l))))
}

#[test]
fn what_a_dying_vm_leaves_behind_ends_in_503_and_the_worker_recovers() {
    let world = World::new();
    let module = Copy::new().trapping("proxy_on_request_trailers").save();
    let envoy = Launch::new(gates(&world, &module, "FAIL_RELOAD").build()).start().expect("Envoy");
    for gate in ["hold", "stream"] {
        let addr = envoy.addr(gate).expect("an address");
        let passes = || world.fate(addr, &world.create("dora", "invoice")).passed().then_some(());

        let started = on_their_way(&world, &envoy, gate);
        kill(&world, addr);
        none_passes(&world, started, gate);
        wait::until("recovery", passes).expect("a new VM");

        // The same where the new VM is there before the rest of what the old one was holding.
        let started = on_their_way(&world, &envoy, gate);
        kill(&world, addr);
        wait::until("recovery", passes).expect("a new VM");
        none_passes(&world, started, gate);
        assert!(world.fate(addr, &world.create("dora", "payroll")).refused(403), "{gate}");
        assert!(passes().is_some(), "{gate}");
    }
}

/// `FAIL_OPEN` takes the filter away; the belt stays.
#[test]
fn nothing_passes_once_the_vm_is_gone_for_good() {
    let world = World::new();
    let module = Copy::new().trapping("proxy_on_request_trailers").save();
    for (policy, answer) in [("FAIL_CLOSED", 503), ("FAIL_OPEN", 403)] {
        let envoy = Launch::new(gates(&world, &module, policy).build()).start().expect("Envoy");
        for gate in ["hold", "stream"] {
            let addr = envoy.addr(gate).expect("an address");
            assert!(world.fate(addr, &world.create("dora", "invoice")).passed(), "{policy} {gate}");
            let started = on_their_way(&world, &envoy, gate);
            kill(&world, addr);
            none_passes(&world, started, gate);
            for request in [world.ask("ada"), world.create("dora", "payroll"), Request::get("/v2/topology")] {
                let fate = world.fate(addr, &request);
                assert!(fate.refused(answer) && !fate.begun, "{policy} {gate}: {} {fate:?}", request.line());
            }
        }
    }
}

/// Where a worker refuses, or traps at, what the canary has accepted, Envoy counts the update as
/// accepted, serves the listener without the filter, and takes no further configuration for that
/// code. The listener without a belt shows it; behind a belt nothing passes.
#[test]
fn a_worker_that_refuses_what_the_canary_accepted_opens_nothing() {
    let world = World::new();
    for answer in [Answer::False, Answer::Trap] {
        let broken = Copy::new().configured_badly(2, answer).save();
        let whole = workspace().join("target/portcullis.wasm");
        let listeners = |module: &Path, skew: &str| {
            let shape = |listener: Listener, vm: &str| {
                let listener = listener.module(module).edit_filter(|filter| filter["vm_config"]["vm_id"] = vm.into());
                listener.edit_plugin(|plugin| plugin["issuers"][0]["clockSkew"] = skew.into())
            };
            let gateway = world.gateway().listener("hold", |l| shape(world.guarded(l), "hold"));
            let gateway = gateway.listener("stream", |l| shape(world.streaming(l), "stream"));
            gateway.listener("beltless", |l| shape(world.guarded(l).without_belt(), "beltless"))
        };
        let launch = Launch::new(listeners(&broken, "1s").build()).dynamic_listeners().drain_time(1);
        let envoy = launch.start().expect("Envoy");
        let addr = |listener: &str| envoy.addr(listener).expect("an address");
        let guards = |listener: &str| {
            world.fate(addr(listener), &world.create("dora", "invoice")).passed()
                && world.fate(addr(listener), &world.create("dora", "payroll")).refused(403)
        };
        assert!(["hold", "stream", "beltless"].iter().all(|listener| guards(listener)));

        let push = |gateway: Gateway| envoy.push_listeners(&gateway.listeners()).expect("a verdict");
        assert_eq!(push(listeners(&broken, "2s")), Pushed::Accepted);
        let opens = || world.fate(addr("beltless"), &Request::get("/v2/topology")).passed().then_some(());
        wait::until("the hole", opens).expect("a listener without the filter");
        for listener in ["hold", "stream"] {
            let closes = || world.fate(addr(listener), &world.ask("ada")).refused(403).then_some(());
            wait::until("the belt", closes).expect("a listener without the filter");
            for (user, process) in [("ada", "payroll"), ("dora", "invoice"), ("dora", "payroll")] {
                let fate = world.fate(addr(listener), &world.create(user, process));
                assert!(fate.refused(403) && !fate.begun, "{answer:?} {listener}: {user} {process} {fate:?}");
            }
        }
        assert_eq!(push(listeners(&broken, "3s")), Pushed::Rejected);
        assert!(opens().is_some(), "the hole stays");
        assert!(world.fate(addr("hold"), &world.ask("ada")).refused(403));

        assert_eq!(push(listeners(&whole, "3s")), Pushed::Accepted);
        let recovers = || ["hold", "stream", "beltless"].iter().all(|listener| guards(listener)).then_some(());
        wait::until("other code", recovers).expect("recovery");
    }
}

#[test]
fn a_broken_configuration_leaves_the_one_before_in_its_place() {
    let world = World::new();
    let with = |edit: fn(Listener) -> Listener| world.gateway().listener("gateway", |l| edit(world.guarded(l)));
    let good = with(|listener| listener);
    let launch = Launch::new(good.build()).dynamic_listeners().drain_time(1);
    let envoy = launch.start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    let broken: [fn(Listener) -> Listener; 5] = [
        |listener| listener.edit_plugin(|plugin| plugin["issuer"] = "https://idp.test".into()),
        |listener| listener.edit_plugin(|plugin| plugin["version"] = 2.into()),
        |listener| listener.plugin_text(""),
        Listener::plugin_struct,
        |listener| listener.module("/nowhere/portcullis.wasm"),
    ];
    for (number, edit) in broken.into_iter().enumerate() {
        assert_eq!(envoy.push_listeners(&with(edit).listeners()).expect("a verdict"), Pushed::Rejected, "{number}");
        assert!(world.fate(addr, &world.create("dora", "invoice")).passed(), "{number}");
        assert!(world.fate(addr, &world.create("dora", "payroll")).refused(403), "{number}");
        let refused = Launch::new(with(edit).build()).start();
        assert!(refused.is_err(), "{number}: Envoy starts");
    }
    let explaining = with(|listener| listener.edit_plugin(|plugin| plugin["debug"]["explainHeader"] = true.into()));
    assert_eq!(envoy.push_listeners(&explaining.listeners()).expect("a verdict"), Pushed::Accepted);
    let explained = || {
        let answer = client::send(addr, &world.create("dora", "payroll")).ok()?;
        answer.fields.text("x-portcullis-reason").filter(|reason| *reason == "resource_not_granted").map(drop)
    };
    wait::until("the good configuration", explained).expect("an explained answer");
}

/// How many bytes of configuration a VM keeps alive, and how many a single one may have.
const BUDGET: usize = 64 << 20;
const LONGEST: usize = 8 << 20;

/// The gauge by which a plugin says that it denies everything.
fn denies_everything(envoy: &Envoy, plugin: &str) -> Option<u64> {
    let gauge = format!("wasmcustom.wasm_filter.{plugin}.component.plan.portcullis_denies_everything");
    envoy.stat(&gauge).expect("stats")
}

#[test]
fn a_vm_with_too_much_configuration_denies_everything() {
    let world = World::new();
    // Blanks count, and cost nothing to read.
    let old = |gateway: Gateway| {
        (0..BUDGET / LONGEST).fold(gateway, |gateway, number| {
            gateway.listener(&format!("old-{number}"), |l| {
                let listener = world.guarded(l).edit_plugin(|plugin| plugin["name"] = format!("old-{number}").into());
                let mut text = listener.plugin().to_string();
                text.push_str(&" ".repeat(LONGEST - text.len()));
                listener.belt(&[&format!("old-{number}:allow")]).plugin_text(text)
            })
        })
    };
    let new = |gateway: Gateway| gateway.listener("new", |l| world.guarded(l));
    let config = new(old(world.gateway())).build();
    let envoy = Launch::new(config).dynamic_listeners().drain_time(1).start().expect("Envoy");
    let addr = |listener: &str| envoy.addr(listener).expect("an address");

    let request = world.create("ada", "payroll");
    let fate = world.fate(addr("new"), &request);
    assert!(fate.refused(503) && !fate.begun, "{fate:?}");
    assert_eq!(envoy.access_line(request.id()).expect("a line").details(), "edge_unavailable");
    for request in [world.ask("ada"), world.ask("ada, forged"), Request::get("/v2/status")] {
        assert!(world.fate(addr("new"), &request).refused(503), "{}", request.line());
    }
    assert_eq!(denies_everything(&envoy, "orders"), Some(1));
    assert!(envoy.log().contains("too much configuration is alive in this VM"));
    for number in 0..BUDGET / LONGEST {
        let name = format!("old-{number}");
        assert!(world.fate(addr(&name), &world.create("dora", "invoice")).passed(), "{name}");
        assert!(world.fate(addr(&name), &world.create("dora", "payroll")).refused(403), "{name}");
        assert_eq!(denies_everything(&envoy, &name), Some(0), "{name}");
    }

    // Once the old ones have drained, there is room for a new configuration.
    let another = |number: u64| {
        let skew = format!("{number}s");
        let edit = |listener: Listener| listener.edit_plugin(|plugin| plugin["issuers"][0]["clockSkew"] = skew.into());
        let gateway = world.gateway().listener("new", |l| edit(world.guarded(l)));
        assert_eq!(envoy.push_listeners(&gateway.listeners()).expect("a verdict"), Pushed::Accepted);
        let passes = || world.fate(addr("new"), &world.create("dora", "invoice")).passed().then_some(());
        wait::until_within(Duration::from_secs(1), "a plan", passes).is_ok()
    };
    assert!((1..10).any(another), "it still denies everything");
    assert!(world.fate(addr("new"), &world.create("dora", "payroll")).refused(403));
    assert_eq!(denies_everything(&envoy, "orders"), Some(0));
}

/// `hold` where Envoy may not hold: the request ends after the filter's ten seconds of patience.
#[test]
fn a_body_that_is_never_shown_ends_in_503() {
    let world = World::new();
    let gateway = world.gateway().listener("gateway", |l| world.guarded(l).without_stop_iteration());
    let envoy = Launch::new(gateway.build()).start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    let whole = world.create("dora", "invoice");
    let begun = world.chunked("dora", CREATE.0);
    let mut held = [&whole, &begun].map(|request| Exchange::open(addr, request).expect("a connection"));
    // Meanwhile, what is decided without a body goes on.
    assert!(world.fate(addr, &world.ask("ada")).passed());
    assert!(world.fate(addr, &world.create("ada", "payroll")).passed());
    assert!(!held.iter_mut().any(|exchange| exchange.answered_within(Duration::from_millis(1))));

    let answered = || held.iter_mut().all(|exchange| exchange.answered_within(Duration::from_millis(50))).then_some(());
    wait::until_within(Duration::from_secs(20), "answers to held requests", answered).expect("answers");
    for (request, mut exchange) in [&whole, &begun].into_iter().zip(held) {
        let fate = world.fate_of(request, exchange.response());
        assert!(fate.refused(503) && !fate.begun, "{fate:?}");
        assert_eq!(envoy.access_line(request.id()).expect("a line").reason(), "body_withheld");
    }
    assert!(world.fate(addr, &world.ask("ada")).passed());
    assert_eq!(world.upstream.requests().len(), 3);
}
