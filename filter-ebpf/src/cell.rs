//! The one atomic: a word of a bucket in a map's memory.

use core::{
    arch::asm,
    cell::UnsafeCell,
    intrinsics::{AtomicOrdering, atomic_cxchg},
};

use filter_common::{bucket::WAYS, rate::Cell};

/// A word that all CPUs read and write.
#[repr(transparent)]
pub struct Word(UnsafeCell<u64>);

impl Cell for Word {
    #[inline(always)]
    fn load(&self) -> u64 {
        // SAFETY: the word is aligned and lives as long as the map; a 64-bit
        // read is one instruction. (The target has no atomic load, and a
        // volatile one is what the kernel's own READ_ONCE is.)
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    fn replace(&self, old: u64, new: u64) -> bool {
        // SAFETY: as above. The ordering is the strongest on purpose: weaker
        // ones are miscompiled for BPF (llvm-project issue 210280).
        let (_, replaced) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                self.0.get(),
                old,
                new,
            )
        };
        replaced
    }

    #[inline(always)]
    fn all_if_negative(number: u64) -> u64 {
        let mut number = number;
        // SAFETY: a register is changed, nothing else is touched.
        unsafe {
            asm!(
                "{0} s>>= 63",
                inout(reg) number,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        number
    }

    #[inline(always)]
    fn within<const N: usize>(at: usize) -> usize {
        const { assert!(N.is_power_of_two()) };
        let mut within = at;
        // SAFETY: a register is changed, nothing else is touched.
        unsafe {
            asm!(
                "{0} &= {1}",
                inout(reg) within,
                const const { N - 1 },
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        // Once more for the compiler, so that it needn't ask.
        within & (N - 1)
    }

    #[inline(always)]
    fn ways() -> u64 {
        let ways: u64;
        // SAFETY: a register is set, nothing else is touched.
        unsafe {
            asm!(
                "{0} = {1}",
                out(reg) ways,
                const WAYS,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        ways
    }
}

/// A word that is read and never written: asking changes nothing.
#[repr(transparent)]
pub struct Peeked(Word);

impl Cell for Peeked {
    #[inline(always)]
    fn load(&self) -> u64 {
        self.0.load()
    }

    #[inline(always)]
    fn replace(&self, _old: u64, _new: u64) -> bool {
        true
    }

    #[inline(always)]
    fn all_if_negative(number: u64) -> u64 {
        Word::all_if_negative(number)
    }

    #[inline(always)]
    fn within<const N: usize>(at: usize) -> usize {
        Word::within::<N>(at)
    }

    #[inline(always)]
    fn ways() -> u64 {
        Word::ways()
    }
}
