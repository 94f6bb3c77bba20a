//! The daemon of weir and its command line.
//!
//! A verdict's way: bytes → a feed's codec → [`claim::Update`] → the ledger →
//! [`patch::Patch`] → the datapath. Feeds, ledger, datapath, control and metrics
//! don't know each other; only the daemon wires them.

pub mod claim;
pub mod ledger;
pub mod patch;
pub mod prefix;
