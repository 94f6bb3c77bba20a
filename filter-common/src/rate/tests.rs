mod ticks;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_window_admits_more_than_the_burst_and_the_rate(
        given in given(),
        cold in any::<bool>(),
        start in any::<u64>(),
        arrivals in arrivals(),
    ) {
        let rate = if cold { given.rate.cold() } else { given.rate };
        let mut elapsed = 0_u64;
        let mut word = 0;
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (number, (share, part)) in arrivals.into_iter().enumerate() {
            let units = given.units(part);
            let cost = rate.cost(units);
            elapsed += cost / 100 * share;
            let now = start.wrapping_add(elapsed);
            if number == 0 {
                word = now.wrapping_add(rate.fresh(cost));
            }
            let (next, conforms) = rate.step(word, now, cost);
            if conforms {
                admitted.push((elapsed, u64::from(units)));
            } else {
                prop_assert_eq!(next, word, "a refusal changed the word");
            }
            word = next;
        }
        // Below a microsecond the burst is rounded up to the nanosecond.
        let rounded = u128::from(!rate.interval.is_multiple_of(1 << FRACTION));
        for (first, (from, _)) in admitted.iter().enumerate() {
            let mut sum = 0_u128;
            for (to, units) in &admitted[first..] {
                sum += u128::from(*units);
                let window = u128::from(to - from) + rounded;
                let allowed = u128::from(given.burst) * u128::from(given.per)
                    + u128::from(given.number) * window;
                prop_assert!(sum * u128::from(given.per) <= allowed, "{sum} in {window} ns");
            }
        }
    }

    #[test]
    fn a_source_below_its_rate_is_never_refused(
        given in given(),
        cold in any::<bool>(),
        start in any::<u64>(),
        arrivals in arrivals(),
    ) {
        let rate = if cold { given.rate.cold() } else { given.rate };
        let mut now = start;
        let mut word = None;
        for (share, part) in arrivals {
            let cost = rate.cost(given.units(part));
            now = now.wrapping_add(cost + cost / 100 * share);
            let before = word.unwrap_or_else(|| now.wrapping_add(rate.fresh(cost)));
            let (next, admitted) = rate.step(before, now, cost);
            prop_assert!(admitted);
            word = Some(next);
        }
    }

    #[test]
    fn an_idle_source_of_any_age_has_its_whole_burst(
        given in given(),
        now in any::<u64>(),
        age in 0..=1_u64 << 62,
    ) {
        let whole = given.rate.limit;
        prop_assert_eq!(
            given.rate.step(now.wrapping_sub(age), now, whole),
            (now.wrapping_add(whole), true)
        );
        prop_assert!(!given.rate.step(now.wrapping_sub(age), now, whole + 1).1);
    }

    #[test]
    fn any_numbers_make_a_rate_that_can_be_held_or_none(
        units in numbers(), per in numbers(), burst in numbers(), word in numbers(),
        now in numbers(), weight in any::<u32>(),
    ) {
        if let Some(rate) = Rate::new(units, per, burst) {
            prop_assert!(rate.is_set() && rate.interval <= MAX_INTERVAL);
            prop_assert!(rate.limit >= 1 && rate.limit <= MAX_LIMIT);
            let exact = (u128::from(per) << FRACTION) / u128::from(units);
            prop_assert!(u128::from(rate.interval) >= exact);
            prop_assert!(u128::from(rate.interval) <= exact + exact / 1000 + 1);
            let cost = rate.cost(weight);
            let (next, admitted) = rate.step(word, now, cost);
            prop_assert!(!admitted || cost <= rate.limit);
            prop_assert!(admitted || next == word);
        }
    }
}

#[test]
fn eighty_minutes_of_silence_cost_nothing_across_every_wrap_of_the_clock() {
    let rate = per_second(100, 50);
    let minutes = 80 * 60 * SECOND;
    // The clock wraps, and so does the difference's sign, in the middle.
    for middle in [0, 1 << 63, 1 << 62, 3 << 62] {
        let start = u64::wrapping_sub(middle, minutes / 2);
        for silence in (0..=minutes).step_by(SECOND as usize) {
            let now = start.wrapping_add(silence);
            assert_eq!(at_once(&rate, start, now), 50, "after {silence} ns");
        }
    }
    for now in [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for age in (0..=62).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits]) {
            assert_eq!(at_once(&rate, now.wrapping_sub(age), now), 50, "{age} ns");
        }
    }
}

#[test]
fn a_burst_admits_all_it_names_and_not_one_more() {
    for units in 1..=1_000 {
        for burst in [1, 2, 5, 17] {
            let rate = per_second(units, burst);
            assert_eq!(at_once(&rate, 7, 7), burst, "{burst} at {units}/s");
        }
    }
    let bytes = per_second(32 << 20, 64 << 20);
    let word = bytes.step(0, 0, bytes.limit).0;
    assert!(!bytes.step(word, 0, bytes.cost(1)).1);
}

#[test]
fn a_packet_comes_in_at_the_nanosecond_at_which_the_rate_has_room_for_it() {
    let rate = per_second(1_000, 3);
    let interval = SECOND / 1_000;
    let word = rate.step(0, 0, rate.cost(3)).0;
    assert!(!rate.step(word, interval - 1, rate.cost(1)).1);
    assert!(rate.step(word, interval, rate.cost(1)).1);
    assert!(!rate.step(word, 2 * interval - 1, rate.cost(2)).1);
    assert!(rate.step(word, 2 * interval, rate.cost(2)).1);
    assert!(!rate.step(word, 100 * interval, rate.cost(4)).1);
}

