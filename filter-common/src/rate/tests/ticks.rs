//! Ticks change a rate little, and always to the safe side.

use super::*;

proptest! {
    #[test]
    fn what_is_held_is_never_faster_and_at_most_one_in_a_hundred_slower(
        given in given(), kind in kind(), shift in 0..=MAX_SHIFT, weight in 1..=0xffff_u32,
    ) {
        let Some(held) = given.rate.in_ticks(kind, shift, 3) else {
            return Ok(());
        };
        let weight = if kind == Kind::Bytes { weight.max(60) } else { weight };
        // In nanoseconds times the number of units in the time.
        let exact = u128::from(weight) * u128::from(given.per);
        let cost = (u128::from(held.cost(weight)) << shift) * u128::from(given.number);
        prop_assert!(cost >= exact, "cheaper than it is");
        prop_assert!(cost * 100 <= exact * 101 + 100 * u128::from(given.number), "{cost} for {exact}");
        prop_assert!(held.limit <= crate::bucket::AHEAD / 4 * 3);
        prop_assert!(held.limit + (1 << held.late) <= crate::bucket::AHEAD, "late clocks fit");
        prop_assert_eq!((held.shift, held.class), (shift, 3));
    }

    #[test]
    fn a_burst_of_packets_is_admitted_to_the_last_one(
        given in given(), shift in 0..=MAX_SHIFT, now in any::<u64>(),
    ) {
        let Some(held) = given.rate.in_ticks(Kind::Packets, shift, 0) else {
            return Ok(());
        };
        prop_assert_eq!(held.limit / held.cost(1), given.burst);
        prop_assert_eq!(held.limit % held.cost(1), 0);
        let burst = given.burst.min(0xffff) as u32;
        prop_assert!(held.step(now, now, held.cost(burst)).1);
    }

    #[test]
    fn every_tick_between_the_finest_and_the_coarsest_holds_a_rate(given in given(), kind in kind()) {
        let holds = |shift: &u8| given.rate.in_ticks(kind, *shift, 0).is_some();
        let first = (0..=MAX_SHIFT).find(holds);
        let last = (0..=MAX_SHIFT).rev().find(holds);
        let many = (0..=MAX_SHIFT).filter(|shift| holds(shift)).count();
        if let (Some(first), Some(last)) = (first, last) {
            prop_assert_eq!(many, usize::from(last - first) + 1);
            let burst = given.rate.largest_burst(kind, last);
            prop_assert!(burst >= given.burst.min(burst));
        }
    }
}

#[test]
fn the_built_in_rates_are_held() {
    for (units, burst, kind, coarsest) in [
        (20_000, 40_000, Kind::Packets, 8),
        (32 << 20, 64 << 20, Kind::Bytes, 4),
        (200, 1_000, Kind::Connections, 14),
        (1, 5, Kind::Connections, 22),
    ] {
        let rate = per_second(units, burst);
        let last = (0..=MAX_SHIFT)
            .rev()
            .find(|shift| rate.is_fine(kind, *shift));
        assert_eq!(last, Some(coarsest), "{units} {kind:?}");
        rate.in_ticks(kind, coarsest, 0).expect("its burst too");
    }
}

#[test]
fn a_burst_is_refused_from_the_first_tick_on_that_a_word_cannot_tell() {
    let shift = 8;
    let largest = per_second(20_000, 1).largest_burst(Kind::Packets, shift);
    let held = |burst| per_second(20_000, burst).in_ticks(Kind::Packets, shift, 0);
    assert!(held(largest).is_some());
    assert!(held(largest + 1).is_none());
}

#[test]
fn what_is_in_ticks_or_no_rate_stays_as_it_is() {
    assert_eq!(Rate::NONE.in_ticks(Kind::Bytes, 9, 1), Some(Rate::NONE));
    let held = per_second(10, 10)
        .in_ticks(Kind::Packets, 10, 0)
        .expect("slow enough");
    assert_eq!(held.in_ticks(Kind::Packets, 10, 0), None);
    assert_eq!(
        per_second(10, 10).in_ticks(Kind::Packets, MAX_SHIFT + 1, 0),
        None
    );
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Packets),
        Just(Kind::Bytes),
        Just(Kind::Connections)
    ]
}
