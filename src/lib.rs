//! Portcullis decides calls of the Camunda 8 orchestration API at the edge.
//!
//! The engine has no host, no clock and no I/O. Data flows one way, and a part imports only what
//! stands before it:
//!
//! ```text
//! request -> credential -> identity -> operation -> table -> principal -> decision -> reply
//!            [authn]                   [api]        [table]  [authz]      [decision]  [reply]
//!                                                   [policy]
//! ```
//!
//! [`config`] turns a plugin configuration into a [`config::Plan`]; [`judge`] leads a request along
//! that way:
//!
//! ```
//! use portcullis::{authn::signature::PureRust, config, judge::{Memory, Step, Surroundings}, request::Request};
//! use std::rc::Rc;
//!
//! let (plan, _warnings) = config::read(br#"{
//!     "version": 1, "name": "orders", "policy": {},
//!     "issuers": [{"issuer": "https://idp.example", "audiences": ["orders"], "jwks": {"inline": {"keys": [
//!         {"kty": "RSA", "kid": "1", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]}}}]
//! }"#).unwrap();
//! let request = Request { method: b"GET", path: b"/v2/topology", headers: &[] };
//! let mut memory = Memory::new(&plan.issuers);
//! let mut around = Surroundings { now: 0, signatures: &PureRust, memory: &mut memory, waited: None };
//! let Step::Decided(decision) = Rc::new(plan).judge(&request, &mut around) else { unreachable!() };
//! assert_eq!(decision.reason().code(), "token_missing");
//! ```
#![cfg_attr(
    not(test),
    deny(
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
    )
)]

// Foundations.
mod bytes;
pub mod json;
pub mod jsonpath;
pub mod printable;
pub mod reason;
pub mod request;

// The way, in its order.
pub mod api;
pub mod authn;
pub mod authz;
pub mod decision;
pub mod policy;
pub mod reply;
pub mod table;

// Along the way.
pub mod config;
pub mod judge;
pub mod waiting;

// The command line and its suites, which read files and the clock.
#[cfg(feature = "cli")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the engine has no I/O, the command line does")]
pub mod cli;
#[cfg(feature = "suite")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the engine has no I/O, the command line does")]
pub mod suite;
