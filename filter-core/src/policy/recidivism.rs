//! Recidivism: how often a source was blocked. Each next block is twice as long, and needs
//! half as much.

use super::{
    keyed::{Keyed, keyed},
    rules::Mode,
};

/// Sources that were blocked within the last day or so.
#[derive(Debug)]
pub(super) struct Recidivism {
    sources: [Keyed<Offender>; 2],
    /// So many are remembered at most.
    most: usize,
    swept: u32,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offender {
    /// Blocks so far.
    pub(super) blocks: u8,
    /// When the last one ends.
    pub(super) until: u32,
}

impl Recidivism {
    pub(super) const fn new(most: usize, seed: u64) -> Self {
        Self {
            sources: [keyed(seed), keyed(seed)],
            most,
            swept: 0,
        }
    }

    /// Blocks of a source, if the last one ended less than `within` ago.
    pub(super) fn blocks(&self, source: u64, mode: Mode, within: u32, now: u32) -> u8 {
        let offender = self.sources[mode as usize].get(&source);
        let lately = offender.filter(|one| now.saturating_sub(one.until) < within);
        lately.map_or(0, |one| one.blocks)
    }

    /// Notes the block of a source.
    pub(super) fn block(
        &mut self,
        source: u64,
        mode: Mode,
        offender: Offender,
        within: u32,
        now: u32,
    ) {
        let sources = &mut self.sources[mode as usize];
        // What is forgotten is swept out rarely: it takes a look at all of them.
        if sources.len() >= self.most && now > self.swept {
            self.swept = now + SWEEP;
            sources.retain(|_, one| now.saturating_sub(one.until) < within);
        }
        if sources.len() < self.most || sources.contains_key(&source) {
            sources.insert(source, offender);
        }
    }

    /// Forgets a source's blocks: they weren't its fault.
    pub(super) fn pardon(&mut self, source: u64, mode: Mode) {
        self.sources[mode as usize].remove(&source);
    }

    pub(super) fn get(&self, source: u64, mode: Mode) -> Option<Offender> {
        self.sources[mode as usize].get(&source).copied()
    }

    /// Every source that was blocked.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.sources
            .iter()
            .flat_map(|sources| sources.keys().copied())
    }
}

/// Seconds between two sweeps.
const SWEEP: u32 = 60;
