//! Every map, and what the law asks of them.

use core::marker::PhantomData;

use aya_ebpf::{
    helpers::{bpf_ktime_get_boot_ns, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie::Key},
    programs::XdpContext,
};
use filter_common::{
    abi::{self, ScopeKey},
    decide::{Clock, Tables},
    event::{Counter, Sampler, Sketch},
    rate::{Bucket, BucketKey, Cell, Tier},
    settings::{MAX_SERVICES, Port, Service, Settings},
    source::{Address, Family},
    table::{self, Standing},
};

use crate::{
    cell::{Peeked, Word},
    verdicts::Verdicts,
};

#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

#[map]
static PORTS: Array<Port> = Array::with_max_entries(abi::PORTS, 0);

/// Ports that are protected or guarded for some addresses only.
#[map]
static SCOPES: LpmTrie<ScopeKey, u32> = LpmTrie::with_max_entries(65_536, 0);

#[map]
static SERVICES: Array<Service> = Array::with_max_entries(MAX_SERVICES as u32, 0);

#[map]
static TIERS: Array<Tier> = Array::with_max_entries(abi::TIERS, 0);

/// Interfaces in generic mode, where frames may be many packets merged.
#[map]
static MERGING: HashMap<u32, u32> = HashMap::with_max_entries(256, 0);

#[map]
static BUCKETS: LruHashMap<BucketKey, Bucket<u64>> = LruHashMap::with_max_entries(1, 0);

/// Buckets made, and buckets that found no room.
#[map]
static BUCKETS_MADE: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

/// The buckets of the test entry.
#[map]
static TRIAL_BUCKETS: LruHashMap<BucketKey, Bucket<u64>> = LruHashMap::with_max_entries(65_536, 0);

/// Where `explain` lays a bucket that doesn't exist yet.
#[map]
static PEEKED: PerCpuArray<[Bucket<u64>; 4]> = PerCpuArray::with_max_entries(1, 0);

/// What each cause has come to, and behind that each in the shadow.
#[map]
pub static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(abi::COUNTERS, 0);

/// Which sources a drop hit, or would have hit, by the same index.
#[map]
pub static SKETCHES: PerCpuArray<Sketch> = PerCpuArray::with_max_entries(abi::COUNTERS, 0);

/// Which drops are told of.
#[map]
pub static SAMPLERS: PerCpuArray<Sampler> = PerCpuArray::with_max_entries(1, 0);

/// What was told.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Where a number is laid to be forgotten.
#[map]
static FORGOTTEN: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The settings, or the safe beginning.
#[inline(always)]
pub fn settings() -> Settings {
    match SETTINGS.get(0) {
        Some(settings) => *settings,
        None => Settings::default(),
    }
}

/// The maps as the law's tables, with one of several kinds of buckets.
pub struct Maps<B> {
    interface: u32,
    merges: bool,
    forgotten: *mut u64,
    buckets: PhantomData<B>,
}

impl<B> Maps<B> {
    /// The tables for a packet that came in here. (An array has its elements
    /// for sure; but the verifier wants to see that asked.)
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Option<Self> {
        Some(Self {
            interface: ctx.ingress_ifindex() as u32,
            merges: false,
            forgotten: FORGOTTEN.get_ptr_mut(0)?,
            buckets: PhantomData,
        })
    }

    /// The tables for a packet of a test run.
    #[inline(always)]
    pub fn of_trial(ctx: &XdpContext, merges: bool) -> Option<Self> {
        Some(Self {
            merges,
            ..Self::new(ctx)?
        })
    }
}

impl<B: Buckets> Tables for Maps<B> {
    type Cell = B::Cell;

    #[inline(always)]
    fn settings(&self) -> Settings {
        settings()
    }

    #[inline(always)]
    fn port(&self, protocol: u8, port: u16) -> Port {
        match PORTS.get(abi::port_index(protocol, port)) {
            Some(port) => *port,
            None => Port::default(),
        }
    }

    #[inline(always)]
    fn protects(&self, protocol: u8, port: u16, source: &Address) -> bool {
        scope(ScopeKey::SOURCES, protocol, port, source) != 0
    }

    #[inline(always)]
    fn service_at(&self, protocol: u8, port: u16, destination: &Address) -> u8 {
        scope(ScopeKey::DESTINATIONS, protocol, port, destination)
    }

    #[inline(always)]
    fn standing<C: Clock>(&self, source: &Address, clock: &C) -> Standing {
        let verdicts = Verdicts(|number| self.forget(number));
        table::standing(&verdicts, source, clock)
    }

    #[inline(always)]
    fn service(&self, service: u8) -> Option<&Service> {
        SERVICES.get(service as u32)
    }

    #[inline(always)]
    fn tier(&self, service: u8, tier: u8) -> Option<&Tier> {
        TIERS.get(abi::tier_index(service, tier))
    }

