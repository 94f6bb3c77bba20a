//! The parts of tests that need two crates of weir at once: frames and cases for host and kernel,
//! a small world of tables, namespaces that are gone when a test is.

pub mod bed;
pub mod both;
pub mod case;
pub mod frame;
pub mod geoip;
pub mod issuer;
pub mod lookup;
pub mod mutant;
pub mod service;
pub mod target;
pub mod world;
