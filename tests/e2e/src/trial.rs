//! The decision corpus put to a running proxy, and how what came of it differs from what the engine
//! says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use anyhow::Result;
use portcullis::authn::UnixSeconds;
use portcullis::config::Gate;
use portcullis::decision::log::Principals;
use portcullis::reason::Reason;
use portcullis::reply;
use portcullis::suite::{self, Case, CaseRequest, Suite};
use serde_json::Value;

use crate::access::AccessLine;
use crate::client::{self, Request, Response};
use crate::suites;
use crate::upstream::{Recorded, Upstream};
use crate::{tokens, wait};

/// All suites of the corpus.
pub fn corpus() -> Vec<Suite> {
    let files = suites::files().expect("the corpus");
    files.iter().map(|file| suites::read(file).expect("a suite")).collect()
}

/// The time, as the engine takes it.
pub fn now() -> UnixSeconds {
    tokens::now().try_into().expect("a time")
}

/// What was found out, to be told at the end.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<String>);

impl Findings {
    /// Adds what was found about a case.
    pub fn add(&mut self, suite: &Suite, case: &str, what: &str) {
        self.0.push(format!("{}, {case:?}: {what}", suites::name(suite)));
    }

    /// Panics where there is one.
    pub fn check(self) {
        let count = self.0.len();
        let first: Vec<String> = self.0.into_iter().take(50).collect();
        assert_eq!(count, 0, "{count} findings, the first of them:\n{}", first.join("\n"));
    }
}

/// What the proxy does to paths before it asks the filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paths {
    /// Nothing: every case is put to the filter as it stands.
    Raw,
    /// What the shipped configuration says, and what Istio does: dot segments are resolved.
    AsShipped,
}

/// A case that is put to a proxy.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its suite, with the configuration that the filter has.
    pub suite: &'a Suite,
    /// The case.
    pub case: &'a Case,
    /// Where the filter with that configuration listens.
    pub to: SocketAddr,
    /// The request, with the caller's credential.
    pub request: Request,
}

/// Puts all cases to the proxies, and compares each with what the engine says. `access_log` reads
/// the lines that there are so far.
pub fn hold(
    paths: Paths,
    asked: &[Asked<'_>],
    upstream: &Upstream,
    access_log: impl Fn() -> Vec<AccessLine>,
) -> Findings {
    let unasked_by = |asked: &Asked<'_>| asked.unasked(paths);
    let answers = send_all(asked);
    let wanted: Vec<&str> = asked.iter().filter(|a| unasked_by(a).is_none()).map(|a| a.request.id()).collect();
    let lines = lines(&wanted, access_log);
    let mut arrived = BTreeMap::<String, Vec<Recorded>>::new();
    for request in upstream.requests() {
        arrived.entry(request.id().to_owned()).or_default().push(request);
    }
    let (mut findings, mut unasked) = (Findings::default(), BTreeMap::<&str, usize>::new());
    for (asked, answer) in asked.iter().zip(answers) {
        let id = asked.request.id();
        let arrived = arrived.get(id).map_or(&[][..], Vec::as_slice);
        let different = match (unasked_by(asked), lines.get(id)) {
            (Some(why), _) => {
                *unasked.entry(why).or_default() += 1;
                asked.was_not_refused_by_envoy(answer, arrived)
            }
            (None, Some(line)) => asked.differs(paths, answer, line, arrived),
            (None, None) => Some(format!("answered {answer:?}, no line in the access log")),
        };
        if let Some(what) = different {
            findings.add(asked.suite, &asked.case.name, &what);
        }
    }
    println!("{paths:?}: {} cases; refused by Envoy: {unasked:?}", asked.len());
    findings
}

/// Sends everything over a few connections at a time; the answers come in the same order.
fn send_all(asked: &[Asked<'_>]) -> Vec<Result<Answer, String>> {
    let errands: Vec<(SocketAddr, Request)> = asked.iter().map(|a| (a.to, a.request.clone())).collect();
    let mut answers: Vec<_> = errands.iter().map(|_| Err("never sent".to_owned())).collect();
    let queue = Mutex::new(errands.iter().zip(&mut answers));
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(((to, request), answer)) = next() {
                    *answer = client::send(*to, request).map(|r| Answer::of(&r)).map_err(|e| format!("{e:#}"));
                }
            });
        }
    });
    answers
}

