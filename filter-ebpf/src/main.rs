//! The shell of weir: a packet's way through the kernel.
//!
//! One program a purpose, all the same law over the same maps: `filter` is
//! attached to the interfaces, `explain` and `trial` are run by
//! `BPF_PROG_TEST_RUN` (see `explain.rs`). What a packet means and what happens
//! to it is decided in `filter-common`; here bytes, maps and the time are handed
//! over, and the answer is carried out.

#![no_std]
#![no_main]

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use filter_common::decide::{Tables as _, decide, read, remember};
use filter_ebpf::{
    buckets::Live,
    frame::Wire,
    maps::{KernelClock, Maps},
    report,
};

mod explain;

/// Read, decide, count and tell, remember, act.
#[xdp]
#[inline(always)]
pub(crate) fn filter(ctx: XdpContext) -> u32 {
    let Some(tables) = Maps::<Live>::new(&ctx) else {
        return xdp_action::XDP_PASS;
    };
    let packet = read(&Wire::of(&ctx), &tables);
    let decision = decide(&packet, &tables, &KernelClock);
    // Else both families would be followed apart through all of the law.
    let packet = packet.forgotten(|number| tables.forget(number));
    report::report(&ctx, &packet, &decision);
    remember(&packet, &decision, &tables, &KernelClock);
    if decision.drops() {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

/// A loop: the verifier refuses any program in which a panic can be reached,
/// so every load is a proof that none can.
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
