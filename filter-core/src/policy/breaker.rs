//! The breaker: when it isn't the callers who fail.
//!
//! A rotated key, a vendor's outage or an old release of the app look like a
//! million abusers. What tells them apart is who fails: sources that were
//! attested before. Strangers who fail, however many, are what the policy is
//! there for, and an attacker who could open the breaker with addresses alone
//! would switch the policy off.

use std::{collections::HashSet, fmt};

use super::table::mix;

/// Why no new verdict is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// The alarm's cause.
    pub why: Why,
    /// Unix time in seconds since which it is.
    pub since: u32,
}

/// The alarm's cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// Of the sources that were attested before, too many only fail.
    Failing {
        /// Their share when it was noticed, of 1.
        share: f32,
        /// The usual share.
        usual: f32,
    },
    /// Calls come, and none is attested.
    Silent {
        /// So many sources they come from, about.
        sources: u32,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { share, usual } => write!(
                f,
                "of the sources that were attested before, {:.1} % only fail, and {:.1} % are usual: look at the keys, the attestation service and the app's last release",
                share * 100.0,
                usual * 100.0
            ),
            Self::Silent { sources } => write!(
                f,
                "calls come from {sources} sources and none is attested: look at the keys, the attestation service and the app's last release"
            ),
        }
    }
}

/// A change of the breaker's state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    Opened(Why),
    Closed,
}

/// A call as the breaker sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Its source was attested before.
    pub(super) known: bool,
    /// A step holds its source already: its failures are its own.
    pub(super) sanctioned: bool,
    pub(super) attested: bool,
}

/// The circuit breaker: counts who calls and who is attested, half a minute at a time.
#[derive(Debug)]
pub(super) struct Breaker {
    /// When this half-minute ends.
    end: u32,
    /// Sources that were attested before and call.
    known: Distinct,
    /// Those of them that were attested in this half-minute.
    good: Distinct,
    /// The share that only fails, as it usually is.
    pub(super) usual: f32,
    open: bool,
    /// Half-minutes in a row in which nothing was the matter.
    calm: u8,
    /// When the first and the last call failed since the last one that was
    /// attested.
    silent: Option<(u32, u32)>,
    /// Sources of these calls.
    unheard: Distinct,
    /// Whether one of them was attested before.
    unheard_known: bool,
    attested: bool,
    /// Sources that a step held when it opened: their failures are their own.
    explained: HashSet<u64>,
}

impl Breaker {
    pub(super) fn new(now: u32) -> Self {
        Self {
            end: now + WINDOW,
            known: Distinct::new(),
            good: Distinct::new(),
            usual: USUAL,
            open: false,
            calm: 0,
            silent: None,
            unheard: Distinct::new(),
            unheard_known: false,
            attested: false,
            explained: HashSet::new(),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// When it must be asked again, if no call comes before.
    pub(super) const fn due(&self) -> u32 {
        self.end
    }

    /// Takes the time. `silent_for`: [`Rules::silent_for`](super::Rules::silent_for).
    pub(super) fn turn(&mut self, now: u32, silent_for: u32) -> Option<Turn> {
        if now < self.end {
            return None;
        }
        self.end = now + WINDOW;
        let known = self.known.count();
        let failing = (known - self.good.count()).max(0.0);
        let share = if known > 0.0 { failing / known } else { 0.0 };
        let line = FACTOR * self.usual.max(USUAL);
        let unheard = self.unheard.count();
        let long = |(first, last)| last - first >= silent_for.saturating_sub(WINDOW);
        let silent = self.silent.is_some_and(long);
        let why = if failing >= FEW && share > line {
            Some(Why::Failing {
                share,
                usual: self.usual,
            })
        } else if silent && (self.unheard_known || unheard >= FEW) {
            Some(Why::Silent {
                sources: unheard.round() as u32,
            })
        } else {
            None
        };
        if why.is_none() && known >= FEW && !self.open {
            self.usual += (share - self.usual) * SLOWLY;
        }
        let attested = std::mem::take(&mut self.attested);
        self.known.clear();
        self.good.clear();
        match why {
            Some(why) if !self.open => {
                self.open = true;
                self.calm = 0;
                Some(Turn::Opened(why))
            }
            Some(_) => {
                self.calm = 0;
                None
            }
            None if self.open => {
                // Without an attested call nothing shows that it is over.
                self.calm += u8::from(attested);
                if self.calm < CALM {
                    return None;
                }
                self.open = false;
                self.explained = HashSet::new();
                Some(Turn::Closed)
            }
            None => None,
        }
    }

    /// Notes while it opens that a step holds a source.
    pub(super) fn explain(&mut self, source: u64) {
        self.explained.insert(source);
    }

    /// Takes a call.
    pub(super) fn observe(&mut self, source: u64, call: Seen, now: u32) {
        let Seen {
            known,
            sanctioned,
            attested,
        } = call;
        let hash = mix(source);
        let explained = sanctioned || self.open && self.explained.contains(&source);
        if known && !explained {
            self.known.add(hash);
        }
        if attested {
            if known && !explained {
                self.good.add(hash);
            }
            self.attested = true;
            if self.silent.take().is_some() {
                self.unheard.clear();
                self.unheard_known = false;
            }
        } else if !explained {
            // After a pause it begins anew: calls must come all the while.
            let goes_on = |(_, last): &(u32, u32)| now - last <= PAUSE;
            if let Some((first, _)) = self.silent.filter(goes_on) {
                self.silent = Some((first, now));
            } else {
                self.silent = Some((now, now));
                self.unheard.clear();
                self.unheard_known = false;
            }
            self.unheard.add(hash);
            self.unheard_known |= known;
        }
    }
}

/// How many different ones there are, by a bit for each hash: within 1 % up to a
/// hundred thousand, exact for a few.
#[derive(Debug)]
struct Distinct {
    bits: Vec<u64>,
    set: u32,
}

impl Distinct {
    fn new() -> Self {
        Self {
            bits: vec![0; BITS / 64],
            set: 0,
        }
    }

    fn add(&mut self, hash: u64) {
        let bit = hash as usize % BITS;
        let word = &mut self.bits[bit / 64];
        let mask = 1 << (bit % 64);
        self.set += u32::from(*word & mask == 0);
        *word |= mask;
    }

    fn count(&self) -> f32 {
        let free = (BITS as u32 - self.set).max(1) as f32;
        BITS as f32 * (BITS as f32 / free).ln()
    }

    fn clear(&mut self) {
        if self.set > 0 {
            self.bits.fill(0);
            self.set = 0;
        }
    }
}

/// Bits of a count.
const BITS: usize = 1 << 16;

/// Seconds of a half-minute.
const WINDOW: u32 = 30;

/// Seconds without a call after which calls come anew.
const PAUSE: u32 = 120;

/// So many times the usual share is too much.
const FACTOR: f32 = 5.0;

/// The usual share until more is known, and at least.
const USUAL: f32 = 0.01;

/// Fewer sources say nothing. (A little less than twenty, for what counting
/// costs.)
const FEW: f32 = 19.5;

/// The weight of a half-minute in the usual share: half of it takes four hours.
const SLOWLY: f32 = 1.0 / 720.0;

/// Half-minutes in which nothing is the matter until it is over.
const CALM: u8 = 4;
