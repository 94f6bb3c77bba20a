//! In which ticks a rate is kept: a word has 30 bits for the time, so that each
//! rate needs a tick that is fine enough for its rate and coarse enough for its
//! burst. Always to the safe side: never more than the rate and the burst.

use super::{FRACTION, LATE, Rate, Rates, Tier, WHOLE};
use crate::{bucket::AHEAD, source::Family};

/// The quantity that a rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Packets.
    Packets = 0,
    /// Bytes of the whole frame.
    Bytes = 1,
    /// New connections.
    Connections = 2,
}

impl Kind {
    /// In the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Packets, Self::Bytes, Self::Connections];

    /// The least that a packet weighs: of bytes the shortest frame of Ethernet.
    const fn least(self) -> u64 {
        match self {
            Self::Bytes => 60,
            Self::Packets | Self::Connections => 1,
        }
    }
}

impl Rate {
    /// The same rate in ticks of `1 << shift` nanoseconds. `None` if it isn't
    /// held within 1 % so, or if the burst is longer than a word can tell.
    #[must_use]
    pub const fn in_ticks(self, kind: Kind, shift: u8, class: u8) -> Option<Self> {
        if !self.is_set() {
            return Some(self);
        }
        if self.shift != 0 || shift > MAX_SHIFT || !self.is_fine(kind, shift) {
            return None;
        }
        let limit = self.limit_in_ticks(kind, shift);
        if limit == 0 || limit > LONGEST as u128 {
            return None;
        }
        let late = if shift < 5 { LATE - 5 } else { LATE - shift };
        Some(Self {
            interval: self.interval_in_ticks(kind, shift),
            limit: limit as u64,
            shift,
            class,
            late,
            ..self
        })
    }

    /// Whether ticks of `1 << shift` nanoseconds hold the rate within 1 %,
    /// whatever the burst and the packet. (Something of the hundredth was lost
    /// before, to whole nanoseconds or their 1,024ths.)
    #[must_use]
    pub const fn is_fine(&self, kind: Kind, shift: u8) -> bool {
        let exact = kind.least() as u128 * self.interval as u128;
        let mut held = kind.least() as u128 * self.interval_in_ticks(kind, shift) as u128;
        if matches!(kind, Kind::Bytes) {
            // Up to one tick is lost to rounding at each frame.
            held += 1 << FRACTION;
        }
        let coarse = self.interval as u128 >= WHOLE || self.interval < 2048;
        let most = if coarse { 10_090 } else { 10_095 };
        (held << shift) * 10_000 <= exact * most
    }

    /// The most units that may come at once in ticks of `1 << shift` nanoseconds.
    #[must_use]
    pub const fn largest_burst(&self, kind: Kind, shift: u8) -> u64 {
        let interval = self.interval_in_ticks(kind, shift);
        (((LONGEST as u128) << FRACTION) / interval as u128) as u64
    }

    /// Packets and connections cost a whole number of ticks, so that a burst of
    /// five admits all five; and one tick more than they need, because two
    /// moments that are read in ticks seem up to one further apart than they are.
    const fn interval_in_ticks(&self, kind: Kind, shift: u8) -> u64 {
        match kind {
            Kind::Bytes => self.interval.div_ceil(1 << shift),
            Kind::Packets | Kind::Connections => {
                (self.interval.div_ceil(1 << (shift as u32 + FRACTION)) + 1) << FRACTION
            }
        }
    }

    /// Of bytes one tick less than the burst takes, for the same reason.
    const fn limit_in_ticks(&self, kind: Kind, shift: u8) -> u128 {
        match kind {
            Kind::Bytes => (self.limit >> shift).saturating_sub(1) as u128,
            Kind::Packets | Kind::Connections => {
                let burst = ((self.limit as u128) << FRACTION) / self.interval as u128;
                burst * (self.interval_in_ticks(kind, shift) >> FRACTION) as u128
            }
        }
    }
}

impl Tier {
    /// The same tier, each rate in the coarsest of these ticks that holds it.
    /// `None` if one is held by none.
    #[must_use]
    pub fn in_ticks(&self, shifts: &[u8]) -> Option<Self> {
        let together = Rates {
            connections: self.together,
            ..Rates::NONE
        };
        let of = |family| self.neighbourhood(family).in_ticks(shifts);
        let tier = Self::new(self.source.in_ticks(shifts)?, of(Family::V4)?)
            .with_neighbourhood(Family::V6, of(Family::V6)?);
        Some(tier.with_together(together.in_ticks(shifts)?.connections))
    }
}

impl Rates {
    fn in_ticks(&self, shifts: &[u8]) -> Option<Self> {
        let held = |kind: Kind| {
            let rate = self.of(kind as u32);
            let mut best: Option<Rate> = None;
            for (class, shift) in (0..).zip(shifts) {
                if let Some(one) = rate.in_ticks(kind, *shift, class)
                    && best.is_none_or(|best| best.shift < one.shift)
                {
                    best = Some(one);
                }
            }
            best
        };
        Some(Self {
            packets: held(Kind::Packets)?,
            bytes: held(Kind::Bytes)?,
            connections: held(Kind::Connections)?,
        })
    }
}

/// The coarsest tick: about a second. A unit takes 137 at most.
pub const MAX_SHIFT: u8 = 30;

/// The longest burst in ticks. Beyond it there is room for what a late clock
/// writes.
const LONGEST: u64 = AHEAD / 4 * 3;
