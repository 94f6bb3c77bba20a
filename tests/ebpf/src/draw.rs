//! Sources, written into frames. A frame is one of the host's (`flood.rs`): 64
//! bytes, and its last one is for the class.

use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use bench_ebpf::{CLASSES, Draw, global};

/// What is drawn.
#[map]
static DRAW: Array<[u32; Draw::WORDS]> = Array::with_max_entries(1, 0);

/// How many were drawn.
#[map]
static NUMBER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// 1: every program draws a source itself, for runs without a generator. A
/// constant once it is loaded: the other way isn't even there.
#[unsafe(no_mangle)]
static DRAWS: u32 = 0;

/// Writes a source, if this is a run without a generator.
#[inline(always)]
pub(crate) fn if_asked(ctx: &XdpContext) {
    // SAFETY: a word of our own; volatile, since the loader writes it.
    if unsafe { (&raw const DRAWS).read_volatile() } != 0 {
        let _written = draw(ctx);
    }
}

/// Draws a source and writes it into the frame.
#[inline(always)]
pub(crate) fn draw(ctx: &XdpContext) -> Option<Draw> {
    let spec = Draw::of(DRAW.get(0)?);
    let number = NUMBER.get_ptr_mut(0)?;
    // SAFETY: the memory is this CPU's, and nothing else runs on it until the
    // program ends.
    let number = unsafe {
        *number += 1;
        *number
    };
    let drawn = spec.source(number);
    let start = ctx.data();
    if start + LENGTH > ctx.data_end() {
        return None;
    }
    // SAFETY: all offsets are within the frame, as was just compared.
    unsafe {
        if spec.family == 4 {
            let source = (drawn.high >> 32) as u32;
            let sum = spec.checksum + (source >> 16) + (source & 0xffff);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            ((start + V4_CHECKSUM) as *mut u16).write_unaligned((!sum as u16).to_be());
            ((start + V4_SOURCE) as *mut u32).write_unaligned(source.to_be());
        } else {
            let high = if drawn.class == bench_ebpf::LISTED {
                drawn.high
            } else {
                global(drawn.high)
            };
            ((start + V6_SOURCE) as *mut u64).write_unaligned(high.to_be());
            ((start + V6_SOURCE + 8) as *mut u64).write_unaligned(drawn.low.to_be());
        }
        ((start + CLASS) as *mut u8).write(drawn.class);
    }
    Some(spec)
}

/// The class that stands in a frame.
#[inline(always)]
pub(crate) fn class(ctx: &XdpContext) -> u8 {
    let start = ctx.data();
    if start + LENGTH > ctx.data_end() {
        return 0;
    }
    // SAFETY: it is within the frame, as was just compared.
    let class = unsafe { ((start + CLASS) as *const u8).read() };
    class & (CLASSES as u8 - 1)
}

/// Bytes of a frame.
const LENGTH: usize = 64;
const V4_CHECKSUM: usize = 24;
const V4_SOURCE: usize = 26;
const V6_SOURCE: usize = 22;
const CLASS: usize = 63;
