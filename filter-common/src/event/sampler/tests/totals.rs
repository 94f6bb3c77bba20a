//! The events let a reader recover the total exactly, and of its parts how
//! much about, with an error that the events tell themselves.

use super::*;

/// Drops in a row, each of a source and a part of the whole: a cause, a feed or
/// a claim, as far as the sampler cares.
type Mix = fn(u64, &mut Dice) -> (u32, usize);

/// Mixes that differ in what could fool a sampler.
const MIXES: [(&str, Mix); 9] = [
    ("at random", |_number, dice| {
        let part = [0, 0, 0, 0, 0, 0, 0, 1, 1, 2][dice.below(10)];
        (part as u32 * 20 + dice.below(20) as u32, part)
    }),
    ("in turn", |number, _dice| every(number, 2)),
    ("as often as one is told", |number, _dice| {
        every(number, 100)
    }),
    ("half as often", |number, _dice| every(number, 200)),
    ("twice as often", |number, _dice| every(number, 50)),
    ("as often as the clock is read", |number, _dice| {
        every(number, 16)
    }),
    ("in bursts", |number, _dice| {
        let part = usize::from(number / 700 % 7 == 3);
        (part as u32, part)
    }),
    ("a source each, now and then", |number, dice| {
        if dice.below(20) == 0 {
            (1_000 + number as u32, 1)
        } else {
            (0, 0)
        }
    }),
    ("a source each, half of them", |number, dice| {
        if dice.below(2) == 0 {
            (1_000 + number as u32, 1)
        } else {
            (0, 0)
        }
    }),
];

/// One drop in so many is of another source.
const fn every(number: u64, period: u64) -> (u32, usize) {
    let part = number.is_multiple_of(period) as usize;
    (part as u32, part)
}

#[test]
fn parts_are_recovered_within_the_error_that_the_events_tell() {
    let settings = with(100, wide());
    for (name, mix) in MIXES {
        let (mut within, mut all, mut sum) = (0, 0, 0.0);
        for seed in 1..=RUNS {
            let clock = Watch::at(seed * 1_234_567);
            let told = Told::of(&settings, &clock, seed, 20_000, 0, mix);
            assert_eq!(told.total(), 20_000, "{name}");
            for part in 0..PARTS {
                if told.drops[part] == 0 {
                    continue;
                }
                let off = told.weights[part] as f64 - told.drops[part] as f64;
                // The last that weren't reported belong to a source, too.
                let error = told.squares[part].sqrt() + EDGE;
                all += 1;
                within += u32::from(off.abs() <= 2.0 * error);
                sum += off / error;
            }
        }
        let within = f64::from(within) / f64::from(all);
        assert!(
            within >= 0.95,
            "{name}: within the error in {within} of all"
        );
        let bias = sum / f64::from(all);
        assert!(bias.abs() < 0.2, "{name}: off by {bias} errors on average");
    }
}

#[test]
fn where_the_budget_is_short_parts_are_recovered_all_the_same() {
    // At 100 an event, 1,000,000 drops a second would want 10,000.
    let settings = with(100, per_second(500, 20));
    for (name, mix) in [MIXES[0], MIXES[1], MIXES[8]] {
        let (mut drops, mut weights) = (0.0, 0.0);
        for seed in 1..=8 {
            let clock = Watch::at(seed * 1_234_567);
            let told = Told::of(&settings, &clock, seed, 400_000, 1_000, mix);
            assert_eq!(told.total(), 400_000, "{name}");
            drops += told.drops[1] as f64;
            weights += told.weights[1] as f64;
        }
        let off = weights / drops - 1.0;
        assert!(off.abs() < 0.15, "{name}: off by {off}");
    }
}

/// The drops, and the estimate that the events give of them.
#[derive(Default)]
struct Told {
    drops: [u64; PARTS],
    weights: [u64; PARTS],
    squares: [f64; PARTS],
    untold: u64,
}

impl Told {
    fn of(
        settings: &Settings,
        clock: &Watch,
        seed: u64,
        number: u64,
        apart: u64,
        mix: Mix,
    ) -> Self {
        let mut told = Self::default();
        let mut sampler = Sampler::NEW;
        let mut dice = Dice(seed);
        for number in 0..number {
            // Neither the gaps between drops nor their order may matter.
            clock.pass(dice.below(2 * apart as usize + 1) as u64);
            let (source, part) = mix(number, &mut dice);
            let source = Address::v4((0x0a00_0000 + source).to_be_bytes());
            let telling = sampler.tell(&source, settings, clock);
            told.drops[part] += 1;
            if telling.send {
                told.weights[part] += telling.weight;
                told.squares[part] += (telling.weight as f64).powi(2);
                sampler.sent(&telling);
            }
        }
        told.untold = sampler.untold;
        told
    }

    fn total(&self) -> u64 {
        self.weights.iter().sum::<u64>() + self.untold
    }
}

/// Another generator than the sampler's: Marsaglia's xorshift (2003).
struct Dice(u64);

impl Dice {
    const fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
}

const PARTS: usize = 3;
const RUNS: u64 = 60;
/// About as many are untold at the end.
const EDGE: f64 = 100.0;
