//! The ticks in which the words of buckets count: four, over all tiers.

use filter_common::{
    bucket::CLASSES,
    rate::{Kind, MAX_SHIFT, Rate, Tier},
};

/// The ticks in which the words of buckets count: each rate is held by one of
/// them.
///
/// A rate has a coarsest tick, by how fast it is, and a finest, by how long its
/// burst takes; all between them hold it. Taking the coarsest of the rate that
/// has the finest coarsest, and again without all that it holds, needs as few
/// as there can be. Classes that are left go to the rates whose bursts are the most ticks:
/// the fewer, the longer a word tells how old it is.
///
/// `more` are rates of new connections that may have to go without a tick: they are
/// counted in if there is room for them, and what is chosen is as if they weren't there
/// if it holds them anyhow.
///
/// # Errors
/// If there would be more than a word can tell: with those that were chosen.
pub fn shifts<'a>(
    tiers: impl IntoIterator<Item = &'a Tier>,
    more: &[Rate],
) -> Result<[u8; CLASSES], [u8; CLASSES]> {
    let rates = by_coarsest(tiers.into_iter().flat_map(rates_of));
    let needed = needed(&rates);
    let enough = needed.len() <= CLASSES;
    let shifts = spread(needed, &rates);
    if !enough {
        return Err(shifts);
    }
    let is_held = |rate: &Rate| holds(&shifts, Kind::Connections, rate);
    if more.iter().all(is_held) {
        return Ok(shifts);
    }
    let more = more.iter().map(|rate| (Kind::Connections, *rate));
    let all = rates.iter().map(|(_, kind, rate)| (*kind, *rate));
    let wanted = self::needed(&by_coarsest(all.chain(more)));
    if wanted.len() > CLASSES {
        return Ok(shifts);
    }
    Ok(spread(wanted, &rates))
}

/// Rates that are set, with the coarsest tick of each, the finest of these first.
fn by_coarsest(rates: impl Iterator<Item = (Kind, Rate)>) -> Vec<(u8, Kind, Rate)> {
    let mut rates: Vec<_> = rates
        .filter(|(_, rate)| rate.is_set())
        .filter_map(|(kind, rate)| Some((coarsest(kind, &rate)?, kind, rate)))
        .collect();
    rates.sort_by_key(|(coarsest, ..)| *coarsest);
    rates
}

/// As few ticks as there can be.
fn needed(rates: &[(u8, Kind, Rate)]) -> Vec<u8> {
    let mut chosen: Vec<u8> = Vec::new();
    for (coarsest, kind, rate) in rates {
        if !holds(&chosen, *kind, rate) {
            chosen.push(*coarsest);
        }
    }
    chosen
}

/// These ticks, and what is left to the rates whose bursts are the longest in them.
fn spread(mut chosen: Vec<u8>, rates: &[(u8, Kind, Rate)]) -> [u8; CLASSES] {
    while chosen.len() < CLASSES {
        // How long the burst is in the coarsest tick that was chosen for it.
        let longest = |(_, kind, rate): &(u8, Kind, Rate)| {
            let held = chosen
                .iter()
                .filter_map(|shift| rate.in_ticks(*kind, *shift, 0));
            held.map(|rate| rate.limit).min()
        };
        let finer = rates
            .iter()
            .filter(|(coarsest, ..)| !chosen.contains(coarsest));
        let Some((coarsest, ..)) = finer.rev().max_by_key(|rate| longest(rate)) else {
            break;
        };
        chosen.push(*coarsest);
    }
    let last = chosen.last().copied().unwrap_or_default();
    std::array::from_fn(|class| chosen.get(class).copied().unwrap_or(last))
}

/// Whether one of these ticks holds a rate.
pub fn holds(shifts: &[u8], kind: Kind, rate: &Rate) -> bool {
    shifts
        .iter()
        .any(|shift| rate.in_ticks(kind, *shift, 0).is_some())
}

