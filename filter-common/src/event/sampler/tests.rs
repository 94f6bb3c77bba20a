use core::cell::Cell;
use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

mod totals;

proptest! {
    #[test]
    fn nothing_is_ever_unaccounted_for(
        settings in settings(),
        drops in proptest::collection::vec(drop(), 1..400),
    ) {
        let mut sampler = Sampler::NEW;
        let clock = Watch::at(1);
        let (mut recovered, mut weights, mut number) = (0, 0, 0);
        for Drop { source, pause, arrives } in drops {
            clock.pass(pause);
            number += 1;
            let telling = sampler.tell(&v4_source(source), &settings, &clock);
            if telling.send && arrives {
                recovered += 1 + telling.suppressed_before;
                weights += telling.weight;
                sampler.sent(&telling);
            } else if telling.send {
                sampler.lost(&telling);
            } else {
                prop_assert!(!telling.wake, "woken for nothing");
            }
            prop_assert_eq!(sampler.sent + sampler.lost + sampler.suppressed, number);
            prop_assert_eq!(recovered + sampler.since, number, "totals can't be recovered");
            prop_assert_eq!(weights + sampler.untold, number, "weights don't add up");
        }
    }

    #[test]
    fn no_window_tells_more_than_the_budget_and_none_wakes_twice(
        settings in settings(),
        drops in proptest::collection::vec(drop(), 1..400),
    ) {
        let mut sampler = Sampler::NEW;
        let clock = Watch::at(1);
        let mut told = Vec::new();
        let mut woken = None;
        for Drop { source, pause, arrives } in drops {
            clock.pass(pause);
            let telling = sampler.tell(&v4_source(source), &settings, &clock);
            if !telling.send {
                continue;
            }
            prop_assert_eq!(telling.now, clock.nanoseconds.get());
            told.push(telling.now);
            if telling.wake {
                prop_assert!(woken.is_none_or(|last| telling.now - last >= WAKE_EVERY));
                woken = Some(telling.now);
            } else {
                prop_assert!(woken.is_some_and(|last| telling.now - last < WAKE_EVERY));
            }
            if arrives { sampler.sent(&telling) } else { sampler.lost(&telling) }
        }
        let budget = &settings.event_budget;
        prop_assert!(budget.is_set() || told.is_empty());
        for (index, first) in told.iter().enumerate() {
            for (count, last) in (1..).zip(&told[index..]) {
                prop_assert!(budget.cost(1) * count <= budget.limit + (last - first));
            }
        }
    }
}

#[test]
fn the_first_drop_of_a_source_is_told_and_then_about_one_in_so_many() {
    for sample in [1, 2, 100] {
        let settings = with(sample, wide());
        let mut sampler = Sampler::NEW;
        let clock = Watch::at(5);
        let mut last = 0;
        for number in 0..u64::from(1_000 * sample) {
            let telling = sampler.tell(&v4_source(1), &settings, &clock);
            assert_eq!(telling.first, number == 0);
            if telling.send {
                let gap = number - last;
                assert!(number == 0 || (1..u64::from(2 * sample)).contains(&gap));
                assert_eq!(telling.suppressed_before, gap.saturating_sub(1));
                assert_eq!(telling.weight, gap.max(1));
                last = number;
                sampler.sent(&telling);
            }
        }
        assert!(sampler.sent.abs_diff(1_000) < 60, "{} sent", sampler.sent);
        assert!(sample != 1 || sampler.sent == 1_000);
    }
}

#[test]
fn without_a_sample_only_first_drops_are_told() {
    let settings = with(0, wide());
    let mut sampler = Sampler::NEW;
    let clock = Watch::at(5);
    for number in 0..200 {
        let telling = sampler.tell(&v4_source(1), &settings, &clock);
        assert_eq!(telling.send, number == 0);
        if telling.send {
            sampler.sent(&telling);
        }
    }
    let other = sampler.tell(&v4_source(2), &settings, &clock);
    assert!(other.send && other.first);
    assert_eq!(other.suppressed_before, 199);
}

#[test]
fn without_a_budget_nothing_is_told_and_first_drops_still_count() {
    for sample in [0, 1, 100] {
        let settings = with(sample, Rate::NONE);
        let mut sampler = Sampler::NEW;
        let clock = Watch::at(5);
        for number in 0..300 {
            let telling = sampler.tell(&v4_source(1), &settings, &clock);
            assert!(!telling.send);
            assert_eq!(telling.first, number == 0);
        }
        assert_eq!(
            (sampler.sent, sampler.lost, sampler.suppressed),
            (0, 0, 300)
        );
    }
}

#[test]
fn a_source_is_forgotten_after_its_lifetime() {
    for sample in [0, 1, 100] {
        let settings = with(sample, wide());
        let mut sampler = Sampler::NEW;
        let clock = Watch::at(100 * SECOND);
        assert!(told(&mut sampler, &settings, &clock).first);
        clock.pass(u64::from(LIFETIME - 1) * SECOND);
        for _ in 0..200 {
            assert!(!told(&mut sampler, &settings, &clock).first, "too early");
        }
        clock.pass(2 * SECOND);
        let firsts = (0..LOOK).filter(|_| told(&mut sampler, &settings, &clock).first);
        assert_eq!(firsts.count(), 1, "one in {sample}");
    }
}

#[test]
fn after_a_change_of_the_mode_the_first_drop_of_a_source_is_told_again() {
    let observe = with(0, wide());
    let enforce = Settings { mode: 1, ..observe };
    let clock = Watch::at(7_000_000_000);
    let mut sampler = Sampler::NEW;
    for settings in [observe, enforce] {
        assert!(told(&mut sampler, &settings, &clock).first);
        for _ in 0..2 * LOOK {
            assert!(!told(&mut sampler, &settings, &clock).first);
        }
    }
}

