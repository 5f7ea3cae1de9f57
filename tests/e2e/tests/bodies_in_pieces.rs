//! When the parts of a body go on: what the gates hold back and for how long, and what becomes of
//! the connection afterwards.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Listener;
use portcullis_e2e::wait::{self, DEADLINE};
use serde_json::json;
use support::sending::{Call, WIRES, Wire};
use support::{CREATE, World, bytes_read};

/// One worker, and a listener for every gate.
fn start(world: &World) -> Envoy {
    let gateway = world
        .gateway()
        .listener("hold", |l| world.guarded(l))
        .listener("stream", |l| world.streaming(l))
        .listener("stream, free", |l| world.streaming(l).without_stop_iteration());
    Launch::new(gateway.build()).start().expect("Envoy")
}

const STREAMS: [&str; 2] = ["stream", "stream, free"];
const GATES: [&str; 3] = ["hold", "stream", "stream, free"];

/// A request whose parts are sent one by one.
struct Sender<'a> {
    world: &'a World,
    envoy: &'a Envoy,
    call: Call,
}

impl<'a> Sender<'a> {
    /// Begins `createProcessInstance` with a body of that length.
    fn begin(world: &'a World, envoy: &'a Envoy, gate: &str, user: &str, wire: Wire, length: usize) -> Self {
        Self::of(world, envoy, gate, world.post(user, CREATE.0), wire, length)
    }

    fn of(world: &'a World, envoy: &'a Envoy, gate: &str, request: Request, wire: Wire, length: usize) -> Self {
        let call = Call::open(envoy.addr(gate).expect("an address"), request, wire, length);
        Self { world, envoy, call }
    }

    /// Sends a part, and waits until Envoy has read it.
    fn part(&mut self, data: &str) {
        let before = bytes_read(self.envoy);
        self.call.part(data);
        let read = || (bytes_read(self.envoy) >= before + data.len() as u64).then_some(());
        wait::until("Envoy to read a part", read).expect("read");
    }

    /// Waits until just this has arrived at the cluster.
    fn arrives(&self, so_far: &str) {
        let arrived = self.world.upstream.wait_for(self.call.request.id(), |r| r.body == so_far.as_bytes());
        assert!(!arrived.expect("a part at the cluster").complete);
    }

    /// What has arrived.
    fn arrived(&self) -> Option<String> {
        let arrived = self.world.upstream.find(self.call.request.id())?;
        Some(String::from_utf8(arrived.body).expect("text"))
    }

    fn end(&mut self) -> support::Fate {
        self.call.finish(&[]);
        self.call.fate(self.world)
    }
}

const BEGINNING: &str = r#"{"variables":{"amount":7},"#;
const INVOICE: &str = r#""processDefinitionId":"invoice""#;
const PAYROLL: &str = r#""processDefinitionId":"payroll""#;

#[test]
fn stream_lets_the_beginning_go_on() {
    let world = World::new();
    let envoy = start(&world);
    for gate in STREAMS {
        for (member, allowed) in [(INVOICE, true), (PAYROLL, false)] {
            let whole = format!("{BEGINNING}{member}}}");
            for wire in WIRES {
                let mut sender = Sender::begin(&world, &envoy, gate, "dora", wire, whole.len());
                sender.part(BEGINNING);
                sender.arrives(BEGINNING);
                sender.part(member);
                sender.arrives(&format!("{BEGINNING}{member}"));
                sender.part("}");
                let fate = sender.end();
                let case = format!("{gate}, {wire:?}: {member} {fate:?}");
                assert_eq!((fate.passed(), fate.refused(403)), (allowed, !allowed), "{case}");
                let expected = if allowed { &whole } else { whole.trim_end_matches('}') };
                assert_eq!(sender.arrived().as_deref(), Some(expected), "{case}");
            }
        }
    }
}

#[test]
fn hold_lets_nothing_go_on_before_the_verdict() {
    let world = World::new();
    let envoy = start(&world);
    for (member, allowed) in [(INVOICE, true), (PAYROLL, false)] {
        let whole = format!("{BEGINNING}{member}}}");
        for wire in WIRES {
            let mut sender = Sender::begin(&world, &envoy, "hold", "dora", wire, whole.len());
            sender.part(BEGINNING);
            sender.part(member);
            assert_eq!(sender.arrived(), None);
            sender.part("}");
            let fate = sender.end();
            assert_eq!((fate.passed(), fate.refused(403)), (allowed, !allowed), "{wire:?}: {member} {fate:?}");
            assert_eq!(sender.arrived(), allowed.then_some(whole.clone()));
        }
    }
}

