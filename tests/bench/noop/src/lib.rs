//! A module that lets every request pass and does nothing: what a proxy-wasm module costs by
//! itself.
#![allow(missing_docs, reason = "the entry points that the macro below makes have none")]

use proxy_wasm::traits::{Context, HttpContext};

struct Nothing;

impl Context for Nothing {}
impl HttpContext for Nothing {}

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Nothing));
}}
