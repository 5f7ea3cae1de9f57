//! Turns the suites into JSON, with what the engine says of each case natively, and writes a test
//! for each suite. In Node.js there are no files to read, and no YAML is needed.

#[path = "src/shape.rs"]
mod shape;

use portcullis::suite;
use shape::{Case, Suite};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The clock of suites that set none.
const NOW: i64 = 1_800_000_000;

fn main() {
    let suites = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../suites");
    println!("cargo::rerun-if-changed={}", suites.display());
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let mut files = Vec::new();
    collect(&suites, &mut files);
    files.sort();
    let mut tests = String::new();
    for file in files {
        let name = file.strip_prefix(&suites).unwrap().with_extension("");
        let name = name.to_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let json = out.join(&name).with_extension("json");
        fs::write(&json, serde_json::to_string(&read(&file)).unwrap()).unwrap();
        let _ = writeln!(tests, "#[wasm_bindgen_test]\nfn {name}() {{\n    run(include_str!({json:?}));\n}}\n");
    }
    fs::write(out.join("suites.rs"), tests).unwrap();
}

/// All suites: files with cases, not the policies that they name.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if suite::document(&path).unwrap().get("cases").is_some() {
            found.push(path);
        }
    }
}

fn read(file: &Path) -> Suite {
    let suite = suite::read(file).unwrap();
    let now = suite.now.unwrap_or(NOW);
    let verdicts = suite::run(&suite, now).map(|verdict| verdict.actual);
    let cases = suite.cases.iter().zip(verdicts).map(|(case, natively)| Case {
        name: case.name.clone(),
        caller: case.caller.clone(),
        request: case.request.clone(),
        expect: case.expect.clone(),
        natively,
    });
    Suite { cases: cases.collect(), configuration: suite.configuration, now }
}
