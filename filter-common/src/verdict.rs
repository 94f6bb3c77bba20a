//! Verdicts as the kernel's tables hold them: short timelines.

use crate::{decide::Clock, table::Standing};

/// Enforced stages of an [`Entry`].
pub const STAGES: usize = 8;

/// Shadow stages of an [`Entry`].
pub const SHADOW_STAGES: usize = 4;

/// [`Stage::until`] of a verdict that doesn't expire.
pub const NEVER: u32 = u32::MAX;

/// The largest claim number: 24 bits.
pub const MAX_CLAIM: u32 = (1 << 24) - 1;

/// The largest tier number that a [`Verdict`] can name.
pub const MAX_TIER: u8 = u8::MAX - Verdict::FIRST_TIER;

/// The verdict that the ledger settled for a prefix, in one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Verdict(u8);

impl Verdict {
    /// No verdict: the service's default tier holds.
    pub const NONE: Self = Self(0);
    /// No feed and no mistake may touch this source.
    pub const PROTECT: Self = Self(1);
    /// The operator's allow: no rates.
    pub const ALLOW: Self = Self(2);
    /// Drop.
    pub const BLOCK: Self = Self(3);
    /// A feed's allow: not blocked, and held to the service's default tier.
    pub const ADMIT: Self = Self(4);

    const FIRST_TIER: u8 = 8;

    /// Held to a tier of its own.
    ///
    /// A number above [`MAX_TIER`] doesn't fit, and becomes [`MAX_TIER`].
    #[inline(always)]
    #[must_use]
    pub const fn limit(tier: u8) -> Self {
        let tier = if tier > MAX_TIER { MAX_TIER } else { tier };
        Self(Self::FIRST_TIER + tier)
    }

    /// The tier that a [`limit`](Self::limit) names, or `default`.
    #[inline(always)]
    #[must_use]
    pub const fn tier_or(self, default: u8) -> u8 {
        if self.0 < Self::FIRST_TIER {
            default
        } else {
            self.0 - Self::FIRST_TIER
        }
    }

    /// Whether this is a [`limit`](Self::limit).
    #[inline(always)]
    #[must_use]
    pub const fn is_limit(self) -> bool {
        self.0 >= Self::FIRST_TIER
    }

    /// The byte, as it stands in a [`Decision`](crate::decide::Decision).
    #[inline(always)]
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

/// One verdict with the claim it comes from, and the moment it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Stage {
    /// Seconds since boot at which this stage has ended, or [`NEVER`].
    until: u32,
    /// The claim number in the upper 24 bits, the verdict in the lower 8: one
    /// word, so that a reader never sees one without the other.
    word: u32,
}

impl Stage {
    /// The end of a timeline.
    pub const NONE: Self = Self { until: 0, word: 0 };

    /// A stage that ends at `until` (seconds since boot, or [`NEVER`]).
    /// Of `claim` the lower 24 bits count.
    #[must_use]
    pub const fn new(verdict: Verdict, claim: u32, until: u32) -> Self {
        Self {
            until,
            word: (claim & MAX_CLAIM) << 8 | verdict.0 as u32,
        }
    }

    /// Both words as one, as the tables hold it.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u64 {
        (self.until as u64) << 32 | self.word as u64
    }

    /// The stage of [`bits`](Self::bits).
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            until: (bits >> 32) as u32,
            word: bits as u32,
        }
    }

    /// Seconds since boot at which this stage has ended, or [`NEVER`].
    #[inline(always)]
    #[must_use]
    pub const fn until(self) -> u32 {
        self.until
    }

    /// The claim that the verdict comes from.
    #[inline(always)]
    #[must_use]
    pub const fn claim(self) -> u32 {
        self.word >> 8
    }

    /// The verdict.
    #[inline(always)]
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict(self.word as u8)
    }

    /// The same stage, its verdict and claim passed through `forget` (see
    /// [`Tables::forget`](crate::decide::Tables::forget)).
    #[inline(always)]
    #[must_use]
    pub(crate) fn forgotten(self, forget: impl Fn(u64) -> u64) -> Self {
        Self {
            until: self.until,
            word: forget(u64::from(self.word)) as u32,
        }
    }

    /// Whether the timeline ends before this stage.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.word as u8 == Verdict::NONE.0
    }
}

/// What is settled for a prefix: one stage after the other, ordered by
/// their ends, everything wider already included. The first stage that hasn't
/// ended holds, so that the right verdict follows an expiry without a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Entry {
    /// What is enforced.
    pub stages: [Stage; STAGES],
    /// What would be enforced if the feeds in observe took part; empty where
    /// that is the same.
    pub shadow: [Stage; SHADOW_STAGES],
}

