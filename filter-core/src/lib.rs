//! The engine of weir: everything that the daemon decides.
//!
//! Pure: no socket, no file, no clock, no thread. Whatever happens outside comes in
//! as an argument, the time among it, and whatever is to be done outside comes out as
//! a value. The daemon (`filter-user`) reads clocks, carries out effects, and hands
//! back what came of them.
//!
//! A verdict's way: bytes → a feed's codec → [`claim::Update`] → the ledger →
//! [`patch::Patch`] → the datapath. A call's way: token → check →
//! [`observation::Observation`] → policy → ledger.

#![forbid(unsafe_code)]

pub mod claim;
pub mod clock;
pub mod config;
pub mod datapath;
pub mod engine;
pub mod feed;
pub mod ledger;
pub mod metrics;
pub mod observation;
#[cfg(test)]
mod pages;
pub mod patch;
pub mod plan;
pub mod policy;
pub mod prefix;
pub mod protocol;
pub mod table;
pub mod token;
pub mod under_attack;
