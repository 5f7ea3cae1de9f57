//! The decision corpus, three ways: by the engine, by the command line, by a real Envoy with the
//! real module. They agree, case by case.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;
use std::{env, thread};

use portcullis::config::Gate;
use portcullis::suite::{self, CaseRequest, Suite, Verdict};
use portcullis_e2e::access::AccessLine;
use portcullis_e2e::client::{self, Request};
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
    suite::run(suite, tokens::now().try_into().expect("a time"))
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

#[test]
fn the_command_line_says_what_the_engine_says() {
    let files = suites::files().expect("the corpus");
    let output = Command::new(command_line()).args(["test", "--json"]).args(&files).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let (mut all_pass, mut findings) = (true, Findings::default());
    for suite in corpus() {
        for Verdict { case, actual, pass } in natively(&suite) {
            all_pass &= pass;
            let expected = json!({
                "suite": suite.name, "name": case.name, "pass": pass, "expected": case.expect, "actual": actual,
            });
            let line = lines.next();
            if line.as_ref() != Some(&expected) {
                findings.add(&suite, &case.name, &format!("\n  engine  {expected}\n  command {line:?}"));
            }
        }
    }
    assert_eq!(lines.next(), None);
    let status = output.status.code();
    assert_eq!(status, Some(i32::from(!all_pass)), "{}", String::from_utf8_lossy(&output.stderr));
    findings.check();
}

/// The command: what `PORTCULLIS` names (`make` sets it), else what cargo makes of the sources.
fn command_line() -> PathBuf {
    if let Some(named) = env::var_os("PORTCULLIS") {
        return workspace().join(named);
    }
    // Together with this crate, so that what is compiled for it is used again.
    let packages = ["--package", "portcullis", "--package", env!("CARGO_PKG_NAME"), "--features", "portcullis/cli"];
    let mut build = Command::new(env!("CARGO"));
    build.arg("build").args(packages).args(["--bin", "portcullis", "--message-format=json"]);
    let output = build.current_dir(workspace()).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let made: Vec<PathBuf> = messages.filter_map(|m| m["executable"].as_str().map(PathBuf::from)).collect();
    made.into_iter().next_back().expect("an executable")
}

/// A case that was put to Envoy.
struct Asked<'a> {
    suite: &'a Suite,
    name: &'a str,
    /// What the engine said.
    native: Value,
    /// Why Envoy does not let the filter decide, where it does not.
    unasked: Option<&'static str>,
    request: Request,
    expected: &'a CaseRequest,
}

#[test]
fn a_real_envoy_decides_as_the_engine_does() {
    let start = Instant::now();
    let corpus = corpus();
    let upstream = Upstream::start().expect("an upstream");
    let callers = Callers::new().expect("a key");
    let envoy = launch(&corpus, &callers, upstream.addr());
    let (asked, errands) = ask_all(&corpus, &callers, &envoy);
    let answers = send_all(errands);
    let lines = lines(&envoy, &asked);
    let mut arrived = BTreeMap::<String, Vec<Recorded>>::new();
    for request in upstream.requests() {
        arrived.entry(request.id().to_owned()).or_default().push(request);
    }

    let mut findings = Findings::default();
    let mut unasked = BTreeMap::<&str, usize>::new();
    for (asked, answer) in asked.iter().zip(answers) {
        let id = asked.request.id();
        let arrived = arrived.get(id).map_or(&[][..], Vec::as_slice);
        let different = match asked.unasked {
            Some(why) => {
                *unasked.entry(why).or_default() += 1;
                unasked_differs(asked, answer, arrived)
            }
            None => {
                lines.get(id).map_or(Some("no line in the access log".into()), |l| differs(asked, answer, l, arrived))
            }
        };
        if let Some(what) = different {
            findings.add(asked.suite, asked.name, &what);
        }
    }
    assert!(!envoy.log().contains("panicked"), "the module panicked:\n{}", envoy.log());
    println!("{} cases in {:?}; refused by Envoy itself: {unasked:?}", asked.len(), start.elapsed());
    findings.check();
}

/// One Envoy with a listener for each configuration that the cases need.
fn launch(corpus: &[Suite], callers: &Callers, upstream: SocketAddr) -> Envoy {
    let mut gateway = Gateway::new(upstream).expect("the shipped configuration");
    for suite in corpus {
        let needed: BTreeSet<Trust> = suite.cases.iter().map(Trust::of).collect();
        for trust in needed {
            gateway = gateway.listener(&listener(suite, trust), |l| callers.listener(suite, trust, l));
        }
    }
    Launch::new(gateway.build()).start().expect("Envoy")
}

fn listener(suite: &Suite, trust: Trust) -> String {
    format!("{} {trust:?}", suites::name(suite))
}

/// A request and where to send it.
type Errand = (SocketAddr, Request);