/// The longest burst that is held in each of these ticks. (An eighth more, for
/// what a CPU writes that read the clock a little later.)
pub fn reach<'a>(
    tiers: impl IntoIterator<Item = &'a Tier>,
    shifts: &[u8; CLASSES],
) -> [u32; CLASSES] {
    let mut reach = [0; CLASSES];
    let held = tiers.into_iter().filter_map(|tier| tier.in_ticks(shifts));
    for (_kind, rate) in held.flat_map(|tier| rates_of(&tier)) {
        let longest = &mut reach[usize::from(rate.class)];
        *longest = (*longest).max((rate.limit / 8 * 9) as u32);
    }
    reach
}

/// Each rate of a tier, set or not.
fn rates_of(tier: &Tier) -> impl Iterator<Item = (Kind, Rate)> + use<> {
    let [v4, v6] = tier.neighbourhoods;
    let levels = [tier.source, v4, v6].into_iter();
    let rates = levels.flat_map(|rates| Kind::ALL.map(|kind| (kind, *rates.of(kind as u32))));
    rates.chain([(Kind::Connections, tier.together)])
}

/// The coarsest tick that is fine enough for a rate, whatever its burst.
pub(super) fn coarsest(kind: Kind, rate: &Rate) -> Option<u8> {
    (0..=MAX_SHIFT)
        .rev()
        .find(|shift| rate.is_fine(kind, *shift))
}

/// The finest tick in which a word can hold a rate's burst.
pub fn finest(kind: Kind, rate: &Rate) -> Option<u8> {
    (0..=MAX_SHIFT).find(|shift| rate.in_ticks(kind, *shift, 0).is_some())
}

/// The most units in a time that are held within 1 %.
pub(super) fn fastest(kind: Kind, units: u64, nanoseconds: u64) -> u64 {
    let (mut held, mut not) = (0, units);
    while held + 1 < not {
        let middle = held.midpoint(not);
        let rate = Rate::new(middle, nanoseconds, 1);
        if rate.is_some_and(|rate| rate.is_fine(kind, 0)) {
            held = middle;
        } else {
            not = middle;
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use filter_common::rate::Rates;

    use super::*;
    use crate::config::tier::{suspect, unknown};

    #[test]
    fn the_built_in_rates_have_a_tick_each_the_coarsest_that_holds_them() {
        let shifts = shifts([&unknown(), &suspect()], &[]).expect("four are enough");
        let mut sorted = shifts;
        sorted.sort_unstable();
        assert_eq!(sorted, [4, 8, 14, 22]);
        let held = unknown().in_ticks(&shifts).expect("they are held").source;
        let ticks = [held.packets, held.bytes, held.connections].map(|rate| rate.shift);
        assert_eq!(ticks, [8, 4, 14]);
        let held = suspect().in_ticks(&shifts).expect("it is held").source;
        assert_eq!(held.connections.shift, 22);
    }

    #[test]
    fn as_few_ticks_as_there_can_be_are_needed() {
        let tier = |packets: Rate| {
            Tier::new(
                Rates {
                    packets,
                    ..Rates::NONE
                },
                Rates::NONE,
            )
        };
        // One in two minutes up to half a million a second, with small bursts.
        let slow_to_fast = (0..27).map(|bits| tier(rate(1 << bits, 128, 50)));
        let tiers: Vec<_> = slow_to_fast.collect();
        let shifts = shifts(&tiers, &[]).expect("four hold them all");
        assert!(tiers.iter().all(|tier| tier.in_ticks(&shifts).is_some()));
        // Bursts as long as a word can tell leave each rate one tick alone.
        let narrow = (0..5).map(|number| {
            let units = 20_000 >> (3 * number);
            let short = rate(units, 1, 1);
            let coarsest = coarsest(Kind::Packets, &short).expect("slow enough");
            let burst = short.largest_burst(Kind::Packets, coarsest);
            tier(rate(units, 1, burst))
        });
        let tiers: Vec<_> = narrow.collect();
        super::shifts(&tiers[..4], &[]).expect("four");
        super::shifts(&tiers, &[]).expect_err("a fifth");
    }

    fn rate(units: u64, seconds: u64, burst: u64) -> Rate {
        Rate::new(units, seconds * 1_000_000_000, burst).expect("a rate")
    }
}
