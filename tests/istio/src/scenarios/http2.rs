//! HTTP/2 and gRPC through Istio's gateway, routed as the page has it.

use super::with;
use crate::grpc::{MESSAGES, Server};
use crate::world::World;
use anyhow::{Context, Result, ensure};
use portcullis::suite::CaseRequest;
use portcullis_e2e::client::Request;
use portcullis_e2e::http2::{Connection, Exchange};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A call, what it is answered (the status of HTTP for REST, of gRPC for gRPC), and whether it arrives.
type Row = (&'static str, Request, u16, bool);

/// Under the gates of both forms: REST over HTTP/2 and gRPC calls are judged as over HTTP/1, also when a message comes in
/// pieces, and several calls at a time on one connection; refusals arrive as gRPC status. Where the plugin is gone, the
/// belt refuses gRPC, too.
pub fn through_the_gateway(world: &mut World) -> Result<()> {
    let server = Server::start()?;
    for form in [&["istio"][..], &["istio", "--hold"]] {
        world.reset()?;
        world.kube.apply(&routes(world, server.addr)?)?;
        let url = world.file_url.clone();
        let objects = world.portcullis.render(&world.rendering(&[form, &["--url", &url]].concat()))?;
        world.guarded_by(&objects)?;
        judged(world, &server, &rows(world)?).with_context(|| form.join(" "))?;
        let [plugin, _] = &objects[..] else { continue };
        world.kube.delete(plugin)?;
        world.becomes(crate::world::CLOSED)?;
        let closed = rows(world)?.into_iter().map(|(what, request, ..)| {
            let refused = if is_grpc(&request) { 7 } else { 403 };
            (what, request, refused, false)
        });
        judged(world, &server, &closed.collect::<Vec<_>>()).context("with the belt alone")?;
    }
    Ok(())
}

fn is_grpc(request: &Request) -> bool {
    request.line().contains("gateway_protocol")
}

fn rows(world: &World) -> Result<Vec<Row>> {
    let [ada, dora] = world.tokens();
    let rest = |process: &str| Request::post("/v2/process-instances", &json!({"processDefinitionId": process}));
    let create = |process: &str| grpc("CreateProcessInstance", &json!({"bpmnProcessId": process, "variables": "{}"}));
    Ok(vec![
        ("REST: ada starts payroll", rest("payroll").bearer(ada), 200, true),
        ("REST: dora starts payroll", rest("payroll").bearer(dora), 403, false),
        ("REST: nobody", rest("invoice"), 401, false),
        ("gRPC: ada starts payroll", create("payroll")?.bearer(ada), 0, true),
        ("gRPC: dora starts invoice", create("invoice")?.bearer(dora), 0, true),
        ("gRPC: dora starts payroll", create("payroll")?.bearer(dora), 7, false),
        ("gRPC: nobody", create("invoice")?, 16, false),
        ("gRPC: no such call", grpc("Reboot", &json!({}))?.bearer(ada), 7, false),
        ("gRPC: topology", grpc("Topology", &json!({}))?.bearer(dora), 0, true),
    ])
}

/// A gRPC call with its message.
fn grpc(call: &str, message: &Value) -> Result<Request> {
    let body = if call == "CreateProcessInstance" {
        let case = CaseRequest::grpc(call, Some(message), Vec::new(), None).map_err(anyhow::Error::msg)?;
        case.body.context("a body")?
    } else {
        vec![0; 5]
    };
    let request = Request::new("POST", format!("/gateway_protocol.Gateway/{call}"));
    Ok(request.header("content-type", "application/grpc").header("te", "trailers").body(body))
}

/// Makes the calls in turn, in pieces, and all at once; each is answered as expected, and only those that may arrive.
fn judged(world: &World, server: &Server, rows: &[Row]) -> Result<()> {
    let to = world.ports[0];
    for (what, request, status, arrives) in rows {
        for piece in [usize::MAX, 1] {
            let count = || server.arrived().len() + world.upstream.complete_requests().len();
            let before = count();
            let mut exchange = begun(&mut Connection::connect(to)?, request, piece)?;
            let was = answered(request, &mut exchange)?;
            ensure!(was == *status, "{what}: answered {was}, not {status}");
            let arrived = count() - before;
            ensure!(arrived == usize::from(*arrives), "{what}: {arrived} calls have arrived");
        }
    }
    let mut connection = Connection::connect(to)?;
    let mut open: Vec<Exchange> =
        rows.iter().map(|(_, request, ..)| begun(&mut connection, request, usize::MAX)).collect::<Result<_>>()?;
    for ((what, request, status, _), exchange) in rows.iter().zip(&mut open) {
        let was = answered(request, exchange)?;
        ensure!(was == *status, "{what}, among others: {was}, not {status}");
    }
    Ok(())
}

/// The call with its body in pieces of that many bytes. It may be answered before it has been sent.
fn begun(connection: &mut Connection, request: &Request, piece: usize) -> Result<Exchange> {
    let whole = request.bytes();
    let (_, body) = whole.split_at(whole.windows(4).position(|end| end == b"\r\n\r\n").context("a head")? + 4);
    let mut exchange = connection.open(&request.again().body([]), true)?;
    body.chunks(piece).for_each(|piece| exchange.part(piece));
    exchange.finish(&[]);
    Ok(exchange)
}

fn answered(request: &Request, exchange: &mut Exchange) -> Result<u16> {
    let answer = exchange.response()?;
    if !is_grpc(request) {
        return Ok(answer.status);
    }
    let status = answer.fields.text("grpc-status").or_else(|| answer.trailers.text("grpc-status"));
    let status = status.with_context(|| format!("no gRPC status, {}", answer.status))?.parse()?;
    ensure!(status != 0 || answer.body.len() == MESSAGES * 5, "answers are missing: {:?}", answer.body);
    Ok(status)
}

/// The way to the cluster's gRPC gateway, before the one to its REST API.
fn routes(world: &World, server: SocketAddr) -> Result<[Value; 2]> {
    let host = "grpc.internal";
    let entry = super::keys::entry("grpc", host, 26500, "GRPC", server);
    let mut service = world.route();
    let rest = service["spec"]["http"][0].clone();
    let ours = json!({
        "match": [{"uri": {"prefix": "/gateway_protocol.Gateway/"}}], "retries": {"attempts": 0},
        "route": [{"destination": {"host": host, "port": {"number": 26500}}}],
    });
    service = with(&service, "/spec/http", json!([ours, rest]));
    Ok([entry, service])
}
