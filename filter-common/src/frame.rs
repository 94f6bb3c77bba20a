//! A frame: bytes as the driver left them.

/// Read access to the bytes of one frame. The kernel reads them from the
/// driver's memory (`filter-ebpf`), the host from a slice.
pub trait Frame {
    /// Bytes from the first of the Ethernet header to the last of the payload.
    /// Headers may lie about their lengths; this doesn't.
    fn length(&self) -> u32;

    /// The `N` bytes at `offset`, or `None` where the frame ends before.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The same number. The kernel's frame makes the verifier forget what it
    /// knows of it, so that all ways that lead here are followed as one.
    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        number
    }

    /// The same offset, forgotten but for this: it is below [`OFFSETS`]. By this every
    /// offset goes that isn't a constant. In the kernel the compiler doesn't see how, as
    /// with [`within`](crate::rate::Cell::within): the verifier of Linux 6.1 loses what
    /// was compared where the compiler lays the number aside before.
    #[inline(always)]
    fn offset(&self, at: usize) -> usize {
        at & (OFFSETS - 1)
    }
}

/// More than the longest headers that are looked behind: eight tags, and eight extension
/// headers of 2 KiB.
pub const OFFSETS: usize = 1 << 15;

impl Frame for [u8] {
    fn length(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_read_up_to_its_last_byte_and_not_beyond() {
        let frame: &[u8] = &[1, 2, 3, 4];
        assert_eq!(frame.length(), 4);
        assert_eq!(frame.read::<2>(2), Some([3, 4]));
        assert_eq!(frame.read::<2>(3), None);
        assert_eq!(frame.read::<1>(usize::MAX), None);
        assert_eq!(frame.read::<0>(4), Some([]));
    }
}
