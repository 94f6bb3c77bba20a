//! The daemon of weir and its command line: sockets, files, clocks, the kernel.
//!
//! What the daemon decides is in `filter_core`, and stands here under the same names.

pub use filter_core::{
    claim, config, ledger, metrics, observation, patch, plan, policy, prefix, token, under_attack,
};

pub mod check;
pub mod cli;
pub mod command;
pub mod config_file;
pub mod control;
pub mod daemon;
pub mod datapath;
pub mod feed;
pub mod host;
pub mod log;
pub mod pulse;
pub mod store;
pub mod worker_thread;
