//! The Portcullis proxy-wasm module: a thin adapter between a proxy and the engine.
//!
//! - `path`: what the proxy calls for every request; `portcullis-pack` puts it in the crate's place.
//! - `stream`: one request.
//! - `host`: the calls to the proxy on that path; they return errors, never panic. `memory` and
//!   `pairs` have what it returns.
//! - `root`: one plugin configuration and its plan; `counts`: what that has decided.
//! - `signature`: signatures, checked by the proxy or in the module.
//! - `vm`: what outlives a configuration: verified tokens, metrics, the count of plans.
#![allow(missing_docs, reason = "the entry points that the macro below makes have none")]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod counts;
mod host;
mod memory;
mod pairs;
mod path;
mod root;
mod signature;
mod stream;
mod vm;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