#[test]
fn a_source_that_comes_once_a_lifetime_is_told_each_time() {
    let settings = with(0, wide());
    let mut sampler = Sampler::NEW;
    for number in 0..50 {
        let clock = Watch::at((number + 1) * SECOND * u64::from(LIFETIME + 1));
        let telling = told(&mut sampler, &settings, &clock);
        assert!(telling.first && telling.send, "drop {number}");
    }
}

#[test]
fn the_daemon_is_woken_once_in_so_long() {
    let settings = with(1, wide());
    let mut sampler = Sampler::NEW;
    for (now, wakes) in [
        (7, true),
        (8, false),
        (6 + WAKE_EVERY, false),
        (7 + WAKE_EVERY, true),
        (7 + 9 * WAKE_EVERY, true),
        (6 + 10 * WAKE_EVERY, false),
    ] {
        assert_eq!(told(&mut sampler, &settings, &Watch::at(now)).wake, wakes);
    }
}

#[test]
fn an_ipv4_and_an_ipv6_source_with_equal_words_are_two() {
    let settings = with(0, wide());
    let mut sampler = Sampler::NEW;
    let clock = Watch::at(5);
    for number in 0..=255 {
        // 192.0.2.x, and the /64 whose number is the same.
        let v6 = Address::v6([0, 0, 0, 0, 192, 0, 2, number], [1; 8]);
        assert_eq!(v6.source(), v4_source(number).source());
        assert!(sampler.tell(&v4_source(number), &settings, &clock).first);
        assert!(sampler.tell(&v6, &settings, &clock).first);
        let neighbour = Address { low: 7, ..v6 };
        assert!(
            !sampler.tell(&neighbour, &settings, &clock).first,
            "the same /64"
        );
    }
}

#[test]
fn the_clock_is_hardly_read_for_a_source_that_is_known() {
    let settings = with(0, wide());
    let mut sampler = Sampler::NEW;
    let clock = Watch::at(5);
    told(&mut sampler, &settings, &clock);
    clock.reads.set(0);
    clock.exact_reads.set(0);
    for _ in 0..10 * LOOK {
        told(&mut sampler, &settings, &clock);
    }
    assert_eq!(clock.reads.get(), 10);
    assert_eq!(clock.exact_reads.get(), 0);
}

#[test]
fn every_source_has_a_slot() {
    for key in (0..64).flat_map(|bits| [1 << bits, u64::MAX >> bits, u64::MAX << bits]) {
        assert!(slot(key, 4) < SLOTS && slot(key, 6) < SLOTS);
    }
    let mut used = vec![false; SLOTS];
    for host in 0..=255 {
        used[slot(v4_source(host).source(), 4)] = true;
    }
    let used = used.into_iter().filter(|used| *used).count();
    assert!(
        used > SLOTS / 2,
        "the addresses of a /24 share {used} slots"
    );
}

/// A clock that is moved by hand and counts how often it is looked at.
struct Watch {
    nanoseconds: Cell<u64>,
    reads: Cell<u64>,
    exact_reads: Cell<u64>,
}

impl Watch {
    const fn at(nanoseconds: u64) -> Self {
        Self {
            nanoseconds: Cell::new(nanoseconds),
            reads: Cell::new(0),
            exact_reads: Cell::new(0),
        }
    }

    fn pass(&self, nanoseconds: u64) {
        self.nanoseconds.set(self.nanoseconds.get() + nanoseconds);
    }
}

impl Clock for Watch {
    fn nanoseconds(&self) -> u64 {
        self.exact_reads.set(self.exact_reads.get() + 1);
        self.nanoseconds.get()
    }

    fn coarse(&self) -> u64 {
        self.reads.set(self.reads.get() + 1);
        self.nanoseconds.get()
    }

    fn boot_seconds(&self) -> u32 {
        panic!("no event is told by seconds since boot")
    }
}

#[derive(Debug, Clone)]
struct Drop {
    source: u8,
    pause: u64,
    arrives: bool,
}

fn drop() -> impl Strategy<Value = Drop> {
    let pause = prop_oneof![
        8 => 0..2_000_u64,
        3 => 0..2 * WAKE_EVERY,
        1 => 0..2 * SECOND * u64::from(LIFETIME),
    ];
    (0..6_u8, pause, any::<bool>()).prop_map(|(source, pause, arrives)| Drop {
        source,
        pause,
        arrives,
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let budget = prop_oneof![
        1 => Just(Rate::NONE),
        4 => (1..10_000_u64, 1..200_u64).prop_map(|(rate, burst)| per_second(rate, burst)),
    ];
    (0..20_u32, budget).prop_map(|(sample, budget)| with(sample, budget))
}

fn with(sample: u32, event_budget: Rate) -> Settings {
    Settings {
        sample,
        event_budget,
        ..Settings::default()
    }
}

fn wide() -> Rate {
    per_second(1_000_000, 1_000_000)
}

fn per_second(rate: u64, burst: u64) -> Rate {
    Rate::new(rate, SECOND, burst).expect("a rate that can be held")
}

/// One drop of one source, whose event arrives if it is sent.
fn told(sampler: &mut Sampler, settings: &Settings, clock: &Watch) -> Telling {
    let telling = sampler.tell(&v4_source(1), settings, clock);
    if telling.send {
        sampler.sent(&telling);
    }
    telling
}

const fn v4_source(number: u8) -> Address {
    Address::v4([192, 0, 2, number])
}

const SECOND: u64 = 1_000_000_000;
