//! The decision corpus by the engine as WebAssembly in node. What it says to each case is also
//! written to the file that `PORTCULLIS_VERDICTS` names: portcullis-e2e compares it with what the
//! engine says natively.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]

use portcullis::suite;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_namespace = ["process", "env"], js_name = PORTCULLIS_VERDICTS)]
    static VERDICTS: Option<String>;
    #[wasm_bindgen(thread_local_v2, js_namespace = ["process", "env"], js_name = PORTCULLIS_NOW)]
    static NOW: Option<String>;
    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn milliseconds() -> f64;
}

#[wasm_bindgen(module = "node:fs")]
extern "C" {
    #[wasm_bindgen(js_name = writeFileSync, catch)]
    fn write(path: &str, text: &str) -> Result<(), JsValue>;
}

// No decision hangs on chance: whatever asks for it gets an error.
getrandom::register_custom_getrandom!(no_chance);

fn no_chance(_: &mut [u8]) -> Result<(), getrandom::Error> {
    Err(getrandom::Error::UNSUPPORTED)
}

#[wasm_bindgen_test]
fn the_engine_decides_as_expected() {
    let now = NOW.with(|now| now.as_ref().map(|now| now.parse().expect("PORTCULLIS_NOW is in seconds")));
    let now = now.unwrap_or((milliseconds() / 1_000.0) as i64);
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    for suite in portcullis_corpus::suites() {
        let suite = suite.expect("the corpus");
        for verdict in suite::run(&suite, now) {
            let line = verdict.line(&suite).to_string();
            if !verdict.pass {
                failed.push(line.clone());
            }
            lines.push(line);
        }
    }
    assert!(!lines.is_empty(), "there are no cases");
    if let Some(file) = VERDICTS.with(Clone::clone) {
        write(&file, &lines.join("\n")).expect("PORTCULLIS_VERDICTS can be written");
    }
    assert!(failed.is_empty(), "{} of {} cases, the first: {}", failed.len(), lines.len(), failed[0]);
}
