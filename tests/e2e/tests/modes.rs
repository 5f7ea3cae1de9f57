//! Shadow mode, what is changed of a forwarded request, tokens in cookies, CORS preflight.

mod support;

use portcullis_e2e::client::{self, Request, Response};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Listener;
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::{ISSUER, World};

const BOTH: [&str; 2] = ["orders:allow", "orders:shadow"];
const STREAM: [&str; 3] = ["orders:allow", "orders:pending", "orders:shadow"];

struct Stage {
    world: World,
    envoy: Envoy,
    addr: SocketAddr,
}

impl Stage {
    fn new(shape: impl FnOnce(Listener) -> Listener) -> Self {
        let world = World::new();
        let config = world.gateway().listener("gateway", |l| shape(world.guarded(l))).build();
        let envoy = Launch::new(config).start().expect("Envoy");
        let addr = envoy.addr("gateway").expect("an address");
        Self { world, envoy, addr }
    }

    fn send(&self, request: &Request) -> Response {
        client::send(self.addr, request).expect("an answer")
    }

    /// What was decided, by the access log.
    fn decision(&self, request: &Request) -> Value {
        self.envoy.access_line(request.id()).expect("a line").decision().expect("a decision")
    }

    /// The values of a header as the cluster saw it.
    fn seen(&self, request: &Request, header: &str) -> Vec<String> {
        let recorded = self.world.upstream.find(request.id()).expect("the request arrived");
        recorded.fields.all(header).into_iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    }
}

fn shadow(until: &str, gate: &str) -> impl FnOnce(&mut Value) {
    let (until, gate) = (until.to_owned(), gate.to_owned());
    move |plugin| {
        plugin["mode"] = json!("shadow");
        plugin["shadow"] = json!({"until": until});
        plugin["body"]["gate"] = json!(gate);
    }
}

#[test]
fn shadow_mode_forwards_and_says_what_it_would_have_denied() {
    for (gate, belt) in [("hold", &BOTH[..]), ("stream", &STREAM[..])] {
        let stage = Stage::new(|l| l.edit_plugin(shadow("2999-01-01T00:00:00Z", gate)).belt(belt));
        for (request, reason) in [
            (stage.world.create("dora", "payroll"), "resource_not_granted"),
            (Request::get("/v2/topology"), "token_missing"),
            (Request::get("/v2/users/ada").bearer(stage.world.token("dora")), "permission_missing"),
            (Request::get("/v2/no-such-thing").bearer(stage.world.token("dora")), "operation_unknown"),
        ] {
            stage.send(&request);
            let recorded = stage.world.upstream.find(request.id()).expect("it is forwarded");
            assert!(recorded.complete, "{gate} {reason}");
            let decision = stage.decision(&request);
            let found = (&decision["decision"], &decision["reason"], &decision["shadow"]);
            assert_eq!(found, (&json!("deny"), &json!(reason), &json!(true)), "{gate}");
        }
        let allowed = stage.world.create("dora", "invoice");
        assert_eq!(stage.send(&allowed).status, 200);
        assert_eq!(stage.decision(&allowed)["shadow"], Value::Null);
        let denials = "wasmcustom.wasm_filter.orders.component.token_missing.portcullis_shadow_denials";
        portcullis_e2e::wait::until("the counter", || (stage.envoy.stat(denials).ok()? == Some(1)).then_some(()))
            .expect("the counter");
    }
}

#[test]
fn the_shipped_belt_stops_what_shadow_mode_forwards() {
    let stage = Stage::new(|l| l.edit_plugin(shadow("2999-01-01T00:00:00Z", "hold")));
    let denied = stage.world.create("dora", "payroll");
    assert_eq!(stage.send(&denied).status, 403);
    assert!(stage.world.upstream.find(denied.id()).is_none());
    assert_eq!(stage.send(&stage.world.ask("ada")).status, 200);
}

#[test]
fn shadow_mode_ends_by_itself() {
    let stage = Stage::new(|l| l.edit_plugin(shadow("2020-01-01T00:00:00Z", "hold")).belt(&BOTH));
    let denied = stage.world.create("dora", "payroll");
    assert_eq!(stage.send(&denied).status, 403);
    assert!(stage.world.upstream.find(denied.id()).is_none());
}

