//! Time as the policy counts it: seconds that never go back.

use crate::clock::Now;

/// Seconds since [`BEFORE`] the policy began.
#[derive(Debug)]
pub(super) struct Clock {
    began: u64,
    last: u64,
    /// Unix seconds less ours, as the claims in force were issued.
    offset: i64,
}

impl Clock {
    pub(super) const fn new(now: Now) -> Self {
        Self {
            began: now.boot_ms,
            last: now.boot_ms,
            offset: now.unix as i64 - BEFORE as i64,
        }
    }

    /// Takes the time, and gives it back in seconds.
    pub(super) fn advance(&mut self, now: Now) -> u32 {
        self.last = self.last.max(now.boot_ms);
        self.seconds()
    }

    pub(super) fn seconds(&self) -> u32 {
        let passed = u32::try_from((self.last - self.began) / 1_000).unwrap_or(u32::MAX / 2);
        BEFORE.saturating_add(passed)
    }

    /// The moment at which [`seconds`](Self::seconds) will be `seconds`, as
    /// [`Now::boot_ms`] counts.
    pub(super) const fn ms(&self, seconds: u32) -> u64 {
        self.began + seconds.saturating_sub(BEFORE) as u64 * 1_000
    }

    /// Whether the Unix clock was set since this was asked last.
    pub(super) fn was_set(&mut self, now: Now) -> bool {
        let offset = i64::from(now.unix) - i64::from(self.seconds());
        let set = offset.abs_diff(self.offset) >= 2;
        if set {
            self.offset = offset;
        }
        set
    }
}

/// The policy's first second, so that what it restores of an earlier run has a
/// time too: 30 days.
pub(super) const BEFORE: u32 = 30 * DAY;

pub(super) const MINUTE: u32 = 60;
pub(super) const HOUR: u32 = 60 * MINUTE;
pub(super) const DAY: u32 = 24 * HOUR;
