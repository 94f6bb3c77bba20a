//! The decision on a packet, and its cause. The order of the steps is the law.

mod opens;
mod settle;

use opens::{counts, opens};
use settle::{Judged, settle};

use crate::{
    bucket::{BucketKey, Home, Line, Notes, Seed},
    cause::{Action, Cause},
    handshake::Handshake,
    packet::{self, Kind, Packet},
    rate::{Cell, Tier},
    settings::{Mode, Port, Service, Settings},
    source::Address,
    table::Standing,
    verdict::Verdict,
};

/// The tables as the law asks them. In the kernel they are maps
/// (`filter-ebpf`), on the host collections.
pub trait Tables {
    /// The word of a bucket.
    type Cell: Cell;

    /// The settings as they are now.
    fn settings(&self) -> Settings;

    /// The meaning of a port of TCP or UDP to the filter.
    fn port(&self, protocol: u8, port: u16) -> Port;

    /// Whether a port that is protected for some sources is so for this one.
    fn protects(&self, protocol: u8, port: u16, source: &Address) -> bool;

    /// The service that has a port at this destination only; 0: none.
    fn service_at(&self, protocol: u8, port: u16, destination: &Address) -> u8;

    /// The stages in force now of the longest prefix that holds the source.
    fn standing<C: Clock>(&self, source: &Address, clock: &C) -> Standing;

    /// The service with this number.
    fn service(&self, service: u8) -> Option<&Service>;

    /// A tier as a service sees it.
    fn tier(&self, service: u8, tier: u8) -> Option<&Tier>;

    /// The seed by which buckets are found.
    fn seed(&self) -> Option<&Seed>;

    /// A line of the table of buckets.
    fn line(&self, line: u32) -> Option<&Line<Self::Cell>>;

    /// Asks for a line that is likely to be needed soon, so that it is under way
    /// meanwhile.
    #[inline(always)]
    fn expect(&self, _line: u32) {}

    /// Lays aside which handshake of QUIC the packet at hand belongs to, if it
    /// [may](Packet::shakes_hands) be of one. (It wouldn't fit the kernel's stack.)
    fn lay(&self, handshake: Handshake);

    /// The handshake that was laid aside last.
    fn laid(&self) -> Handshake;

    /// A word of the table of handshakes, of [`WORDS`](crate::handshake::WORDS).
    fn handshake(&self, at: u32) -> Option<&Self::Cell>;

    /// Counts what the table of buckets saw of one packet.
    fn note(&self, notes: Notes);

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

    /// The same, up to [`COARSE`](crate::rate::COARSE) late where that is cheaper.
    #[inline(always)]
    fn coarse(&self) -> u64 {
        self.nanoseconds()
    }

    /// Seconds since boot, suspended ones included.
    fn boot_seconds(&self) -> u32;
}

/// The decision on a packet, and the claim, tier and rate behind it.
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
    /// The level of the rate that was exceeded, as [`BucketKey::level`].
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
        || cause == Cause::Malformed as u8
        || (cause >= Cause::OverPackets as u8 && cause <= Cause::OverNeighbourhood as u8)
}

/// Reads a frame, and which handshake it is of.
#[inline(always)]
pub fn read<F, T>(frame: &F, tables: &T) -> Packet
where
    F: crate::frame::Frame + ?Sized,
    T: Tables,
{
    let packet = packet::read(frame);
    if packet.shakes_hands()
        && let Some(seed) = tables.seed()
    {
        tables.lay(packet::quic::handshake(frame, &packet, seed));
    }
    // What was asked of it here is forgotten, too: else the law is followed once for each
    // answer.
    packet.forgotten(|number| frame.forget(number))
}

