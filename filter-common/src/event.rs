//! Events: one sampled drop each, and what is counted of all.

use crate::{decide::Decision, packet::Packet, settings::Settings, source::Address};

mod sampler;

pub use sampler::{LIFETIME, LOOK, SLOTS, Sampler, Telling, WAKE_EVERY};

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
    /// Drops that it stands for, itself included.
    pub weight: u64,
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
    /// [`Family`](crate::source::Family) of the source.
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
    /// [`Family`](crate::source::Family) of the destination: an IPv4 node may come over
    /// IPv6.
    pub destination_family: u8,
    /// Always 0.
    pub reserved: u8,
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
            weight: telling.weight,
            source: [packet.source.high, packet.source.low],
            destination: packet.destination,
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
            destination_family: packet.destination().family as u8,
            reserved: 0,
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
    /// Packets that a drop would hit, or hit, and that open a connection, or may.
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

    /// Whether the packet that was added last is one of those that stand for
    /// [`HITS`] in the count of its claim's hits. Which they are is spread (by the
    /// golden ratio), so that sources that take turns are counted alike.
    #[inline(always)]
    #[must_use]
    pub const fn is_hit(&self) -> bool {
        self.packets().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - HITS.ilog2()) == 0
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
        if would_drop && packet.is(Packet::OPENS | Packet::LONG) {
            self.connections += 1;
        }
    }
}

/// Of so many packets that a claim judges one is counted, for all of them. So the
/// count of a claim that judged `n` is off by about 8 times the square root of `n`.
pub const HITS: u64 = 64;

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
