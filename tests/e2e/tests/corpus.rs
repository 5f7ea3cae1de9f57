//! The decision corpus, four ways: by the engine, by the command line, by the engine as WebAssembly
//! in node, by a real Envoy with the real module. They agree, case by case.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;
use std::{env, fs, thread};

use portcullis::authn::UnixSeconds;
use portcullis::config::Gate;
use portcullis::decision::log::Principals;
use portcullis::reason::Reason;
use portcullis::reply;
use portcullis::suite::{self, Case, CaseRequest, Suite, Verdict};
use portcullis_e2e::access::AccessLine;
use portcullis_e2e::client::{self, Request, Response};
use portcullis_e2e::command::command_line;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Gateway;
use portcullis_e2e::suites::{self, Callers, Trust};
use portcullis_e2e::upstream::{Recorded, Upstream};
use portcullis_e2e::{tokens, wait, workspace};
use serde_json::{Value, json};

fn corpus() -> Vec<Suite> {
    let files = suites::files().expect("the corpus");
    files.iter().map(|file| suites::read(file).expect("a suite")).collect()
}

/// What the engine says to each case of a suite.
fn natively(suite: &Suite) -> impl Iterator<Item = Verdict<'_>> {
    suite::run(suite, now())
}

fn now() -> UnixSeconds {
    tokens::now().try_into().expect("a time")
}

/// What was found out, to be told at the end.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, suite: &Suite, case: &str, what: &str) {
        self.0.push(format!("{}, {case:?}: {what}", suites::name(suite)));
    }

    fn check(self) {
        let count = self.0.len();
        let first: Vec<String> = self.0.into_iter().take(50).collect();
        assert_eq!(count, 0, "{count} findings, the first of them:\n{}", first.join("\n"));
    }
}

#[test]
fn the_engine_decides_as_expected() {
    let (mut cases, mut findings) = (0, Findings::default());
    for suite in corpus() {
        for verdict in natively(&suite) {
            cases += 1;
            if !verdict.pass {
                let what = format!("expected {:?}, was {}", verdict.case.expect, verdict.actual);
                findings.add(&suite, &verdict.case.name, &what);
            }
        }
    }
    println!("{cases} cases");
    findings.check();
}

/// Whether others have said of each case what the engine says: their lines are those that
/// `portcullis test --json` prints.
fn same_lines(text: &str, now: UnixSeconds) -> Findings {
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut findings = Findings::default();
    for suite in corpus() {
        for verdict in suite::run(&suite, now) {
            let Verdict { case, actual, pass } = &verdict;
            let expected = json!({
                "suite": suite.name, "name": case.name, "pass": pass, "expected": case.expect, "actual": actual,
            });
            let line = lines.next();
            if line.as_ref() != Some(&expected) {
                findings.add(&suite, &case.name, &format!("\n  engine {expected}\n  other  {line:?}"));
            }
        }
    }
    findings.0.extend(lines.next().map(|line| format!("there are more lines than cases: {line}")));
    findings
}

#[test]
fn the_command_line_says_what_the_engine_says() {
    let files = suites::files().expect("the corpus");
    let output = Command::new(command_line()).args(["test", "--json"]).args(&files).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    same_lines(&text, now()).check();
    let failed = text.lines().any(|line| line.contains("\"pass\":false"));
    let status = output.status.code();
    assert_eq!(status, Some(i32::from(failed)), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_engine_as_webassembly_in_node_says_what_the_engine_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (verdicts, now) = (folder.path().join("verdicts"), now());
    let output = Command::new(env!("CARGO"))
        .args(["test", "--package", "portcullis-corpus", "--test", "node", "--target", "wasm32-unknown-unknown"])
        .current_dir(workspace())
        .env("PATH", path_with_the_runner())
        .env("PORTCULLIS_VERDICTS", &verdicts)
        .env("PORTCULLIS_NOW", now.to_string())
        .output()
        .expect("cargo runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let text = fs::read_to_string(verdicts).unwrap_or_else(|error| panic!("no verdicts: {error}\n{said}"));
    same_lines(&text, now).check();
    assert!(output.status.success(), "{said}");
}

/// The search path, with the place where `make test` leaves the runner of such tests.
fn path_with_the_runner() -> OsString {
    let mut folders = vec![workspace().join("target/wasm-bindgen/bin")];
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    env::join_paths(folders).expect("a search path")
}

#[test]
fn one_case_that_differs_is_found() {
    let lines: Vec<String> = corpus()
        .iter()
        .flat_map(|suite| natively(suite).map(|verdict| verdict.line(suite).to_string()).collect::<Vec<_>>())
        .collect();
    let findings = |lines: &[String]| same_lines(&lines.join("\n"), now()).0.len();
    assert_eq!(findings(&lines), 0);
    let mut other = lines.clone();
    let middle = lines.len() / 2;
    other[middle] = other[middle].replacen("\"reason\":\"", "\"reason\":\"x", 1);
    assert_eq!(findings(&other), 1);
    assert_eq!(findings(&lines[..lines.len() - 1]), 1);
    assert_eq!(findings(&[&lines[..], &lines[..1]].concat()), 1);
}

#[test]
fn a_real_envoy_decides_as_the_engine_does() {
    Trial::hold(Paths::Raw);
}

#[test]
fn what_is_judged_is_what_is_forwarded() {
    Trial::hold(Paths::AsShipped);
}

/// What Envoy does to paths before it asks the filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paths {
    /// Nothing: every case is put to the filter as it stands.
    Raw,
    /// What the shipped configuration says: dot segments are resolved.
    AsShipped,
}

/// The whole corpus put to one Envoy.
struct Trial<'a> {
    paths: Paths,
    upstream: Upstream,
    envoy: Envoy,
    asked: Vec<Asked<'a>>,
}

