//! The promises of a word in a line, at every tick and across every wrap.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_window_admits_more_than_the_burst_and_the_rate(
        (given, cold) in (given(), any::<bool>()),
        start in 0..1_u64 << 62,
        arrivals in arrivals(),
    ) {
        let rate = if cold { given.held.cold() } else { given.held };
        let line = Line::<Word>::default();
        let mut elapsed = 0_u64;
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (share, part) in arrivals {
            let units = given.units(part);
            elapsed += (rate.cost(units) << rate.shift) / 100 * share;
            let now = start.wrapping_add(elapsed);
            let ask = Ask::new(5, 4, &rate, now, units);
            let before = words(&line);
            let conforms = conforms(&line, &ask, &rate, |word| word);
            prop_assert_eq!(words(&line), before, "asking changed a word");
            let noted = charge(&line, &ask, &rate, now, &given.seed(), |word| word);
            prop_assert_eq!(noted != 0, conforms);
            if conforms {
                admitted.push((elapsed, u64::from(units)));
            } else {
                prop_assert_eq!(words(&line), before, "a refusal changed a word");
            }
        }
        for (first, (from, _)) in admitted.iter().enumerate() {
            let mut sum = 0_u128;
            for (to, units) in &admitted[first..] {
                sum += u128::from(*units);
                // The burst of bytes is rounded up to the nanosecond.
                let rounded = u64::from(given.kind == Kind::Bytes);
                let allowed = u128::from(given.burst) * u128::from(given.per)
                    + u128::from(given.number) * u128::from(to - from + rounded);
                prop_assert!(sum * u128::from(given.per) <= allowed, "{sum} in {} ns", to - from);
            }
        }
    }

    #[test]
    fn a_source_one_in_a_hundred_below_its_rate_is_never_refused(
        (given, cold) in (given(), any::<bool>()),
        start in 0..1_u64 << 62,
        arrivals in arrivals(),
    ) {
        let rate = if cold { given.held.cold() } else { given.held };
        let line = Line::<Word>::default();
        let mut now = start;
        for (share, part) in arrivals {
            let units = given.units(part);
            if rate.cost(units) > rate.limit {
                continue;
            }
            let exact = (u128::from(units) * u128::from(given.per)).div_ceil(given.number.into());
            let pause = (exact * 1011).div_ceil(1000) as u64;
            now = now.wrapping_add(pause + pause / 100 * share);
            let ask = Ask::new(5, 1, &rate, now, units);
            prop_assert_ne!(charge(&line, &ask, &rate, now, &given.seed(), |word| word), 0);
        }
    }

    #[test]
    fn an_idle_word_of_any_age_is_idle(given in given(), now in any::<u64>(), age in 0..1_u64 << 61) {
        let line = Line::<Word>::default();
        let rate = given.held;
        let then = now.wrapping_sub(age);
        let ask = Ask::new(5, 0, &rate, then, 1);
        let noted = charge(&line, &ask, &rate, then, &given.seed(), |word| word);
        prop_assert_eq!(noted != 0, rate.cost(1) <= rate.limit);
        let ticks = (now >> rate.shift).wrapping_sub(then >> rate.shift);
        let ask = Ask::new(5, 0, &rate, now, 1);
        let left = rate.cost(1).saturating_sub(ticks);
        // Only a clock that wraps in nanoseconds, after 584 years, is misread.
        prop_assume!(now >= then);
        prop_assert_eq!(look(&line, &ask, &rate), left);
    }
}

#[test]
fn at_the_edges_of_what_a_word_can_tell_it_is_idle_at_every_tick() {
    for shift in 0..=crate::rate::MAX_SHIFT {
        let cost = 1_000;
        let rate = Rate {
            interval: cost << 10,
            limit: 50 * cost,
            shift,
            late: 2,
            ..Rate::NONE
        };
        // 146 years of the clock, at the finest tick.
        for bits in 0..=61 - u32::from(shift) {
            for age in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                for start in [0, 1 << 29, (1 << 30) - 1, 1 << 30, (1 << 32) - 1, 1 << 40] {
                    let Some(now) = (start + age).checked_mul(1 << shift) else {
                        continue;
                    };
                    let line = Line::<Word>::default();
                    let then = start << shift;
                    if then >> shift != start {
                        continue;
                    }
                    let ask = Ask::new(9, 0, &rate, then, 50);
                    assert_ne!(
                        charge(&line, &ask, &rate, then, &seed(KEY, 8), |word| word),
                        0
                    );
                    let ask = Ask::new(9, 0, &rate, now, 1);
                    let left = (50 * cost).saturating_sub(age);
                    assert_eq!(
                        look(&line, &ask, &rate),
                        left,
                        "shift {shift}, {age} ticks old"
                    );
                }
            }
        }
    }
}

