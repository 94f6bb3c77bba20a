//! What the kernel side and the daemon must agree on: sizes and numbers.
//!
//! [`LAYOUT`] stands in the path of the pins, so that a daemon never reads maps
//! of another layout. The test below fails when a size changes: raise the
//! number in the same commit.

use crate::{
    cause::Cause,
    decide::Decision,
    settings::{MAX_SERVICES, MAX_TIERS},
};

/// Version of everything that is shared through maps.
pub const LAYOUT: u32 = 6;

/// Index of an enforced cause in the counters.
#[inline(always)]
#[must_use]
pub const fn counter(cause: u8) -> u32 {
    cause as u32
}

/// Index of a cause in the shadow.
#[inline(always)]
#[must_use]
pub const fn shadow_counter(cause: u8) -> u32 {
    cause as u32 + Cause::COUNT as u32
}

/// Length of the counters.
pub const COUNTERS: u32 = Cause::COUNT as u32 * 2;

/// Index of a TCP or UDP port in the table of ports.
#[inline(always)]
#[must_use]
pub const fn port_index(protocol: u8, port: u16) -> u32 {
    let udp = (protocol == crate::packet::UDP) as u32;
    udp << 16 | port as u32
}

/// Length of the table of ports.
pub const PORTS: u32 = 1 << 17;

/// Index of a tier as a service sees it.
#[inline(always)]
#[must_use]
pub const fn tier_index(service: u8, tier: u8) -> u32 {
    service as u32 * MAX_TIERS as u32 + tier as u32
}

/// Length of the table of tiers.
pub const TIERS: u32 = (MAX_SERVICES * MAX_TIERS) as u32;

/// Index of what the traffic's buckets are found by.
pub const LIVE_SEED: u32 = 0;

/// Index of what the test entry's buckets are found by.
pub const TRIAL_SEED: u32 = 1;

/// Length of the table of seeds.
pub const SEEDS: u32 = 2;

/// Lines of the test entry's buckets.
pub const TRIAL_LINES: u32 = 1 << 13;

/// Key of the table of ports that are protected or guarded for some addresses
/// only: matched from its first bit, the longest prefix wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct ScopeKey {
    /// [`SOURCES`](Self::SOURCES) or [`DESTINATIONS`](Self::DESTINATIONS).
    pub kind: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// Port, in network order.
    pub port: [u8; 2],
    /// [`Family`](crate::source::Family) of the address, then zeros.
    pub family: [u8; 4],
    /// Address in network order; an IPv4 address stands in the first four.
    pub address: [u8; 16],
}

impl ScopeKey {
    /// Sources for which a port is protected.
    pub const SOURCES: u8 = 1;
    /// Destinations at which a port is a service's.
    pub const DESTINATIONS: u8 = 2;
    /// Bits before the address.
    pub const BITS: u32 = 64;
}

/// The room before the frame in the input of the programs that are run by
/// `BPF_PROG_TEST_RUN`. The test entry takes the time from it; both overwrite
/// its beginning with the [`Decision`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Preamble {
    /// Monotonic nanoseconds.
    pub nanoseconds: u64,
    /// Seconds since boot.
    pub boot_seconds: u32,
    /// 1: as if the interface merged packets.
    pub merges: u32,
    /// Room for the decision.
    pub reserved: [u64; 2],
}

const _: () = assert!(size_of::<Decision>() <= size_of::<Preamble>());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bucket::{Line, Seed, Usage},
        event::{Counter, Event, Sampler, Sketch},
        handshake::{self, Handshake},
        rate::{Rate, Tier},
        settings::{Port, Service, Settings},
        table::{QUAD, active, ipv4, ipv6},
        verdict::Entry,
    };

    #[test]
    fn sizes_belong_to_the_layout() {
        assert_eq!(LAYOUT, 6);
        assert_eq!((active::WORDS, ipv4::LINE, ipv6::NODE, QUAD), (8, 8, 32, 4));
        let (prefilter, groups) = (ipv4::prefilter(ipv4::OPEN), ipv4::groups(ipv4::OPEN));
        assert_eq!((prefilter, groups), (1 << 15, 1 << 18));
        assert_eq!(handshake::WORDS, 1 << 16);
        assert_eq!((ipv6::WIDE, ipv6::CELLS), (1 << 10, 10));
        assert_eq!(size_of::<Counter>(), 40);
        assert_eq!(size_of::<Decision>(), 16);
        assert_eq!(size_of::<Entry>(), 96);
        assert_eq!(size_of::<Event>(), 88);
        assert_eq!(size_of::<Handshake>(), 24);
        assert_eq!(size_of::<Port>(), 4);
        assert_eq!(size_of::<Line<u64>>(), 64);
        assert_eq!(size_of::<Preamble>(), 32);
        assert_eq!(size_of::<Rate>(), 24);
        assert_eq!(size_of::<Sampler>(), 80 + 256 * 16);
        assert_eq!(size_of::<ScopeKey>(), 24);
        assert_eq!(size_of::<Seed>(), 56);
        assert_eq!(size_of::<Service>(), 20);
        assert_eq!(size_of::<Settings>(), 40);
        assert_eq!(size_of::<Sketch>(), 2048);
        assert_eq!(size_of::<Tier>(), 248);
        assert_eq!(size_of::<Usage>(), 40);
    }

    #[test]
    fn indices_stay_in_their_tables() {
        assert_eq!(
            port_index(crate::packet::TCP, u16::MAX) + 1,
            port_index(crate::packet::UDP, 0)
        );
        assert_eq!(port_index(crate::packet::UDP, u16::MAX) + 1, PORTS);
        assert_eq!(
            tier_index(MAX_SERVICES as u8 - 1, MAX_TIERS as u8 - 1) + 1,
            TIERS
        );
        assert_eq!(shadow_counter(Cause::Malformed as u8) + 1, COUNTERS);
    }
}