    #[inline(always)]
    fn bucket(
        &self,
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&Bucket<Self::Cell>> {
        B::bucket(key, fresh)
    }

    #[inline(always)]
    fn merges(&self) -> bool {
        // SAFETY: the value isn't read.
        self.merges || unsafe { MERGING.get(self.interface) }.is_some()
    }

    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        // Through a map's memory, not by arithmetic as with a frame: where the
        // verifier needs a number exactly, arithmetic tells it what to look back
        // at, and memory doesn't.
        // SAFETY: the memory is this CPU's, and nothing else runs on it until
        // the program ends; volatile, so that the compiler doesn't see through.
        unsafe {
            self.forgotten.write_volatile(number);
            self.forgotten.read_volatile()
        }
    }
}

#[inline(always)]
fn scope(kind: u8, protocol: u8, port: u16, address: &Address) -> u8 {
    let mut key = ScopeKey {
        kind,
        protocol,
        port: port.to_be_bytes(),
        family: [address.family as u8, 0, 0, 0],
        address: [0; 16],
    };
    let mut bits = ScopeKey::BITS + 128;
    match address.family {
        Family::V4 => {
            bits = ScopeKey::BITS + 32;
            key.address[..4].copy_from_slice(&(address.low as u32).to_be_bytes());
        }
        Family::V6 => key.address = octets(address),
    }
    match SCOPES.get(Key::new(bits, key)) {
        Some(value) => *value as u8,
        None => 0,
    }
}

#[inline(always)]
fn octets(address: &Address) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&address.high.to_be_bytes());
    octets[8..].copy_from_slice(&address.low.to_be_bytes());
    octets
}

/// A table of buckets.
pub trait Buckets {
    /// The word of a bucket.
    type Cell: Cell + 'static;

    /// As [`Tables::bucket`].
    fn bucket(
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&'static Bucket<Self::Cell>>;
}

/// The buckets of the traffic.
pub struct Live;

impl Buckets for Live {
    type Cell = Word;

    #[inline(always)]
    fn bucket(
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&'static Bucket<Word>> {
        if let Some(bucket) = shared(BUCKETS.get_ptr(key)) {
            return Some(bucket);
        }
        // Another CPU may be first: then its bucket is the one.
        let made = BUCKETS.insert(key, fresh(), BPF_NOEXIST).is_ok();
        let bucket = shared(BUCKETS.get_ptr(key));
        if let Some(count) = BUCKETS_MADE.get_ptr_mut(0) {
            // SAFETY: the memory is this CPU's, and nothing else runs on it
            // until the program ends.
            let [all, refused] = unsafe { &mut *count };
            if made {
                *all += 1;
            }
            if bucket.is_none() {
                *refused += 1;
            }
        }
        bucket
    }
}

/// The buckets of the test entry.
pub struct Trial;

impl Buckets for Trial {
    type Cell = Word;

    #[inline(always)]
    fn bucket(
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&'static Bucket<Word>> {
        if let Some(bucket) = shared(TRIAL_BUCKETS.get_ptr(key)) {
            return Some(bucket);
        }
        let _exists = TRIAL_BUCKETS.insert(key, fresh(), BPF_NOEXIST);
        shared(TRIAL_BUCKETS.get_ptr(key))
    }
}

/// The buckets of the traffic, only looked at.
pub struct Peek;

impl Buckets for Peek {
    type Cell = Peeked;

    #[inline(always)]
    fn bucket(
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&'static Bucket<Peeked>> {
        if let Some(bucket) = shared(BUCKETS.get_ptr(key)) {
            return Some(bucket);
        }
        // Source and neighbourhood, enforced and shadow, are looked at side by side.
        let place = (key.shadow & 1) << 1 | (key.level & 1);
        let places = PEEKED.get_ptr_mut(0)?;
        // SAFETY: the memory is this CPU's, and nothing else runs on it until
        // the program ends.
        let bucket = unsafe { &mut (*places)[place as usize] };
        *bucket = fresh();
        shared(Some(core::ptr::from_mut(bucket)))
    }
}

#[inline(always)]
fn shared<C: Cell>(bucket: Option<*const Bucket<u64>>) -> Option<&'static Bucket<C>> {
    let bucket = bucket?;
    // SAFETY: a cell is transparent over a word, and the memory of a map
    // outlives the run of a program. An element of an LRU map may be given to
    // another key meanwhile: then that one is charged, never anything else.
    Some(unsafe { &*bucket.cast() })
}

/// The kernel's clocks.
pub struct KernelClock;

impl Clock for KernelClock {
    #[inline(always)]
    fn nanoseconds(&self) -> u64 {
        // SAFETY: the helper takes nothing and touches nothing.
        unsafe { bpf_ktime_get_ns() }
    }

    #[inline(always)]
    fn boot_seconds(&self) -> u32 {
        // SAFETY: the helper takes nothing and touches nothing.
        (unsafe { bpf_ktime_get_boot_ns() } / 1_000_000_000) as u32
    }
}

const BPF_NOEXIST: u64 = 1;