#[test]
fn a_cold_word_is_remembered_until_it_has_its_burst() {
    let rate = packets(10, 50).cold();
    let line = Line::<Word>::default();
    let at = |now: u64| charged(&line, 3, &rate, now);
    assert_ne!(at(NOW), 0);
    assert_eq!(at(NOW), 0, "no burst at first");
    let memory = ((1_u64 << 34) - AHEAD) << rate.shift;
    for pause in [20 * SECOND, 3_600 * SECOND, memory - 60 * SECOND] {
        let now = NOW + pause;
        let line = Line::default();
        assert_ne!(charged(&line, 3, &rate, NOW), 0);
        let admitted = (0..60)
            .filter(|_| charged(&line, 3, &rate, now) != 0)
            .count();
        assert_eq!(admitted, 50, "after {pause} ns");
    }
    let now = NOW + memory + 60 * SECOND;
    assert_ne!(at(now), 0);
    assert_eq!(at(now), 0, "forgotten, and cold again");
}

#[test]
fn a_word_of_a_larger_rate_before_a_reload_holds_up_nobody() {
    let old = packets(10, 10_000);
    let line = Line::<Word>::default();
    while charged(&line, 1, &old, NOW) != 0 {}
    for new in [packets(10, 5), packets(9, 50)] {
        let admitted = |now| {
            (0..60)
                .filter(|_| charged(&line, 1, &new, now) != 0)
                .count()
        };
        assert_eq!(admitted(NOW), 1, "room for this packet, no more");
        let burst = (new.limit << new.shift) + (1 << new.shift);
        assert_eq!(admitted(NOW + burst) as u64, new.limit / new.cost(1));
        while charged(&line, 1, &old, NOW) != 0 {}
    }
}

#[test]
fn a_clock_read_late_gives_nothing_away() {
    let rate = packets(10, 5);
    let line = Line::<Word>::default();
    while charged(&line, 1, &rate, NOW) != 0 {}
    for late in (0..32).map(|bits| 1 << bits) {
        assert_eq!(charged(&line, 1, &rate, NOW - late), 0, "{late} ns late");
    }
}

/// A rate as it was written, and as it is held.
#[derive(Debug, Clone)]
struct Given {
    held: Rate,
    kind: Kind,
    number: u64,
    per: u64,
    burst: u64,
}

impl Given {
    /// A part (in 256) of what a packet may weigh.
    fn units(&self, part: u8) -> u32 {
        let least = if self.kind == Kind::Bytes { 60 } else { 1 };
        let most = self.burst.min(0xffff);
        (most * u64::from(part) / 255).max(least) as u32
    }

    fn seed(&self) -> Seed {
        Seed {
            shifts: [self.held.shift; CLASSES],
            ..seed(KEY, 8)
        }
    }
}

fn given() -> impl Strategy<Value = Given> {
    let per = prop_oneof![Just(SECOND), Just(60 * SECOND), 1..SECOND];
    let number = prop_oneof![1..100_u64, 1..1_000_000_000_u64];
    let burst = prop_oneof![1..10_u64, 1..100_000_000_u64];
    let kind = prop_oneof![Just(Kind::Packets), Just(Kind::Bytes)];
    let numbers = (number, per, burst, kind, 0..4_u8);
    numbers.prop_filter_map(
        "a rate that can be held",
        |(number, per, burst, kind, finer)| {
            let rate = Rate::new(number, per, burst)?;
            let coarsest = (0..=crate::rate::MAX_SHIFT)
                .rev()
                .find(|shift| rate.is_fine(kind, *shift))?;
            let held = rate.in_ticks(kind, coarsest.saturating_sub(finer), 1)?;
            Some(Given {
                held,
                kind,
                number,
                per,
                burst,
            })
        },
    )
}

/// Pauses in hundredths of a packet's cost, and packets in parts of the largest.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u8)>> {
    let pause = prop_oneof![4 => Just(0), 4 => 0..250_u64, 1 => 0..20_000_u64];
    let part = prop_oneof![Just(0), any::<u8>()];
    proptest::collection::vec((pause, part), 1..100)
}
