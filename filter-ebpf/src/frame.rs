//! A frame in the driver's memory.

use core::arch::asm;

use aya_ebpf::programs::XdpContext;
use filter_common::{
    abi::Preamble,
    frame::{Frame, OFFSETS},
};

/// The bytes from `start` to `end`, as the kernel gave them.
pub struct Wire {
    start: usize,
    end: usize,
}

impl Wire {
    /// The whole frame.
    #[inline(always)]
    pub fn of(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// The frame behind the preamble of a test run.
    #[inline(always)]
    pub fn behind_preamble(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data() + size_of::<Preamble>(),
            end: ctx.data_end(),
        }
    }
}

impl Frame for Wire {
    /// The program isn't loaded for frames in several buffers, so this is all
    /// of it; in generic mode the kernel has made it one before.
    #[inline(always)]
    fn length(&self) -> u32 {
        (self.end - self.start) as u32
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let at = self.start + offset;
        if at + N > self.end {
            return None;
        }
        // SAFETY: the N bytes from `at` lie in the frame, as was just compared
        // (the verifier checks it again); an array of bytes has no alignment.
        Some(unsafe { *(at as *const [u8; N]) })
    }

    /// The verifier tracks bits, and two equal exclusive ors are too much for it.
    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        let unknown = (self.end - self.start) as u64;
        let mut forgotten = number;
        // SAFETY: two registers are combined, nothing else is touched.
        unsafe {
            asm!(
                "{0} ^= {1}",
                "{0} ^= {1}",
                inout(reg) forgotten,
                in(reg) unknown,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        forgotten
    }

    #[inline(always)]
    fn offset(&self, at: usize) -> usize {
        let mut at = self.forget(at as u64) as usize;
        // SAFETY: a register is changed, nothing else is touched.
        unsafe {
            asm!(
                "{0} &= {1}",
                inout(reg) at,
                const OFFSETS - 1,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        at
    }
}
