//! Handshakes of QUIC: which of a client's first packets belong to one connection, so
//! that it is charged once.
//!
//! A client sends several: its ClientHello may take more than one, all with the
//! connection id that it made up; and in its second flight it acknowledges with the one
//! that the server chose (RFC 9000 §7.2). Each of them could as well open another
//! connection, and nothing in it can be read without the keys of the first.
//!
//! So what was charged is remembered for some seconds, in a table of words: the
//! connection id, and the flow (addresses, ports, and the client's own id). Some
//! packets with a known connection id are free, and so is one more connection id of a
//! known flow. Who takes this for a second connection has two for one; who waits until
//! the server has forgotten a closed one has another for each packet that is free.
//!
//! Only what is charged writes a word, and it writes over what stood there: who floods
//! the table pays for it, and makes genuine handshakes cost what they cost without it.
//! Words are found by the secret of the [`Seed`], so nobody can aim at one.

use crate::{bucket::Seed, decide::Tables, packet::Packet, rate::Cell};

/// Which handshake a packet belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Handshake {
    /// A hash of the destination connection id. 0: it can't be read.
    connection: u64,
    /// A hash of the source connection id.
    flow: u64,
    /// The version of QUIC; 0 also where that can't be read.
    version: u64,
}

impl Handshake {
    /// A handshake whose connection ids can't be read.
    #[inline(always)]
    #[must_use]
    pub const fn untold(version: u32) -> Self {
        Self {
            connection: 0,
            flow: 0,
            version: version as u64,
        }
    }

    /// By a packet's addresses, its ports, and its connection ids as words.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn told(
        self,
        packet: &Packet,
        ports: u32,
        to: [u64; 3],
        from: [u64; 3],
        seed: &Seed,
    ) -> Self {
        let mut way = seed.blend(ports as u64, packet.source.high);
        way = seed.blend(way, packet.source.low);
        way = seed.blend(way, packet.destination[0]);
        way = seed.blend(way, packet.destination[1]);
        Self {
            connection: blend_all(seed, way, to) | 1,
            flow: blend_all(seed, !way, from) | 1,
            ..self
        }
    }

    /// The version of QUIC.
    #[inline(always)]
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version as u32
    }

    /// Whether it was charged before, or goes with what was. `now` in nanoseconds.
    #[inline(always)]
    pub(crate) fn is_known<T: Tables>(&self, tables: &T, now: u64) -> bool {
        let at = |key| tables.handshake(place(key)).map_or(0, Cell::load);
        let (connection, flow) = (at(self.connection), at(self.flow));
        let known = fresh::<T::Cell>(connection, self.connection, now);
        let goes_with = !known & fresh::<T::Cell>(flow, self.flow, now);
        known & left::<T::Cell>(connection, FREE) | goes_with & left::<T::Cell>(flow, 1) != 0
    }

    /// Remembers that it was charged, or that the flow's one more connection id is this.
    #[inline(always)]
    pub(crate) fn remember<T: Tables>(&self, tables: &T, now: u64) {
        let (Some(connection), Some(flow)) = (
            tables.handshake(place(self.connection)),
            tables.handshake(place(self.flow)),
        ) else {
            return;
        };
        // By masks: each branch would double what the verifier has to follow.
        let (before, other) = (connection.load(), flow.load());
        let known = fresh::<T::Cell>(before, self.connection, now);
        let goes_with = !known & fresh::<T::Cell>(other, self.flow, now);
        let goes_with = goes_with & left::<T::Cell>(other, 1);
        let known = known & left::<T::Cell>(before, FREE);
        let next = goes_with & (other + 1) | !goes_with & word(self.flow, now);
        // Where another CPU was faster its word is as good.
        connection.replace(
            before,
            known & (before + 1) | !known & word(self.connection, now),
        );
        flow.replace(other, known & other | !known & next);
    }
}

#[inline(always)]
const fn blend_all(seed: &Seed, from: u64, words: [u64; 3]) -> u64 {
    seed.blend(seed.blend(seed.blend(from, words[0]), words[1]), words[2])
}

/// The index of a key's word.
#[inline(always)]
const fn place(key: u64) -> u32 {
    (key >> 48) as u32 & (WORDS - 1)
}

/// A word: the key's lower bits, when it was written, and how many packets it has let
/// go free since. An empty one is as old as the clock.
#[inline(always)]
const fn word(key: u64, now: u64) -> u64 {
    key << (64 - TAG_BITS) | tick(now) << COUNT_BITS
}

#[inline(always)]
const fn tick(now: u64) -> u64 {
    now >> TICK & ((1 << TIME_BITS) - 1)
}

/// All ones if a word is the key's, and young enough; else 0. Nothing is the key 0's,
/// nor an empty word anybody's: every other key ends in 1.
#[inline(always)]
fn fresh<C: Cell>(word: u64, key: u64, now: u64) -> u64 {
    let age = tick(now).wrapping_sub(word >> COUNT_BITS) & ((1 << TIME_BITS) - 1);
    let other = (word ^ key << (64 - TAG_BITS)) >> (64 - TAG_BITS);
    let same = C::all_if_negative(other.wrapping_sub(1)) & (key & 1).wrapping_neg();
    same & C::all_if_negative(age.wrapping_sub(LIFETIME))
}

/// All ones if a word has let fewer than so many packets go free; else 0.
#[inline(always)]
fn left<C: Cell>(word: u64, most: u64) -> u64 {
    C::all_if_negative((word & ((1 << COUNT_BITS) - 1)).wrapping_sub(most))
}

/// Words of the table: 512 KiB.
pub const WORDS: u32 = 1 << 16;

/// Packets of a connection id that go free for one that is charged: what a client sends
/// until the handshake is done, and that twice. Then it is charged again, since a server
/// forgets a connection that is closed and takes the same id for another.
const FREE: u64 = 15;

/// Bits of how many have.
const COUNT_BITS: u32 = 4;

/// Bits of the key that a word holds.
const TAG_BITS: u32 = 40;

/// Bits of the time.
const TIME_BITS: u32 = 64 - TAG_BITS - COUNT_BITS;

/// A tick is so many nanoseconds, as a power of two: 67 ms.
const TICK: u32 = 26;

/// Three seconds, in ticks: nearly every handshake is done by then.
const LIFETIME: u64 = 45;

#[cfg(test)]
mod tests;
