//! The sources of devices and tokens, so that one of them speaks for a few
//! sources only.

use super::table::{Kept, Table, mix};

/// Devices and tokens, and their sources.
#[derive(Debug)]
pub(super) struct DeviceSources {
    table: Table<Carrier>,
}

/// A device or a token, in 32 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Carrier {
    /// Two halves of a hash of it.
    key: [u32; 2],
    /// Hashes of the sources it speaks for; 0: none.
    sources: [u32; MOST],
    /// When it was seen there, in units of [`TEN_MINUTES`].
    seen: [u16; MOST],
}

impl DeviceSources {
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            table: Table::new(capacity, seed),
        }
    }

    /// Whether a device or token speaks for a source: it was seen there, or at
    /// fewer than four others within `time`.
    pub(super) fn speaks_for(&mut self, what: u64, source: u64, time: u32, now: u32) -> bool {
        let key = mix(what).max(1);
        let source = (mix(source) as u32).max(1);
        let fresh = || Carrier {
            key: [(key >> 32) as u32, key as u32],
            ..Carrier::default()
        };
        let carrier = self.table.entry(key, fresh, |_| false);
        let now = now / TEN_MINUTES;
        let free = |(place, taken): (usize, &u32)| {
            *taken == 0 || now.saturating_sub(u32::from(carrier.seen[place])) > time / TEN_MINUTES
        };
        let mut all = carrier.sources.iter().enumerate();
        let place = all
            .clone()
            .find(|(_, taken)| **taken == source)
            .or_else(|| all.find(|place| free(*place)));
        let Some((place, _)) = place else {
            return false;
        };
        carrier.sources[place] = source;
        carrier.seen[place] = now.min(u32::from(u16::MAX)) as u16;
        true
    }
}

impl Kept for Carrier {
    fn key(&self) -> u64 {
        u64::from(self.key[0]) << 32 | u64::from(self.key[1])
    }

    fn seen(&self) -> u32 {
        self.seen.iter().copied().max().map_or(0, u32::from)
    }
}

/// Sources that one device or token speaks for.
pub(super) const MOST: usize = 4;

const TEN_MINUTES: u32 = 600;

const _: () = assert!(size_of::<Carrier>() == 32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::clock::{BEFORE, DAY, HOUR};

    #[test]
    fn one_device_speaks_for_four_sources_and_for_another_when_one_is_long_ago() {
        let mut device_sources = DeviceSources::new(1_000, 7);
        let mut speaks = |source, now| device_sources.speaks_for(5, source, 7 * DAY, BEFORE + now);
        for source in 1..=4 {
            assert!(speaks(source, 0));
        }
        assert!(!speaks(5, 10));
        assert!(speaks(2, 6 * DAY));
        assert!(!speaks(5, 7 * DAY));
        for source in 5..=7 {
            assert!(speaks(source, 7 * DAY + HOUR));
        }
        assert!(!speaks(8, 7 * DAY + HOUR), "it still speaks for the second");
    }
}
