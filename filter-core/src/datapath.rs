//! The datapath: the loaded programs, their tables, and where they are attached.
//!
//! Two of them exist: the kernel's, and one in memory that runs the same law on the
//! host and may refuse (the model of the tests, and of an engine without root).

use anyhow::Result;
use filter_common::{
    bucket::{BucketKey, Line, Place, Usage, WAYS},
    cause::Cause,
    decide::Decision,
    event::{Counter, Sketch, WORDS},
    rate::Still,
    settings::Settings,
    source::Family,
};

use crate::{config, patch::Patch, plan::Plan, prefix::Prefix, table::Fill};

pub mod memory;

/// All that the daemon asks of the loaded programs, their tables, and the interfaces
/// that they are attached to.
#[expect(
    async_fn_in_trait,
    reason = "the daemon's loop awaits them on its own thread"
)]
pub trait Datapath {
    /// Puts what the configuration asks for into the tables: ports, services
    /// and tiers. What was there from an earlier plan and isn't in this one
    /// goes.
    ///
    /// # Errors
    /// If the tables refuse it; what was in force may then be mixed.
    fn configure(&mut self, plan: &Plan) -> Result<()>;

    /// Puts the settings in force.
    ///
    /// # Errors
    /// If the tables refuse them; what was in force stays.
    fn set(&mut self, settings: &Settings) -> Result<()>;

    /// Carries out a patch. Prefixes that don't fit come back with the reason;
    /// what was in force for them stays.
    fn apply(&mut self, patch: &Patch) -> Vec<(Prefix, String)>;

    /// Whether memory of the verdict tables waits for the programs that run from now
    /// on to end. Then a grace period is to be waited for, and
    /// [`release`](Self::release) to be called.
    fn seal(&mut self) -> bool;

    /// The programs that ran when it was sealed have ended.
    fn release(&mut self);

    /// Decides about this frame as the filter would now. Changes nothing.
    ///
    /// # Errors
    /// If the program can't be run.
    fn explain(&mut self, frame: &[u8]) -> Result<Decision>;

    /// Everything that was counted.
    ///
    /// # Errors
    /// If the tables can't be read.
    fn counts(&self) -> Result<Counts>;

    /// About how many packets a claim has judged; `None` for a number beyond those
    /// that are counted.
    fn hits(&self, claim: u32) -> Option<u64>;

    /// Begins to count the hits of this number anew: it is nobody's any more.
    fn forget_hits(&self, claim: u32);

    /// How full the verdict table of a family is.
    fn fill(&self, family: Family) -> Fill;

    /// Where a bucket is, and the words that stand there.
    ///
    /// # Errors
    /// If the table can't be read.
    fn bucket(&self, key: &BucketKey) -> Result<(Place, Line<Still>)>;

    /// Looks whether the filter can be put on an interface, and changes nothing.
    ///
    /// # Errors
    /// If the interface is missing, isn't Ethernet, or carries somebody else's
    /// program.
    async fn check(&self, interface: &str) -> Result<()>;

    /// Puts the filter on these interfaces, on all or on none: where one refuses, the
    /// others are as they were before.
    ///
    /// # Errors
    /// If one of them refuses, and which.
    async fn attach(
        &mut self,
        interfaces: &[String],
        wish: config::Attach,
    ) -> Result<Vec<Attached>>;

    /// Takes the filter off an interface, and waits until it is off.
    ///
    /// # Errors
    /// If it stays on.
    async fn detach(&mut self, attached: &Attached) -> Result<()>;

    /// Whether the filter is still where it was attached.
    ///
    /// # Errors
    /// If the interface can't be seen.
    async fn holds(&self, attached: &Attached) -> Result<bool>;
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// In the driver.
    Native,
    /// In the stack, where frames may be many packets merged into one.
    Generic,
}

impl Attach {
    /// The spelling in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    /// Whether an operator who wished so gets what was wished.
    #[must_use]
    pub const fn fulfils(self, wish: config::Attach) -> bool {
        match wish {
            config::Attach::Auto => true,
            config::Attach::Native => matches!(self, Self::Native),
            config::Attach::Generic => matches!(self, Self::Generic),
        }
    }
}

/// An interface with the filter on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub interface: String,
    /// Its index.
    pub index: u32,
    /// How.
    pub attach: Attach,
    /// The kernel's number of the program.
    pub program: u32,
}

/// How many entries the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// IPv4 prefixes.
    pub ipv4: u32,
    /// IPv6 prefixes.
    pub ipv6: u32,
    /// Words of buckets.
    pub buckets: u32,
}

impl Sizes {
    /// Lines of the table of buckets: eight words each, and the last one whole.
    #[must_use]
    pub const fn lines(&self) -> u32 {
        let lines = self.buckets.div_ceil(WAYS as u32);
        if lines == 0 { 1 } else { lines }
    }
}

/// Everything that was counted since the tables were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By cause, in the order of [`Cause::ALL`].
    pub causes: [Counter; Cause::COUNT],
    /// By cause in the shadow.
    pub shadow: [Counter; Cause::COUNT],
    /// About how many sources each cause hit, or would have hit.
    pub sources: [u64; Cause::COUNT],
    /// The same in the shadow.
    pub shadow_sources: [u64; Cause::COUNT],
    /// Events that were sent.
    pub sent: u64,
    /// Drops that weren't told, by sampling or for lack of budget.
    pub suppressed: u64,
    /// Events that found no room.
    pub lost: u64,
    /// Drops that no event stands for yet.
    pub untold: u64,
    /// What the table of buckets has seen.
    pub buckets: Usage,
}

/// About how many sources the CPUs saw together.
///
/// Linear counting: with `free` of `m` bits left, `m ln(m / free)` sources. By
/// chance it is off by a few in a hundred, and a full sketch says only that
/// there were very many.
pub fn sources<'a>(sketches: impl IntoIterator<Item = &'a Sketch>) -> u64 {
    let mut all = Sketch::NEW;
    for sketch in sketches {
        for (sum, word) in all.words.iter_mut().zip(&sketch.words) {
            *sum |= word;
        }
    }
    let free: u32 = all.words.iter().map(|word| word.count_zeros()).sum();
    let bits = f64::from(u32::try_from(WORDS * 64).expect("a small constant"));
    (bits * (bits / f64::from(free.max(1))).ln()).round() as u64
}

/// Adds up what the CPUs counted each for itself.
pub fn sum<'a>(counters: impl IntoIterator<Item = &'a Counter>) -> Counter {
    counters
        .into_iter()
        .fold(Counter::default(), |sum, counter| Counter {
            passed_packets: sum.passed_packets + counter.passed_packets,
            passed_bytes: sum.passed_bytes + counter.passed_bytes,
            dropped_packets: sum.dropped_packets + counter.dropped_packets,
            dropped_bytes: sum.dropped_bytes + counter.dropped_bytes,
            connections: sum.connections + counter.connections,
        })
}

#[cfg(test)]
mod tests {
    use filter_common::source::Address;

    use super::*;

    #[test]
    fn sources_are_counted_once_over_all_cpus_and_about_right() {
        for number in [0_u32, 1, 10, 1000, 20_000] {
            let mut cpus = [Sketch::NEW; 3];
            for host in 0..number {
                let source = Address::v4((0x0a00_0000 + host).to_be_bytes());
                cpus[host as usize % 3].add(&source);
                cpus[0].add(&source);
            }
            let estimated = sources(&cpus);
            let off = estimated.abs_diff(u64::from(number));
            assert!(
                off <= u64::from(number) / 20,
                "{number} sources: {estimated}"
            );
        }
    }
}
