//! Requests whose bodies decide, while keys are still being fetched: the body waits with the
//! request, the verdict is right, and what is allowed arrives whole and once.

use portcullis_e2e::client::{Exchange, Request, Response};
use portcullis_e2e::gateway::Listener;
use portcullis_e2e::http2;
use portcullis_e2e::idp::{Answer, Key, Provider};
use portcullis_e2e::wait;
use serde_json::{Value, json};

use crate::site::{Site, Sketch, provider, remote};

const NAME: &str = "https://idp.test";
const TARGET: &str = "/v2/process-instances";

/// A request under way.
struct Call {
    fate: Fate,
    exchange: Exchange,
    sent: usize,
    /// What is sent once the keys have come.
    rest: Vec<u8>,
}

/// What is to become of a request.
struct Fate {
    what: String,
    id: String,
    expected: u16,
    /// What the cluster gets where it is allowed.
    body: Vec<u8>,
    trailer: bool,
    /// Its head may go on before the verdict.
    begins: bool,
}

/// Who calls, and for which process.
struct Caller<'a> {
    site: &'a Site,
    plugin: &'static str,
    key: &'a Key,
    user: &'static str,
    process: &'static str,
}

impl Caller<'_> {
    fn request(&self) -> Request {
        let token = self.key.token(NAME, &json!({"preferred_username": self.user}));
        Request::new("POST", TARGET).bearer(token).header("content-type", "application/json")
    }

    /// With so many bytes before the member that decides.
    fn body(&self, filling: usize) -> Vec<u8> {
        let filling = "x".repeat(filling);
        json!({"a": filling, "processDefinitionId": self.process}).to_string().into_bytes()
    }

    /// What a request is to become.
    fn described(&self, what: &str, request: &Request, body: Vec<u8>) -> Fate {
        Fate {
            what: format!("{what}, by {} for {}, {}", self.user, self.process, self.plugin),
            id: request.id().to_owned(),
            expected: if self.user == "dora" && self.process != "invoice" { 403 } else { 200 },
            body,
            trailer: false,
            begins: self.plugin != "hold",
        }
    }

    fn call(&self, what: &str, request: &Request, now: &[u8], rest: Vec<u8>, body: Vec<u8>) -> Call {
        let mut exchange = Exchange::open(self.site.addr(self.plugin), request).expect("a connection");
        exchange.write(now);
        let mut fate = self.described(what, request, body);
        fate.begins = self.plugin == "istio" || self.plugin == "stream" && now.is_empty();
        Call { fate, exchange, sent: request.bytes().len() + now.len(), rest }
    }

    /// All of the body at once, before there are keys.
    fn whole(&self, filling: usize) -> Call {
        let body = self.body(filling);
        let request = self.request().header("content-length", body.len().to_string());
        self.call(&format!("a body of {}", body.len()), &request, &body, Vec::new(), body.clone())
    }

    /// So much of the body before there are keys.
    fn parted(&self, at: usize) -> Call {
        let body = self.body(50);
        let request = self.request().header("content-length", body.len().to_string());
        self.call(&format!("a body parted at {at}"), &request, &body[..at], body[at..].to_vec(), body.clone())
    }

    /// In chunks, so many of them before there are keys, with a trailer at the end.
    fn chunked(&self, early: usize) -> Call {
        let body = self.body(50);
        let mut pieces: Vec<Vec<u8>> = body
            .chunks(40)
            .map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())
            .collect();
        pieces.push(b"0\r\nx-sum: 7\r\n\r\n".to_vec());
        let early = early.min(pieces.len());
        let (now, rest) = (pieces[..early].concat(), pieces[early..].concat());
        let what = format!("chunks, {early} of {} early", pieces.len());
        let mut call = self.call(&what, &self.request().chunked(), &now, rest, body);
        call.fate.trailer = true;
        call
    }
}

/// Trailers pass on both sides, and clusters take them.
fn with_trailers(sketch: Sketch) -> Sketch {
    sketch.edit_clusters(|all| {
        let protocol = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        all[0]["typed_extension_protocol_options"] = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": protocol, "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
        }});
    })
}