impl Entry {
    /// Says nothing.
    pub const EMPTY: Self = Self {
        stages: [Stage::NONE; STAGES],
        shadow: [Stage::NONE; SHADOW_STAGES],
    };

    /// The enforced stage that holds now.
    #[inline(always)]
    #[must_use]
    pub fn current<C: Clock>(&self, clock: &C) -> Stage {
        current(&self.stages, clock)
    }

    /// The shadow stage that holds now.
    #[inline(always)]
    #[must_use]
    pub fn current_shadow<C: Clock>(&self, clock: &C) -> Stage {
        current(&self.shadow, clock)
    }

    /// Both.
    #[inline(always)]
    #[must_use]
    pub fn standing<C: Clock>(&self, clock: &C) -> Standing {
        Standing {
            stage: self.current(clock),
            shadow: self.current_shadow(clock),
        }
    }
}

/// The clock is read only where an end has to be compared: it costs 59 ns.
#[inline(always)]
fn current<C: Clock, const N: usize>(stages: &[Stage; N], clock: &C) -> Stage {
    let first = stages[0];
    if first.is_none() || first.until == NEVER {
        return first;
    }
    let now = clock.boot_seconds();
    for stage in stages {
        if stage.is_none() || now < stage.until || stage.until == NEVER {
            return *stage;
        }
    }
    Stage::NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(u32);

    impl Clock for At {
        fn nanoseconds(&self) -> u64 {
            panic!("a timeline is in seconds since boot")
        }

        fn boot_seconds(&self) -> u32 {
            assert_ne!(self.0, NEVER, "the clock was read without need");
            self.0
        }
    }

    fn entry(stages: &[Stage]) -> Entry {
        let mut entry = Entry::EMPTY;
        entry.stages[..stages.len()].copy_from_slice(stages);
        entry
    }

    #[test]
    fn a_stage_keeps_its_verdict_its_claim_and_its_end() {
        for verdict in [
            Verdict::ALLOW,
            Verdict::BLOCK,
            Verdict::limit(0),
            Verdict::limit(MAX_TIER),
        ] {
            let stage = Stage::new(verdict, MAX_CLAIM, 7);
            assert_eq!(
                (stage.verdict(), stage.claim(), stage.until()),
                (verdict, MAX_CLAIM, 7)
            );
            assert!(!stage.is_none());
        }
        assert_eq!(Verdict::limit(3).tier_or(9), 3);
        assert_eq!(Verdict::limit(MAX_TIER).tier_or(9), MAX_TIER);
        assert_eq!(Verdict::limit(u8::MAX), Verdict::limit(MAX_TIER));
        assert_eq!(Verdict::ADMIT.tier_or(9), 9);
        assert!(!Verdict::ADMIT.is_limit() && Verdict::limit(0).is_limit());
    }

    #[test]
    fn the_first_stage_that_has_not_ended_holds() {
        let timeline = entry(&[
            Stage::new(Verdict::ALLOW, 1, 10),
            Stage::new(Verdict::BLOCK, 2, 20),
            Stage::new(Verdict::limit(1), 3, NEVER),
        ]);
        for (now, claim) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (NEVER - 1, 3)] {
            assert_eq!(timeline.current(&At(now)).claim(), claim, "at {now} s");
        }
        let ends = entry(&[Stage::new(Verdict::BLOCK, 1, 10)]);
        assert_eq!(ends.current(&At(9)).claim(), 1);
        assert!(ends.current(&At(10)).is_none());
    }

    #[test]
    fn a_full_timeline_ends_after_its_last_stage() {
        let mut stages = [Stage::NONE; STAGES];
        for (number, stage) in (0..).zip(&mut stages) {
            *stage = Stage::new(Verdict::BLOCK, number, number + 1);
        }
        let full = entry(&stages);
        for number in 0..STAGES as u32 {
            assert_eq!(full.current(&At(number)).claim(), number);
        }
        assert!(full.current(&At(STAGES as u32)).is_none());
    }

    #[test]
    fn what_never_expires_costs_no_clock() {
        assert!(Entry::EMPTY.current(&At(NEVER)).is_none());
        let forever = entry(&[Stage::new(Verdict::BLOCK, 1, NEVER)]);
        assert_eq!(forever.current(&At(NEVER)).claim(), 1);
        assert!(forever.current_shadow(&At(NEVER)).is_none());
    }
}
