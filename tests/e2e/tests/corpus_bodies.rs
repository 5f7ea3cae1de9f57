//! The bodies of the corpus (JSON, forms, gRPC messages) in a real Envoy at each gate and however
//! they come: the decision is the engine's, and of what is denied the cluster never has all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use portcullis::decision::log::Principals;
use portcullis::suite::{self, Case, Suite};
use portcullis_e2e::access::AccessLine;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::suites::{self, Callers, Trust};
use portcullis_e2e::upstream::{Recorded, Upstream};
use portcullis_e2e::{http2, tokens, wait};

/// What a listener does with a body that decides; `stream` also where Envoy may not hold headers.
const GATES: [&str; 3] = ["hold", "stream", "stream, free"];

/// How a body comes, in small parts each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Chunked,
    Http2,
    Http2Trailers,
}

/// A case, put to one gate.
struct Asked<'a> {
    suite: &'a Suite,
    case: &'a Case,
    gate: &'static str,
    errand: Errand<'a>,
}

/// What is sent of it.
struct Errand<'a> {
    wire: Wire,
    to: SocketAddr,
    request: Request,
    body: &'a [u8],
}

#[test]
fn every_body_is_judged_alike_at_every_gate_however_it_comes() {
    let corpus = corpus();
    let upstream = Upstream::start().expect("an upstream");
    let callers = Callers::new().expect("a key");
    let envoy = start(&corpus, &callers, &upstream);
    let asked = asked(&corpus, &callers, &envoy);
    let queue = Mutex::new(asked.iter().map(|asked| &asked.errand).collect::<Vec<_>>().into_iter());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let next = || queue.lock().ok()?.next();
                while let Some(errand) = next() {
                    errand.run();
                }
            });
        }
    });
    let lines = lines(&envoy, &asked);
    let mut arrived = BTreeMap::<String, Vec<Recorded>>::new();
    for request in upstream.requests() {
        arrived.entry(request.id().to_owned()).or_default().push(request);
    }
    let mut findings = Vec::new();
    for asked in &asked {
        let id = asked.errand.request.id();
        if let Some(what) = asked.differs(&lines[id], arrived.get(id).map_or(&[], Vec::as_slice)) {
            let Asked { suite, case, gate, errand: Errand { wire, .. } } = asked;
            findings.push(format!("{}, {:?}, {gate}, {wire:?}: {what}", suites::name(suite), case.name));
        }
    }
    println!("{} bodies", asked.len());
    assert!(asked.len() > 3_000, "{} bodies", asked.len());
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings[..findings.len().min(40)].join("\n"));
    assert!(!envoy.log().contains("panicked"));
}

/// The suites in which bodies decide.
fn corpus() -> Vec<Suite> {
    let files = suites::files().expect("the corpus");
    let suites = files.iter().map(|file| suites::read(file).expect("a suite"));
    let decides = |suite: &Suite| ["decision/", "grpc/"].iter().any(|folder| suites::name(suite).starts_with(folder));
    suites.filter(decides).collect()
}

/// The cases that have a body, without those that say themselves how it ends.
fn cases(suite: &Suite) -> impl Iterator<Item = (&Case, &[u8])> {
    let framed = |case: &Case| case.request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    suite.cases.iter().filter(move |case| !framed(case)).filter_map(|case| Some((case, case.request.body.as_deref()?)))
}

fn listener_name(suite: &Suite, trust: Trust, gate: &str) -> String {
    format!("{} {trust:?} {gate}", suites::name(suite))
}

fn start(corpus: &[Suite], callers: &Callers, upstream: &Upstream) -> Envoy {
    let mut gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    for suite in corpus {
        let mut needed: Vec<Trust> = cases(suite).map(|(case, _)| Trust::of(case)).collect();
        needed.sort();
        needed.dedup();
        for (trust, gate) in needed.into_iter().flat_map(|trust| GATES.map(|gate| (trust, gate))) {
            let shape = |l: Listener| at_gate(callers.listener(suite, trust, l), gate);
            gateway = gateway.listener(&listener_name(suite, trust, gate), shape);
        }
    }
    Launch::new(gateway.build()).start().expect("Envoy")
}

