//! Bodies that decide, at both gates and however they come: what the policy allows arrives at the
//! cluster as it was sent, of what it does not allow the cluster never has all.

mod support;

use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Listener;
use portcullis_e2e::wait;
use serde_json::json;
use support::sending::{Call, WIRES, Wire};
use support::{CREATE, EVALUATE, Fate, World, bytes_read, with_trailers};

/// Every gate; `stream` also where Envoy may not hold headers, as under Istio.
const GATES: [&str; 3] = ["hold", "stream", "stream, free"];

/// Envoy with a listener for every gate, in one shape.
fn start(world: &World, shape: impl Fn(Listener) -> Listener) -> Envoy {
    let gateway = world
        .gateway()
        .listener("hold", |l| shape(with_trailers(world.guarded(l))))
        .listener("stream", |l| shape(with_trailers(world.streaming(l))))
        .listener("stream, free", |l| shape(with_trailers(world.streaming(l)).without_stop_iteration()));
    Launch::new(gateway.build()).start().expect("Envoy")
}

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
struct Framing {
    wire: Wire,
    /// Byte by byte, each a chunk or frame; a long one in small pieces.
    bytes: bool,
    trailers: &'static [(&'static str, &'static str)],
}

impl Framing {
    const fn of(wire: Wire) -> Self {
        Self { wire, bytes: false, trailers: &[] }
    }

    const fn bytes(self) -> Self {
        Self { bytes: true, ..self }
    }

    const fn trailers(self) -> Self {
        Self { trailers: &[("x-checksum", "7")], ..self }
    }
}

const FRAMINGS: [Framing; 8] = [
    Framing::of(Wire::Length),
    Framing::of(Wire::Chunked),
    Framing::of(Wire::Chunked).bytes(),
    Framing::of(Wire::Chunked).trailers(),
    Framing::of(Wire::Http2),
    Framing::of(Wire::Http2Length).bytes(),
    Framing::of(Wire::Http2).bytes(),
    Framing::of(Wire::Http2).trailers(),
];

/// Sends a body with a request that has none, and sees what becomes of it.
fn send(world: &World, envoy: &Envoy, gate: &str, request: Request, body: &[u8], framing: Framing) -> (Request, Fate) {
    let mut call = Call::open(envoy.addr(gate).expect("an address"), request, framing.wire, body.len());
    if framing.bytes {
        body.chunks(if body.len() > 4_096 { 61 } else { 1 }).for_each(|piece| call.part(piece));
    } else if !body.is_empty() {
        call.part(body);
    }
    call.finish(framing.trailers);
    let fate = call.fate(world);
    (call.request, fate)
}

fn post(world: &World, path: &str) -> Request {
    world.post("dora", path)
}

/// The access log must give these reasons for these requests: the code, or a colon and the detail.
fn reasons(envoy: &Envoy, sent: &[(Request, &str, String)]) {
    for (request, expected, case) in sent {
        let line = envoy.access_line(request.id()).expect("a line");
        let detail = || line.decision().unwrap_or_default()["detail"].as_str().unwrap_or_default().to_owned();
        match expected.split_once(": ") {
            None => assert_eq!(line.reason(), *expected, "{case}"),
            Some((reason, why)) => assert_eq!((line.reason().as_str(), detail().as_str()), (reason, why), "{case}"),
        }
    }
}

#[test]
fn the_id_in_the_body_decides() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let mut sent = Vec::new();
    for gate in GATES {
        for (path, member) in [CREATE, EVALUATE] {
            for framing in FRAMINGS {
                let bodies = [
                    (json!({member: "invoice"}), Some("granted_id")),
                    (json!({"variables": {member: "payroll", "n": [1, {}]}, member: "invoice"}), Some("granted_id")),
                    (json!({member: "payroll"}), None),
                    (json!({"variables": {member: "invoice"}, member: "payroll"}), None),
                ];
                for (body, granted) in bodies {
                    let body = body.to_string();
                    let (request, fate) = send(&world, &envoy, gate, post(&world, path), body.as_bytes(), framing);
                    let case = format!("{gate}, {framing:?}: {path} {body} {fate:?}");
                    if granted.is_some() {
                        let arrived = world.upstream.find(request.id()).expect("the request");
                        assert!(fate.passed() && arrived.body == body.as_bytes(), "{case}");
                    } else {
                        assert!(fate.refused(403) && (!fate.begun || gate != "hold"), "{case}");
                    }
                    sent.push((request, granted.unwrap_or("resource_not_granted"), case));
                }
            }
        }
    }
    reasons(&envoy, &sent);
}

