//! The rates of the built-in tiers.

use filter_common::{
    rate::{Kind, Rate, Rates, Tier},
    source::Family,
};

use crate::config::tick;

/// A flood ceiling, not a working limit: a dropped packet inside a connection
/// hurts far more than its share.
pub(in crate::config) const fn unknown() -> Tier {
    Tier::new(
        Rates {
            packets: built_in(20_000, 40_000),
            bytes: built_in(32 << 20, 64 << 20),
            connections: built_in(200, 1_000),
        },
        Rates::NONE,
    )
}

pub(in crate::config) const fn suspect() -> Tier {
    Tier::new(
        Rates {
            connections: built_in(1, 5),
            ..Rates::NONE
        },
        Rates::NONE,
    )
}

/// A browser or an app opens up to ten at once, and few after them.
pub(in crate::config) const fn bootstrap() -> Tier {
    Tier::new(
        Rates {
            connections: built_in(2, 10),
            ..Rates::NONE
        },
        Rates::NONE,
    )
}

/// Under attack, of all unattested sources together at a service: fewer than a host
/// with a few cores answers over TLS.
pub(in crate::config) const fn ceiling() -> Rate {
    built_in(1_000, 2_000)
}

/// Two new connections a second for each device: far more than an app makes, and
/// far less than a script. Packets and bytes as an unknown source's.
pub(super) const fn shared_by_two(unknown: &Tier) -> Tier {
    Tier::new(
        Rates {
            connections: built_in(4, 40),
            ..unknown.source
        },
        Rates::NONE,
    )
}

/// The same tier with so many times the connections, and twice the packets and
/// bytes. What is together in a neighbourhood stays what it is.
pub(super) fn scaled(tier: &Tier, connections: u64) -> Tier {
    let Rates {
        packets,
        bytes,
        connections: before,
    } = tier.source;
    Tier::new(
        Rates {
            packets: times(Kind::Packets, packets, 2),
            bytes: times(Kind::Bytes, bytes, 2),
            connections: times(Kind::Connections, before, connections),
        },
        *tier.neighbourhood(Family::V4),
    )
}

/// So many times a rate and its burst; the same rate where that can't be held.
fn times(of: Kind, rate: Rate, times: u64) -> Rate {
    if !rate.is_set() {
        return rate;
    }
    let burst = u128::from(rate.limit) * 1024 / u128::from(rate.interval);
    let more = Rate::new(1024 * times, rate.interval, burst as u64 * times);
    let held = more.filter(|more| tick::finest(of, more).is_some());
    held.unwrap_or(rate)
}

const fn built_in(units: u64, burst: u64) -> Rate {
    Rate::new(units, 1_000_000_000, burst).expect("a rate that can be held")
}
