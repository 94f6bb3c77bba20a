//! The datapath: the loaded programs and their tables in the kernel.
//!
//! The trait, and the datapath in memory that runs the same law on the host, are in
//! `filter_core::datapath`.

pub use filter_core::{
    datapath::{Counts, Datapath, Sizes, memory},
    table,
};

pub mod attach;
pub mod kernel;
pub mod pins;