fn ask_all<'a>(corpus: &'a [Suite], callers: &Callers, envoy: &Envoy) -> (Vec<Asked<'a>>, Vec<Errand>) {
    let (mut all, mut errands) = (Vec::new(), Vec::new());
    let mut addresses = BTreeMap::new();
    for suite in corpus {
        for Verdict { case, actual, .. } in natively(suite) {
            let listener = listener(suite, Trust::of(case));
            let find = || envoy.addr(&listener).expect("an address");
            let to = *addresses.entry(listener.clone()).or_insert_with(find);
            let request = callers.request(suite, case).expect("a request");
            errands.push((to, request.clone()));
            let unasked = suites::refused_by_envoy(&case.request);
            let expected = &case.request;
            all.push(Asked { suite, name: &case.name, native: actual, unasked, request, expected });
        }
    }
    (all, errands)
}

/// Sends everything over a few connections at a time; the answers are in the order of the errands.
fn send_all(errands: Vec<Errand>) -> Vec<Result<u16, String>> {
    let mut answers: Vec<_> = errands.iter().map(|_| Err("never sent".to_owned())).collect();
    let queue = Mutex::new(errands.iter().zip(&mut answers));
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(((to, request), answer)) = next() {
                    *answer = client::send(*to, request).map(|r| r.status).map_err(|e| format!("{e:#}"));
                }
            });
        }
    });
    answers
}

/// The access log's lines, once there is one for every request that the filter was asked about.
fn lines(envoy: &Envoy, asked: &[Asked<'_>]) -> BTreeMap<String, AccessLine> {
    let read = || -> BTreeMap<_, _> {
        envoy.access_log().into_iter().map(|line| (line.request_id().to_owned(), line)).collect()
    };
    let wanted = || asked.iter().filter(|a| a.unasked.is_none());
    let all =
        wait::until("the access log", || Some(read()).filter(|l| wanted().all(|a| l.contains_key(a.request.id()))));
    all.unwrap_or_else(|_| read())
}

/// How what came of a request differs from what the engine said, where it does.
fn differs(asked: &Asked<'_>, answer: Result<u16, String>, line: &AccessLine, arrived: &[Recorded]) -> Option<String> {
    let native = &asked.native;
    let decided = line.decision().unwrap_or_default();
    if decided != *native {
        return Some(format!("\n  engine {native}\n  Envoy  {decided}, {}", line.details()));
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(error),
    };
    if native["decision"] == "deny" {
        let status = u64::from(answer);
        if native["status"] != status || line.status() != status || native["reason"] != line.details() {
            return Some(format!("{native}, but answered {answer}, logged {} {}", line.status(), line.details()));
        }
        // Where the headers are not held, they may have gone on before the verdict on the body.
        let had = arrived.iter().any(|r| r.complete || asked.suite.plan.gate == Gate::Hold);
        return had.then(|| "denied, but it reached the cluster".into());
    }
    let [arrived] = arrived else { return Some(format!("allowed, but {} arrived at the cluster", arrived.len())) };
    let sent = asked.expected;
    let same = arrived.complete
        && line.details() == "via_upstream"
        && arrived.method == sent.method
        && arrived.target == sent.path.as_bytes()
        && arrived.body == sent.body.as_deref().unwrap_or_default();
    (!same).then(|| format!("sent {sent:?}, but {} after {arrived:?}", line.details()))
}

/// The same for a request that Envoy refuses before it asks the filter. The engine refuses it, too.
fn unasked_differs(asked: &Asked<'_>, answer: Result<u16, String>, arrived: &[Recorded]) -> Option<String> {
    let same = answer == Ok(400) && arrived.is_empty() && asked.native["decision"] == "deny";
    (!same).then(|| format!("answered {answer:?}, {} arrived, the engine said {}", arrived.len(), asked.native))
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
        let case = CaseRequest::new("GET".into(), path.clone(), Vec::new(), None).expect("a request");
        assert!(suites::refused_by_envoy(&case).is_some(), "{path:?}");
        let request = Request::get(path);
        assert_eq!(client::send(addr, &request).map(|r| r.status).ok(), Some(400), "{}", request.line());
        assert!(upstream.find(request.id()).is_none());
    }
    for asked in (0x21..0x7f).map(char::from).filter(|c| !"#?".contains(*c)) {
        let path = format!("/v2/groups/a{asked}b");
        let case = CaseRequest::new("GET".into(), path.clone(), Vec::new(), None).expect("a request");
        assert_eq!(suites::refused_by_envoy(&case), None, "{path:?}");
        let request = Request::get(path);
        assert_ne!(client::send(addr, &request).map(|r| r.status).ok(), Some(400), "{}", request.line());
        assert!(upstream.find(request.id()).is_some());
    }
}
