//! CPUs that race for one word, in virtual time.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::{sync::Barrier, thread, vec::Vec};

use super::{super::*, KEY, NOW, seed};
use crate::rate::{Kind, RACES};

#[test]
fn racing_cpus_admit_exactly_the_burst_where_time_stands_still() {
    const BURST: u64 = 10_000;
    let rate = fast(BURST);
    let counts = race(&rate, BURST / 2, || NOW);
    let attempts = THREADS * (BURST / 2);
    assert_eq!(counts.admitted + counts.lost + counts.over, attempts);
    if counts.over > 0 {
        assert_eq!(
            counts.admitted, BURST,
            "refused before the burst was used up"
        );
    } else {
        assert_eq!(counts.admitted, attempts - counts.lost);
    }
}

#[test]
fn racing_cpus_admit_no_more_than_the_burst_and_the_rate() {
    // Also where the bits of the time overflow into the tag.
    for start in [0, (1 << 32) - 3_000_000, NOW] {
        let rate = fast(500);
        let clock = AtomicU64::new(start);
        let counts = race(&rate, 20_000, || clock.fetch_add(100, SeqCst));
        let window = clock.load(SeqCst).wrapping_sub(start);
        assert!(
            counts.admitted <= 500 + window / 1_000,
            "{counts:?} in {window} ns"
        );
        assert!(counts.admitted >= 500 && counts.over > 0);
    }
}

/// A CPU's sight of a word that all share; it counts the races it lost.
struct Shared<'a> {
    word: &'a AtomicU64,
    lost: &'a core::cell::Cell<usize>,
}

impl Cell for Shared<'_> {
    fn load(&self) -> u64 {
        self.word.load(SeqCst)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        let replaced = self.word.compare_exchange(old, new, SeqCst, SeqCst).is_ok();
        self.lost.set(self.lost.get() + usize::from(!replaced));
        replaced
    }
}

#[derive(Debug, Default)]
struct Counts {
    admitted: u64,
    lost: u64,
    over: u64,
}

/// So many attempts on each of [`THREADS`] CPUs, all begun together.
fn race(rate: &Rate, attempts: u64, clock: impl Fn() -> u64 + Sync) -> Counts {
    let words: [AtomicU64; WAYS] = Default::default();
    let barrier = Barrier::new(THREADS as usize);
    let seed = Seed {
        shifts: [rate.shift; CLASSES],
        ..seed(KEY, 8)
    };
    let racer = || {
        let mut counts = Counts::default();
        barrier.wait();
        for _ in 0..attempts {
            let lost = core::cell::Cell::new(0);
            let line = Line(words.each_ref().map(|word| Shared { word, lost: &lost }));
            let now = clock();
            let ask = Ask::new(3, 0, rate, now, 1);
            if charge(&line, &ask, rate, now, &seed, |word| word) != 0 {
                counts.admitted += 1;
            } else if lost.get() == RACES {
                counts.lost += 1;
            } else {
                counts.over += 1;
            }
        }
        counts
    };
    thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS).map(|_| scope.spawn(racer)).collect();
        racers.into_iter().fold(Counts::default(), |sum, racer| {
            let counts = racer.join().expect("a racer doesn't panic");
            Counts {
                admitted: sum.admitted + counts.admitted,
                lost: sum.lost + counts.lost,
                over: sum.over + counts.over,
            }
        })
    })
}

/// A million a second, in ticks of four nanoseconds.
fn fast(burst: u64) -> Rate {
    let rate = Rate::new(1_000_000, 1_000_000_000, burst).expect("a rate");
    rate.in_ticks(Kind::Packets, 2, 0).expect("held within 1 %")
}

const THREADS: u64 = 4;