/// The access log's lines, once there is one for every request that the filter was asked about.
fn lines(wanted: &[&str], access_log: impl Fn() -> Vec<AccessLine>) -> BTreeMap<String, AccessLine> {
    let read =
        || -> BTreeMap<_, _> { access_log().into_iter().map(|line| (line.request_id().to_owned(), line)).collect() };
    let all = wait::until("the access log", || Some(read()).filter(|l| wanted.iter().all(|id| l.contains_key(*id))));
    all.unwrap_or_else(|_| read())
}

/// What a caller is answered: over gRPC, a status of its own in an answer that is fine as HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Answer {
    http: u16,
    grpc: Option<u8>,
}

impl Answer {
    fn of(response: &Response) -> Self {
        let grpc = response.fields.text("grpc-status").and_then(|status| status.parse().ok());
        Self { http: response.status, grpc }
    }
}

impl Asked<'_> {
    /// Why Envoy answers this one itself, where it does.
    fn unasked(&self, paths: Paths) -> Option<&'static str> {
        let path = &self.case.request.path;
        let nul = paths == Paths::AsShipped && path.contains("%00");
        suites::refused_by_envoy(path).or(nul.then_some("its normalisation takes no %00"))
    }

    /// The answer that a refusal has.
    fn refusal(&self, native: &Value) -> Answer {
        let reason = Reason::ALL.iter().find(|reason| native["reason"] == reason.code()).expect("a reason");
        let headers = &self.case.request.headers;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let head = portcullis::request::Request { method: b"", path: b"", headers: &headers };
        if reply::is_grpc(&head) {
            Answer { http: 200, grpc: Some(reason.grpc_status()) }
        } else {
            Answer { http: reason.status(), grpc: None }
        }
    }

    /// What the engine says where the path is this one.
    fn natively(&self, path: &str) -> Value {
        let request = CaseRequest { path: path.to_owned(), ..self.case.request.clone() };
        suite::decide(&self.suite.plan, &self.case.caller, &request, now()).log(false, Principals::Plain)
    }

    /// How what came of it differs from what the engine says, where it does.
    fn differs(
        &self,
        paths: Paths,
        answer: Result<Answer, String>,
        line: &AccessLine,
        arrived: &[Recorded],
    ) -> Option<String> {
        let sent = &self.case.request;
        let query = sent.path.find('?').map_or("", |at| &sent.path[at..]);
        let judged = format!("{}{query}", line.field("path").as_str().unwrap_or_default());
        if paths == Paths::Raw && judged != sent.path {
            return Some(format!("sent {:?}, judged {judged:?}", sent.path));
        }
        let native = self.natively(&judged);
        let decided = line.decision().unwrap_or_default();
        if decided != native {
            return Some(format!("\n  engine {native}\n  Envoy  {decided}, {}", line.details()));
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Some(error),
        };
        if native["decision"] == "deny" {
            let expected = self.refusal(&native);
            if answer != expected || line.status() != u64::from(expected.http) || native["reason"] != line.details() {
                return Some(format!("{native}, but answered {answer:?}, logged {} {}", line.status(), line.details()));
            }
            // Where the headers are not held, they may have gone on before the verdict on the body.
            let had = arrived.iter().any(|r| r.complete || self.suite.plan.gate == Gate::Hold);
            return had.then(|| "denied, but it reached the cluster".into());
        }
        let [arrived] = arrived else { return Some(format!("allowed, but {} arrived at the cluster", arrived.len())) };
        let same = arrived.complete
            && line.details() == "via_upstream"
            && arrived.method == sent.method
            && arrived.target == judged.as_bytes()
            && arrived.body == sent.body.as_deref().unwrap_or_default();
        (!same).then(|| format!("sent {sent:?}, but {} after {arrived:?}", line.details()))
    }

    /// What is not as it should be where Envoy refuses before it asks the filter. The engine
    /// refuses it, too.
    fn was_not_refused_by_envoy(&self, answer: Result<Answer, String>, arrived: &[Recorded]) -> Option<String> {
        let native = self.natively(&self.case.request.path);
        let same = answer.as_ref().is_ok_and(|answer| answer.http == 400)
            && arrived.is_empty()
            && native["decision"] == "deny";
        (!same).then(|| format!("answered {answer:?}, {} arrived, the engine said {native}", arrived.len()))
    }
}
