//! The one atomic: a word of a bucket in a map's memory.

use core::{
    cell::UnsafeCell,
    intrinsics::{AtomicOrdering, atomic_cxchg},
};

use filter_common::rate::Cell;

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
}
