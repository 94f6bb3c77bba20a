//! What is asked of the service next, and after how long. Pure: what was heard,
//! how long it took and the dice are arguments.

use std::time::Duration;

use super::{Asked, Trouble};
use crate::feed::codec::stream::{Cursor, Error};

/// Where we are in the stream, and how well it goes.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    cursor: Option<Cursor>,
    /// Answers in a row that couldn't be taken.
    failures: u32,
    /// Whole words in a row: a service that says nothing else is asked slowly.
    wholes: u32,
}

/// What a good answer was like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The place in the stream behind it.
    pub cursor: Cursor,
    /// It was the service's whole word.
    pub whole: bool,
    /// Claims and withdrawals in it.
    pub lines: u64,
}

impl Follower {
    /// Goes on behind a cursor, or begins.
    #[must_use]
    pub const fn new(cursor: Option<Cursor>) -> Self {
        Self {
            cursor,
            failures: 0,
            wholes: 0,
        }
    }

    /// What to ask now.
    #[must_use]
    pub fn asks(&self) -> Asked {
        self.cursor.clone().map_or(Asked::Snapshot, Asked::After)
    }

    /// The whole word is asked for next, and at once.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// How long to pause after an answer that took this long.
    pub fn said(&mut self, said: Said, took: Duration, dice: u64) -> Duration {
        self.failures = 0;
        let moved = self.cursor.as_ref() != Some(&said.cursor);
        let before = self.cursor.replace(said.cursor);
        if said.whole {
            self.wholes += 1;
            // Where it was asked for, changes come next, and there is nothing to
            // wait for: whether it is too much is seen when it is asked for again.
            return before.map_or(Duration::ZERO, |_| self.between_wholes(dice));
        }
        self.wholes = 0;
        if moved && said.lines > 0 {
            return Duration::ZERO;
        }
        // It may be a service that doesn't hold an answer back.
        IDLE.saturating_sub(took)
    }

    /// How long to pause after an answer that couldn't be had or taken.
    pub fn failed(&mut self, trouble: &Trouble, dice: u64) -> Duration {
        match trouble {
            Trouble::TooOld => {
                self.cursor = None;
                return self.between_wholes(dice);
            }
            // The stream isn't where we are: that too is mended by the whole.
            Trouble::Broken(Error::Elsewhere(_)) => self.cursor = None,
            _ => {}
        }
        self.failures += 1;
        let pause = back_off(self.failures, dice);
        match trouble {
            Trouble::Status(_, Some(wish)) => pause.max((*wish).min(PATIENT)),
            _ => pause,
        }
    }

    fn between_wholes(&self, dice: u64) -> Duration {
        match self.wholes {
            0 | 1 => Duration::ZERO,
            more => back_off(more - 1, dice),
        }
    }
}

/// Twice as long each time, and up to half of it less by chance, so that the
/// hosts that lost a service together don't come back together.
fn back_off(times: u32, dice: u64) -> Duration {
    let most = FIRST.saturating_mul(1 << (times - 1).min(16)).min(LONGEST);
    let half = most / 2;
    let chance = u32::try_from(dice % 1024).expect("it is less than 1024");
    half + half * chance / 1024
}

/// Between two questions to a service that had nothing to say.
const IDLE: Duration = Duration::from_secs(1);
/// The most after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// The most after any.
const LONGEST: Duration = Duration::from_secs(60);
/// The most that a service may ask for by `Retry-After`.
const PATIENT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor {
        text.parse().expect("a cursor")
    }

    fn said(at: &str, whole: bool, lines: u64) -> Said {
        Said {
            cursor: cursor(at),
            whole,
            lines,
        }
    }

    #[test]
    fn changes_are_asked_for_behind_the_whole_word_and_at_once() {
        let mut follower = Follower::default();
        assert_eq!(follower.asks(), Asked::Snapshot);
        assert_eq!(follower.said(said("a", true, 9), IDLE, 0), Duration::ZERO);
        assert_eq!(follower.asks(), Asked::After(cursor("a")));
        let soon = Duration::from_millis(1);
        assert_eq!(follower.said(said("b", false, 1), soon, 0), Duration::ZERO);
        assert_eq!(follower.asks(), Asked::After(cursor("b")));
    }

    #[test]
    fn a_service_that_does_not_hold_its_answer_back_is_asked_once_a_second() {
        let mut follower = Follower::new(Some(cursor("a")));
        let soon = Duration::from_millis(1);
        let pause = follower.said(said("a", false, 0), soon, 0);
        assert_eq!(pause, Duration::from_millis(999));
        let waited = Duration::from_secs(30);
        assert_eq!(
            follower.said(said("a", false, 0), waited, 0),
            Duration::ZERO
        );
        // Claims that bring nobody forward.
        assert_eq!(follower.said(said("a", false, 5), soon, 0), pause);
    }

    #[test]
    fn what_is_too_old_or_elsewhere_is_mended_by_the_whole_word() {
        let mut follower = Follower::new(Some(cursor("a")));
        assert_eq!(follower.failed(&Trouble::TooOld, 0), Duration::ZERO);
        assert_eq!(follower.asks(), Asked::Snapshot);
        follower.said(said("b", true, 1), IDLE, 0);
        follower.said(said("c", false, 1), IDLE, 0);
        // One that says so each time is asked slowly.
        assert_eq!(follower.failed(&Trouble::TooOld, 0), Duration::ZERO);
        assert_eq!(follower.said(said("d", true, 1), IDLE, 0), Duration::ZERO);
        assert_eq!(follower.failed(&Trouble::TooOld, 0), Duration::ZERO);
        // What changes behind it isn't waited for.
        assert_eq!(follower.said(said("e", true, 1), IDLE, 0), Duration::ZERO);
        assert!(follower.failed(&Trouble::TooOld, 0) >= FIRST / 2);
        assert_eq!(follower.said(said("f", true, 1), IDLE, 0), Duration::ZERO);
        assert!(follower.failed(&Trouble::TooOld, 0) >= FIRST);
        // And so is one that says its whole word where changes were asked for.
        follower.said(said("g", true, 1), IDLE, 0);
        assert!(follower.said(said("h", true, 1), IDLE, 0) >= FIRST);
    }

    #[test]
    fn failures_are_answered_by_longer_and_longer_pauses() {
        let mut follower = Follower::new(Some(cursor("a")));
        let trouble = Trouble::Unreachable("refused".to_owned());
        let least: Vec<_> = (0..12).map(|_| follower.failed(&trouble, 0)).collect();
        assert!(least.is_sorted());
        assert_eq!((least[0], least[11]), (FIRST / 2, LONGEST / 2));
        assert!(follower.failed(&trouble, u64::MAX) <= LONGEST);
        assert_eq!(follower.asks(), Asked::After(cursor("a")));
        follower.said(said("b", false, 1), IDLE, 0);
        assert_eq!(follower.failed(&trouble, 0), FIRST / 2);
    }

    #[test]
    fn a_service_may_ask_for_more_time_but_not_for_a_day() {
        let mut follower = Follower::default();
        let wish = |seconds| Trouble::Status(503, Some(Duration::from_secs(seconds)));
        assert_eq!(follower.failed(&wish(100), 0), Duration::from_secs(100));
        assert_eq!(follower.failed(&wish(86_400), 0), PATIENT);
    }
}
