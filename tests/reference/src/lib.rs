//! A second evaluator: slow and plain, made from the facts about the cluster's access control and
//! not from the engine, with which it shares nothing but the catalogue's data. Where the two differ,
//! one of them is wrong.
//!
//! [`evaluate`] decides; [`generate`] makes random policies and requests; [`run`] puts them to both.

pub mod body;
pub mod catalogue;
pub mod claims;
pub mod compare;
pub mod dice;
pub mod evaluate;
pub mod generate;
pub mod plain;
pub mod policy;
pub mod principal;
pub mod run;
pub mod settings;