/// A closed object is all that a reader of JSON needs: from there on `stream` holds everything, be
/// it blanks, until the end shows that nothing else follows.
#[test]
fn stream_holds_all_from_where_the_object_closes() {
    let world = World::new();
    let envoy = start(&world);
    for gate in STREAMS {
        for (member, rest, status) in [
            (INVOICE, "  ", 200),
            (PAYROLL, "  ", 403),
            (INVOICE, r#"{"processDefinitionId":"payroll"}"#, 400),
            (PAYROLL, "x", 400),
        ] {
            let head = format!("{BEGINNING}{member}");
            for wire in WIRES {
                let mut sender = Sender::begin(&world, &envoy, gate, "dora", wire, head.len() + 1 + rest.len());
                sender.part(&head);
                sender.arrives(&head);
                sender.part("}");
                // Others go through the same worker meanwhile: what was let go would have arrived.
                assert!(world.fate(envoy.addr(gate).expect("an address"), &world.create("ada", "payroll")).passed());
                assert_eq!(sender.arrived().as_deref(), Some(head.as_str()), "{gate}: {member}{rest}");
                sender.part(rest);
                let fate = sender.end();
                let case = format!("{gate}, {wire:?}: {member}{rest} {fate:?}");
                assert_eq!(fate.status, Some(status), "{case}");
                assert_eq!(fate.complete, status == 200, "{case}");
                let expected = if status == 200 { format!("{head}}}{rest}") } else { head.clone() };
                assert_eq!(sender.arrived(), Some(expected), "{case}");
            }
        }
    }
}

/// With as many bytes as were announced the request is complete, whatever they are.
#[test]
fn stream_holds_the_last_of_the_announced_bytes() {
    let world = World::new();
    let envoy = start(&world);
    for (gate, wire) in STREAMS.into_iter().flat_map(|gate| WIRES.map(|wire| (gate, wire))) {
        if wire.announces() {
            let head = format!("{BEGINNING}{PAYROLL}");
            let mut sender = Sender::begin(&world, &envoy, gate, "dora", wire, head.len() + 1);
            sender.part(&head);
            sender.arrives(&head);
            sender.part(",");
            let fate = sender.end();
            assert!(fate.refused(400), "{gate}, {wire:?}: {fate:?}");
            assert_eq!(sender.arrived(), Some(head), "{gate}, {wire:?}");
        }
    }
}

#[test]
fn who_may_do_it_with_every_id_never_waits() {
    let world = World::new();
    let envoy = start(&world);
    for gate in GATES {
        let whole = format!("{BEGINNING}{PAYROLL}}}");
        for wire in WIRES {
            let mut sender = Sender::begin(&world, &envoy, gate, "ada", wire, whole.len());
            world.upstream.wait_for(sender.call.request.id(), |_| true).expect("its head");
            sender.part(BEGINNING);
            sender.arrives(BEGINNING);
            sender.part(&format!("{PAYROLL}}}"));
            assert!(sender.end().passed(), "{gate}");
            assert_eq!(sender.arrived(), Some(whole.clone()), "{gate}");
        }
    }
}

/// A form, in two parts, that names this tenant at its end, or none.
fn form(tenant: Option<&str>) -> (String, String) {
    let part = |name: &str, text: &str| format!("--b\r\ncontent-disposition: form-data; name={name}\r\n\r\n{text}\r\n");
    let tenant = tenant.map(|tenant| part("tenantId", tenant)).unwrap_or_default();
    (part("\"resources\"; filename=\"a.bpmn\"", "<x/>"), format!("{tenant}--b--\r\n"))
}

/// Where tenants are checked, the body of one who needs no id is held if it may name one, and only
/// then.
#[test]
fn only_a_tenant_in_it_holds_what_needs_no_id() {
    let world = World::new();
    let tenants = |listener: Listener, checked: bool| {
        listener.edit_plugin(|plugin| {
            plugin["api"]["multiTenancy"] = checked.into();
            let grants = plugin["policy"]["authorizations"].as_array_mut().expect("grants");
            for (kind, permission) in [("RESOURCE", "CREATE"), ("PROCESS_DEFINITION", "UPDATE_PROCESS_INSTANCE")] {
                grants.push(json!({
                    "ownerType": "USER", "ownerId": "ada", "resourceType": kind, "resourceId": "*",
                    "permissionTypes": [permission],
                }));
            }
            plugin["policy"]["tenants"] = json!([{"tenantId": "north", "users": ["ada"]}]);
        })
    };
    let gateway = world
        .gateway()
        .listener("hold", |l| tenants(world.guarded(l), true))
        .listener("stream", |l| tenants(world.streaming(l), true))
        .listener("unchecked", |l| tenants(world.guarded(l), false));
    let envoy = Launch::new(gateway.build()).start().expect("Envoy");
    let post = |path: &str| world.post("ada", path);
    let deploy = || {
        let request = Request::new("POST", "/v2/deployments").bearer(world.token("ada"));
        request.header("content-type", "multipart/form-data; boundary=b")
    };
    let call = |tenant: &str| {
        let path = "/gateway_protocol.Gateway/CreateProcessInstance";
        let request = Request::new("POST", path).bearer(world.token("ada")).header("content-type", "application/grpc");
        // bpmnProcessId and tenantId, both short enough for their lengths to be letters of ASCII.
        let (id, tenant) = ("\x12\x01x", format!("\x32{}{tenant}", char::from(tenant.len() as u8)));
        let length = char::from((id.len() + tenant.len()) as u8);
        (request.header("te", "trailers"), (format!("\0\0\0\0{length}{id}"), tenant))
    };
    let create = |tenant: &str| {
        let begin = r#"{"processDefinitionId":"x","#.to_owned();
        (post(CREATE.0), (begin, format!("\"tenantId\":\"{tenant}\"}}")))
    };
    let keyed = (post("/v2/jobs/7/failure"), (r#"{"retries":"#.to_owned(), "7}".to_owned()));
    let cases = [
        (create("north"), true, true),
        (create("south"), true, false),
        ((deploy(), form(Some("north"))), true, true),
        ((deploy(), form(Some("south"))), true, false),
        ((deploy(), form(None)), true, true),
        (call("north"), true, true),
        (call("south"), true, false),
        (keyed, false, true),
    ];
    for (((request, (begin, end)), holds, passes), wire) in
        cases.iter().flat_map(|case| WIRES.map(|wire| (case.clone(), wire)))
    {
        for gate in ["hold", "stream", "unchecked"] {
            let mut sender = Sender::of(&world, &envoy, gate, request.again(), wire, begin.len() + end.len());
            sender.part(&begin);
            let case = format!("{gate}, {wire:?}: {} {begin}{end}", request.line());
            if holds && gate == "hold" {
                assert!(world.fate(envoy.addr(gate).expect("an address"), &world.ask("ada")).passed());
                assert_eq!(sender.arrived(), None, "{case}");
            } else {
                sender.arrives(&begin);
            }
            sender.part(&end);
            let fate = sender.end();
            // Without checks the tenant decides nothing: the cluster says what it makes of it.
            assert_eq!((fate.status.is_some(), fate.complete), (true, passes || gate == "unchecked"), "{case}");
        }
    }
}

/// A body that never ends waits for the timeout of the shipped configuration, here a short one, and
/// never gets further than that.
#[test]
fn a_body_that_never_ends_is_given_up() {
    let world = World::new();
    let impatient = |listener: Listener| listener.edit_manager(|manager| manager["request_timeout"] = "1s".into());
    let gateway = world
        .gateway()
        .listener("hold", |l| impatient(world.guarded(l)))
        .listener("stream", |l| impatient(world.streaming(l)))
        .listener("stream, free", |l| impatient(world.streaming(l)).without_stop_iteration());
    let envoy = Launch::new(gateway.build()).start().expect("Envoy");
    let mut waiting = Vec::new();
    for (gate, wire) in GATES.into_iter().flat_map(|gate| WIRES.map(|wire| (gate, wire))) {
        for (user, so_far) in
            [("dora", format!("{BEGINNING}{INVOICE}}}")), ("dora", String::new()), ("ada", BEGINNING.into())]
        {
            let mut call = Call::open(envoy.addr(gate).expect("an address"), world.post(user, CREATE.0), wire, 1_000);
            if !so_far.is_empty() {
                call.part(&so_far);
            }
            waiting.push((format!("{gate}, {wire:?}, {user}: {so_far}"), call));
        }
    }
    for (case, mut call) in waiting {
        let fate = call.fate(&world);
        assert!(fate.refused(408), "{case}: {fate:?}");
    }
    for gate in GATES {
        assert!(world.fate(envoy.addr(gate).expect("an address"), &world.create("dora", "invoice")).passed(), "{gate}");
    }
}

/// Who may not do it with any id is not asked for a body.
#[test]
fn who_may_not_do_it_at_all_never_waits() {
    let world = World::new();
    let envoy = start(&world);
    for gate in GATES {
        for wire in WIRES {
            let mut sender = Sender::begin(&world, &envoy, gate, "ada, forged", wire, 100);
            let fate = sender.call.fate(&world);
            assert!(fate.refused(401) && !fate.begun, "{gate}: {fate:?}");
        }
    }
}

#[test]
fn two_at_a_time_are_told_apart() {
    let world = World::new();
    let envoy = start(&world);
    for (gate, wire) in GATES.into_iter().flat_map(|gate| [(gate, Wire::Chunked), (gate, Wire::Http2)]) {
        for (first, second) in [((INVOICE, true), (PAYROLL, false)), ((PAYROLL, false), (INVOICE, true))] {
            let mut one = Sender::begin(&world, &envoy, gate, "dora", wire, 0);
            let mut two = Sender::begin(&world, &envoy, gate, "dora", wire, 0);
            for (a, b) in format!("{{{}}}", first.0).chars().zip(format!("{{{}}}", second.0).chars()) {
                one.call.part(a.to_string());
                two.call.part(b.to_string());
            }
            for (sender, (member, allowed)) in [(&mut two, second), (&mut one, first)] {
                let fate = sender.end();
                assert_eq!((fate.passed(), fate.refused(403)), (allowed, !allowed), "{gate}: {member} {fate:?}");
            }
        }
    }
}

/// Requests on one connection are judged each on its own, one after the other or sent in one go. (In
/// one go, Envoy itself closes after two answers that it has not yet sent off: "Too many responses
/// queued".)
#[test]
fn a_connection_goes_on_after_a_refusal() {
    let world = World::new();
    let envoy = start(&world);
    let invoice = || (world.create("dora", "invoice"), 200);
    let payroll = || (world.create("dora", "payroll"), 403);
    let forged = || (world.ask("ada, forged"), 401);
    let judge = |exchange: &mut Exchange, (request, status): &(Request, u16), gate: &str| {
        let fate = world.fate_of(request, exchange.response());
        assert_eq!((fate.status, fate.complete), (Some(*status), *status == 200), "{gate}: {}", request.line());
    };
    for gate in GATES {
        let connect = || Exchange::connect(envoy.addr(gate).expect("an address")).expect("a connection");
        let mut exchange = connect();
        for call in [payroll(), invoice(), forged(), payroll(), payroll(), invoice()] {
            exchange.send(&call.0);
            judge(&mut exchange, &call, gate);
        }
        for calls in [vec![payroll(), invoice(), invoice()], vec![forged(), invoice()], vec![invoice(), payroll()]] {
            let mut exchange = connect();
            exchange.write(calls.iter().flat_map(|(request, _)| request.bytes()).collect::<Vec<u8>>());
            calls.iter().for_each(|call| judge(&mut exchange, call, gate));
        }
    }
}

/// Where a request is refused before its body has come, Envoy closes the connection: what then comes
/// is never taken for a request.
#[test]
fn the_body_of_a_refused_request_is_no_request() {
    let world = World::new();
    let envoy = start(&world);
    for gate in GATES {
        let hidden = world.create("ada", "payroll");
        for (user, kind, status) in [("ada, forged", "application/json", 401), ("dora", "text/plain", 400)] {
            let refused = Request::new("POST", CREATE.0)
                .header("content-type", kind)
                .header("content-length", (hidden.bytes().len() + 1).to_string())
                .bearer(world.token(user));
            let mut exchange = Exchange::open(envoy.addr(gate).expect("an address"), &refused).expect("a connection");
            let response = exchange.response().expect("an answer");
            assert_eq!(response.fields.text("connection"), Some("close"), "{gate}");
            assert!(world.fate_of(&refused, Ok(response)).refused(status), "{gate}");
            exchange.send(&hidden);
            assert_eq!(world.fate_of(&hidden, exchange.response()).status, None, "{gate}");
        }
        assert!(world.upstream.find(hidden.id()).is_none(), "{gate}");
    }
}

/// Sends a head, waits for `100 Continue`, sends the body, and returns the answer's first line.
fn expecting(addr: SocketAddr, request: &Request, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(&request.bytes()).expect("sent");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Envoy says so before it asks any filter, so a caller is told to go on even where the next word is
/// a refusal.
#[test]
fn callers_may_wait_for_100_continue() {
    let world = World::new();
    let envoy = start(&world);
    for gate in GATES {
        let addr = envoy.addr(gate).expect("an address");
        for ((user, member, answer), wire) in [
            ("dora", INVOICE, "HTTP/1.1 200 OK"),
            ("dora", PAYROLL, "HTTP/1.1 403 Forbidden"),
            ("ada", PAYROLL, "HTTP/1.1 200 OK"),
            ("ada, forged", "", "HTTP/1.1 401 Unauthorized"),
        ]
        .into_iter()
        .flat_map(|case| [(case, Wire::Length), (case, Wire::Chunked)])
        {
            let body = if member.is_empty() { String::new() } else { format!("{{{member}}}") };
            let request = world.post(user, CREATE.0).header("expect", "100-continue").header("connection", "close");
            let (request, body) = match wire {
                Wire::Chunked if body.is_empty() => (request.chunked(), body),
                Wire::Chunked => (request.chunked(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
                _ => (request.header("content-length", body.len().max(1).to_string()), body),
            };
            assert_eq!(expecting(addr, &request, &body), answer, "{gate}: {user} {member}");
            let complete = world.upstream.find(request.id()).is_some_and(|arrived| arrived.complete);
            assert_eq!(complete, answer.contains("200"), "{gate}: {user} {member}");
        }
    }
}
