//! The pulse of each thread (a watchdog's heartbeat): `weir status --check` reports
//! one that hasn't moved.
//!
//! A thread that waits for work has nothing to do with its pulse; one that is in the
//! middle of something is as old as its last beat.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::host::clock;

/// A thread's pulse. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Pulse {
    name: &'static str,
    /// Milliseconds of the monotonic clock at the last beat; [`RESTS`] while it rests.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// The pulse of a thread that rests as yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            last: Arc::new(AtomicU64::new(RESTS)),
        }
    }

    /// Records that the thread moves.
    pub fn beat(&self) {
        self.last.store(now(), Relaxed);
    }

    /// Records that the thread waits for work, however long that takes.
    pub fn rest(&self) {
        self.last.store(RESTS, Relaxed);
    }

    /// Time since the last beat; none while it rests.
    #[must_use]
    pub fn age(&self) -> Duration {
        match self.last.load(Relaxed) {
            RESTS => Duration::ZERO,
            last => Duration::from_millis(now().saturating_sub(last)),
        }
    }

    /// The thread's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The pulses of all threads. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Pulses {
    all: Arc<Mutex<Vec<Pulse>>>,
}

impl Pulses {
    /// Registers a thread. Its pulse is in the list until no clone of it is left.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Pulse {
        let pulse = Pulse::new(name);
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pulse.clone());
        pulse
    }

    /// Threads whose last beat is longer ago than [`STUCK_AFTER`], and how long.
    #[must_use]
    pub fn stuck(&self) -> Vec<(&'static str, Duration)> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|pulse| Arc::strong_count(&pulse.last) > 1);
        all.iter()
            .map(|pulse| (pulse.name, pulse.age()))
            .filter(|(_, age)| *age > STUCK_AFTER)
            .collect()
    }
}

/// Milliseconds of the monotonic clock.
fn now() -> u64 {
    clock::monotonic_nanoseconds() / 1_000_000
}

/// The age at which a thread is stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);

/// How often a thread that is well beats.
pub const BEAT_EVERY: Duration = Duration::from_millis(500);

const RESTS: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_doesnt_move_is_stuck_and_one_that_rests_isnt() {
        let pulses = Pulses::default();
        let (check, store) = (pulses.register("check"), pulses.register("store"));
        check.beat();
        store.rest();
        assert!(pulses.stuck().is_empty());
        let five_seconds = u64::try_from(STUCK_AFTER.as_millis()).expect("it is short");
        check.last.store(now() - five_seconds - 1, Relaxed);
        let stuck = pulses.stuck();
        assert_eq!(stuck.len(), 1, "{stuck:?}");
        assert_eq!(stuck[0].0, "check");
        assert!(stuck[0].1 > STUCK_AFTER);
        check.rest();
        assert!(pulses.stuck().is_empty());
        drop(check);
        assert!(pulses.stuck().is_empty());
        assert_eq!(pulses.all.lock().expect("unpoisoned").len(), 1);
    }
}
