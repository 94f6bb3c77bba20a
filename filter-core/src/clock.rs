//! Time: one moment on the clocks that matter, and whether the wall clock was stepped.

/// One moment, read once for everything that is decided in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix seconds: by what claims and tokens are dated. May jump.
    pub unix: u32,
    /// Milliseconds since boot, suspended ones among them (`CLOCK_BOOTTIME`): by what
    /// durations are measured. Never goes back.
    pub boot_ms: u64,
}

impl Now {
    /// The moment so many Unix seconds after 1970 and so many seconds after the boot.
    #[must_use]
    pub const fn at(unix: u32, boot: u32) -> Self {
        Self {
            unix,
            boot_ms: boot as u64 * 1_000,
        }
    }

    /// Seconds since boot: by what the kernel ends a stage.
    #[must_use]
    pub fn boot(self) -> u32 {
        u32::try_from(self.boot_ms / 1_000).unwrap_or(u32::MAX)
    }

    /// Seconds by which the wall clock is ahead of the time since boot.
    #[must_use]
    pub fn ahead(self) -> i64 {
        i64::from(self.unix) - i64::from(self.boot())
    }

    /// The Unix second of a moment so many milliseconds since boot, by the wall clock
    /// as it is now.
    #[must_use]
    pub fn unix_at(self, boot_ms: u64) -> u32 {
        let seconds = i64::try_from(boot_ms / 1_000).unwrap_or(i64::MAX);
        let unix = seconds.saturating_add(self.ahead());
        u32::try_from(unix.max(0)).unwrap_or(u32::MAX)
    }

    /// The moment at which this Unix second comes, in milliseconds since boot, if the
    /// wall clock goes on as it does now.
    #[must_use]
    pub fn boot_ms_at(self, unix: u32) -> u64 {
        let left = u64::from(unix.saturating_sub(self.unix));
        self.boot_ms.saturating_add(left * 1_000)
    }
}

/// Tells when the wall clock was stepped: set, or corrected by more than it drifts.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    ahead: i64,
}

/// A step of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was set forward.
    Forward,
    /// It was set back.
    Back,
}

impl Steps {
    /// From this moment on.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { ahead: now.ahead() }
    }

    /// The step since this was asked last, if there was one.
    pub fn observe(&mut self, now: Now) -> Option<Step> {
        let by = now.ahead() - self.ahead;
        if by.abs() <= DRIFT_SECONDS {
            return None;
        }
        self.ahead = now.ahead();
        Some(if by > 0 { Step::Forward } else { Step::Back })
    }
}

/// The two clocks are read one after the other, and tick apart.
pub const DRIFT_SECONDS: i64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_ticks_and_told_once() {
        let at = |unix, boot_ms| Now { unix, boot_ms };
        let mut steps = Steps::new(at(1_000, 5_000));
        assert_eq!(steps.observe(at(1_001, 5_999)), None);
        assert_eq!(steps.observe(at(1_007, 12_400)), None);
        assert_eq!(steps.observe(at(1_100, 12_500)), Some(Step::Forward));
        assert_eq!(steps.observe(at(1_100, 12_600)), None);
        assert_eq!(steps.observe(at(0, 12_700)), Some(Step::Back));
    }

    #[test]
    fn moments_are_found_on_both_clocks() {
        let now = Now {
            unix: 1_000,
            boot_ms: 5_500,
        };
        assert_eq!(now.unix_at(65_500), 1_060);
        assert_eq!(now.boot_ms_at(1_060), 65_500);
        assert_eq!(now.boot_ms_at(3), 5_500);
        assert_eq!(now.unix_at(u64::MAX), u32::MAX);
        let early = Now {
            unix: 0,
            boot_ms: 9_000_000,
        };
        assert_eq!(early.unix_at(1_000), 0);
    }
}
