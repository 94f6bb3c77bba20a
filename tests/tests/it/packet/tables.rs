//! The verdict tables against a plain model: on the host and through the loaded
//! program, with the real prefixes of the world, while they change.
//!
//! `WEIR_SEED` and `WEIR_LOOKUPS` set the seed and how many look-ups there are at
//! least.

use std::collections::HashMap;

use filter_common::{
    abi::Preamble,
    decide::Clock,
    source::{Address, Family},
    table::Standing,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    datapath::{
        Datapath as _,
        kernel::{Kernel, Sizes, grace},
    },
    patch::Patch,
    prefix::Prefix,
};
use weir_tests::{
    geoip,
    lookup::{address, packet, word},
    mutant::Random,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_worlds_prefixes_mean_the_same_to_a_model_the_host_and_the_kernel() {
    let mut random = Random::new(number("WEIR_SEED", 0x7765_6972));
    let least = number("WEIR_LOOKUPS", 1_000_000);
    let world = geoip::prefixes();
    assert!(world.len() > 1_000_000, "{} prefixes", world.len());
    let mut three = Three::new(&Sizes {
        ipv4: 800_000,
        ipv6: 800_000,
        buckets: 1_024,
    });

    let all: Vec<_> = world
        .iter()
        .map(|prefix| (*prefix, timeline(&mut random)))
        .collect();
    three.apply(&all);
    let mut known = world;
    let (mut changes, mut lookups) = (0, 0);
    while changes < 100_000 || lookups < least {
        let most = if random.once_in(40) { 8_000 } else { 60 };
        let patch: HashMap<_, _> = (0..1 + random.below(most))
            .map(|_| three.change(&mut known, &mut random))
            .collect();
        let patch: Vec<_> = patch.into_iter().collect();
        changes += patch.len() as u64;
        three.apply(&patch);
        if random.once_in(3) {
            three.now += random.below(20) as u32;
        }
        // What was changed, and what wasn't.
        let share = least * patch.len() as u64 / 100_000;
        for (prefix, _) in patch.iter().take(200) {
            lookups += three.look_at_edges(*prefix, &mut random);
        }
        for _ in 0..share / 5 {
            let prefix = *random.of(&known);
            lookups += three.look_at_edges(prefix, &mut random);
        }
    }
    eprintln!("{changes} changes, {lookups} look-ups");
}

/// A model, and the tables as the host and the kernel read them.
struct Three {
    plain: [Vec<HashMap<u128, Vec<Stage>>>; 2],
    kernel: Kernel,
    now: u32,
    claim: u32,
}

impl Three {
    fn new(sizes: &Sizes) -> Self {
        let mut kernel = Kernel::load(sizes, None).expect("the kernel takes the object");
        kernel.load_trial().expect("and the test entry");
        Self {
            plain: [33, 129].map(|lengths| vec![HashMap::new(); lengths]),
            kernel,
            now: 1,
            claim: 0,
        }
    }

    fn apply(&mut self, changes: &[(Prefix, Vec<Stage>)]) {
        let mut patch = Patch::default();
        for (prefix, stages) in changes {
            patch.push(*prefix, stages, &[]);
            let plain = &mut self.plain[index(prefix.family())][usize::from(prefix.length())];
            if stages.is_empty() {
                plain.remove(&word(prefix.address()));
            } else {
                plain.insert(word(prefix.address()), stages.clone());
            }
        }
        assert_eq!(self.kernel.apply(&patch), []);
        if self.kernel.seal() {
            grace();
            self.kernel.release();
        }
    }

    /// A prefix that comes, changes or goes.
    fn change(&mut self, known: &mut Vec<Prefix>, random: &mut Random) -> (Prefix, Vec<Stage>) {
        self.claim += 1;
        let at = random.below(known.len());
        let near = known[at];
        match random.below(4) {
            0 => (near, Vec::new()),
            1 => (near, timeline(random)),
            // Inside of one that is there, or around it.
            kind => {
                let bits = weir::prefix::bits(near.family());
                let inside = u128::from(random.next()) << 64 | u128::from(random.next());
                let open = (1_u128 << (bits - near.length()).min(127)) - 1;
                let prefix = address(near.family(), word(near.address()) | inside & open);
                let length = match kind {
                    2 => near.length() + random.below(usize::from(bits - near.length()) + 1) as u8,
                    _ => near.length() - random.below(usize::from(near.length().min(12)) + 1) as u8,
                };
                let prefix =
                    Prefix::new(prefix, length.max(if random.once_in(500) { 0 } else { 8 }));
                known.push(prefix);
                (prefix, timeline(random))
            }
        }
    }

    fn look_at_edges(&mut self, prefix: Prefix, random: &mut Random) -> u64 {
        let family = prefix.family();
        let first = word(prefix.address());
        let last = word(prefix.last().address());
        let inside =
            first | (u128::from(random.next()) << 64 | u128::from(random.next())) & (last ^ first);
        let places = [
            first,
            last,
            first.wrapping_sub(1),
            last.wrapping_add(1),
            inside,
        ];
        for place in places {
            self.look(address(family, place));
        }
        places.len() as u64
    }

    fn look(&mut self, source: Address) {
        let clock = At(self.now);
        let model = self.model(&source);
        let host = self.kernel.standing(&source, &clock);
        assert_eq!(
            host.stage, model,
            "the host, of {source:?} at {} s",
            self.now
        );
        assert_eq!(
            host,
            Standing {
                stage: model,
                shadow: Stage::NONE
            }
        );
        let preamble = Preamble {
            boot_seconds: self.now,
            ..Preamble::default()
        };
        let decision = self.kernel.run("trial", &preamble, &packet(&source));
        let decision = decision.expect("the test entry runs");
        assert_eq!(
            (decision.claim, decision.verdict),
            (model.claim(), model.verdict().code()),
            "the kernel, of {source:?} at {} s",
            self.now
        );
    }

    fn model(&self, source: &Address) -> Stage {
        let lengths = &self.plain[index(source.family)];
        let bits = lengths.len() - 1;
        for (length, prefixes) in lengths.iter().enumerate().rev() {
            if prefixes.is_empty() {
                continue;
            }
            let open = match bits - length {
                128 => u128::MAX,
                open => (1 << open) - 1,
            };
            if let Some(stages) = prefixes.get(&(word(*source) & !open)) {
                let holds = |stage: &&Stage| stage.until() == NEVER || self.now < stage.until();
                return stages.iter().find(holds).copied().unwrap_or(Stage::NONE);
            }
        }
        Stage::NONE
    }
}

struct At(u32);

impl Clock for At {
    fn nanoseconds(&self) -> u64 {
        panic!("verdicts are in seconds")
    }

    fn boot_seconds(&self) -> u32 {
        self.0
    }
}

fn timeline(random: &mut Random) -> Vec<Stage> {
    let count = if random.once_in(10) {
        1 + random.below(8)
    } else {
        1
    };
    let mut until = random.below(2_000) as u32;
    (0..count)
        .map(|step| {
            until += 1 + random.below(100) as u32;
            let verdicts = [
                Verdict::BLOCK,
                Verdict::ALLOW,
                Verdict::ADMIT,
                Verdict::limit(3),
            ];
            let never = step + 1 == count && !random.once_in(3);
            let claim = 1 + random.below((1 << 24) - 1) as u32;
            Stage::new(
                *random.of(&verdicts),
                claim,
                if never { NEVER } else { until },
            )
        })
        .collect()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

const fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
