//! The active sanctions, and when each has to be issued again.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    keyed::{Keyed, keyed},
    rules::Mode,
};

/// The kind of a sanction, or of a raised tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// It is attested: a tier by its devices, never less than an unknown one's.
    Raised,
    /// It is attested, and does harm: a tier by its devices.
    Held,
    /// It was blocked, or would be if it hadn't been attested lately.
    Bootstrap,
    /// It is held to a step's tier.
    Limited,
    /// It is blocked.
    Blocked,
}

/// One verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sanction {
    /// When it ends.
    pub(super) until: u32,
    /// Its end as the claim was issued: it is prolonged without a new claim, and issued
    /// again when this has come.
    pub(super) said: u32,
    pub(super) evidence: u16,
    /// The reason's number in [`Texts`].
    pub(super) reason: u8,
    /// The rule and its step.
    pub(super) step: (u8, u8),
    pub(super) kind: Kind,
    /// The tier, unless it is blocked.
    pub(super) tier: u8,
}

/// The sanctions on one source: enforced, and only counted.
pub(super) type Both = [Option<Sanction>; 2];

/// All active sanctions.
#[derive(Debug)]
pub(super) struct Active {
    sources: Keyed<Both>,
    /// The ends of issued claims, and their sources. What was issued again since, or taken
    /// back, is found out when its time comes.
    ends: BinaryHeap<Reverse<(u32, u64)>>,
}

impl Active {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            sources: keyed(seed),
            ends: BinaryHeap::new(),
        }
    }

    pub(super) fn of(&self, source: u64) -> Both {
        self.sources.get(&source).copied().unwrap_or_default()
    }

    pub(super) fn get(&self, source: u64, mode: Mode) -> Option<Sanction> {
        self.of(source)[slot(mode)]
    }

    pub(super) fn contains(&self, source: u64) -> bool {
        self.sources.contains_key(&source)
    }

    /// Sources with a sanction.
    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Issues it until it ends, and notes that it has to be looked at then.
    pub(super) fn say(&mut self, source: u64, mode: Mode, sanction: Sanction) {
        let sanction = Sanction {
            said: sanction.until,
            ..sanction
        };
        self.sources.entry(source).or_default()[slot(mode)] = Some(sanction);
        self.ends.push(Reverse((sanction.until, source)));
    }

    /// Prolongs it: the claim is issued again only when its time has come.
    pub(super) fn prolong(&mut self, source: u64, mode: Mode, until: u32, evidence: u16) {
        if let Some(sanction) = self
            .sources
            .get_mut(&source)
            .and_then(|both| both[slot(mode)].as_mut())
        {
            sanction.until = sanction.until.max(until);
            sanction.evidence = sanction.evidence.max(evidence);
        }
    }

    /// Takes it back, if there is something.
    pub(super) fn take(&mut self, source: u64, mode: Mode) -> Option<Sanction> {
        let both = self.sources.get_mut(&source)?;
        let taken = both[slot(mode)].take();
        if both.iter().all(Option::is_none) {
            self.sources.remove(&source);
        }
        taken
    }

    /// When something has to be looked at next.
    pub(super) fn due(&self) -> Option<u32> {
        self.ends.peek().map(|Reverse((until, _))| *until)
    }

    /// A source of which an issued claim has ended by now.
    pub(super) fn ended(&mut self, now: u32) -> Option<u64> {
        if self.due()? > now {
            return None;
        }
        self.ends.pop().map(|Reverse((_, source))| source)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Mode, Sanction)> {
        self.sources.iter().flat_map(|(source, both)| {
            let modes = [Mode::Enforce, Mode::Observe];
            let all = modes.into_iter().zip(both);
            all.filter_map(|(mode, sanction)| Some((*source, mode, (*sanction)?)))
        })
    }
}

const fn slot(mode: Mode) -> usize {
    match mode {
        Mode::Enforce => 0,
        Mode::Observe => 1,
    }
}

/// Texts of reasons, each kept once. Whoever sends reasons may send any text, so
/// that there is an end to them.
#[derive(Debug)]
pub(super) struct Texts {
    texts: Vec<Arc<str>>,
}

impl Texts {
    pub(super) fn number(&mut self, text: &Arc<str>) -> u8 {
        if let Some(number) = self.texts.iter().position(|known| known == text) {
            return number as u8;
        }
        if self.texts.len() > MOST || text.len() > LONGEST {
            return OTHER;
        }
        self.texts.push(Arc::clone(text));
        (self.texts.len() - 1) as u8
    }

    pub(super) fn text(&self, number: u8) -> Arc<str> {
        let text = self.texts.get(usize::from(number));
        Arc::clone(text.unwrap_or_else(|| &self.texts[usize::from(OTHER)]))
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            texts: vec![ATTESTED.into(), "other".into()],
        }
    }
}

/// The reason of a raised tier.
pub(super) const ATTESTED: &str = "attested";

/// Its number.
pub(super) const OF_ATTESTED: u8 = 0;

/// The number of every text for which there is no number left.
const OTHER: u8 = 1;

/// Bytes of a text that is kept.
const LONGEST: usize = 64;

/// Texts that are kept.
const MOST: usize = 250;
