//! What a user would write on the kernel's own maps: a hash of addresses, a trie
//! of prefixes, and an LRU hash of arrival times. In its favour: one rate, not
//! exact across CPUs; no VLAN tags, no extension headers, no timelines.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, xdp_action::XDP_DROP},
    helpers::bpf_ktime_get_ns,
    macros::{map, xdp},
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, lpm_trie::Key},
    programs::XdpContext,
};

use crate::draw;

// The bench sets the sizes.
#[map]
static PEER_V4: HashMap<u32, u64> = HashMap::with_max_entries(1, 0);
#[map]
static PEER_V4_WIDE: LpmTrie<u32, u64> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static PEER_V6: HashMap<[u64; 2], u64> = HashMap::with_max_entries(1, 0);
#[map]
static PEER_V6_WIDE: LpmTrie<[u64; 2], u64> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static PEER_BUCKETS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1, 0);

/// Nanoseconds of a packet, and of the burst.
#[map]
static PEER_RATE: Array<[u64; 2]> = Array::with_max_entries(1, 0);

/// Packets that pass, and packets that don't.
#[map]
static PEER_COUNT: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

/// The hash and the trie.
#[xdp]
#[inline(always)]
pub(crate) fn peer_lookup(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    count(judge::<true, false>(&ctx))
}

/// The LRU hash.
#[xdp]
#[inline(always)]
pub(crate) fn peer_rates(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    count(judge::<false, true>(&ctx))
}

/// All three.
#[xdp]
#[inline(always)]
pub(crate) fn peer_whole(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    count(judge::<true, true>(&ctx))
}

/// Whether the packet would end.
#[inline(always)]
fn judge<const LOOKUP: bool, const RATES: bool>(ctx: &XdpContext) -> bool {
    let start = ctx.data();
    if start + 14 + 40 > ctx.data_end() {
        return false;
    }
    // SAFETY: all offsets are within the frame, as was just compared.
    let kind = unsafe { ((start + 12) as *const u16).read_unaligned() };
    let bucket = if kind == 0x0800_u16.to_be() {
        // SAFETY: as above.
        let source = unsafe { ((start + 26) as *const u32).read_unaligned() };
        if LOOKUP
            && (is_in(PEER_V4.get_ptr(source)) || PEER_V4_WIDE.get(Key::new(32, source)).is_some())
        {
            return true;
        }
        source as u64
    } else if kind == 0x86dd_u16.to_be() {
        // SAFETY: as above.
        let source = unsafe { ((start + 22) as *const [u64; 2]).read_unaligned() };
        if LOOKUP
            && (is_in(PEER_V6.get_ptr(source)) || PEER_V6_WIDE.get(Key::new(128, source)).is_some())
        {
            return true;
        }
        source[0]
    } else {
        return false;
    };
    RATES && is_over(bucket)
}

#[inline(always)]
const fn is_in(found: Option<*const u64>) -> bool {
    found.is_some()
}

/// One rate, by arrival times (GCRA).
#[inline(always)]
fn is_over(bucket: u64) -> bool {
    let Some([cost, limit]) = PEER_RATE.get(0).copied() else {
        return false;
    };
    // SAFETY: the helper takes nothing and touches nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(word) = PEER_BUCKETS.get_ptr_mut(bucket) {
        // SAFETY: it lies in the map; another CPU's write may be lost, or this.
        let arrival = unsafe { word.read_volatile() };
        let next = if arrival > now { arrival } else { now } + cost;
        if next > now + limit {
            return true;
        }
        // SAFETY: as above.
        unsafe { word.write_volatile(next) };
    } else {
        let _made = PEER_BUCKETS.insert(bucket, now + cost, 0);
    }
    false
}

#[inline(always)]
fn count(ends: bool) -> u32 {
    if let Some(count) = PEER_COUNT.get_ptr_mut(0) {
        // SAFETY: the memory is this CPU's, and nothing else runs on it until
        // the program ends.
        let [passes, dropped] = unsafe { &mut *count };
        *(if ends { dropped } else { passes }) += 1;
    }
    XDP_DROP
}