/// All bodies are judged in one go, which keeps the worker: Envoy must not take that time for the
/// callers' and close connections before it has written the answer.
fn gate(listener: Listener, gate: &str) -> Listener {
    listener.edit_plugin(|plugin| plugin["body"]["gate"] = gate.into()).edit_manager(|manager| {
        manager["http_protocol_options"] = json!({"enable_trailers": true});
        manager["delayed_close_timeout"] = "10s".into();
    })
}

/// As shipped; with the body let through in parts; and so, in a host that gives no body to a filter
/// that has stopped the headers.
const PLUGINS: [&str; 3] = ["hold", "stream", "istio"];

fn three_gates(provider: &Provider) -> Site {
    let issuers = [remote(NAME, "/keys", json!({"timeout": "20s"}))];
    with_trailers(Sketch::new().cluster("idp", provider.addr()))
        .shaped("hold", &issuers, |l| gate(l, "hold"))
        .shaped("stream", &issuers, |l| gate(l, "stream"))
        .shaped("istio", &issuers, |l| gate(l, "stream").without_stop_iteration())
        .start()
}

fn active(site: &Site) -> u64 {
    site.envoy.stat("http.gateway.downstream_rq_active").expect("stats").unwrap_or_default()
}

fn received(site: &Site) -> u64 {
    site.envoy.stat("http.gateway.downstream_cx_rx_bytes_total").expect("stats").unwrap_or_default()
}

impl Call {
    fn expecting(mut self, status: u16) -> Self {
        self.fate.expected = status;
        self
    }
}

impl Fate {
    /// Holds it against the answer and what has arrived.
    fn check(&self, site: &Site, answer: &Response) {
        assert_eq!(answer.status, self.expected, "{}: {}", self.what, answer.text());
        let arrived: Vec<_> = site.upstream.requests().into_iter().filter(|r| r.id() == self.id).collect();
        if self.expected == 200 {
            let [request] = &arrived[..] else { panic!("{}: {} times", self.what, arrived.len()) };
            assert!(request.complete && request.body == self.body, "{}: {} bytes", self.what, request.body.len());
            let trailer = request.trailers.text("x-sum");
            assert_eq!(trailer, self.trailer.then_some("7"), "{}", self.what);
        } else {
            let harmless = arrived.is_empty() || self.begins && arrived.iter().all(|request| !request.complete);
            assert!(harmless, "{}: it reached the cluster", self.what);
        }
    }
}

#[test]
fn bodies_wait_for_keys_with_their_requests() {
    let key = Key::new("one");
    let provider = provider("/keys", &[&key]);
    provider.hold();
    let site = three_gates(&provider);

    let mut calls = Vec::new();
    let mut leaving = Vec::new();
    for plugin in PLUGINS {
        let caller = |user, process| Caller { site: &site, plugin, key: &key, user, process };
        for (user, process) in [("dora", "invoice"), ("dora", "payroll"), ("ada", "payroll")] {
            let caller = caller(user, process);
            calls.push(caller.whole(0));
            calls.push(caller.whole(2 << 20));
            calls.extend([0, 1, 50, 90].map(|at| caller.parted(at)));
            calls.extend([0, 1, 3, usize::MAX].map(|early| caller.chunked(early)));
        }
        let dora = caller("dora", "invoice");
        let empty = dora.request().header("content-length", "0");
        calls.push(dora.call("no body", &empty, b"", Vec::new(), Vec::new()).expecting(400));
        let stranger = Key::new("one");
        let forger = Caller { key: &stranger, ..caller("dora", "invoice") };
        calls.push(forger.whole(0).expecting(401));
        leaving.extend([dora.whole(0), dora.parted(50), dora.chunked(1)]);
    }
    let sent: usize = calls.iter().chain(&leaving).map(|call| call.sent).sum();
    let all_there = || active(&site) == (calls.len() + leaving.len()) as u64 && received(&site) >= sent as u64;
    wait::until("all requests to be there", || all_there().then_some(())).expect("requests");
    for call in leaving.drain(..) {
        call.exchange.close();
    }
    wait::until("some callers to leave", || (active(&site) == calls.len() as u64).then_some(())).expect("they leave");
    assert_eq!(site.upstream.requests().len(), 0, "nothing is let through without keys");
    provider.release();

    for call in &mut calls {
        call.exchange.write(&call.rest);
    }
    for Call { fate, exchange, .. } in &mut calls {
        let answer = exchange.response().unwrap_or_else(|error| panic!("{}: {error:#}", fate.what));
        fate.check(&site, &answer);
    }
    let known: Vec<&str> = calls.iter().map(|call| &*call.fate.id).collect();
    let others = site.upstream.requests().into_iter().filter(|r| !known.contains(&r.id())).count();
    assert_eq!(others, 0, "those who left are forgotten");
    site.assert_unharmed();
}

