//! The suites, one test each, in Node.js; and a count, so that none is lost on the way.
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{console_log, wasm_bindgen_test};

fn run(suite: &str) {
    console_log!("{} cases", portcullis_wasm_tests::run(suite));
}

include!(concat!(env!("OUT_DIR"), "/suites.rs"));