/// A body in which something is nested 10,000 deep.
fn deep(open: &str, close: &str) -> Vec<u8> {
    let (open, close) = (open.repeat(10_000), close.repeat(10_000));
    format!(r#"{{"processDefinitionId":"invoice","variables":{open}1{close}}}"#).into_bytes()
}

/// Bodies that readers could read differently, or that no reader can read; and what the log says.
fn unreadable() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let pair = r#"{"processDefinitionId":"invoice","processDefinitionId":"payroll"}"#;
    let second = r#"{"processDefinitionId":"invoice"}{"processDefinitionId":"payroll"}"#;
    let json = "application/json";
    let good = br#"{"processDefinitionId":"invoice"}"#.to_vec();
    let utf16: Vec<u8> = good.iter().flat_map(|byte| [*byte, 0]).collect();
    vec![
        (json, pair.into(), "body_unreadable: a member stands twice"),
        (json, pair.replacen("Id", r"\u0049d", 1).into(), "body_unreadable: a member stands twice"),
        (json, second.into(), "body_unreadable: something follows the JSON object"),
        (
            json,
            br#"{"processDefinitionId":"invoice"} x"#.to_vec(),
            "body_unreadable: something follows the JSON object",
        ),
        (json, br#"{"processDefinitionId":"invoice""#.to_vec(), "body_unreadable: the JSON is cut short"),
        (json, br#"{"processDefinitionId":"inv"#.to_vec(), "body_unreadable: the JSON is cut short"),
        (json, br#"{"processDefinitionId":"invoice",}"#.to_vec(), "body_unreadable: the body is not JSON"),
        (json, br#"["invoice"]"#.to_vec(), "body_unreadable: the body is not a JSON object"),
        (json, utf16, "body_unreadable: the body is not JSON"),
        (json, b"".to_vec(), "body_unreadable: the JSON is cut short"),
        (json, deep("[", "]"), "body_unreadable: the JSON is nested too deeply"),
        (json, deep(r#"{"x":"#, "}"), "body_unreadable: the JSON is nested too deeply"),
        (
            json,
            b"{\"processDefinitionId\":\"invoice\",\"x\":\"\xff\"}".to_vec(),
            "body_unreadable: the JSON is not UTF-8",
        ),
        // An overlong `p`, which some readers take for one.
        (
            json,
            b"{\"processDefinitionId\":\"invoice\",\"\xc1\xb0rocessDefinitionId\":\"payroll\"}".to_vec(),
            "body_unreadable: the JSON is not UTF-8",
        ),
        (json, br#"{"processDefinitionId":"\ud800"}"#.to_vec(), "body_unreadable: a string has half a surrogate pair"),
        ("text/plain", good.clone(), "body_unreadable: the content type is not JSON"),
        ("application/x-www-form-urlencoded", good.clone(), "body_unreadable: the content type is not JSON"),
        ("application/json; charset=utf-16", good, "body_unreadable: the charset is not UTF-8"),
    ]
}

#[test]
fn what_cannot_be_read_is_refused() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let mut sent = Vec::new();
    for gate in GATES {
        for framing in FRAMINGS {
            for (kind, body, why) in unreadable() {
                let request = Request::new("POST", CREATE.0).header("content-type", kind).bearer(world.token("dora"));
                let (request, fate) = send(&world, &envoy, gate, request, &body, framing);
                let case = format!("{gate}, {framing:?}: {kind} {:?} {fate:?}", String::from_utf8_lossy(&body));
                assert!(fate.refused(400), "{case}");
                sent.push((request, why, case));
            }
        }
    }
    reasons(&envoy, &sent);
}

/// What is odd, and still has one meaning.
#[test]
fn what_can_be_read_in_one_way_is_read() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let mut sent = Vec::new();
    for (gate, framing) in GATES.into_iter().flat_map(|gate| FRAMINGS.map(|framing| (gate, framing))) {
        for (body, reason) in [
            ("\u{feff}{\"processDefinitionId\":\"invoice\"}", "granted_id"),
            ("\u{feff}{\"processDefinitionId\":\"payroll\"}", "resource_not_granted"),
            (r#"{"processDefinition\u0049d":"invoice"}"#, "granted_id"),
            (r#"{"processDefinition\u0049d":"payroll"}"#, "resource_not_granted"),
            (r#"{"processDefinitionId":"\u0069nvoice"}"#, "granted_id"),
            // Jackson takes a number for a text; no id is one, and which, the cluster knows.
            (r#"{"processDefinitionId":7}"#, "deferred_body"),
            (r#"{"processDefinitionId":null}"#, "deferred_body"),
            (r#"{"processDefinitionId":["invoice"]}"#, "deferred_body"),
            (r#"{"processDefinitionId":"payroll","processDefinitionKey":"7"}"#, "deferred_key"),
            (
                r#"{"variables":{"processDefinitionId":"x","processDefinitionId":"y"},"processDefinitionId":"invoice"}"#,
                "granted_id",
            ),
        ] {
            let (request, fate) = send(&world, &envoy, gate, post(&world, CREATE.0), body.as_bytes(), framing);
            let case = format!("{gate}, {framing:?}: {body} {fate:?}");
            let passes = reason != "resource_not_granted";
            assert_eq!((fate.passed(), fate.refused(403)), (passes, !passes), "{case}");
            sent.push((request, reason, case));
        }
    }
    reasons(&envoy, &sent);
}

/// The cluster undoes no encoding, so a body in one is not what it seems.
#[test]
fn encoded_bodies_are_refused() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let body = json!({CREATE.1: "invoice"}).to_string();
    let mut sent = Vec::new();
    for gate in GATES {
        for framing in FRAMINGS {
            for (encoding, allowed) in [("gzip", false), ("identity", true), ("identity, gzip", false), ("", false)] {
                let request = post(&world, CREATE.0).header("content-encoding", encoding);
                let (request, fate) = send(&world, &envoy, gate, request, body.as_bytes(), framing);
                let case = format!("{gate}, {framing:?}: {encoding} {fate:?}");
                assert_eq!((fate.passed(), fate.refused(400)), (allowed, !allowed), "{case}");
                sent.push((request, if allowed { "granted_id" } else { "body_unreadable" }, case));
            }
        }
    }
    reasons(&envoy, &sent);
}

/// POST without a body, and without a word about one.
#[test]
fn where_a_body_decides_there_has_to_be_one() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let mut sent = Vec::new();
    for gate in GATES {
        let head = |user: &str| post(&world, CREATE.0).header("x-user", user);
        let silent = head("dora");
        let text = String::from_utf8(silent.bytes()).expect("ASCII").replace("content-length: 0\r\n", "");
        let mut exchange = Exchange::connect(envoy.addr(gate).expect("an address")).expect("a connection");
        exchange.write(text);
        let fate = world.fate_of(&silent, exchange.response());
        assert!(fate.refused(400) && !fate.begun, "{gate}: {fate:?}");
        sent.push((silent, "body_unreadable: the JSON is cut short", gate.to_owned()));

        let (empty, fate) = send(&world, &envoy, gate, head("dora"), b"", Framing::of(Wire::Length));
        assert!(fate.refused(400) && !fate.begun, "{gate}: {fate:?}");
        sent.push((empty, "body_unreadable: the JSON is cut short", gate.to_owned()));
    }
    reasons(&envoy, &sent);
}

/// Over HTTP/2 frames say where a body ends, whatever length was announced; behind Envoy, over HTTP/1,
/// the length says it. So Envoy ends a request that is longer or shorter than it has announced, and
/// the filter judges by what the cluster would take for the whole.
#[test]
fn an_announced_length_that_lies_hides_nothing() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let body = json!({CREATE.1: "payroll"}).to_string();
    let (whole, less, more) = (body.len().to_string(), (body.len() - 1).to_string(), (body.len() + 1).to_string());
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        for announced in [
            &["0"][..],
            &["00"],
            &["1"],
            &[&less],
            &[&more],
            &["0", &whole],
            &[&whole, "0"],
            &["0, 0"],
            &["+0"],
            &["x"],
        ] {
            let announcing =
                |user: &str| announced.iter().fold(world.post(user, CREATE.0), |r, l| r.header("content-length", l));
            let mut call = Call::open(addr, announcing("dora"), Wire::Http2, 0);
            call.part(&body);
            call.finish(&[]);
            let fate = call.fate(&world);
            assert!(!fate.passed() && !fate.complete, "{gate}, {announced:?}: {fate:?}");

            // Of one who never waits, what follows the announced bytes is no request of its own.
            let hidden = world.create("ada", "payroll");
            let mut call = Call::open(addr, announcing("ada"), Wire::Http2, 0);
            call.part(hidden.bytes());
            call.finish(&[]);
            let _ = call.fate(&world);
            assert!(world.fate(addr, &world.create("ada", "payroll")).passed(), "{gate}, {announced:?}");
            assert!(world.upstream.find(hidden.id()).is_none(), "{gate}, {announced:?}");
        }
    }
}

/// A body of that length, its id at the end.
fn long_body(process: &str, length: usize) -> String {
    let member = format!("\"{}\":\"{process}\"}}", CREATE.1);
    format!("{{{}{member}", " ".repeat(length - 1 - member.len()))
}

#[test]
fn a_long_body_leaves_the_id_unknown() {
    let world = World::new();
    let limited = |listener: Listener, unresolved: &str| {
        listener.edit_plugin(|plugin| {
            plugin["body"]["maxBytes"] = 64.into();
            plugin["unresolved"] = json!({"default": unresolved});
        })
    };
    let deferring = start(&world, |listener| limited(listener, "defer"));
    let denying = start(&world, |listener| limited(listener, "deny"));
    for (envoy, long) in [(&deferring, "deferred_body"), (&denying, "unresolved")] {
        let mut sent = Vec::new();
        for gate in GATES {
            for framing in FRAMINGS {
                for (process, short) in [("invoice", "granted_id"), ("payroll", "resource_not_granted")] {
                    for (length, expected) in [(64, short), (65, long), (1000, long)] {
                        let body = long_body(process, length);
                        let request = post(&world, CREATE.0);
                        let (request, fate) = send(&world, envoy, gate, request, body.as_bytes(), framing);
                        let case = format!("{gate}, {framing:?}: {process}, {length} bytes {fate:?}");
                        let passes = ["granted_id", "deferred_body"].contains(&expected);
                        assert_eq!((fate.passed(), fate.refused(403)), (passes, !passes), "{case}");
                        sent.push((request, expected, case));
                    }
                }
            }
        }
        reasons(envoy, &sent);
    }
}

/// The sizes of the shipped configuration fit each other: a body of `maxBytes` is held and read to
/// its end, a longer one goes on unread, be it ten megabytes of blanks. What is held and what Envoy
/// then reads at a time must not overflow its buffer, so the body comes slowly. The module keeps
/// none of it.
#[test]
fn long_bodies_go_through_the_shipped_configuration() {
    const LONGEST: usize = 4 << 20;
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    for gate in GATES {
        for wire in WIRES {
            for (length, expected) in
                [(LONGEST, "resource_not_granted"), (LONGEST + 1, "deferred_body"), (10 << 20, "deferred_body")]
            {
                let body = long_body("payroll", length);
                let addr = envoy.addr(gate).expect("an address");
                let mut call = Call::open(addr, post(&world, CREATE.0), wire, length);
                for piece in body.as_bytes().chunks(512 << 10) {
                    let before = bytes_read(&envoy);
                    call.part(piece);
                    let read = || (bytes_read(&envoy) >= before + piece.len() as u64).then_some(());
                    wait::until("Envoy to read a piece", read).expect("read");
                }
                call.finish(&[]);
                let fate = call.fate(&world);
                let case = format!("{gate}, {wire:?}: {length} bytes {fate:?}");
                let passes = expected == "deferred_body";
                assert_eq!((fate.passed(), fate.refused(403)), (passes, !passes), "{case}");
                reasons(&envoy, &[(call.request, expected, case)]);
            }
        }
    }
    let largest = envoy.stats("portcullis_memory_bytes").expect("stats").into_values().max().expect("the gauge");
    assert!(largest < 16 << 20, "a VM of {largest} bytes");
}

/// Where Envoy may buffer less than the filter would hold, Envoy refuses, and nothing goes on. Over
/// HTTP/2 the window of the stream is its limit.
#[test]
fn a_body_that_envoy_cannot_hold_is_refused() {
    let world = World::new();
    let window = json!({"initial_stream_window_size": 65_535});
    let envoy = start(&world, |listener| {
        listener.buffer_limit(2048).edit_manager(|manager| manager["http2_protocol_options"] = window.clone())
    });
    for wire in WIRES {
        let body = long_body("invoice", 300_000);
        let framing = Framing::of(wire);
        let (request, fate) = send(&world, &envoy, "hold", post(&world, CREATE.0), body.as_bytes(), framing);
        assert!(fate.refused(413) && !fate.begun, "{framing:?}: {fate:?}");
        assert_eq!(envoy.access_line(request.id()).expect("a line").details(), "request_payload_too_large");
        assert!(world.fate(envoy.addr("hold").expect("an address"), &world.create("dora", "invoice")).passed());
    }
}

/// A body that breaks off is no body, wherever it does and however the connection ends.
#[test]
fn a_body_cut_short_is_never_complete() {
    let world = World::new();
    let envoy = start(&world, |listener| listener);
    let body = json!({CREATE.1: "invoice"}).to_string();
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        let mut cut = Vec::new();
        for kept in [0, 1, body.len() / 2, body.len() - 1, body.len()] {
            for (closes, wire) in [false, true].into_iter().flat_map(|closes| WIRES.map(|wire| (closes, wire))) {
                let announced = body.len() + usize::from(kept == body.len());
                let mut call = Call::open(addr, post(&world, CREATE.0), wire, announced);
                if kept > 0 {
                    call.part(&body[..kept]);
                }
                cut.push(call.request.id().to_owned());
                if closes {
                    call.close();
                } else {
                    call.break_off();
                    assert!(!call.fate(&world).passed());
                }
            }
        }
        for id in cut {
            // Envoy has no line about a connection that ended before it had read the request.
            let arrived = world.upstream.find(&id);
            assert!(!arrived.is_some_and(|arrived| arrived.complete), "{gate}: {id}");
        }
        assert!(world.fate(addr, &world.create("dora", "invoice")).passed(), "{gate}");
    }
    assert_eq!(world.upstream.complete_requests().len(), GATES.len());
}
