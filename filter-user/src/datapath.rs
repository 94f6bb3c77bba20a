//! The datapath: the loaded programs and their tables.
//!
//! Two of them exist: the kernel's, and one in memory that runs the same law
//! on the host (the model of the tests, and the daemon's tests without root).

use anyhow::Result;
use filter_common::{cause::Cause, decide::Decision, event::Counter, settings::Settings};

use crate::{patch::Patch, plan::Plan, prefix::Prefix};

pub mod attach;
pub mod kernel;
pub mod memory;
pub mod pins;

/// What the daemon asks of the loaded programs and their tables.
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

    /// What would happen to this frame now. Changes nothing.
    ///
    /// # Errors
    /// If the program can't be run.
    fn explain(&mut self, frame: &[u8]) -> Result<Decision>;

    /// Everything that was counted.
    ///
    /// # Errors
    /// If the tables can't be read.
    fn counts(&self) -> Result<Counts>;
}

/// Everything that was counted since the tables were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By cause, in the order of [`Cause::ALL`].
    pub causes: [Counter; Cause::COUNT],
    /// By cause in the shadow.
    pub shadow: [Counter; Cause::COUNT],
    /// Events that were sent.
    pub sent: u64,
    /// Drops that weren't told, by sampling or for lack of budget.
    pub suppressed: u64,
    /// Events that found no room.
    pub lost: u64,
    /// Buckets that were made.
    pub buckets_made: u64,
    /// Packets that found no bucket.
    pub buckets_refused: u64,
}

/// Adds up what the CPUs counted each for itself.
pub(crate) fn sum<'a>(counters: impl IntoIterator<Item = &'a Counter>) -> Counter {
    counters
        .into_iter()
        .fold(Counter::default(), |sum, counter| Counter {
            packets: sum.packets + counter.packets,
            bytes: sum.bytes + counter.bytes,
            dropped_packets: sum.dropped_packets + counter.dropped_packets,
            dropped_bytes: sum.dropped_bytes + counter.dropped_bytes,
            connections: sum.connections + counter.connections,
            sources: sum.sources + counter.sources,
        })
}
