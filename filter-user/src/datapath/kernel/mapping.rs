//! A map's memory in the daemon's own: what is written there the kernel reads. A
//! room with `unsafe`, for this alone.

use std::{ops::Deref, ptr::NonNull, sync::atomic::AtomicU64};

use anyhow::{Context as _, Result};
use aya::maps::MapData;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The elements of an array map with `BPF_F_MMAPABLE`, as words.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
    /// A program that is loaded later still needs the map.
    _map: MapData,
}

impl Mapping {
    /// Maps the first `words` words of a map.
    ///
    /// # Errors
    /// If the kernel refuses: the map is smaller, or isn't made for it.
    pub(super) fn of(map: MapData, words: usize) -> Result<Self> {
        // SAFETY: a fresh mapping at a place that the kernel chooses; nothing
        // that exists is touched.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                words * size_of::<AtomicU64>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.fd(),
                0,
            )
        }
        .context("mapping a table's memory")?;
        Ok(Self {
            start: NonNull::new(start.cast()).context("a mapping at address 0")?,
            words,
            _map: map,
        })
    }
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is so long, aligned to a page, and there until this
        // is dropped; any bytes are words, and both sides only access them whole.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `of`, so long, and no slice of it outlives it.
        let _unmapped = unsafe {
            munmap(
                self.start.as_ptr().cast(),
                self.words * size_of::<AtomicU64>(),
            )
        };
    }
}

// SAFETY: it is memory of words that are atomic, and belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}
