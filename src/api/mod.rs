//! What is asked for: request -> operation and resource ids.
//!
//! The path is judged as raw bytes ([`path`]), looked up in the catalogue ([`route`]) and in what the
//! configuration adds to it ([`extra`]), and, where an id stands in the body, the body is read as it
//! streams by ([`body`]).

pub mod body;
pub mod catalogue;
pub mod disguise;
pub mod extra;
pub mod path;
pub mod route;