/// A request over HTTP/2 under way, in parts of which some come before the keys.
struct Streamed {
    fate: Fate,
    exchange: http2::Exchange,
    sent: usize,
    rest: Vec<Vec<u8>>,
}

impl Caller<'_> {
    /// So many parts before there are keys, and the end with the last of them.
    fn streamed(&self, early: usize, trailer: bool, announced: bool) -> Streamed {
        let body = self.body(50);
        let mut request = self.request();
        if announced {
            request = request.header("content-length", body.len().to_string());
        }
        let mut rest: Vec<Vec<u8>> = body.chunks(40).map(<[u8]>::to_vec).collect();
        let what = format!("HTTP/2, {early} of {} parts early, trailer {trailer}, announced {announced}", rest.len());
        let exchange = http2::Exchange::open(self.site.addr(self.plugin), &request, true).expect("a connection");
        let early = rest.drain(..early.min(rest.len())).collect::<Vec<_>>();
        let fate = Fate { trailer, ..self.described(&what, &request, body) };
        let mut streamed = Streamed { fate, exchange, sent: early.concat().len(), rest };
        streamed.send(&early);
        streamed
    }
}

impl Streamed {
    fn send(&mut self, parts: &[Vec<u8>]) {
        parts.iter().for_each(|part| self.exchange.part(part));
        if self.rest.is_empty() {
            self.exchange.finish(if self.fate.trailer { &[("x-sum", "7")] } else { &[] });
        }
    }
}

#[test]
fn so_they_do_over_http2() {
    let key = Key::new("one");
    let provider = provider("/keys", &[&key]);
    provider.hold();
    let site = three_gates(&provider);
    let mut all = Vec::new();
    for plugin in PLUGINS {
        for (user, process) in [("dora", "invoice"), ("dora", "payroll"), ("ada", "payroll")] {
            let caller = Caller { site: &site, plugin, key: &key, user, process };
            for (trailer, announced) in [(false, false), (false, true), (true, false)] {
                all.extend([0, 1, 2, usize::MAX].map(|early| caller.streamed(early, trailer, announced)));
            }
        }
    }
    let sent: usize = all.iter().map(|streamed| streamed.sent).sum();
    let all_there = || active(&site) == all.len() as u64 && received(&site) >= sent as u64;
    wait::until("all requests to be there", || all_there().then_some(())).expect("requests");
    assert_eq!(site.upstream.requests().len(), 0, "nothing is let through without keys");
    provider.release();
    for streamed in &mut all {
        let rest = std::mem::take(&mut streamed.rest);
        if !rest.is_empty() {
            streamed.send(&rest);
        }
    }
    for Streamed { fate, exchange, .. } in &mut all {
        let answer = exchange.response().unwrap_or_else(|error| panic!("{}: {error:#}", fate.what));
        fate.check(&site, &answer);
    }
    site.assert_unharmed();
}

#[test]
fn a_body_whose_keys_never_come_goes_nowhere() {
    let key = Key::new("one");
    let provider = provider("/keys", &[&key]);
    provider.answer("/keys", Answer::hang_up());
    let site = with_trailers(Sketch::new().cluster("idp", provider.addr()))
        .shaped("hold", &[remote(NAME, "/keys", Value::Null)], |l| gate(l, "hold"))
        .shaped("stream", &[remote(NAME, "/keys", Value::Null)], |l| gate(l, "stream"))
        .start();
    let mut calls = Vec::new();
    for plugin in ["hold", "stream"] {
        let dora = Caller { site: &site, plugin, key: &key, user: "dora", process: "invoice" };
        calls.extend([dora.whole(0), dora.whole(1 << 20), dora.parted(0), dora.parted(50), dora.chunked(9)]);
    }
    for mut call in calls {
        assert_eq!(call.exchange.response().expect("an answer").status, 503, "{}", call.fate.what);
    }
    assert_eq!(site.upstream.requests().len(), 0);
    site.assert_unharmed();
}
