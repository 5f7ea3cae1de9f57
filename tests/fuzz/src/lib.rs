//! What must hold for any bytes from outside. Each module is one fuzz target; its `check` takes the
//! fuzzer's bytes and panics where an invariant is broken.

pub mod body;
pub mod claims;
pub mod configuration;
pub mod credential;
pub mod judge;
pub mod keys;
pub mod message;
pub mod multipart;
pub mod path;
pub mod policy;
pub mod table;
pub mod token;

mod chunks;
mod edit;
mod issuer;
mod memory;