#[test]
fn a_cold_bucket_admits_one_packet_and_then_follows_the_rate() {
    let rate = per_second(10, 50).cold();
    let interval = SECOND / 10;
    for start in [0, 5, u64::MAX - interval] {
        for units in [1, 7, 50] {
            let cost = rate.cost(units);
            let fresh = start.wrapping_add(rate.fresh(cost));
            let (word, admitted) = rate.step(fresh, start, cost);
            assert!(admitted, "{units} units");
            assert!(!rate.step(word, start, rate.cost(1)).1);
            for number in 1..200 {
                let now = start.wrapping_add(number * interval);
                assert_eq!(at_once(&rate, word, now), number.min(50));
                assert_eq!(at_once(&rate, word, now - 1), (number - 1).min(50));
            }
        }
        let too_large = rate.cost(51);
        assert!(
            !rate
                .step(start.wrapping_add(rate.fresh(too_large)), start, too_large)
                .1
        );
    }
    let warm = per_second(10, 50);
    assert_eq!(at_once(&warm, 9 + warm.fresh(warm.cost(1)), 9), 50);
}

#[test]
fn after_a_reload_a_source_waits_for_the_new_rate_only() {
    let now = 1_000 * SECOND;
    let old = Rate::new(1, 60 * SECOND, 60).expect("an hour at most");
    let word = old.step(now, now, old.limit).0;
    assert!(!old.step(word, now, old.cost(1)).1);
    for new in [per_second(100, 100), per_second(1, 5)] {
        assert_eq!(at_once(&new, word, now), 1, "as cold as a stricter tier");
        let word = new.step(word, now, new.cost(1)).0;
        let interval = new.cost(1);
        assert_eq!(at_once(&new, word, now + interval - 1), 0);
        for number in 1..=5 {
            assert_eq!(at_once(&new, word, now + number * interval), number);
        }
        assert!(!new.step(word, now, new.limit + 1).1);
    }
}

#[test]
fn a_clock_read_late_gives_nothing_away() {
    let rate = per_second(100, 50);
    let now = 1_000 * SECOND;
    let word = rate.step(now, now, rate.limit).0;
    for late in (0..32).map(|bits| 1 << bits).chain([0, 1 << LATE]) {
        assert_eq!(rate.step(word, now - late, rate.cost(1)), (word, false));
    }
}

#[test]
fn what_cannot_be_held_is_no_rate() {
    for (units, per, burst) in [
        (0, SECOND, 1),
        (1, 0, 1),
        (1, SECOND, 0),
        (1, 138 * SECOND, 1),
        (1, 60 * SECOND, 60 * 24 * 53),
        (1, 60 * SECOND, u64::MAX),
        (1, u64::MAX, u64::MAX),
    ] {
        assert_eq!(
            Rate::new(units, per, burst),
            None,
            "{units} in {per} ns, {burst}"
        );
    }
    assert!(Rate::new(1, 137 * SECOND, 1).is_some());
    assert!(Rate::new(1, 60 * SECOND, 60 * 24 * 52).is_some());
    assert!(Rate::new(u64::MAX, 1, 1).is_some_and(|rate| rate.is_set()));
    assert!(!Rate::NONE.is_set() && !Rates::NONE.is_set());
}

#[test]
fn a_cost_is_rounded_up_and_fits_whatever_the_units() {
    let rate = per_second(3_000_000_000, 10_000_000_000);
    assert_eq!(
        [0, 1, 2, 3, 4].map(|units| rate.cost(units)),
        [0, 1, 1, 2, 2]
    );
    let slowest = Rate {
        interval: MAX_INTERVAL,
        limit: MAX_LIMIT,
        ..Rate::NONE
    };
    assert_eq!(slowest.cost(u32::MAX), slowest.cost(0xffff));
    assert!(slowest.cost(0xffff) > slowest.cost(0xfffe));
}

/// A rate, and the numbers that it was made of.
#[derive(Debug, Clone)]
struct Given {
    rate: Rate,
    number: u64,
    per: u64,
    burst: u64,
}

impl Given {
    /// A part (in 256) of what a packet may weigh.
    fn units(&self, part: u8) -> u32 {
        let most = self.burst.min(0xffff);
        (most * u64::from(part) / 255).max(1) as u32
    }
}

fn given() -> impl Strategy<Value = Given> {
    let per = prop_oneof![Just(SECOND), Just(60 * SECOND), 1..SECOND];
    let number = prop_oneof![1..100_u64, 1..1_000_000_000_u64];
    let burst = prop_oneof![1..10_u64, 1..100_000_000_u64];
    (number, per, burst).prop_filter_map("a rate that can be held", |(number, per, burst)| {
        let rate = Rate::new(number, per, burst)?;
        Some(Given {
            rate,
            number,
            per,
            burst,
        })
    })
}

/// Pauses in hundredths of a packet's cost, and packets in parts of the largest.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u8)>> {
    let pause = prop_oneof![4 => Just(0), 4 => 0..250_u64, 1 => 0..20_000_u64];
    let part = prop_oneof![Just(0), any::<u8>()];
    proptest::collection::vec((pause, part), 1..100)
}

fn numbers() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, bits)| number >> bits)
}

fn per_second(units: u64, burst: u64) -> Rate {
    Rate::new(units, SECOND, burst).expect("a rate that can be held")
}

/// Packets of one unit that are admitted at the same instant.
fn at_once(rate: &Rate, mut word: u64, now: u64) -> u64 {
    for number in 0.. {
        let (next, admitted) = rate.step(word, now, rate.cost(1));
        if !admitted {
            return number;
        }
        word = next;
    }
    unreachable!("a rate has a limit")
}

const SECOND: u64 = 1_000_000_000;
