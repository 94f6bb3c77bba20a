//! The test bed: everything round the filter that is real. Namespaces and wires, a
//! host or an edge, the daemon, gateways, Prometheus; each is gone when its value is.

pub mod daemon;
pub mod edge_api;
pub mod gateway;
pub mod host;
pub mod kept_out;
pub mod netns;
pub mod prometheus;
pub mod quic;
pub mod replacement;
pub mod virtio;
pub mod wire;

pub use self::{
    daemon::{CommandOutput, Configuration, Daemon, Edge, PLENTY, Room, Traffic, until},
    edge_api::EdgeApi,
    gateway::Gateway,
    host::{Host, SERVER, SERVER6, to_host},
    kept_out::{assert_all_kept_out, assert_kept_out},
    netns::{Namespace, pair, veth},
    prometheus::Prometheus,
    replacement::assert_without_a_gap,
    wire::Wire,
};