/// A case that is put to Envoy.
struct Asked<'a> {
    suite: &'a Suite,
    case: &'a Case,
    to: SocketAddr,
    request: Request,
}

impl<'a> Trial<'a> {
    fn hold(paths: Paths) {
        let start = Instant::now();
        let corpus = corpus();
        let trial = Trial::prepare(&corpus, paths);
        let answers = trial.send_all();
        let lines = trial.lines();
        let mut arrived = BTreeMap::<String, Vec<Recorded>>::new();
        for request in trial.upstream.requests() {
            arrived.entry(request.id().to_owned()).or_default().push(request);
        }
        let (mut findings, mut unasked) = (Findings::default(), BTreeMap::<&str, usize>::new());
        for (asked, answer) in trial.asked.iter().zip(answers) {
            let id = asked.request.id();
            let arrived = arrived.get(id).map_or(&[][..], Vec::as_slice);
            let different = match (trial.unasked(asked), lines.get(id)) {
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
        let log = trial.envoy.log();
        assert!(!log.contains("panicked"), "the module panicked:\n{log}");
        println!("{paths:?}: {} cases in {:?}; refused by Envoy: {unasked:?}", trial.asked.len(), start.elapsed());
        findings.check();
    }

    /// Starts one Envoy with a listener for each configuration that the cases need.
    fn prepare(corpus: &'a [Suite], paths: Paths) -> Self {
        let upstream = Upstream::start().expect("an upstream");
        let callers = Callers::new().expect("a key");
        let mut gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
        let name = |suite: &Suite, trust| format!("{} {trust:?}", suites::name(suite));
        for suite in corpus {
            let needed: BTreeSet<Trust> = suite.cases.iter().map(Trust::of).collect();
            for trust in needed {
                gateway = gateway.listener(&name(suite, trust), |l| {
                    callers.listener(suite, trust, l).edit_manager(|manager| {
                        assert_eq!(manager["normalize_path"], true);
                        manager["normalize_path"] = (paths == Paths::AsShipped).into();
                    })
                });
            }
        }
        let envoy = Launch::new(gateway.build()).start().expect("Envoy");
        let mut asked = Vec::new();
        let mut addresses = BTreeMap::new();
        for suite in corpus {
            for case in &suite.cases {
                let listener = name(suite, Trust::of(case));
                let find = || envoy.addr(&listener).expect("an address");
                let to = *addresses.entry(listener.clone()).or_insert_with(find);
                let request = callers.request(suite, case).expect("a request");
                asked.push(Asked { suite, case, to, request });
            }
        }
        Self { paths, upstream, envoy, asked }
    }

    /// Why Envoy answers this one itself, where it does.
    fn unasked(&self, asked: &Asked<'_>) -> Option<&'static str> {
        let path = &asked.case.request.path;
        let nul = self.paths == Paths::AsShipped && path.contains("%00");
        suites::refused_by_envoy(path).or(nul.then_some("its normalisation takes no %00"))
    }

    /// Sends everything over a few connections at a time; the answers come in the same order.
    fn send_all(&self) -> Vec<Result<Answer, String>> {
        let errands: Vec<(SocketAddr, Request)> = self.asked.iter().map(|a| (a.to, a.request.clone())).collect();
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
    fn lines(&self) -> BTreeMap<String, AccessLine> {
        let read = || -> BTreeMap<_, _> {
            self.envoy.access_log().into_iter().map(|line| (line.request_id().to_owned(), line)).collect()
        };
        let wanted: Vec<&str> =
            self.asked.iter().filter(|a| self.unasked(a).is_none()).map(|a| a.request.id()).collect();
        let all =
            wait::until("the access log", || Some(read()).filter(|l| wanted.iter().all(|id| l.contains_key(*id))));
        all.unwrap_or_else(|_| read())
    }
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

#[test]
fn envoy_refuses_some_targets_before_it_asks_the_filter() {
    let upstream = Upstream::start().expect("an upstream");
    let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    // With nothing in the way, it is Envoy alone that refuses.
    let config = gateway.listener("gateway", |l| l.without_filter().without_belt()).build();
    let envoy = Launch::new(config).start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    let refused = (0..=0x20).chain([b'#', 0x7f, 0x80, 0xc3, 0xff]).map(char::from);
    for odd in refused.filter(|odd| !"\0\n\r".contains(*odd)) {
        let path = format!("/v2/groups/a{odd}b");
        assert!(suites::refused_by_envoy(&path).is_some(), "{path:?}");
        let request = Request::get(path);
        assert_eq!(client::send(addr, &request).map(|r| r.status).ok(), Some(400), "{}", request.line());
        assert!(upstream.find(request.id()).is_none());
    }
    for asked in (0x21..0x7f).map(char::from).filter(|c| !"#?".contains(*c)) {
        let path = format!("/v2/groups/a{asked}b");
        assert_eq!(suites::refused_by_envoy(&path), None, "{path:?}");
        let request = Request::get(path);
        assert_ne!(client::send(addr, &request).map(|r| r.status).ok(), Some(400), "{}", request.line());
        assert!(upstream.find(request.id()).is_some());
    }
}
