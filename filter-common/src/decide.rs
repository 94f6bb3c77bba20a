//! What happens to a packet, and why. The order of the steps is the law.

use crate::{
    cause::{Action, Cause},
    packet::{self, Kind, Packet},
    rate::{Bucket, BucketKey, Cell, MAX_UNITS, Rate, Rates, Tier, charge, conforms},
    settings::{FRAGMENTS, Port, Service, Settings},
    source::Address,
    verdict::{Entry, Stage, Verdict},
};

/// What the law asks of the tables. In the kernel they are maps
/// (`filter-ebpf`), on the host collections.
pub trait Tables {
    /// The word of a bucket.
    type Cell: Cell;

    /// The settings as they are now.
    fn settings(&self) -> Settings;

    /// What a port of TCP or UDP is to the filter.
    fn port(&self, protocol: u8, port: u16) -> Port;

    /// Whether a port that is protected for some sources is so for this one.
    fn protects(&self, protocol: u8, port: u16, source: &Address) -> bool;

    /// The service that has a port at this destination only; 0: none.
    fn service_at(&self, protocol: u8, port: u16, destination: &Address) -> u8;

    /// The entry of the longest prefix that holds the source.
    fn entry(&self, source: &Address) -> Option<&Entry>;

    /// The service with this number.
    fn service(&self, service: u8) -> Option<&Service>;

    /// A tier as a service sees it.
    fn tier(&self, service: u8, tier: u8) -> Option<&Tier>;

    /// The bucket with this key, made from `fresh` if it is new; `None` if the
    /// table is saturated.
    fn bucket(
        &self,
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&Bucket<Self::Cell>>;

    /// Whether frames may be many packets merged into one (generic mode).
    fn merges(&self) -> bool;

    /// The same number. The kernel's tables make the verifier forget what it
    /// knows of it, so that all ways that lead here are followed as one.
    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        number
    }
}

/// The time, read only where it is needed.
pub trait Clock {
    /// Monotonic nanoseconds.
    fn nanoseconds(&self) -> u64;

    /// Seconds since boot, suspended ones included.
    fn boot_seconds(&self) -> u32;
}

/// What was decided of a packet, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Decision {
    /// The claim that judged; 0: none.
    pub claim: u32,
    /// The claim that would have judged in the shadow; 0: none.
    pub shadow_claim: u32,
    /// [`Cause`].
    pub cause: u8,
    /// [`Action`].
    pub action: u8,
    /// The verdict on the source, as [`Verdict::code`].
    pub verdict: u8,
    /// The service, if the packet came as far.
    pub service: u8,
    /// The tier whose rates judged, if the packet came as far.
    pub tier: u8,
    /// The level of the rate that was exceeded.
    pub level: u8,
    /// The [`Cause`] in the shadow, or [`NO_SHADOW`](Self::NO_SHADOW).
    pub shadow: u8,
    /// The tier in the shadow.
    pub shadow_tier: u8,
}

impl Decision {
    /// There is no shadow claim on the source.
    pub const NO_SHADOW: u8 = u8::MAX;

    const fn pass(cause: Cause) -> Self {
        Self {
            claim: 0,
            shadow_claim: 0,
            cause: cause as u8,
            action: Action::Pass as u8,
            verdict: 0,
            service: 0,
            tier: 0,
            level: 0,
            shadow: Self::NO_SHADOW,
            shadow_tier: 0,
        }
    }

    #[inline(always)]
    fn forgotten<T: Tables>(self, tables: &T) -> Self {
        let word = tables.forget(u64::from_le_bytes([
            self.cause,
            self.action,
            self.verdict,
            self.service,
            self.tier,
            self.level,
            self.shadow,
            self.shadow_tier,
        ]));
        let [
            cause,
            action,
            verdict,
            service,
            tier,
            level,
            shadow,
            shadow_tier,
        ] = word.to_le_bytes();
        Self {
            claim: tables.forget(self.claim as u64) as u32,
            shadow_claim: tables.forget(self.shadow_claim as u64) as u32,
            cause,
            action,
            verdict,
            service,
            tier,
            level,
            shadow,
            shadow_tier,
        }
    }

    /// Whether the packet ends here.
    #[inline(always)]
    #[must_use]
    pub const fn drops(&self) -> bool {
        self.action == Action::Drop as u8
    }

    /// Whether it would end here if the mode were enforce.
    #[inline(always)]
    #[must_use]
    pub const fn would_drop(&self) -> bool {
        self.drops() || drops(self.cause)
    }

