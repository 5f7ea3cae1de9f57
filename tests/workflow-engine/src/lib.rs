//! Camunda's workflow engine 8.8.0 as the judge of ours: what it has said ([`recorded`]) becomes
//! suites ([`suites`]), and random policies and calls are put to both ([`compare`]).
//!
//! ```text
//! Case { policy, principal, call } ── rest, grpc ─> request ──> Portcullis ──> decision ─┐
//!                                  └─ commands ──> command ──> harness ─────> verdict ──┴─ property
//! ```

pub mod case;
pub mod commands;
pub mod compare;
pub mod generate;
pub mod grpc;
pub mod harness;
pub mod java;
mod models;
pub mod property;
pub mod recorded;
pub mod rest;
pub mod suites;
pub mod tokens;
pub mod world;
