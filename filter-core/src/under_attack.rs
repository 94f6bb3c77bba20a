//! That the operator has said the host is under attack: since when, and until
//! when. Pure; what follows from it for the kernel is in the plan.
//!
//! While the daemon runs it counts in seconds since boot, so that a step of the
//! wall clock neither ends it early nor prolongs it. Kept it is in the wall
//! clock's, since nothing else outlives a boot.

use crate::clock::Now;

/// It is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderAttack {
    /// Since when, in seconds since boot.
    since: i64,
    /// When it ends; `None`: when the operator says so.
    until: Option<i64>,
    /// How far the wall clock was ahead when it was kept last.
    kept_ahead: i64,
}

impl UnderAttack {
    /// From now on, for so many seconds.
    #[must_use]
    pub fn new(now: Now, lasts: Option<i64>) -> Self {
        Self {
            since: i64::from(now.boot()),
            until: lasts.map(|lasts| i64::from(now.boot()).saturating_add(lasts)),
            kept_ahead: now.ahead(),
        }
    }

    /// The same with another end, counted from now.
    #[must_use]
    pub fn lasting(self, now: Now, lasts: Option<i64>) -> Self {
        Self {
            since: self.since,
            ..Self::new(now, lasts)
        }
    }

    /// Whether its end has come.
    #[must_use]
    pub fn is_over(&self, now: Now) -> bool {
        self.left(now) == Some(0)
    }

    /// Seconds to its end; `None`: it has none.
    #[must_use]
    pub fn left(&self, now: Now) -> Option<u64> {
        let until = self.until?;
        Some(u64::try_from(until - i64::from(now.boot())).unwrap_or(0))
    }

    /// Since when, by the wall clock as it is now.
    #[must_use]
    pub fn since(&self, now: Now) -> i64 {
        self.since + now.ahead()
    }

    /// Until when, by the wall clock as it is now.
    #[must_use]
    pub fn until(&self, now: Now) -> Option<i64> {
        self.until.map(|until| until.saturating_add(now.ahead()))
    }

    /// What is to be kept if the wall clock was set since that was asked last.
    pub fn kept_anew(&mut self, now: Now) -> Option<String> {
        let stepped = (now.ahead() - self.kept_ahead).abs() > STEP;
        stepped.then(|| {
            self.kept_ahead = now.ahead();
            self.kept(now)
        })
    }

    /// What is to be kept: since when and until when.
    #[must_use]
    pub fn kept(&self, now: Now) -> String {
        let until = self.until(now);
        let until = until.map_or_else(|| NO_END.to_owned(), |until| until.to_string());
        format!("{} {until}", self.since(now))
    }

    /// What was kept; `None` if it is over. Should the wall clock have been set
    /// back meanwhile, it lasts no longer than it was to.
    ///
    /// # Errors
    /// If nothing like it was ever kept.
    pub fn recall(kept: &str, now: Now) -> Result<Option<Self>, NotKept> {
        let wrong = || NotKept(kept.to_owned());
        let number = |text: &str| text.parse::<i64>().map_err(|_not| wrong());
        let (since, until) = kept.split_once(' ').ok_or_else(wrong)?;
        let since = number(since)?;
        let left = match until {
            NO_END => None,
            until => {
                let until = number(until)?;
                Some(until.saturating_sub(i64::from(now.unix).max(since)))
            }
        };
        let since = since.min(i64::from(now.unix)) - now.ahead();
        let recalled = Self {
            since,
            ..Self::new(now, left)
        };
        Ok((left.is_none_or(|left| left > 0)).then_some(recalled))
    }
}

/// What was kept can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} doesn't say since when and until when")]
pub struct NotKept(String);

/// In the place of an end.
const NO_END: &str = "-";

/// Seconds by which the wall clock may be corrected without being kept anew.
const STEP: i64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = at(1_000_000, 500);

    const fn at(unix: u32, boot: u32) -> Now {
        Now::at(unix, boot)
    }

    #[test]
    fn it_ends_after_its_time_whatever_the_wall_clock_does() {
        let attack = UnderAttack::new(NOW, Some(60));
        for unix in [0, 1_000_059, 9_000_000] {
            assert!(!attack.is_over(at(unix, 559)));
            assert_eq!(attack.left(at(unix, 559)), Some(1));
            assert!(attack.is_over(at(unix, 560)));
            assert_eq!(attack.until(at(unix, 559)), Some(i64::from(unix) + 1));
        }
        let endless = UnderAttack::new(NOW, None);
        assert!(!endless.is_over(at(u32::MAX, u32::MAX)));
    }

    #[test]
    fn said_again_it_began_when_it_began() {
        let later = at(1_000_030, 530);
        let again = UnderAttack::new(NOW, Some(60)).lasting(later, Some(600));
        assert_eq!(again.since(later), 1_000_000);
        assert_eq!(again.left(later), Some(600));
        assert_eq!(again.lasting(later, None).left(later), None);
    }

    #[test]
    fn a_restart_and_a_boot_keep_it_and_its_end() {
        let kept = UnderAttack::new(NOW, Some(60)).kept(NOW);
        assert_eq!(kept, "1000000 1000060");
        let booted = at(1_000_020, 3);
        let recalled = UnderAttack::recall(&kept, booted).expect("it was kept");
        let recalled = recalled.expect("it isn't over");
        assert_eq!(recalled.left(booted), Some(40));
        assert_eq!(recalled.since(booted), 1_000_000);
        assert_eq!(UnderAttack::recall(&kept, at(1_000_060, 3)), Ok(None));
        let endless = UnderAttack::new(NOW, None).kept(NOW);
        let recalled = UnderAttack::recall(&endless, booted).expect("it was kept");
        assert_eq!(recalled.expect("it has no end").until(booted), None);
    }

    #[test]
    fn a_clock_that_was_set_back_prolongs_nothing() {
        let kept = UnderAttack::new(NOW, Some(60)).kept(NOW);
        let wrong = at(7, 3);
        let recalled = UnderAttack::recall(&kept, wrong).expect("it was kept");
        assert_eq!(recalled.expect("it isn't over").left(wrong), Some(60));
    }

    #[test]
    fn it_is_kept_anew_once_when_the_clock_was_set() {
        let mut attack = UnderAttack::new(NOW, Some(60));
        assert_eq!(attack.kept_anew(at(1_000_011, 510)), None);
        let stepped = at(1_003_610, 510);
        let kept = attack.kept_anew(stepped);
        assert_eq!(kept.as_deref(), Some("1003600 1003660"));
        assert_eq!(attack.kept_anew(at(1_003_620, 520)), None);
    }

    #[test]
    fn nonsense_is_no_attack() {
        for text in ["", "on", "1", "1 x", "- 5"] {
            assert!(UnderAttack::recall(text, NOW).is_err(), "{text:?}");
        }
    }
}
