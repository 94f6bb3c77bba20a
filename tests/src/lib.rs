//! What needs two rooms of weir at once: frames and cases for host and kernel,
//! a small world of tables, namespaces that are gone when a test is.

pub mod both;
pub mod case;
pub mod daemon;
pub mod edge_api;
pub mod frame;
pub mod gateway;
pub mod geoip;
pub mod host;
pub mod issuer;
pub mod kept_out;
pub mod lookup;
pub mod mutant;
pub mod netns;
pub mod prometheus;
pub mod quic;
pub mod replacement;
pub mod service;
pub mod target;
pub mod virtio;
pub mod wire;
pub mod world;
