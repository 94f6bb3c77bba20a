//! The programs that are asked, not attached. Both take a frame behind a
//! [`Preamble`], return the cause and write the decision over the preamble.

use aya_ebpf::{macros::xdp, programs::XdpContext};
use filter_common::{
    abi::Preamble,
    decide::{Clock, Decision, decide, read, remember},
};
use filter_ebpf::{
    buckets::{Peek, Trial},
    frame::Wire,
    maps::{KernelClock, Maps},
};

/// What would happen to this frame now: the real maps and clock, nothing
/// charged, nothing counted, no event emitted.
#[xdp]
#[inline(always)]
pub(crate) fn explain(ctx: XdpContext) -> u32 {
    let Some(tables) = Maps::<Peek>::of_trial(&ctx, 0) else {
        return NOT_ASKED;
    };
    let packet = read(&Wire::behind_preamble(&ctx), &tables);
    let decision = decide(&packet, &tables, &KernelClock);
    answer(&ctx, decision)
}

/// The test entry: buckets of its own, and the time from the preamble.
#[xdp]
#[inline(always)]
pub(crate) fn trial(ctx: XdpContext) -> u32 {
    let at = ctx.data();
    if at + size_of::<Preamble>() > ctx.data_end() {
        return NOT_ASKED;
    }
    // SAFETY: the preamble lies in the frame, as was just compared.
    let preamble = unsafe { (at as *const Preamble).read_unaligned() };
    let Some(tables) = Maps::<Trial>::of_trial(&ctx, preamble.merges) else {
        return NOT_ASKED;
    };
    let packet = read(&Wire::behind_preamble(&ctx), &tables);
    let clock = Given(preamble);
    let decision = decide(&packet, &tables, &clock);
    remember(&packet, &decision, &tables, &clock);
    answer(&ctx, decision)
}

#[inline(always)]
fn answer(ctx: &XdpContext, decision: Decision) -> u32 {
    let at = ctx.data();
    if at + size_of::<Preamble>() > ctx.data_end() {
        return NOT_ASKED;
    }
    // SAFETY: a decision is no longer than a preamble, which lies in the frame,
    // as was just compared.
    unsafe { (at as *mut Decision).write_unaligned(decision) };
    decision.cause as u32
}

struct Given(Preamble);

impl Clock for Given {
    #[inline(always)]
    fn nanoseconds(&self) -> u64 {
        self.0.nanoseconds
    }

    #[inline(always)]
    fn boot_seconds(&self) -> u32 {
        self.0.boot_seconds
    }
}

/// Returned where there was nothing to judge, such as an input that is too
/// short: no cause has this code.
const NOT_ASKED: u32 = u32::MAX;
