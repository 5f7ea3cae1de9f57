//! Policies that change while callers call: every answer is right by the policy of that moment or
//! the one before, none is an error of the edge, and the VM does not grow.
//!
//! `make test-pushes` makes 1,000 pushes in ten minutes (`PUSHES`, `PUSH_SECONDS`); without those
//! variables, a shorter run.

mod support;

use std::env;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch, Pushed};
use portcullis_e2e::wait;
use serde_json::{Value, json};
use support::{CREATE, World};

/// How many callers there are, and how long each waits between calls.
const CALLERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(5);
/// Policy `n` lets `dora` start the processes numbered `n` to `n + WIDTH - 1`.
const WIDTH: usize = 4;
/// Every so many pushes, one that is broken.
const BROKEN: usize = 20;
/// The push whose memory the last one's is compared with.
const SETTLED: usize = 50;
/// So many policies are kept alive at once before that, by so many requests each that do not end.
/// The size of a VM tells the most that was ever alive, and how many overlap otherwise hangs on how
/// busy the machine is; what comes after must not need more.
const OVERLAPPING: usize = 10;
const UNENDED: usize = 6;
/// From so many pushes on, nothing may be added at all.
const LONG: usize = 1_000;
/// In a shorter run, whose pushes follow each other ten times as fast, what still finds its place: a
/// few pages. What every push left behind would show in the long run.
const SPARE: u64 = 8 * 64 * 1024;

fn policy(number: usize) -> Value {
    let grant = |process: usize| {
        json!({
            "ownerType": "USER", "ownerId": "dora", "resourceType": "PROCESS_DEFINITION",
            "resourceId": format!("p{process}"), "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        })
    };
    // As large as a small real one, and of one size, whatever its number.
    let others = (0..200).map(|other| {
        json!({
            "ownerType": "USER", "ownerId": format!("user-{other}-{number:06}"), "resourceType": "PROCESS_DEFINITION",
            "resourceId": "invoice", "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        })
    });
    json!({"authorizations": (number..number + WIDTH).map(grant).chain(others).collect::<Vec<_>>()})
}

/// What the callers saw.
#[derive(Default)]
struct Counts {
    allowed: AtomicUsize,
    denied: AtomicUsize,
}

/// Calls again and again, and checks each answer. `begun` is the number of the policy that was
/// pushed last, as soon as its push begins.
fn call(world: &World, to: SocketAddr, begun: &AtomicUsize, stop: &AtomicBool, counts: &Counts, caller: usize) {
    let mut round = caller;
    let mut exchange = Exchange::connect(to).expect("a connection");
    while !stop.load(Ordering::SeqCst) {
        let before = begun.load(Ordering::SeqCst);
        // From what is long gone to what is still to come.
        let process = (before + round % (3 * WIDTH)).saturating_sub(WIDTH);
        round += 1;
        let request = Request::post(CREATE.0, &json!({CREATE.1: format!("p{process}")})).bearer(world.token("dora"));
        exchange.send(&request);
        let status = exchange.response().expect("an answer").status;
        let after = begun.load(Ordering::SeqCst);
        // Any policy from the one before the call's begin to the one at its end may have decided.
        let allows = |number: usize| (number..number + WIDTH).contains(&process);
        let mut possible = before.saturating_sub(1)..=after;
        let right = match status {
            200 => possible.any(allows),
            403 => !possible.all(allows),
            _ => false,
        };
        assert!(right, "p{process} was answered {status} when policies {possible:?} were in force");
        let count = if status == 200 { &counts.allowed } else { &counts.denied };
        count.fetch_add(1, Ordering::SeqCst);
        thread::sleep(PAUSE);
    }
}

fn memory(envoy: &Envoy) -> u64 {
    let gauge = "wasmcustom.wasm_filter.portcullis.component.vm.portcullis_memory_bytes";
    envoy.stat(gauge).expect("stats").expect("the gauge")
}

fn number(variable: &str, otherwise: usize) -> usize {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[test]
fn pushes_under_load() {
    let (pushes, seconds) = (number("PUSHES", 60), number("PUSH_SECONDS", 6));
    let world = World::new();
    let with = |policy: &Value| world.gateway().listener("gateway", |l| world.guarded(l).policy(policy));
    let launch = Launch::new(with(&policy(0)).build()).discovered_filter().concurrency(2);
    let envoy = launch.start().expect("Envoy");
    let to = envoy.addr("gateway").expect("an address");
    let passes = |process: usize| {
        let request = world.create("dora", &format!("p{process}"));
        wait::until("the policy", || world.fate(to, &request.again()).passed().then_some(())).expect("it passes");
    };
    passes(0);

    let (begun, stop, counts) = (AtomicUsize::new(0), AtomicBool::new(false), Counts::default());
    let (mut sizes, mut unended, mut refused) = (Vec::new(), Vec::new(), 0);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                scope.spawn({
                    let (world, begun, stop, counts) = (&world, &begun, &stop, &counts);
                    move || call(world, to, begun, stop, counts, caller)
                })
            })
            .collect();
        let start = Instant::now();
        for push in 1..=pushes {
            let due = Duration::from_secs(seconds as u64) * push as u32 / pushes as u32;
            thread::sleep(due.saturating_sub(start.elapsed()));
            if callers.iter().any(|caller| caller.is_finished()) {
                break; // it has found something wrong, and says so below
            }
            if push % BROKEN == 0 {
                let broken = with(&json!({"authorisations": []})).filter();
                assert_eq!(envoy.push_filter(&broken).expect("a verdict"), Pushed::Rejected, "push {push}");
                refused += 1;
            }
            begun.store(push, Ordering::SeqCst);
            let accepted = envoy.push_filter(&with(&policy(push)).filter()).expect("a verdict");
            assert_eq!(accepted, Pushed::Accepted, "push {push}");
            if push <= OVERLAPPING.min(pushes) {
                unended.extend((0..UNENDED).map(|_| {
                    let request = world.chunked("dora", CREATE.0);
                    let mut exchange = Exchange::open(to, &request).expect("a connection");
                    exchange.chunk("{");
                    exchange
                }));
            }
            if push == SETTLED.min(pushes) {
                unended.drain(..).for_each(Exchange::close);
            }
            sizes.push(memory(&envoy));
        }
        stop.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.join().expect("a caller that has seen no wrong answer");
        }
        println!("{pushes} pushes in {:?}", start.elapsed());
    });
    passes(pushes);
    let (allowed, denied) = (counts.allowed.into_inner(), counts.denied.into_inner());
    let settled = sizes[SETTLED.min(pushes) - 1];
    let grown = memory(&envoy);
    let steps = sizes.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
    steps.for_each(|(push, pair)| println!("push {}: VM memory {} bytes", push + 2, pair[1]));
    println!(
        "{allowed} calls allowed, {denied} denied; {refused} broken pushes refused; VM memory {settled}, then {grown} bytes"
    );
    assert!(allowed > pushes && denied > pushes, "hardly any calls");
    let spare = if pushes < LONG { SPARE } else { 0 };
    assert!(grown <= settled + spare, "the VM has grown from {settled} to {grown} bytes");
    // The broken ones are visible in Envoy's own counter.
    let counter = "extension_config_discovery.http_filter.portcullis.update_rejected";
    let rejected: u64 = envoy
        .stats("update_rejected")
        .expect("stats")
        .iter()
        .filter(|(n, _)| n.ends_with(counter))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(rejected, refused);
    let failures = envoy.stats("vm_reload").expect("stats");
    assert_eq!(failures.values().sum::<u64>(), 0, "{failures:?}");
}
