//! Data flows one way: a part of the engine imports only what stands before it.

use std::fs;
use std::path::{Path, PathBuf};

/// The parts in their order.
const ORDER: [&str; 17] = [
    "bytes",
    "printable",
    "json",
    "reason",
    "request",
    "jsonpath",
    "authn",
    "api",
    "table",
    "policy",
    "authz",
    "decision",
    "reply",
    "config",
    "judge",
    "waiting",
    "suite",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names after `crate::` in a source text, also inside `crate::{a, b}`.
fn imports(text: &str) -> Vec<String> {
    let name = |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    text.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').map(name).collect(),
            None => vec![name(rest)],
        })
        .filter(|n| !n.is_empty())
        .collect()
}

#[test]
fn a_part_imports_only_what_stands_before_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let part = relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let Some(rank) = ORDER.iter().position(|p| *p == part) else {
            assert!(["lib", "main", "cli"].contains(&part), "{part} has no place in the order");
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for import in imports(&code.join("\n")) {
            let other = ORDER.iter().position(|p| *p == import);
            assert!(other.is_some_and(|o| o <= rank), "{} imports {import}, which stands after it", relative.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "the imports were not found");
}
