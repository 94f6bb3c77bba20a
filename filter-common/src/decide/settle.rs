//! Where a verdict leads: the service's tier, and its rates.

use super::{Clock, Tables};
use crate::{
    cause::Cause,
    packet::{self, Packet},
    rate::{Bucket, BucketKey, MAX_UNITS, Rate, Rates, charge, conforms},
    settings::{FRAGMENTS, Settings},
    verdict::{Stage, Verdict},
};

/// Where a packet goes, as far as the law cares.
pub(super) struct Judged {
    pub(super) service: u8,
    pub(super) guarded: bool,
}

/// What a verdict leads to.
pub(super) struct Outcome {
    pub(super) cause: u8,
    pub(super) tier: u8,
    pub(super) level: u8,
    /// By a service that is in observe.
    pub(super) observed: bool,
}

impl Outcome {
    const fn new(cause: Cause) -> Self {
        Self {
            cause: cause as u8,
            tier: 0,
            level: 0,
            observed: false,
        }
    }

    #[inline(always)]
    pub(super) fn forgotten<T: Tables>(self, tables: &T) -> Self {
        let word = tables.forget(
            self.cause as u64
                | (self.tier as u64) << 8
                | (self.level as u64) << 16
                | (self.observed as u64) << 24,
        );
        Self {
            cause: word as u8,
            tier: (word >> 8) as u8,
            level: (word >> 16) as u8,
            observed: word >> 24 != 0,
        }
    }
}

/// What one verdict on the source leads to.
#[inline(always)]
pub(super) fn settle<T: Tables, C: Clock>(
    packet: &Packet,
    tables: &T,
    clock: &C,
    settings: &Settings,
    judged: &Judged,
    stage: Stage,
    shadow: u8,
) -> Outcome {
    let verdict = stage.verdict();
    if verdict.code() == Verdict::BLOCK.code() {
        return Outcome::new(Cause::Blocked);
    }
    if verdict.code() == Verdict::ALLOW.code() || verdict.code() == Verdict::PROTECT.code() {
        return Outcome::new(Cause::Allowed);
    }
    if !judged.guarded {
        return Outcome::new(Cause::Unguarded);
    }
    let mut outcome = Outcome::new(Cause::Unlimited);
    let Some(service) = tables.service(judged.service) else {
        return outcome;
    };
    outcome.observed = service.observe != 0;
    // Fragments keep a tier of their own, whatever the verdict: they must
    // neither dodge the rates nor use up those of whole packets.
    outcome.tier = if judged.service == FRAGMENTS {
        service.default_tier
    } else {
        verdict.tier_or(service.default_tier)
    };
    let Some(tier) = tables.tier(judged.service, outcome.tier) else {
        return outcome;
    };
    let near = tier.neighbourhood.is_set();
    if !tier.source.is_set() && !near {
        return outcome;
    }

    let now = clock.nanoseconds();
    let weight = Weight::of(packet, tables);
    let mut key = BucketKey {
        prefix: packet.source.source(),
        family: packet.source.family as u8,
        level: BucketKey::SOURCE,
        service: judged.service,
        tier: outcome.tier,
        shadow,
        reserved: [0; 3],
    };
    let saturated = if settings.refuse_saturated != 0 {
        Cause::OverPackets
    } else {
        Cause::Unlimited
    };
    let Some(source) = tables.bucket(&key, || fresh(&tier.source, now, &weight)) else {
        outcome.cause = saturated as u8;
        return outcome;
    };

    // All are tested, then all charged: a packet that one rate refuses must
    // not use up the others.
    let over = tables.forget(test(tables, source, &tier.source, now, &weight) as u64) as u8;
    if over != 0 {
        outcome.cause = over;
        return outcome;
    }
    if near {
        key.prefix = packet.source.neighbourhood();
        key.level = BucketKey::NEIGHBOURHOOD;
        let rates = &tier.neighbourhood;
        let Some(bucket) = tables.bucket(&key, || fresh(rates, now, &weight)) else {
            outcome.cause = saturated as u8;
            return outcome;
        };
        if test(tables, bucket, rates, now, &weight) != 0
            || take(tables, bucket, rates, now, &weight) != 0
        {
            outcome.cause = Cause::OverNeighbourhood as u8;
            outcome.level = BucketKey::NEIGHBOURHOOD;
            return outcome;
        }
    }
    let over = take(tables, source, &tier.source, now, &weight);
    outcome.cause = if over != 0 {
        over
    } else {
        Cause::Conforming as u8
    };
    outcome
}

/// What a packet uses up of each rate.
struct Weight {
    packets: u32,
    bytes: u32,
    connections: u32,
}

impl Weight {
    #[inline(always)]
    fn of<T: Tables>(packet: &Packet, tables: &T) -> Self {
        let bytes = packet.length.min(MAX_UNITS);
        let mut packets = 1;
        // In generic mode the stack's merged frames reach the filter whole.
        if bytes > MERGED && tables.merges() {
            packets = bytes.div_ceil(1500);
        }
        Self {
            packets: tables.forget(packets as u64) as u32,
            bytes: tables.forget(bytes as u64) as u32,
            connections: packet.is(Packet::OPENS) as u32,
        }
    }
}

/// The longest frame that is certainly one packet: 1,500 bytes behind Ethernet
/// and every VLAN tag.
const MERGED: u32 = 1514 + 4 * packet::MAX_TAGS as u32;

#[inline(always)]
const fn fresh(rates: &Rates, now: u64, weight: &Weight) -> Bucket<u64> {
    Bucket {
        packets: rates.packets.fresh(now, rates.packets.cost(weight.packets)),
        bytes: rates.bytes.fresh(now, rates.bytes.cost(weight.bytes)),
        connections: rates.connections.fresh(now, rates.connections.cost(1)),
    }
}

/// The code of the first cause that is over, or 0.
#[inline(always)]
fn test<T: Tables>(
    tables: &T,
    bucket: &Bucket<T::Cell>,
    rates: &Rates,
    now: u64,
    weight: &Weight,
) -> u8 {
    each(tables, bucket, rates, weight, |cell, rate, units| {
        conforms(cell, rate, now, rate.cost(units))
    })
}

/// Charges all; the code of the first cause that is over after all, or 0.
#[inline(always)]
fn take<T: Tables>(
    tables: &T,
    bucket: &Bucket<T::Cell>,
    rates: &Rates,
    now: u64,
    weight: &Weight,
) -> u8 {
    each(tables, bucket, rates, weight, |cell, rate, units| {
        charge(cell, rate, now, rate.cost(units))
    })
}

#[inline(always)]
fn each<T: Tables>(
    tables: &T,
    bucket: &Bucket<T::Cell>,
    rates: &Rates,
    weight: &Weight,
    admits: impl Fn(&T::Cell, &Rate, u32) -> bool,
) -> u8 {
    // What was learnt of a rate's interval by asking whether it is set would
    // be remembered: all combinations of rates would be verified.
    let is_set = |rate: &Rate| tables.forget(rate.interval) != 0;
    let connections = tables.forget(weight.connections as u64) as u32;
    if is_set(&rates.packets) && !admits(&bucket.packets, &rates.packets, weight.packets) {
        return Cause::OverPackets as u8;
    }
    if is_set(&rates.bytes) && !admits(&bucket.bytes, &rates.bytes, weight.bytes) {
        return Cause::OverBytes as u8;
    }
    if connections != 0
        && is_set(&rates.connections)
        && !admits(&bucket.connections, &rates.connections, connections)
    {
        return Cause::OverConnections as u8;
    }
    0
}