/// Judges a packet that was [read] with these tables.
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
        let malformed = packet.is(Packet::MALFORMED);
        let mut decision = Decision::pass(if malformed {
            Cause::Malformed
        } else {
            Cause::Unreadable
        });
        if (malformed || settings.strict != 0) && settings.enforces() {
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
    // 4. Service. (Found before the verdict, so that the line of the source's
    // buckets is on its way while the verdict is looked up; and the shadow may
    // need it where the verdict doesn't.)
    let mut service = port.service;
    if port.by_destination != 0 {
        let at = tables.service_at(packet.protocol, packet.port, &packet.destination());
        if at != 0 {
            service = at;
        }
    }
    let service = tables.forget(service as u64) as u8;
    let mut judged = Judged {
        service,
        guarded: tables.forget(u64::from(service != 0 || packet.is(Packet::HIDDEN))) != 0,
        family: packet.source.family as u8,
        home: Home { line: 0, rest: 0 },
        neighbourhood: packet.source.neighbourhood(),
        opens: 0,
    };
    if judged.guarded
        && let Some(seed) = tables.seed()
    {
        let source = packet.source.source();
        judged.home = seed.home(source, judged.family, BucketKey::SOURCE, service);
        tables.expect(judged.home.line);
    }
    if judged.guarded && packet.is(Packet::OPENS | Packet::LONG) {
        // By a copy, so that what is asked of it is forgotten with it.
        let packet = packet.forgotten(|number| tables.forget(number));
        judged.opens = u8::from(opens(&packet, tables, clock, service));
    }
    let judged = judged.forgotten(tables);

    // 3. Verdict.
    let Standing { stage, shadow } = tables.standing(&packet.source, clock);
    let stage = stage.forgotten(|word| tables.forget(word));
    let shadow = shadow.forgotten(|word| tables.forget(word));
    if stage.verdict().code() == Verdict::PROTECT.code() {
        return Decision::pass(Cause::Protected);
    }

    // 3 and 5. Verdict, then rates; twice where there is a shadow.
    let outcome = settle(packet, tables, clock, &judged, stage, 0).forgotten(tables);
    let mut decision = Decision::pass(Cause::Unlimited);
    decision.claim = stage.claim();
    decision.verdict = stage.verdict().code();
    decision.cause = outcome.cause;
    decision.service = judged.service;
    decision.tier = outcome.tier;
    decision.level = outcome.level;
    if !shadow.is_none() && shadow.claim() != stage.claim() {
        let judged = judged.forgotten(tables);
        let outcome = settle(packet, tables, clock, &judged, shadow, 1);
        let outcome = outcome.forgotten(tables);
        decision.shadow = outcome.cause;
        decision.shadow_tier = outcome.tier;
        decision.shadow_claim = shadow.claim();
    }

    // 6. Drop, where the mode is enforce.
    let mode = tables.forget(tables.settings().mode as u64);
    if mode == Mode::Enforce as u64 && drops(decision.cause) && !outcome.observed {
        decision.action = Action::Drop as u8;
    }
    decision
}

/// Remembers the handshake of a packet that was charged for it, or went with one that
/// was: the last step, so that nothing is followed twice for it. What was refused isn't
/// remembered, or it would be free the next time; nor what isn't counted, or it would
/// make free what comes behind it.
#[inline(always)]
pub fn remember<T: Tables, C: Clock>(packet: &Packet, decision: &Decision, tables: &T, clock: &C) {
    if packet.shakes_hands()
        && decision.cause == Cause::Conforming as u8
        && counts(packet, tables, decision.service)
    {
        tables.laid().remember(tables, clock.coarse());
    }
}

/// Reads a frame, judges it and remembers it: the whole law in one call.
#[inline(always)]
pub fn judge<F, T, C>(frame: &F, tables: &T, clock: &C) -> (Packet, Decision)
where
    F: crate::frame::Frame + ?Sized,
    T: Tables,
    C: Clock,
{
    let packet = read(frame, tables);
    let decision = decide(&packet, tables, clock);
    remember(&packet, &decision, tables, clock);
    (packet, decision)
}

#[cfg(test)]
mod tests;
