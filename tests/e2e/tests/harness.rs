//! The harness tested by itself: a real Envoy with the shipped configuration, but without our
//! module, so that what the other tests rely on is known to hold.

use std::time::Duration;

use portcullis_e2e::client::{self, Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch, Pushed};
use portcullis_e2e::gateway::{self, Gateway, Listener};
use portcullis_e2e::upstream::Upstream;
use serde_json::{Value, json};

/// Envoy without our filter and without the belt, before a recording upstream.
fn open_gate() -> (Envoy, Upstream) {
    let upstream = Upstream::start().expect("an upstream");
    let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    let config = gateway.listener("gateway", unguarded).build();
    (Launch::new(config).start().expect("Envoy"), upstream)
}

fn unguarded(listener: Listener) -> Listener {
    listener.without_filter().without_belt()
}

#[test]
fn a_call_goes_round() {
    let (envoy, upstream) = open_gate();
    let body = json!({"processDefinitionId": "invoice"});
    let request = Request::post("/v2/process-instances?access_token=secret", &body)
        .header("x-bytes", b"\xff\xfe")
        .header("X-Twice", "one")
        .header("x-twice", "two");
    let addr = envoy.addr("gateway").expect("an address");
    let response = client::send(addr, &request).expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(response.json().expect("JSON")["processDefinitionId"], "invoice");

    let arrived = upstream.find(request.id()).expect("the request");
    assert!(arrived.complete);
    assert_eq!(arrived.method, "POST");
    assert_eq!(arrived.target, b"/v2/process-instances?access_token=secret");
    assert_eq!(arrived.body, body.to_string().as_bytes());
    assert_eq!(arrived.fields.get("x-bytes"), Some(b"\xff\xfe".as_slice()));
    assert_eq!(arrived.fields.all("x-twice"), [b"one", b"two"]);

    let line = envoy.access_line(request.id()).expect("a line");
    assert_eq!((line.status(), line.reason().as_str()), (200, "via_upstream"));
    assert_eq!(line.field("method"), "POST");
    assert_eq!(line.field("path"), "/v2/process-instances", "the query is not logged");
    assert_eq!(line.decision(), None);
    assert!(line.micros().expect("a duration") > 0);
    assert!(line.field("time").as_str().is_some_and(|time| time.ends_with('Z')));
}

