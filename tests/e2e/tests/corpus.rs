//! The decision corpus, three ways: by the engine, by the command line, by a real Envoy with the
//! real module. They agree, case by case.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use portcullis::suite::{self, Case, CaseRequest, Suite};
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::Launch;
use portcullis_e2e::gateway::Gateway;
use portcullis_e2e::suites::{self, Callers, Trust};
use portcullis_e2e::upstream::{Recorded, Upstream};
use portcullis_e2e::{tokens, wait, workspace};
use serde_json::{Value, json};

fn corpus() -> Vec<Suite> {
    let files = suites::files().expect("the corpus");
    files.iter().map(|file| suites::read(file).expect("a suite")).collect()
}
struct Asked {
    suite: usize,
    case: usize,
    to: SocketAddr,
    request: Request,
    answer: Option<Result<u16, String>>,
}

#[test]
fn probe() {
    let t = Instant::now();
    let corpus = corpus();
    eprintln!("read {:?}", t.elapsed());
    let now = tokens::now() as i64;
    let native: Vec<Vec<Value>> = corpus
        .iter()
        .map(|s| {
            suite::run(s, now)
                .map(|v| {
                    assert!(v.pass);
                    v.actual
                })
                .collect()
        })
        .collect();
    eprintln!("native {:?}", t.elapsed());
    let upstream = Upstream::start().unwrap();
    let callers = Callers::new().unwrap();
    let mut gateway = Gateway::new(upstream.addr()).unwrap();
    let mut names = BTreeSet::new();
    for (n, s) in corpus.iter().enumerate() {
        for c in &s.cases {
            let tr = Trust::of(c);
            if names.insert((n, tr)) {
                gateway = gateway.listener(&format!("{n} {tr:?}"), |l| callers.listener(s, tr, l));
            }
        }
    }
    eprintln!("{} listeners {:?}", names.len(), t.elapsed());
    let envoy = Launch::new(gateway.build()).start().unwrap();
    eprintln!("envoy {:?}", t.elapsed());
    let addrs: BTreeMap<_, _> =
        names.into_iter().map(|(n, tr)| ((n, tr), envoy.addr(&format!("{n} {tr:?}")).unwrap())).collect();
    let mut asked = vec![];
    for (n, s) in corpus.iter().enumerate() {
        for (m, c) in s.cases.iter().enumerate() {
            asked.push(Asked {
                suite: n,
                case: m,
                to: addrs[&(n, Trust::of(c))],
                request: callers.request(s, c).unwrap(),
                answer: None,
            });
        }
    }
    eprintln!("signed {:?}", t.elapsed());
    let queue = Mutex::new(asked.iter_mut());
    std::thread::scope(|sc| {
        for _ in 0..4 {
            sc.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(a) = next else { break };
                    a.answer = Some(client::send(a.to, &a.request).map(|r| r.status).map_err(|e| format!("{e:#}")));
                }
            });
        }
    });
    eprintln!("sent {:?}", t.elapsed());
    let lines: BTreeMap<String, _> = wait::until("log", || {
        let l = envoy.access_log();
        (l.len() >= asked.len()).then_some(l)
    })
    .unwrap_or_else(|_| envoy.access_log())
    .into_iter()
    .map(|l| (l.request_id().to_owned(), l))
    .collect();
    eprintln!("log {} of {} {:?}", lines.len(), asked.len(), t.elapsed());
    for a in &asked {
        let s = &corpus[a.suite];
        let c = &s.cases[a.case];
        let n = &native[a.suite][a.case];
        let e = lines.get(a.request.id()).and_then(|l| l.decision());
        if e.as_ref() != Some(n) {
            println!(
                "{} | {} | {:?}\n   {} {}\n  native {n}\n  envoy  {:?} {:?} {:?}",
                suites::name(s),
                c.name,
                c.request.path,
                c.request.method,
                c.request.path,
                a.answer,
                e.map(|e| e.to_string()),
                lines.get(a.request.id()).map(|l| (l.status(), l.details().to_owned()))
            );
        }
    }
    println!(
        "{}",
        envoy
            .log()
            .lines()
            .filter(|l| l.contains("panic") || l.contains("[error]"))
            .take(20)
            .collect::<Vec<_>>()
            .join("\n")
    );
}