#[test]
fn the_identity_is_put_on_and_the_token_taken_off() {
    for (gate, belt) in [("hold", &BOTH[..1]), ("stream", &STREAM[..2])] {
        let stage = Stage::new(|l| {
            l.edit_plugin(|plugin| {
                plugin["forward"] = json!({"identityHeaders": true, "token": "remove"});
                plugin["issuers"][0]["claims"]["groups"] = json!("groups");
                plugin["body"]["gate"] = json!(gate);
            })
            .belt(belt)
        });
        let claims = json!({"preferred_username": "dora", "groups": ["/ops", "a,b"]});
        let token = ISSUER.token(&claims);
        let body = json!({"processDefinitionId": "invoice"});
        let by_body = Request::post("/v2/process-instances", &body).bearer(&token);
        let by_head = Request::get("/v2/topology").bearer(&token);
        for request in [by_body, by_head] {
            let request = request.header("x-portcullis-username", "ada").header("X_Portcullis_Groups", "admin");
            assert_eq!(stage.send(&request).status, 200, "{gate}");
            assert_eq!(stage.seen(&request, "x-portcullis-username"), ["dora"], "{gate}");
            assert_eq!(stage.seen(&request, "x-portcullis-groups"), ["/ops,a%2Cb"], "{gate}");
            for gone in ["authorization", "x_portcullis_groups", "x-portcullis-client-id"] {
                assert_eq!(stage.seen(&request, gone), [""; 0], "{gate} {gone}");
            }
        }
    }
}

#[test]
fn a_token_may_come_in_a_cookie_and_go_no_further() {
    let stage = Stage::new(|l| {
        l.edit_plugin(|plugin| {
            plugin["credentials"] = json!([{"header": {"name": "Authorization", "prefix": "Bearer "}}, {"cookie": {"name": "BearerToken"}}]);
            plugin["forward"] = json!({"token": "remove"});
        })
    });
    let token = stage.world.token("ada");
    let cookie = Request::get("/v2/topology").header("cookie", format!("a=1; BearerToken={token}; b=2"));
    assert_eq!(stage.send(&cookie).status, 200);
    assert_eq!(stage.seen(&cookie, "cookie"), ["a=1; b=2"]);
    let lines = Request::get("/v2/topology").header("cookie", "a=1").header("cookie", format!("BearerToken={token}"));
    assert_eq!(stage.send(&lines).status, 200);
    assert_eq!(stage.seen(&lines, "cookie"), ["a=1"]);
    for second in [
        Request::get("/v2/topology").bearer(token).header("cookie", format!("BearerToken={token}")),
        Request::get("/v2/topology").header("cookie", format!("BearerToken={token}; BearerToken={token}")),
        Request::get("/v2/topology").header("cookie", format!("BearerToken={token}; camunda-session=x")),
    ] {
        assert_eq!(stage.send(&second).status, 400);
        assert_eq!(stage.decision(&second)["reason"], "credential_ambiguous");
        assert!(stage.world.upstream.find(second.id()).is_none());
    }
}

#[test]
fn a_preflight_passes_only_where_it_is_opened() {
    let preflight = || {
        Request::new("OPTIONS", "/v2/process-instances")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
    };
    let opened = Stage::new(|l| l.edit_plugin(|plugin| plugin["cors"] = json!({"preflight": "forward"})));
    let request = preflight();
    opened.send(&request);
    assert!(opened.world.upstream.find(request.id()).is_some());
    assert_eq!(opened.decision(&request)["reason"], "preflight");
    let closed = Stage::new(|l| l);
    let request = preflight();
    assert_eq!(closed.send(&request).status, 401);
    assert!(closed.world.upstream.find(request.id()).is_none());
}

/// The decisions in Envoy's own log.
fn lines(stage: &Stage) -> Vec<Value> {
    let log = stage.envoy.log();
    let found = log.lines().filter_map(|line| line.split_once("decision orders "));
    found.map(|(_, json)| serde_json::from_str(json).expect("JSON")).collect()
}

#[test]
fn decisions_are_logged_a_line_each_by_their_shares() {
    let stage = Stage::new(|l| {
        l.edit_plugin(|plugin| {
            plugin["decisionLog"] = json!({"lines": true, "sample": {"allow": 0.25}, "principals": "hashed"});
        })
    });
    for _ in 0..5 {
        assert_eq!(stage.send(&stage.world.create("dora", "invoice")).status, 200);
        assert_eq!(stage.send(&stage.world.create("dora", "payroll")).status, 403);
    }
    let count = |all: &[Value], decision: &str| all.iter().filter(|d| d["decision"] == *decision).count();
    let all = portcullis_e2e::wait::until("the lines", || Some(lines(&stage)).filter(|all| count(all, "deny") == 5));
    let all = all.expect("a line for each denial");
    assert_eq!(count(&all, "allow"), 2, "{all:?}");
    for decision in &all {
        assert_eq!(decision["operation"], "createProcessInstance");
        assert!(
            decision["principal"]["username"].as_str().is_some_and(|name| name.starts_with("sha256:")),
            "{decision}"
        );
        assert!(!decision.to_string().contains("dora"), "{decision}");
    }
}
