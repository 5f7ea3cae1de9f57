//! The README tells the truth: its tables and its configuration are those of the code.
//!
//! `UPDATE=1 cargo test --test readme` writes them anew.

use portcullis::reason::Reason;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// Compares what stands between two lines of the README with what should; writes it where asked to.
fn check(begin: &str, end: &str, expected: &str) {
    let readme = read("README.md");
    let (head, rest) = readme.split_once(begin).unwrap_or_else(|| panic!("{begin:?} is missing"));
    let (actual, tail) = rest.split_once(end).unwrap_or_else(|| panic!("{end:?} is missing"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join("README.md"), format!("{head}{begin}{expected}{end}{tail}")).unwrap();
    } else {
        assert_eq!(actual, expected, "README.md is out of date: UPDATE=1 cargo test --test readme");
    }
}

#[test]
fn the_readme_is_up_to_date() {
    let mut table = String::from("| reason | HTTP | gRPC | meaning | what to do |\n|---|---|---|---|---|\n");
    for reason in Reason::ALL {
        let (http, grpc) = (reason.status(), reason.grpc_status());
        writeln!(table, "| `{}` | {http} | {grpc} | {} | {} |", reason.code(), reason.meaning(), reason.advice())
            .unwrap();
    }
    check("in the decision of every call.\n\n", "\n## What the edge can decide", &table);
    check("```yaml\n", "```\n\n</details>", &read("envoy/envoy.yaml"));
}

#[test]
fn every_file_that_is_linked_is_there() {
    for document in [
        "README.md",
        "SECURITY.md",
        "docs/stricter.md",
        "docs/methods.md",
        "docs/newer-versions.md",
        "docs/surfaces.md",
        "docs/runbook.md",
    ] {
        for link in read(document).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.starts_with("http") {
                let folder = root().join(document).parent().map(Path::to_path_buf).unwrap();
                assert!(folder.join(file).exists(), "{document} links to {file}");
            }
        }
    }
    for document in ["docs/stricter.md", "docs/methods.md"] {
        for test in read(document).split('`').filter(|part| part.starts_with("tests/")) {
            assert!(root().join(test).exists(), "{document} names {test}");
        }
    }
}
