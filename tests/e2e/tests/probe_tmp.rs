//! x
mod support;
use portcullis_e2e::client::{self, Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use serde_json::json;
use std::time::{Duration, Instant};
use support::*;

#[test]
fn close() {
    let world = World::new();
    let g = world
        .gateway()
        .listener("a", |l| world.guarded(l).without_capability("proxy_send_local_response"))
        .listener("b", |l| {
            world
                .guarded(l)
                .without_stop_iteration()
                .edit_plugin(|p| p["body"]["gate"] = "stream".into())
                .belt(&["orders:allow", "orders:pending"])
                .without_capability("proxy_send_local_response")
                .edit_filter(|f| f["vm_config"]["vm_id"] = "b".into())
        });
    let envoy =
        Launch::new(g.build()).argument("--component-log-level").argument("wasm:trace,http:debug").start().unwrap();
    for l in ["a", "b"] {
        let addr = envoy.addr(l).unwrap();
        for (what, r) in [
            ("get none", Request::get("/v2/topology")),
            ("post none", Request::post("/v2/process-instances", &json!({"processDefinitionId": "x"}))),
            ("ok", world.create("dora", "invoice")),
            ("post bad", world.create("dora", "other")),
            ("post big", world.create("dora", &"x".repeat(200000))),
        ] {
            let t = Instant::now();
            let mut e = Exchange::open(addr, &r).unwrap();
            let a = e.response();
            println!(
                "{l} {what}: {:?} after {:?} upstream {:?}",
                a.map(|a| a.status).map_err(|e| e.to_string()),
                t.elapsed(),
                world.upstream.find(r.id()).map(|r| r.complete)
            );
            drop(e);
            let line = envoy.access_line(r.id());
            println!("   {:?}", line.map(|l| (l.status(), l.details().to_owned(), l.field("flags").to_string())));
        }
    }
    std::fs::write("/tmp/x/envoy.log", envoy.log()).unwrap();
}
