//! Counting and telling.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::warn;
use filter_common::{
    abi,
    decide::Decision,
    event::{Event, Sampler},
    packet::Packet,
};

use crate::{
    maps::{COUNTERS, EVENTS, KernelClock, SAMPLERS, SKETCHES, settings},
    verdicts,
};

/// Counts a decision, and emits an event if the sampler chooses it.
#[inline(always)]
pub fn report(ctx: &XdpContext, packet: &Packet, decision: &Decision) {
    let would_drop = decision.would_drop();
    count(
        abi::counter(decision.cause),
        packet,
        decision.claim,
        would_drop,
        decision.drops(),
    );
    if would_drop && let Some(sampler) = SAMPLERS.get_ptr_mut(0) {
        // SAFETY: the memory is this CPU's, and nothing else runs on it until
        // the program ends.
        tell(ctx, packet, decision, unsafe { &mut *sampler });
    }
    if decision.shadow != Decision::NO_SHADOW {
        let drops = decision.shadow_drops();
        let index = abi::shadow_counter(decision.shadow);
        count(index, packet, decision.shadow_claim, drops, drops);
    }
}

#[inline(always)]
fn count(index: u32, packet: &Packet, claim: u32, would_drop: bool, drops: bool) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: as above.
        let counter = unsafe { &mut *counter };
        counter.add(packet, would_drop, drops);
        if claim != 0 && counter.is_hit() {
            verdicts::hit(claim);
        }
    }
    if would_drop && let Some(sketch) = SKETCHES.get_ptr_mut(index) {
        // SAFETY: as above.
        unsafe { &mut *sketch }.add(&packet.source);
    }
}

#[inline(always)]
fn tell(ctx: &XdpContext, packet: &Packet, decision: &Decision, sampler: &mut Sampler) {
    let settings = settings();
    let telling = sampler.tell(&packet.source, &settings, &KernelClock);
    if telling.send {
        let interface = ctx.ingress_ifindex() as u32;
        match EVENTS.reserve::<Event>(0) {
            Some(mut room) => {
                room.write(Event::new(packet, decision, &settings, interface, &telling));
                room.submit(if telling.wake {
                    BPF_RB_FORCE_WAKEUP
                } else {
                    BPF_RB_NO_WAKEUP
                });
                sampler.sent(&telling);
            }
            None => {
                if sampler.lost == 0 {
                    warn!(ctx, "no room for events: the daemon doesn't read them");
                }
                sampler.lost(&telling);
            }
        }
    }
}

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
