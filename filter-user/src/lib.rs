//! The daemon of weir and its command line.
//!
//! A verdict's way: bytes → a feed's codec → [`claim::Update`] → the ledger →
//! [`patch::Patch`] → the datapath. Feeds, ledger, datapath, control and metrics
//! don't know each other; only the daemon wires them.

pub mod check;
pub mod claim;
pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod datapath;
pub mod feed;
pub mod host;
pub mod ledger;
pub mod metrics;
pub mod observation;
pub mod patch;
pub mod plan;
pub mod policy;
pub mod prefix;
pub mod token;
pub mod under_attack;
