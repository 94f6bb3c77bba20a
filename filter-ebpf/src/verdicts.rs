//! The maps of the verdict tables: memory that the daemon writes and the law reads.

use aya_ebpf::{macros::map, maps::Array};
use filter_common::{
    rate::Cell as _,
    table::{self, QUAD, Row as _, Storage, active, ipv4::LINE, ipv6::NODE},
};

use crate::cell::Word;

// The daemon sets the sizes, and writes through its own mapping.
#[map]
static FORCE: Array<[u64; active::WORDS]> = Array::with_max_entries(1, MMAPABLE);
#[map]
static V4_GROUPS: Array<u64> = Array::with_max_entries(1, MMAPABLE);
#[map]
static V4_LINES: Array<[u64; LINE]> = Array::with_max_entries(1, MMAPABLE);
#[map]
static V6_SIEVES: Array<u64> = Array::with_max_entries(1, MMAPABLE);
#[map]
static V6_NODES: Array<[u64; NODE]> = Array::with_max_entries(1, MMAPABLE);
#[map]
static TIMELINES: Array<[u64; QUAD]> = Array::with_max_entries(1, MMAPABLE);

/// Packets that each claim judged, by its number: two to an element.
#[map]
static HITS: Array<[u32; 2]> = Array::with_max_entries(1, MMAPABLE);

/// One of a claim's packets that is counted. Two CPUs that count for one claim at
/// the same moment may lose one: it is an estimate anyway, and an atomic addition
/// would cost more than all of this.
#[inline(always)]
pub(crate) fn hit(claim: u32) {
    if let Some(pair) = HITS.get_ptr_mut(claim >> 1) {
        // SAFETY: it is one of the two numbers of the element.
        unsafe {
            let number = pair.cast::<u32>().add(Word::within::<2>(claim as usize));
            number.write_volatile(number.read_volatile().wrapping_add(1));
        }
    }
}

/// The verdict tables, and where a number is laid to be forgotten.
pub(crate) struct Verdicts<F>(pub(crate) F);

impl<F: Fn(u64) -> u64> Storage for Verdicts<F> {
    type Row = Row;

    #[inline(always)]
    fn active(&self, at: usize) -> u64 {
        match FORCE.get_ptr(0) {
            Some(words) => Row(words.cast()).word::<{ active::WORDS }>(at),
            None => 0,
        }
    }

    #[inline(always)]
    fn group(&self, at: u32) -> u64 {
        word(V4_GROUPS.get_ptr(at))
    }

    #[inline(always)]
    fn line(&self, at: u32) -> Option<Row> {
        Some(Row(V4_LINES.get_ptr(at)?.cast()))
    }

    #[inline(always)]
    fn prefilter(&self, at: u32) -> u64 {
        word(V6_SIEVES.get_ptr(at))
    }

    #[inline(always)]
    fn node(&self, at: u32) -> Option<Row> {
        Some(Row(V6_NODES.get_ptr(at)?.cast()))
    }

    #[inline(always)]
    fn quad(&self, at: u32) -> Option<Row> {
        Some(Row(TIMELINES.get_ptr(at)?.cast()))
    }

    #[inline(always)]
    fn sign(word: u64) -> u64 {
        Word::all_if_negative(word)
    }

    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        self.0(number)
    }
}

/// The first word of an element.
#[derive(Clone, Copy)]
pub(crate) struct Row(*const u64);

impl table::Row for Row {
    #[inline(always)]
    fn fixed(self, at: usize) -> u64 {
        // SAFETY: the caller stays within the element, whose memory outlives the
        // program's run; the verifier checks both. A 64-bit read is one
        // instruction, so that a word is never seen half written; volatile, so
        // that it is read once.
        unsafe { self.0.add(at).read_volatile() }
    }

    #[inline(always)]
    fn word<const N: usize>(self, at: usize) -> u64 {
        self.fixed(Word::within::<N>(at))
    }
}

#[inline(always)]
fn word(element: Option<*const u64>) -> u64 {
    match element {
        Some(word) => Row(word).fixed(0),
        None => 0,
    }
}

const MMAPABLE: u32 = 1 << 10;
