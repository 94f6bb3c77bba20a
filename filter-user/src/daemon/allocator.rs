//! Giving memory back. A list of a million claims is read into memory that
//! nobody needs a moment later; glibc would keep it, because it raises its
//! thresholds with what it sees freed. A room with `unsafe`, for one call.

/// Has large pieces of memory given back as soon as they are freed.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    for (parameter, bytes) in [
        (libc::M_MMAP_THRESHOLD, THRESHOLD),
        (libc::M_TRIM_THRESHOLD, THRESHOLD),
    ] {
        // SAFETY: it sets a number of the allocator, under the allocator's own
        // lock; any value is allowed. If it isn't taken, memory is kept longer.
        let _taken = unsafe { libc::mallopt(parameter, bytes) };
    }
}

/// Above what reading a list of 100,000 takes again and again (giving that back
/// each time doubled the time of a change), below what a million takes.
#[cfg(target_env = "gnu")]
const THRESHOLD: libc::c_int = 8 << 20;
