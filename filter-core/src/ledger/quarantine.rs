//! The quarantine (an RCU-like grace period): numbers of claims that are gone, until no event can name them any more.
//!
//! An event carries the number of the claim that judged. It may come late: the
//! tables held the claim until the patch was carried out, a program that was
//! running then still judges by what it found, and an event waits in the ring
//! until the daemon reads it. So a number is used again only when
//!
//! 1. the tables don't hold it any more ([`Quarantine::in_force`] says since when);
//! 2. [`QUARANTINE_SECONDS`] seconds have passed since, which no program runs;
//! 3. every event sent before that was reported ([`Quarantine::told`]).
//!
//! Until then the claim's words are kept, so that the event names it.

use std::collections::VecDeque;

/// The numbers in quarantine, in the order in which their claims went.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    numbers: VecDeque<u32>,
    /// Since which second since boot the tables don't hold so many of them, the
    /// first of them first.
    out: VecDeque<(u32, usize)>,
    /// How many, the last of them, the tables may still hold.
    within: usize,
}

impl Quarantine {
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether the tables may still hold some.
    pub(super) const fn are_within(&self) -> bool {
        self.within > 0
    }

    /// From which second since boot on [`told`](Self::told) frees some.
    pub(super) fn due(&self) -> Option<u32> {
        let (since, _numbers) = self.out.front()?;
        Some(since.saturating_add(QUARANTINE_SECONDS))
    }

    /// Adds the number of a claim that is gone.
    pub(super) fn push(&mut self, number: u32) {
        self.numbers.push_back(number);
        self.within += 1;
    }

    /// Notes that the tables hold none of them any more.
    pub(super) fn in_force(&mut self, boot: u32) {
        let went = std::mem::take(&mut self.within);
        if went == 0 {
            return;
        }
        match self.out.back_mut() {
            // A second more for some is better than a mark for each.
            Some((since, numbers)) if *since >= boot => *numbers += went,
            _ => self.out.push_back((boot, went)),
        }
    }

    /// Notes that every event sent before this second was reported. Gives the numbers
    /// that are free now.
    pub(super) fn told(&mut self, boot: u32) -> impl Iterator<Item = u32> {
        let mut free = 0;
        while let Some((_since, numbers)) = self
            .out
            .pop_front_if(|(since, _numbers)| since.saturating_add(QUARANTINE_SECONDS) <= boot)
        {
            free += numbers;
        }
        self.numbers.drain(..free)
    }

    /// Gives back the memory of many that have left.
    pub(super) fn tidy(&mut self) {
        if self.numbers.capacity() > SPARE && self.numbers.len() < self.numbers.capacity() / 4 {
            self.numbers.shrink_to(2 * self.numbers.len());
        }
    }
}

/// Seconds for which a number rests after the tables have let it go. The clock
/// is read in whole seconds, so at least four pass.
pub(super) const QUARANTINE_SECONDS: u32 = 5;

/// Room for numbers that isn't worth giving back.
const SPARE: usize = 1 << 16;
