//! Events: one sampled drop each, and who says which drop is one.

use crate::{
    decide::{Clock, Decision},
    packet::Packet,
    rate::Rate,
    settings::Settings,
    source::Address,
};

/// One sampled drop (in observe: what would have been one), as it travels from
/// the kernel to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// Monotonic nanoseconds.
    pub nanoseconds: u64,
    /// Count of patches applied when it was decided.
    pub generation: u64,
    /// Drops on this CPU, since the last event that was sent, of which none was.
    pub suppressed_before: u64,
    /// [`Address::high`] and [`Address::low`] of the source.
    pub source: [u64; 2],
    /// [`Address::high`] and [`Address::low`] of the destination.
    pub destination: [u64; 2],
    /// Index of the interface.
    pub interface: u32,
    /// The claim that judged; 0: none.
    pub claim: u32,
    /// Bytes of the frame.
    pub length: u32,
    /// Destination port, 0 if it couldn't be read.
    pub port: u16,
    /// [`Family`](crate::source::Family).
    pub family: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// [`Cause`](crate::cause::Cause).
    pub cause: u8,
    /// [`Action`](crate::cause::Action).
    pub action: u8,
    /// [`Mode`](crate::settings::Mode).
    pub mode: u8,
    /// The service.
    pub service: u8,
    /// The tier.
    pub tier: u8,
    /// 1: the first drop of this source.
    pub first: u8,
    /// Always 0.
    pub reserved: [u8; 2],
}

impl Event {
    /// The event of a decision.
    #[inline(always)]
    #[must_use]
    pub const fn new(
        packet: &Packet,
        decision: &Decision,
        settings: &Settings,
        interface: u32,
        telling: &Telling,
    ) -> Self {
        Self {
            nanoseconds: telling.now,
            generation: settings.generation,
            suppressed_before: telling.suppressed_before,
            source: [packet.source.high, packet.source.low],
            destination: [packet.destination.high, packet.destination.low],
            interface,
            claim: decision.claim,
            length: packet.length,
            port: packet.port,
            family: packet.source.family as u8,
            protocol: packet.protocol,
            cause: decision.cause,
            action: decision.action,
            mode: settings.mode,
            service: decision.service,
            tier: decision.tier,
            first: telling.first as u8,
            reserved: [0; 2],
        }
    }
}

/// What one cause has come to. What passed and what didn't are counted apart, so
/// that each number only grows, whenever it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// Packets that passed.
    pub passed_packets: u64,
    /// Bytes of their frames.
    pub passed_bytes: u64,
    /// Packets that were dropped (in the shadow: would have been).
    pub dropped_packets: u64,
    /// Bytes of their frames.
    pub dropped_bytes: u64,
    /// Packets that a drop would hit, or hit, and that open a connection.
    pub connections: u64,
}

impl Counter {
    /// All packets.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.passed_packets + self.dropped_packets
    }

    /// All bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.passed_bytes + self.dropped_bytes
    }

    /// Adds one packet.
    #[inline(always)]
    pub const fn add(&mut self, packet: &Packet, would_drop: bool, drops: bool) {
        let length = packet.length as u64;
        if drops {
            self.dropped_packets += 1;
            self.dropped_bytes += length;
        } else {
            self.passed_packets += 1;
            self.passed_bytes += length;
        }
        if would_drop && packet.is(Packet::OPENS) {
            self.connections += 1;
        }
    }
}

/// Which sources a drop hit, or would have hit: one bit each by a hash, so that
/// the CPUs' sketches can be laid over each other, and the bits that are still
/// free tell how many there were, about (linear counting: Whang, Vander-Zanden
/// and Taylor, 1990). All zero is the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sketch {
    /// The bits.
    pub words: [u64; WORDS],
}

/// Words of a [`Sketch`]: 16,384 bits. Beyond about 100,000 sources it is full.
pub const WORDS: usize = 256;

impl Sketch {
    /// No source was hit yet.
    pub const NEW: Self = Self { words: [0; WORDS] };

    /// Marks a source.
    #[inline(always)]
    pub const fn add(&mut self, source: &Address) {
        let mixed = mix(source.source(), source.family as u32);
        let word = (mixed >> 56) as usize & (WORDS - 1);
        self.words[word] |= 1 << (mixed >> 50 & 63);
    }
}

/// One CPU's choice of what is told. All zero is the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sampler {
    /// Events that were sent.
    pub sent: u64,
    /// Drops that weren't told, by sampling or for lack of budget.
    pub suppressed: u64,
    /// Events that found no room on their way.
    pub lost: u64,
    /// Drops since the last event that was sent.
    since: u64,
    /// Arrival time of the budget.
    budget: u64,
    /// From when on the daemon may be woken again.
    wake: u64,
    /// Which sources were seen of late.
    seen: [Seen; SLOTS],
}

