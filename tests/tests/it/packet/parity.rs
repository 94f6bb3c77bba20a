//! The host and the kernel give the same answer: to every case, and to
//! thousands of frames that nobody thought of.
//!
//! `WEIR_SEED` and `WEIR_MUTANTS` set the seed and how many are tried at least.

use filter_common::{abi::Preamble, cause::Cause, decide::Decision, verdict::NEVER};
use weir_tests::{
    both::Both,
    case::{CASES, Case},
    mutant::{Mutants, Random},
    world,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_kernel_judges_every_case_as_the_host_does() {
    let mut both = Both::new();
    for case in CASES.iter() {
        both.forget_before(case);
        for frame in &case.before {
            both.judge(&moment(case), frame);
        }
        let decision = both.judge(&moment(case), &case.frame);
        assert_eq!(cause(&decision), case.cause, "{}", case.name);
        assert_eq!(decision.drops(), case.drops, "{}", case.name);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_kernel_judges_every_mutant_as_the_host_does() {
    let seed = number("WEIR_SEED", 0x7765_6972);
    let least = number("WEIR_MUTANTS", 20_000);
    let mut both = Both::new();
    both.seed = seed;
    let mut random = Random::new(seed);
    let mut mutants = Mutants::new(&CASES, Random::new(seed ^ 1));
    let mut hits = [0_u32; Cause::COUNT];
    let mut tried = 0;
    let mut now = Preamble::default();
    while tried < least || hits.iter().any(|hits| *hits < 200) {
        assert!(
            tried < least * 20,
            "the causes were hit {hits:?} times only"
        );
        if random.once_in(1_000) {
            both.change_settings(&mut random);
            // Also where the clock of nanoseconds wraps around.
            now.nanoseconds = *random.of(&[now.nanoseconds, 0, u64::MAX - SECOND]);
        }
        if random.once_in(200) {
            both.change_entry(&mut random);
        }
        step(&mut now, &mut random);
        // Some come again and again, so that rates come to be exceeded.
        let times = if random.once_in(4) {
            2 + random.below(6)
        } else {
            1
        };
        let frame = mutants.frame();
        for _ in 0..times {
            let decision = both.judge(&now, &frame);
            hits[usize::from(decision.cause)] += 1;
            tried += 1;
        }
    }
    eprintln!("{tried} mutants; of each cause {hits:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_source_is_admitted_whatever_the_age_of_its_bucket() {
    // Idle for anything up to 80 minutes, which passes every power of two that
    // a word of nanoseconds could be cut at.
    let mut both = Both::new();
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| case.cause.is_over() && case.before.iter().all(|one| *one == case.frame))
        // A frame longer than the burst is never admitted.
        .filter(|case| !case.before.is_empty())
        .collect();
    for (number, case) in cases.iter().enumerate() {
        let mut now = moment(case);
        // Everything that a neighbour left has to be over.
        now.nanoseconds = (number as u64 + 1) * 100_000 * SECOND;
        let mut idle = 10 * SECOND;
        while idle < 80 * 60 * SECOND {
            let first = both.judge(&now, &case.frame);
            assert_eq!(
                cause(&first),
                Cause::Conforming,
                "{} after {idle} ns",
                case.name
            );
            for _ in 0..30 {
                both.judge(&now, &case.frame);
            }
            let last = both.judge(&now, &case.frame);
            assert_eq!(cause(&last), case.cause, "{} after {idle} ns", case.name);
            now.nanoseconds += idle;
            idle = idle * 5 / 4;
        }
    }
}

/// Time goes on: mostly not at all, then by anything up to hours.
fn step(now: &mut Preamble, random: &mut Random) {
    if random.once_in(10) {
        let scale = *random.of(&[1_000, 1_000_000, SECOND / 10, SECOND, 100 * SECOND]);
        let step = random.next() % scale;
        now.nanoseconds = now.nanoseconds.wrapping_add(step);
    }
    if random.once_in(1_000) {
        now.nanoseconds = now.nanoseconds.wrapping_add(3 * 3_600 * SECOND);
    }
    if random.once_in(20) {
        now.boot_seconds = *random.of(&[
            0,
            1,
            world::SECOND_STAGE - 1,
            world::SECOND_STAGE,
            world::THIRD_STAGE - 1,
            world::THIRD_STAGE,
            NEVER - 1,
        ]);
    }
    now.merges = u32::from(random.once_in(10));
}

fn moment(case: &Case) -> Preamble {
    Preamble {
        boot_seconds: case.second,
        merges: u32::from(case.merges),
        ..Preamble::default()
    }
}

fn cause(decision: &Decision) -> Cause {
    Cause::from_code(decision.cause).expect("a decision has a cause")
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

const SECOND: u64 = 1_000_000_000;
