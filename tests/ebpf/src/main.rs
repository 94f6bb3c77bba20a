//! The bench's programs: `generator` sends, the others are what a packet costs.
//! All of these end every packet, so that they differ only in what they do
//! before: one that goes on into the stack costs more than any filter.
//!
//! weir's own stand on its maps and on the law's traits; what a user would write
//! on the kernel's maps is in `peer.rs`.

#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP},
    helpers::bpf_redirect,
    macros::{map, xdp},
    maps::PerCpuArray,
    programs::XdpContext,
};
use bench_ebpf::CLASSES;
use filter_common::{
    decide::{Tables as _, decide, read},
    packet,
    source::Address,
};
use filter_ebpf::{
    buckets::Live,
    frame::Wire,
    maps::{KernelClock, Maps},
    report,
};

use crate::{draw::draw, rates::RatesAlone};

mod draw;
mod peer;
mod rates;

/// Writes a source into the frame, and sends it.
#[xdp]
#[inline(always)]
pub(crate) fn generator(ctx: XdpContext) -> u32 {
    let Some(spec) = draw(&ctx) else {
        return XDP_ABORTED;
    };
    // SAFETY: the helper takes two numbers.
    unsafe { bpf_redirect(spec.interface, 0) as u32 }
}

/// Nothing: what everything else is held against.
#[xdp]
#[inline(always)]
pub(crate) const fn bare(_ctx: XdpContext) -> u32 {
    XDP_DROP
}

/// Only draws a source: what a run without a generator costs by itself.
#[xdp]
#[inline(always)]
pub(crate) fn drawn(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    XDP_DROP
}

/// Only reads the packet.
#[xdp]
#[inline(always)]
pub(crate) fn parse(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    let packet = packet::read(&Wire::of(&ctx));
    if let Some(read) = READ.get_ptr_mut(0) {
        let Address { high, low, family } = packet.source;
        let rest = packet.length as u64 | (packet.port as u64) << 32 | (family as u64) << 48;
        // SAFETY: the memory is this CPU's, and nothing else runs on it until
        // the program ends.
        unsafe { *read = [high, low, rest] };
    }
    XDP_DROP
}

/// Reads the packet and looks for a verdict on its source.
#[xdp]
#[inline(always)]
pub(crate) fn lookup(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    let Some(tables) = Maps::<Live>::new(&ctx) else {
        return XDP_ABORTED;
    };
    let packet = packet::read(&Wire::of(&ctx));
    let standing = tables.standing(&packet.source, &KernelClock);
    count(!standing.stage.is_none());
    XDP_DROP
}

/// Reads the packet and holds its source to a rate.
#[xdp]
#[inline(always)]
pub(crate) fn rates(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    let Some(tables) = Maps::<Live>::new(&ctx) else {
        return XDP_ABORTED;
    };
    let packet = read(&Wire::of(&ctx), &tables);
    let decision = decide(&packet, &RatesAlone(tables), &KernelClock);
    count(decision.drops());
    XDP_DROP
}

/// What `filter` does, but that it ends here.
#[xdp]
#[inline(always)]
pub(crate) fn whole(ctx: XdpContext) -> u32 {
    draw::if_asked(&ctx);
    let Some(tables) = Maps::<Live>::new(&ctx) else {
        return XDP_ABORTED;
    };
    let packet = read(&Wire::of(&ctx), &tables);
    let decision = decide(&packet, &tables, &KernelClock);
    let packet = packet.forgotten(|number| tables.forget(number));
    report::report(&ctx, &packet, &decision);
    count(decision.drops());
    XDP_DROP
}

/// The same, counting what became of each class of sources.
#[xdp]
#[inline(always)]
pub(crate) fn judged(ctx: XdpContext) -> u32 {
    let Some(tables) = Maps::<Live>::new(&ctx) else {
        return XDP_ABORTED;
    };
    let class = draw::class(&ctx);
    let packet = read(&Wire::of(&ctx), &tables);
    let decision = decide(&packet, &tables, &KernelClock);
    judge(class, decision.drops());
    XDP_DROP
}

/// What was read last, so that it is read.
#[map]
static READ: PerCpuArray<[u64; 3]> = PerCpuArray::with_max_entries(1, 0);

/// Packets that weren't found or admitted, and packets that were.
#[map]
static SEEN: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

/// By class: packets that were admitted, and packets that weren't.
#[map]
static JUDGED: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(CLASSES as u32, 0);

#[inline(always)]
fn count(hit: bool) {
    if let Some(seen) = SEEN.get_ptr_mut(0) {
        // SAFETY: the memory is this CPU's, and nothing else runs on it until
        // the program ends.
        let [no, yes] = unsafe { &mut *seen };
        *(if hit { yes } else { no }) += 1;
    }
}

#[inline(always)]
fn judge(class: u8, refused: bool) {
    if let Some(judged) = JUDGED.get_ptr_mut(class as u32) {
        // SAFETY: as above.
        let [admitted, over] = unsafe { &mut *judged };
        *(if refused { over } else { admitted }) += 1;
    }
}

/// A loop: the verifier refuses any program in which a panic can be reached.
#[panic_handler]
#[expect(
    clippy::missing_const_for_fn,
    reason = "the handler's signature is the language's"
)]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel asks for a licence that is compatible with its own before it
/// lends its helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