fn at_gate(listener: Listener, gate: &str) -> Listener {
    let name = listener.plugin()["name"].as_str().expect("a name").to_owned();
    let (kind, rest) = gate.split_once(", ").unwrap_or((gate, ""));
    let belt = [format!("{name}:allow"), format!("{name}:pending")];
    let belt: Vec<&str> = belt.iter().take(if kind == "stream" { 2 } else { 1 }).map(String::as_str).collect();
    let listener = listener.belt(&belt).edit_plugin(|plugin| plugin["body"]["gate"] = kind.into());
    if rest == "free" { listener.without_stop_iteration() } else { listener }
}

fn asked<'a>(corpus: &'a [Suite], callers: &Callers, envoy: &Envoy) -> Vec<Asked<'a>> {
    let mut addresses = BTreeMap::new();
    let mut asked = Vec::new();
    for suite in corpus {
        for (case, body) in cases(suite) {
            for (gate, wire) in GATES.into_iter().flat_map(|gate| WIRES.map(|wire| (gate, wire))) {
                let listener = listener_name(suite, Trust::of(case), gate);
                let find = || envoy.addr(&listener).expect("an address");
                let to = *addresses.entry(listener.clone()).or_insert_with(find);
                let request = callers.request(suite, case).expect("a request").body([]);
                let request = if wire == Wire::Chunked { request.chunked() } else { request };
                asked.push(Asked { suite, case, gate, errand: Errand { wire, to, request, body } });
            }
        }
    }
    asked
}

const WIRES: [Wire; 3] = [Wire::Chunked, Wire::Http2, Wire::Http2Trailers];

impl Errand<'_> {
    /// Sends it; only what comes of it counts, also where the answer comes before the end.
    fn run(&self) {
        let parts = self.body.chunks(if self.body.len() > 600 { 211 } else { 7 });
        let answer = if self.wire == Wire::Chunked {
            let mut exchange = client::Exchange::open(self.to, &self.request).expect("a connection");
            parts.for_each(|part| exchange.chunk(part));
            exchange.finish(&[]);
            exchange.response()
        } else {
            let mut exchange = http2::Exchange::open(self.to, &self.request, true).expect("a connection");
            parts.for_each(|part| exchange.part(part));
            exchange.finish(if self.wire == Wire::Http2 { &[] } else { &[("x-checksum", "7")] });
            exchange.response()
        };
        answer.unwrap_or_else(|error| panic!("{}, {:?}: {error:#}", self.request.line(), self.wire));
    }
}

impl Asked<'_> {
    fn differs(&self, line: &AccessLine, arrived: &[Recorded]) -> Option<String> {
        let native = suite::decide(&self.suite.plan, &self.case.caller, &self.case.request, now());
        let native = native.log(false, Principals::Plain);
        let decided = line.decision().unwrap_or_default();
        let has_all = arrived.iter().any(|arrived| arrived.complete);
        if decided != native {
            return Some(format!("\n  engine {native}\n  Envoy  {decided}, {}", line.details()));
        }
        if native["decision"] == "deny" {
            let held = self.gate != "hold" || arrived.is_empty();
            return (has_all || !held).then(|| "denied, but it reached the cluster".to_owned());
        }
        let whole = matches!(arrived, [arrived] if arrived.complete && arrived.body == self.errand.body);
        (!whole).then(|| format!("allowed, but {arrived:?} arrived"))
    }
}

fn now() -> i64 {
    tokens::now().try_into().expect("a time")
}

/// How long Envoy may take to write its whole log, and we to read it.
const LOG: Duration = Duration::from_secs(60);

/// The access log's lines, once there is one for each.
fn lines(envoy: &Envoy, asked: &[Asked<'_>]) -> BTreeMap<String, AccessLine> {
    let read = || -> BTreeMap<_, _> {
        envoy.access_log().into_iter().map(|line| (line.request_id().to_owned(), line)).collect()
    };
    let all =
        |lines: &BTreeMap<String, AccessLine>| asked.iter().all(|asked| lines.contains_key(asked.errand.request.id()));
    wait::until_within(LOG, "the access log", || Some(read()).filter(all)).expect("a line for each")
}