/// A source seen of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct Seen {
    source: u64,
    /// Seconds since boot at which it is forgotten; 0: nothing is here.
    until: u32,
    /// [`Family`](crate::source::Family).
    family: u32,
}

/// What is to be told of a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The first drop of this source in [`LIFETIME`] seconds.
    pub first: bool,
    /// An event is to be sent.
    pub send: bool,
    /// The daemon is to be woken for it.
    pub wake: bool,
    /// Monotonic nanoseconds, if `send`.
    pub now: u64,
    /// Drops since the last event that was sent, if `send`.
    pub suppressed_before: u64,
}

/// Sources that a CPU remembers.
pub const SLOTS: usize = 256;

/// Seconds for which a CPU remembers a source.
pub const LIFETIME: u32 = 60;

/// Nanoseconds between two wake-ups of the daemon by one CPU. In between it
/// comes by itself.
pub const WAKE_EVERY: u64 = 20_000_000;

/// At one drop in so many a CPU looks whether a known source is forgotten:
/// reading the clock at each would cost 59 ns.
pub const LOOK: u64 = 16;

impl Sampler {
    /// Nothing was told yet.
    pub const NEW: Self = Self {
        sent: 0,
        suppressed: 0,
        lost: 0,
        since: 0,
        budget: 0,
        wake: 0,
        seen: [Seen {
            source: 0,
            until: 0,
            family: 0,
        }; SLOTS],
    };

    /// Says what is told of a drop: the first of a source, then one in so
    /// many, all within the budget. Of a source that is known the clock is read
    /// only at its turn, and at one drop in [`LOOK`] to see if it is forgotten.
    #[inline(always)]
    pub fn tell<C: Clock>(&mut self, source: &Address, settings: &Settings, clock: &C) -> Telling {
        let mut telling = Telling {
            first: false,
            send: false,
            wake: false,
            now: 0,
            suppressed_before: 0,
        };
        let key = source.source();
        let family = source.family as u32;
        let seen = &mut self.seen[slot(key, family)];
        let turn = settings.sample != 0
            && self
                .since
                .wrapping_add(1)
                .is_multiple_of(settings.sample as u64);
        let known = seen.until != 0 && seen.source == key && seen.family == family;
        if known && !turn && !self.since.is_multiple_of(LOOK) {
            self.suppress();
            return telling;
        }
        let second = clock.boot_seconds();
        if !known || second >= seen.until {
            telling.first = true;
            *seen = Seen {
                source: key,
                until: second.wrapping_add(LIFETIME).max(1),
                family,
            };
        }
        if !telling.first && !turn {
            self.suppress();
            return telling;
        }
        let now = clock.nanoseconds();
        if !self.pay(&settings.event_budget, now) {
            self.suppress();
            return telling;
        }
        telling.send = true;
        telling.now = now;
        telling.suppressed_before = self.since;
        // Wrapping, so that any beginning is one that lies in the past.
        if now.wrapping_sub(self.wake) < u64::MAX / 2 {
            telling.wake = true;
            self.wake = now.wrapping_add(WAKE_EVERY);
        }
        telling
    }

    /// The event went out.
    #[inline(always)]
    pub const fn sent(&mut self) {
        self.sent += 1;
        self.since = 0;
    }

    /// The event found no room.
    #[inline(always)]
    pub const fn lost(&mut self) {
        self.lost += 1;
        self.since += 1;
    }

    #[inline(always)]
    const fn suppress(&mut self) {
        self.suppressed += 1;
        self.since += 1;
    }

    #[inline(always)]
    const fn pay(&mut self, budget: &Rate, now: u64) -> bool {
        if !budget.is_set() {
            return false;
        }
        let (next, admitted) = budget.step(self.budget, now, budget.cost(1));
        self.budget = next;
        admitted
    }
}

#[inline(always)]
const fn slot(key: u64, family: u32) -> usize {
    (mix(key, family) >> 56) as usize & (SLOTS - 1)
}

/// A finalizer that spreads every bit of the key over all of the result
/// (constants of `SplitMix64`, Steele, Lea and Flood, 2014). Neighbours must
/// land anywhere: a sketch counts by chance.
#[inline(always)]
const fn mix(key: u64, family: u32) -> u64 {
    let mut mixed = key ^ (family as u64) << 56;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests;
