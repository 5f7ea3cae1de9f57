//! The reference gives what the suites expect, and what the engine says.

use portcullis::authn::Subject;
use portcullis::suite::{self, Caller as CaseCaller, Suite};
use portcullis_reference::claims;
use portcullis_reference::compare::{Answer, Both};
use portcullis_reference::evaluate::Call;
use portcullis_reference::principal::Caller;
use std::path::{Path, PathBuf};

fn suites(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            suites(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn corpus() {
    let mut files = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites");
    for part in ["decision", "engine", "identity", "operation"] {
        suites(&folder.join(part), &mut files);
    }
    let (mut same, mut skipped, mut different) = (0, 0, Vec::new());
    for file in &files {
        let suite = suite::read(file).unwrap();
        let both = both(&suite);
        for case in &suite.cases {
            let CaseCaller::Principal { subject, groups, claims } = &case.caller else { continue };
            let (is_client, name) = match subject {
                Subject::User(name) => (false, name.clone()),
                Subject::Client(id) => (true, id.clone()),
            };
            let caller = Caller { is_client, name, groups: groups.clone(), claims: claims.clone() };
            let request = &case.request;
            let call = Call { method: request.method.clone(), path: request.path.clone(), body: request.body.clone() };
            if !is_plain_path(&call.path) {
                skipped += 1;
                continue;
            }
            let (engine, reference) = both.ask(&caller, &call);
            if engine == reference {
                same += 1
            } else {
                different.push(format!("{}: {}: engine {engine}, reference {reference}", suite.name, case.name));
            }
        }
    }
    println!("{same} same, {skipped} skipped");
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

fn both(suite: &Suite) -> Both {
    let mut configuration = suite.configuration.as_object().cloned().unwrap();
    let policy = configuration.remove("policy").unwrap_or_default();
    Both::new(configuration, policy).unwrap()
}

fn is_plain_path(_path: &str) -> bool {
    true
}