    /// Whether it would end here if what is in the shadow were enforced.
    #[inline(always)]
    #[must_use]
    pub const fn shadow_drops(&self) -> bool {
        self.shadow != Self::NO_SHADOW && drops(self.shadow)
    }
}

/// [`Cause::drops`] of a code.
#[inline(always)]
const fn drops(cause: u8) -> bool {
    cause == Cause::Blocked as u8
        || (cause >= Cause::OverPackets as u8 && cause <= Cause::OverNeighbourhood as u8)
}

/// Judges a packet.
#[inline(always)]
pub fn decide<T: Tables, C: Clock>(packet: &Packet, tables: &T, clock: &C) -> Decision {
    weigh(packet, tables, clock).forgotten(tables)
}

#[inline(always)]
fn weigh<T: Tables, C: Clock>(packet: &Packet, tables: &T, clock: &C) -> Decision {
    let settings = tables.settings();

    // 1. Read.
    if packet.kind as u8 == Kind::NotIp as u8 {
        return Decision::pass(Cause::NotIp);
    }
    if packet.kind as u8 == Kind::Unreadable as u8 {
        let mut decision = Decision::pass(Cause::Unreadable);
        if settings.strict != 0 && settings.enforces() {
            decision.action = Action::Drop as u8;
        }
        return decision;
    }

    // 2. Essential and protected.
    if packet.is(Packet::ESSENTIAL) {
        return Decision::pass(Cause::Essential);
    }
    let mut port = Port::default();
    if packet.is(Packet::PORT) {
        port = tables.port(packet.protocol, packet.port);
    }
    let port = port.forgotten(|word| tables.forget(word));
    if port.protection == Port::PROTECTED
        || (port.protection == Port::PROTECTED_FOR_SOME
            && tables.protects(packet.protocol, packet.port, &packet.source))
    {
        return Decision::pass(Cause::Protected);
    }
    let mut stage = Stage::NONE;
    let mut shadow = Stage::NONE;
    if let Some(entry) = tables.entry(&packet.source) {
        stage = entry.current(clock);
        shadow = entry.current_shadow(clock);
    }
    let stage = stage.forgotten(|word| tables.forget(word));
    let shadow = shadow.forgotten(|word| tables.forget(word));
    if stage.verdict().code() == Verdict::PROTECT.code() {
        return Decision::pass(Cause::Protected);
    }

    // 4. Service. (Found before the verdict is applied, because the shadow may
    // need it where the verdict doesn't.)
    let mut service = port.service;
    if port.by_destination != 0 {
        let at = tables.service_at(packet.protocol, packet.port, &packet.destination);
        if at != 0 {
            service = at;
        }
    }
    let service = tables.forget(service as u64) as u8;
    let judged = Judged {
        service,
        guarded: service != 0 || packet.is(Packet::HIDDEN),
    };

    // 3 and 5. Verdict, then rates; twice where there is a shadow.
    let outcome = settle(packet, tables, clock, &settings, &judged, stage, 0).forgotten(tables);
    let mut decision = Decision::pass(Cause::Unlimited);
    decision.claim = stage.claim();
    decision.verdict = stage.verdict().code();
    decision.cause = outcome.cause;
    decision.service = service;
    decision.tier = outcome.tier;
    decision.level = outcome.level;
    if !shadow.is_none() && shadow.claim() != stage.claim() {
        let outcome = settle(packet, tables, clock, &settings, &judged, shadow, 1);
        let outcome = outcome.forgotten(tables);
        decision.shadow = outcome.cause;
        decision.shadow_tier = outcome.tier;
        decision.shadow_claim = shadow.claim();
    }

    // 6. Drop, where the mode is enforce.
    if settings.enforces() && drops(decision.cause) && !outcome.observed {
        decision.action = Action::Drop as u8;
    }
    decision
}

struct Judged {
    service: u8,
    guarded: bool,
}

struct Outcome {
    cause: u8,
    tier: u8,
    level: u8,
    /// By a service that is in observe.
    observed: bool,
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
    fn forgotten<T: Tables>(self, tables: &T) -> Self {
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
fn settle<T: Tables, C: Clock>(
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

/// Reads a frame and judges it: the whole law in one call.
#[inline(always)]
pub fn judge<F, T, C>(frame: &F, tables: &T, clock: &C) -> (Packet, Decision)
where
    F: crate::frame::Frame + ?Sized,
    T: Tables,
    C: Clock,
{
    let packet = packet::read(frame);
    let decision = decide(&packet, tables, clock);
    (packet, decision)
}

#[cfg(test)]
mod tests;
