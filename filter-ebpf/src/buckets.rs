//! The maps that hold buckets and handshakes, and what the law asks of them. What is in a line
//! and what is done with it is `filter-common/src/bucket.rs`.

use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray},
};
use filter_common::{
    abi,
    bucket::{Line, Notes, Seed, Usage, WAYS},
    handshake::{self, Handshake},
    rate::Cell,
};

use crate::cell::{Peeked, Word};

/// What the buckets are found by: the traffic's, then the test entry's.
#[map]
static SEEDS: Array<Seed> = Array::with_max_entries(abi::SEEDS, 0);

// Lines begin at pages of their own, and so at a line of the CPU's cache, only in
// a map that can be mapped into memory. The daemon sets the size.
#[map]
static BUCKETS: Array<[u64; WAYS]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The buckets of the test entry.
#[map]
static TRIAL_BUCKETS: Array<[u64; WAYS]> =
    Array::with_max_entries(abi::TRIAL_LINES, BPF_F_MMAPABLE);

/// Handshakes of QUIC that were charged.
#[map]
static HANDSHAKES: Array<[u64; WAYS]> = Array::with_max_entries(handshake::WORDS / WAYS as u32, 0);

/// Those of the test entry.
#[map]
static TRIAL_HANDSHAKES: Array<[u64; WAYS]> =
    Array::with_max_entries(handshake::WORDS / WAYS as u32, 0);

/// Where the handshake of the packet at hand is laid.
#[map]
static AT_HAND: PerCpuArray<Handshake> = PerCpuArray::with_max_entries(1, 0);

#[map]
static USAGE: PerCpuArray<Usage> = PerCpuArray::with_max_entries(1, 0);

/// As [`Tables::lay`](filter_common::decide::Tables::lay).
#[inline(always)]
pub(crate) fn lay(handshake: Handshake) {
    if let Some(at_hand) = AT_HAND.get_ptr_mut(0) {
        // SAFETY: the memory is this CPU's, and nothing else runs on it until the
        // program ends.
        unsafe { *at_hand = handshake };
    }
}

/// As [`Tables::laid`](filter_common::decide::Tables::laid).
#[inline(always)]
pub(crate) fn laid() -> Handshake {
    match AT_HAND.get_ptr(0) {
        // SAFETY: as above.
        Some(at_hand) => unsafe { *at_hand },
        None => Handshake::untold(0),
    }
}

/// A table of buckets.
pub trait Buckets {
    /// A word of a bucket.
    type Cell: Cell + 'static;

    /// As [`Tables::seed`](filter_common::decide::Tables::seed).
    fn seed() -> Option<&'static Seed>;

    /// As [`Tables::line`](filter_common::decide::Tables::line).
    fn line(line: u32) -> Option<&'static Line<Self::Cell>>;

    /// As [`Tables::expect`](filter_common::decide::Tables::expect): a word is read
    /// for nothing, and nobody waits for it.
    #[inline(always)]
    fn expect(line: u32) {
        if let Some(line) = Self::line(line) {
            let _expected = line.0[0].load();
        }
    }

    /// As [`Tables::handshake`](filter_common::decide::Tables::handshake).
    fn handshake(at: u32) -> Option<&'static Self::Cell>;

    /// As [`Tables::note`](filter_common::decide::Tables::note).
    fn note(notes: Notes);
}

/// The buckets of the traffic.
pub struct Live;

impl Buckets for Live {
    type Cell = Word;

    #[inline(always)]
    fn seed() -> Option<&'static Seed> {
        SEEDS.get(abi::LIVE_SEED)
    }

    #[inline(always)]
    fn line(line: u32) -> Option<&'static Line<Word>> {
        shared(BUCKETS.get_ptr(line))
    }

    #[inline(always)]
    fn handshake(at: u32) -> Option<&'static Self::Cell> {
        word(HANDSHAKES.get_ptr(at / WAYS as u32), at)
    }

    #[inline(always)]
    fn note(notes: Notes) {
        if let Some(usage) = USAGE.get_ptr_mut(0) {
            // SAFETY: the memory is this CPU's, and nothing else runs on it
            // until the program ends.
            unsafe { &mut *usage }.add(notes);
        }
    }
}

/// The buckets of the test entry.
pub struct Trial;

impl Buckets for Trial {
    type Cell = Word;

    #[inline(always)]
    fn seed() -> Option<&'static Seed> {
        SEEDS.get(abi::TRIAL_SEED)
    }

    #[inline(always)]
    fn line(line: u32) -> Option<&'static Line<Word>> {
        shared(TRIAL_BUCKETS.get_ptr(line))
    }

    #[inline(always)]
    fn handshake(at: u32) -> Option<&'static Self::Cell> {
        word(TRIAL_HANDSHAKES.get_ptr(at / WAYS as u32), at)
    }

    #[inline(always)]
    fn note(_notes: Notes) {}
}

/// The buckets of the traffic, only looked at.
pub struct Peek;

impl Buckets for Peek {
    type Cell = Peeked;

    #[inline(always)]
    fn seed() -> Option<&'static Seed> {
        Live::seed()
    }

    #[inline(always)]
    fn line(line: u32) -> Option<&'static Line<Peeked>> {
        shared(BUCKETS.get_ptr(line))
    }

    #[inline(always)]
    fn handshake(at: u32) -> Option<&'static Self::Cell> {
        word(HANDSHAKES.get_ptr(at / WAYS as u32), at)
    }

    #[inline(always)]
    fn note(_notes: Notes) {}
}

#[inline(always)]
fn shared<C: Cell>(line: Option<*const [u64; WAYS]>) -> Option<&'static Line<C>> {
    let line = line?;
    // SAFETY: a cell is transparent over a word; the element is as long as a
    // line, aligned as one (see above), and lives as long as the map.
    Some(unsafe { &*line.cast() })
}

/// One of the words of an element, by the index of the word.
#[inline(always)]
fn word<C: Cell>(words: Option<*const [u64; WAYS]>, at: u32) -> Option<&'static C> {
    let words = words?.cast::<C>();
    // SAFETY: a cell is transparent over a word; the element is so many of them, is
    // aligned as one, and lives as long as the map.
    Some(unsafe { &*words.add(C::within::<WAYS>(at as usize)) })
}

/// From linux/bpf.h.
const BPF_F_MMAPABLE: u32 = 1 << 10;
