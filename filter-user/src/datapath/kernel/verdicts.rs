//! What is asked of the verdict tables besides to change.

use std::sync::atomic::Ordering::Relaxed;

use filter_common::{
    decide::Clock,
    event::HITS,
    source::{Address, Family},
    table::Standing,
};

use super::Kernel;
use crate::datapath::table::Fill;

impl Kernel {
    /// Whether memory of the verdict tables waits for the programs that run from
    /// now on to end. Then [`grace`](super::grace) is to be waited for and
    /// [`release`](Self::release) to be called.
    pub fn seal(&mut self) -> bool {
        self.tables.verdicts.seal()
    }

    /// The programs that ran when it was sealed have ended.
    pub fn release(&mut self) {
        self.tables.verdicts.release();
    }

    /// About how many packets a claim has judged; `None` for a number beyond what
    /// is counted.
    #[must_use]
    pub fn hits(&self, claim: u32) -> Option<u64> {
        let pair = self.tables.hits.get(claim as usize / 2)?.load(Relaxed);
        let counted = (pair >> (claim % 2 * 32)) as u32;
        Some(u64::from(counted) * HITS)
    }

    /// The number is nobody's any more.
    pub fn forget_hits(&self, claim: u32) {
        if let Some(pair) = self.tables.hits.get(claim as usize / 2) {
            pair.fetch_and(u64::from(u32::MAX) << ((claim + 1) % 2 * 32), Relaxed);
        }
    }

    /// What holds for a source, read on the host from the memory that the
    /// programs read.
    #[must_use]
    pub fn standing(&self, source: &Address, clock: &impl Clock) -> Standing {
        self.tables.verdicts.standing(source, clock)
    }

    /// How full the verdict table of a family is.
    #[must_use]
    pub fn fill(&self, family: Family) -> Fill {
        self.tables.verdicts.fill(family)
    }
}
