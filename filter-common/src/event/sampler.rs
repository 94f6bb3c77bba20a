//! The sampler: chooses which drops are reported as events.

use super::mix;
use crate::{decide::Clock, rate::Rate, settings::Settings, source::Address};

/// One CPU's choice of which drops become events. All zero is the beginning.
///
/// The first drop of a source is reported, and stands for itself. Of all others one
/// in so many is reported, on average, and stands for those before it that weren't:
/// its [`Telling::weight`]. So the weights of all events, and what is
/// [`untold`](Self::untold), add up to the drops; and because the gap from one
/// to the next is thrown by dice, nobody who sends in step with it can hide or
/// push himself forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sampler {
    /// Events that were sent.
    pub sent: u64,
    /// Drops that no event was emitted for, by sampling or for lack of budget.
    pub suppressed: u64,
    /// Events that found no room on their way.
    pub lost: u64,
    /// Drops that no event stands for yet.
    pub untold: u64,
    /// Drops since the last event that was sent.
    since: u64,
    /// How many drops further on one is due that stands for the untold; 0 and 1:
    /// the next.
    left: u64,
    /// State of the random generator; 0: not yet seeded.
    dice: u64,
    /// 1: among the untold is a source's first drop, for lack of budget or room.
    short: u64,
    /// Arrival time of the budget.
    budget: u64,
    /// From when on the daemon may be woken again.
    wake: u64,
    /// Which sources were seen of late.
    seen: [Seen; SLOTS],
}

/// A source seen of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct Seen {
    source: u64,
    /// When it is forgotten, by [`stroke`]; 0: nothing is here.
    until: u32,
    /// [`Family`](crate::source::Family), and above it the mode in which it was seen: a
    /// drop that is carried out is another thing than one that would have been.
    family: u32,
}

/// The event that a drop calls for, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The first drop of this source in about [`LIFETIME`] seconds.
    pub first: bool,
    /// An event is to be sent.
    pub send: bool,
    /// The daemon is to be woken for it.
    pub wake: bool,
    /// Monotonic nanoseconds, if `send`.
    pub now: u64,
    /// Drops since the last event that was sent, if `send`.
    pub suppressed_before: u64,
    /// Drops that the event stands for, if `send`: itself, and if `sampled` all
    /// that are untold.
    pub weight: u64,
    /// It stands for the untold.
    pub sampled: bool,
}

/// Sources that a CPU remembers.
pub const SLOTS: usize = 256;

/// Seconds for which a CPU remembers a source; up to one less.
pub const LIFETIME: u32 = 60;

/// The same, by [`stroke`].
const STROKES: u32 = ((LIFETIME as u64 * 1_000_000_000) >> STROKE) as u32 + 1;

/// A clock that strikes about once a second, for a shift in place of a division.
#[inline(always)]
const fn stroke(nanoseconds: u64) -> u32 {
    (nanoseconds >> STROKE) as u32
}

const STROKE: u32 = 30;

/// Nanoseconds between two wake-ups of the daemon by one CPU. In between it
/// comes by itself.
pub const WAKE_EVERY: u64 = 20_000_000;

/// At one drop in so many a CPU looks whether a known source is forgotten: reading
/// even the coarse clock at each would show.
pub const LOOK: u64 = 16;

impl Sampler {
    /// No event was emitted yet.
    pub const NEW: Self = Self {
        sent: 0,
        suppressed: 0,
        lost: 0,
        untold: 0,
        since: 0,
        left: 0,
        dice: 0,
        short: 0,
        budget: 0,
        wake: 0,
        seen: [Seen {
            source: 0,
            until: 0,
            family: 0,
        }; SLOTS],
    };

    /// Chooses whether a drop is reported: the first of a source, then one in so
    /// many, all within the budget. Of a source that is known the clock is read
    /// only at its turn, and at one drop in [`LOOK`] to see if it is forgotten; the
    /// exact one only for what is reported, since in a flood nearly nothing is.
    #[inline(always)]
    pub fn tell<C: Clock>(&mut self, source: &Address, settings: &Settings, clock: &C) -> Telling {
        let mut telling = Telling {
            first: false,
            send: false,
            wake: false,
            now: 0,
            suppressed_before: 0,
            weight: 1,
            sampled: false,
        };
        let key = source.source();
        let family = source.family as u32 | (settings.mode as u32) << 8;
        let seen = &mut self.seen[slot(key, family)];
        let due = settings.sample != 0 && self.left <= 1;
        let known = seen.until != 0 && seen.source == key && seen.family == family;
        if known && !due && !self.since.is_multiple_of(LOOK) {
            self.suppress();
            return telling;
        }
        let about = clock.coarse();
        if !known || stroke(about) >= seen.until {
            telling.first = true;
            *seen = Seen {
                source: key,
                until: stroke(about).wrapping_add(STROKES),
                family,
            };
        }
        // A first drop isn't like those that weren't reported, unless firsts are
        // among them.
        telling.sampled = due && (!telling.first || self.short != 0);
        if !telling.first && !telling.sampled {
            self.suppress();
            return telling;
        }
        if self.dice == 0 {
            self.dice = mix(about, 0) | 1;
            self.left = self.draw(settings.sample);
        }
        if !self.pay(&settings.event_budget, about) {
            if telling.first {
                self.short = 1;
            }
            if telling.sampled {
                // Not at each drop from now on: that would read the clock.
                self.left = self.draw(settings.sample.min(LOOK as u32));
            }
            self.suppress();
            return telling;
        }
        let now = clock.nanoseconds();
        telling.send = true;
        telling.now = now;
        telling.suppressed_before = self.since;
        if telling.sampled {
            telling.weight += self.untold;
            self.left = self.draw(settings.sample);
        }
        // Wrapping, so that any beginning is one that lies in the past.
        if now.wrapping_sub(self.wake) < u64::MAX / 2 {
            telling.wake = true;
            self.wake = now.wrapping_add(WAKE_EVERY);
        }
        telling
    }

    /// The event went out.
    #[inline(always)]
    pub const fn sent(&mut self, telling: &Telling) {
        self.sent += 1;
        self.since = 0;
        if telling.sampled {
            self.untold = 0;
            self.short = 0;
        }
    }

    /// The event found no room.
    #[inline(always)]
    pub const fn lost(&mut self, telling: &Telling) {
        self.lost += 1;
        self.since += 1;
        self.untold += 1;
        if telling.first {
            self.short = 1;
        }
    }

    #[inline(always)]
    const fn suppress(&mut self) {
        self.suppressed += 1;
        self.since += 1;
        self.untold += 1;
        self.left = self.left.saturating_sub(1);
    }

    /// A number from 1 to `2 * mean - 1`, each as likely as any other.
    #[inline(always)]
    const fn draw(&mut self, mean: u32) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let span = (2 * mean as u64).saturating_sub(1);
        1 + (((mix(self.dice, 0) >> 33) * span) >> 31)
    }

    #[inline(always)]
    const fn pay(&mut self, budget: &Rate, now: u64) -> bool {
        if !budget.is_set() {
            return false;
        }
        let (next, admitted) = budget.step(self.budget, now, budget.cost(1));
        self.budget = next;
        admitted
    }
}

#[inline(always)]
const fn slot(key: u64, family: u32) -> usize {
    (mix(key, family) >> 56) as usize & (SLOTS - 1)
}

#[cfg(test)]
mod tests;
