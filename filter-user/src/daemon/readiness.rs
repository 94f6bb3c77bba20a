//! Waiting for what the kernel writes. A room with `unsafe`, for one call.

use std::{io, os::fd::AsFd, os::fd::AsRawFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Waits on a map's descriptor until there is something to read.
pub(super) fn of<T: AsFd + AsRawFd>(map: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor is the map's own: it is open for as long as the map
    // is, which moves into the result, and it is never another one.
    unsafe { AsyncFd::register_with_interest(map, Interest::READABLE) }.map_err(Into::into)
}
