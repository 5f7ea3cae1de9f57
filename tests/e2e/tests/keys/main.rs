//! Keys from an identity provider, in a real Envoy with a scripted provider: how they come, how
//! they change, what happens when they do not come, and what is made of bad ones.

mod algorithms;
mod bad;
mod bodies;
mod change;
mod forged;
mod site;
mod start;
mod survival;