#[test]
fn targets_and_trailers_arrive_as_sent() {
    let (envoy, upstream) = open_gate();
    let addr = envoy.addr("gateway").expect("an address");
    for target in ["/v2//users", "/v2/setup;a=b/user", "/v2/other/a%2Fb", "/v2/x%252F"] {
        let request = Request::get(target);
        assert_eq!(client::send(addr, &request).expect("an answer").status, 404, "{target}");
        let arrived = upstream.find(request.id()).expect("the request");
        assert_eq!(arrived.target, target.as_bytes());
    }

    let dots = Request::get("/v2/status/../topology");
    assert_eq!(client::send(addr, &dots).expect("an answer").status, 200);
    assert_eq!(upstream.find(dots.id()).expect("the request").target, b"/v2/topology");

    let request = Request::new("POST", "/v2/process-instances/search").chunked();
    let mut exchange = Exchange::open(addr, &request).expect("a connection");
    exchange.chunk(r#"{"filter""#);
    let so_far = |want: &'static [u8]| upstream.wait_for(request.id(), move |r| r.body == want);
    assert!(!so_far(br#"{"filter""#).expect("the first piece").complete);
    assert!(!exchange.answered_within(Duration::from_millis(20)));
    exchange.chunk(": {}}");
    exchange.finish(&[("x-sum", "7")]);
    assert_eq!(exchange.response().expect("an answer").json().expect("JSON")["items"], json!([]));
    assert!(upstream.find(request.id()).expect("the request").complete);
}

#[test]
fn a_body_cut_short_never_counts_as_complete() {
    let (envoy, upstream) = open_gate();
    let addr = envoy.addr("gateway").expect("an address");

    let chunked = Request::new("POST", "/v2/process-instances").chunked();
    let mut exchange = Exchange::open(addr, &chunked).expect("a connection");
    exchange.chunk("{");
    upstream.wait_for(chunked.id(), |r| r.body == b"{").expect("the first piece");
    exchange.close();

    let short = Request::new("POST", "/v2/process-instances").header("content-length", "9");
    let mut exchange = Exchange::open(addr, &short.clone().body("{")).expect("a connection");
    upstream.wait_for(short.id(), |r| r.body == b"{").expect("the first piece");
    exchange.half_close();

    for request in [&chunked, &short] {
        let line = envoy.access_line(request.id()).expect("a line");
        assert_eq!(line.status(), 0, "nobody was there to be answered");
        assert_eq!(line.micros(), None);
    }
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(upstream.complete_requests().len(), 0);
}

#[test]
fn the_belt_alone_lets_nothing_through() {
    let upstream = Upstream::start().expect("an upstream");
    let config = Gateway::new(upstream.addr())
        .expect("the shipped configuration")
        .listener("hold", Listener::without_filter)
        .listener("stream", |l| l.without_filter().belt(&["orders:allow", "orders:pending"]))
        .build();
    let envoy = Launch::new(config).concurrency(2).start().expect("Envoy");
    for listener in ["hold", "stream"] {
        let request = Request::get("/v2/topology");
        let addr = envoy.addr(listener).expect("an address");
        assert_eq!(client::send(addr, &request).expect("an answer").status, 403);
        let line = envoy.access_line(request.id()).expect("a line");
        assert_eq!(line.details(), "rbac_access_denied_matched_policy[none]");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn pushed_listeners_take_over_and_broken_ones_do_not() {
    let upstream = Upstream::start().expect("an upstream");
    let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    let closed = gateway.clone().listener("gateway", Listener::without_filter);
    let open = gateway.clone().listener("gateway", unguarded);
    let broken = gateway.listener("gateway", |l| unguarded(l).edit_manager(|m| m["stat_prefix"] = "".into()));

    let launch = Launch::new(closed.build()).dynamic_listeners().drain_time(1);
    let envoy = launch.start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    let status = || client::send(addr, &Request::get("/v2/topology")).ok().map(|r| r.status);
    assert_eq!(status(), Some(403));

    assert_eq!(envoy.push_listeners(&open.listeners()).expect("a verdict"), Pushed::Accepted);
    portcullis_e2e::wait::until("the open gate", || status().filter(|s| *s == 200))
        .expect("the new listener on the old port");

    assert_eq!(envoy.push_listeners(&broken.listeners()).expect("a verdict"), Pushed::Rejected);
    assert_eq!(status(), Some(200));
}

#[test]
fn the_admin_page_answers() {
    let (envoy, _upstream) = open_gate();
    assert_eq!(envoy.stat("server.live").expect("stats"), Some(1));
    assert_eq!(envoy.stat("server.no_such_thing").expect("stats"), None);
    assert!(envoy.config_dump().expect("a dump")["configs"].is_array());
    assert!(envoy.log().contains("starting main dispatch loop"));
    assert!(envoy.is_running());
    assert!(envoy.pid() > 0);
}

#[test]
fn an_envoy_that_cannot_start_says_why() {
    let upstream = Upstream::start().expect("an upstream");
    let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    let config = gateway.listener("gateway", |l| l.module("/nowhere/portcullis.wasm")).build();
    let error = Launch::new(config).start().expect_err("no module").to_string();
    assert!(error.contains("Invalid path: /nowhere/portcullis.wasm"), "{error}");
}

#[test]
fn the_shipped_configuration_is_closed_and_whole() {
    let upstream = Upstream::start().expect("an upstream");
    let mut plugin = Value::Null;
    Gateway::new(upstream.addr()).expect("the shipped configuration").listener("gateway", |l| {
        plugin = l.plugin();
        l.edit_filter(|filter| {
            assert_eq!(filter["failure_policy"], "FAIL_RELOAD");
            assert_eq!(filter["allow_on_headers_stop_iteration"], true);
        })
    });
    assert_eq!((&plugin["version"], &plugin["mode"]), (&json!(1), &json!("enforce")));

    let shipped = gateway::shipped("envoy.yaml").expect("the shipped configuration");
    assert_eq!(shipped["admin"]["address"]["socket_address"]["address"], "127.0.0.1");
    let listener = &shipped["static_resources"]["listeners"][0];
    let held = plugin["body"]["maxBytes"].as_u64().expect("a size");
    assert!(listener["per_connection_buffer_limit_bytes"].as_u64().expect("a size") > held);
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    let filters = manager["http_filters"].as_array().expect("filters");
    let names: Vec<&str> = filters.iter().filter_map(|filter| filter["name"].as_str()).collect();
    assert_eq!(names, ["portcullis", "portcullis-belt", "envoy.filters.http.router"]);
    let belt = &filters[1]["typed_config"]["rules"];
    let rule = &belt["policies"]["judged"]["principals"];
    let allow = format!("{}:allow", plugin["name"].as_str().expect("a name"));
    let only = json!([{
        "filter_state": {"key": "wasm.portcullis_belt", "string_match": {"exact": allow}}
    }]);
    assert_eq!((&belt["action"], rule), (&json!("ALLOW"), &only));
}
