//! The decision corpus, four ways: by the engine, by the command line, by the engine as WebAssembly
//! in node, by a real Envoy with the real module. They agree, case by case.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use portcullis::authn::UnixSeconds;
use portcullis::suite::{self, Suite, Verdict};
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::command::command_line;
use portcullis_e2e::envoy::Launch;
use portcullis_e2e::gateway::Gateway;
use portcullis_e2e::suites::{self, Callers, Trust};
use portcullis_e2e::trial::{self, Asked, Findings, Paths, corpus, now};
use portcullis_e2e::upstream::Upstream;
use portcullis_e2e::workspace;
use serde_json::{Value, json};

/// What the engine says to each case of a suite.
fn natively(suite: &Suite) -> impl Iterator<Item = Verdict<'_>> {
    suite::run(suite, now())
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
    put_to_envoy(Paths::Raw);
}

#[test]
fn what_is_judged_is_what_is_forwarded() {
    put_to_envoy(Paths::AsShipped);
}

/// The whole corpus put to one Envoy.
fn put_to_envoy(paths: Paths) {
    let start = Instant::now();
    let corpus = corpus();
    let upstream = Upstream::start().expect("an upstream");
    let callers = Callers::new().expect("a key");
    let mut gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    let name = |suite: &Suite, trust| format!("{} {trust:?}", suites::name(suite));
    for suite in &corpus {
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
    for suite in &corpus {
        for case in &suite.cases {
            let listener = name(suite, Trust::of(case));
            let find = || envoy.addr(&listener).expect("an address");
            let to = *addresses.entry(listener.clone()).or_insert_with(find);
            let request = callers.request(suite, case).expect("a request");
            asked.push(Asked { suite, case, to, request });
        }
    }
    let findings = trial::hold(paths, &asked, &upstream, || envoy.access_log());
    let log = envoy.log();
    assert!(!log.contains("panicked"), "the module panicked:\n{log}");
    println!("{:?}", start.elapsed());
    findings.check();
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
