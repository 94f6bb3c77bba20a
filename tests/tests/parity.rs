//! The host and the kernel give the same answer: to every case, and to
//! thousands of frames that nobody thought of.
//!
//! `WEIR_SEED` and `WEIR_MUTANTS` set the seed and how many are tried at least.

use std::fmt::Write as _;

use filter_common::{
    abi::Preamble,
    cause::Cause,
    decide::Decision,
    rate::Rate,
    settings::Settings,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    datapath::{Datapath, kernel::Kernel, memory::Memory},
    patch::Patch,
};
use weir_tests::{
    case::{CASES, Case},
    mutant::{Mutants, Random},
    world,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_kernel_judges_every_case_as_the_host_does() {
    let mut both = Both::new();
    for case in CASES.iter() {
        both.forget();
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

/// The same tables on the host and in the kernel.
struct Both {
    host: Memory,
    kernel: Kernel,
    settings: Settings,
    /// What made the frames, for the message.
    seed: u64,
}

impl Both {
    fn new() -> Self {
        let mut kernel = Kernel::load(&world::SIZES, None).expect("the kernel takes the object");
        kernel
            .load_trial()
            .expect("the kernel takes the test entry");
        let mut host = Memory::new(&world::SIZES);
        host.set_key(kernel.key());
        let settings = world::fill(&mut host).settings;
        world::fill(&mut kernel);
        Self {
            host,
            kernel,
            settings,
            seed: 0,
        }
    }

    /// As if no packet had come yet.
    fn forget(&mut self) {
        self.host = Memory::new(&world::SIZES);
        self.host.set_key(self.kernel.key());
        world::fill(&mut self.host);
        world::forget(&mut self.kernel, "trial");
    }

    /// What both say of a frame.
    fn judge(&mut self, now: &Preamble, frame: &[u8]) -> Decision {
        self.host.set_time(now.nanoseconds, now.boot_seconds);
        self.host.set_merging(now.merges != 0);
        let host = self.host.trial(frame);
        let kernel = self
            .kernel
            .run("trial", now, frame)
            .expect("the test entry runs");
        assert_eq!(
            kernel,
            host,
            "the kernel's answer isn't the host's (seed {}, {now:?}, {:?}) to the frame {}",
            self.seed,
            self.settings,
            hex(frame)
        );
        host
    }

    fn change_settings(&mut self, random: &mut Random) {
        self.settings.mode = u8::from(random.once_in(2));
        self.settings.strict = u8::from(random.once_in(2));
        self.settings.refuse_saturated = u8::from(random.once_in(2));
        self.settings.generation += 1;
        self.settings.event_budget = *random.of(&[Rate::NONE, self.settings.event_budget]);
        self.host.set(&self.settings).expect("any settings");
        self.kernel.set(&self.settings).expect("any settings");
    }

    /// Gives a prefix of the world, or one around it, another timeline, none, or
    /// its own again.
    fn change_entry(&mut self, random: &mut Random) {
        let plan = world::plan();
        let own = world::patch(&plan, 0, 0);
        let (prefix, entry) = own.iter().nth(random.below(own.len())).expect("an entry");
        let mut patch = Patch::default();
        if random.once_in(2) {
            let entry = entry.expect("the world only adds");
            let stages = |stages: &[Stage]| -> Vec<Stage> {
                stages
                    .iter()
                    .copied()
                    .take_while(|one| !one.is_none())
                    .collect()
            };
            patch.push(prefix, &stages(&entry.stages), &stages(&entry.shadow));
        } else {
            // At least /8, so that the rest of the world stays as it is.
            let length = 8 + random.below(usize::from(prefix.length()) - 7) as u8;
            let enforced = timeline(random, 8);
            patch.push(prefix.widened(length), &enforced, &timeline(random, 4));
        }
        assert_eq!(self.host.apply(&patch), []);
        assert_eq!(self.kernel.apply(&patch), []);
    }
}

fn timeline(random: &mut Random, longest: usize) -> Vec<Stage> {
    let mut until = 0_u32;
    (0..random.below(longest + 1))
        .map(|_| {
            let verdicts = [
                Verdict::PROTECT,
                Verdict::ALLOW,
                Verdict::BLOCK,
                Verdict::ADMIT,
                Verdict::limit(random.below(8) as u8),
            ];
            until = *random.of(&[until.saturating_add(1), until.saturating_add(2_000), NEVER]);
            Stage::new(
                *random.of(&verdicts),
                1_000 + random.below(1_000) as u32,
                until,
            )
        })
        .collect()
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

const SECOND: u64 = 1_000_000_000;
