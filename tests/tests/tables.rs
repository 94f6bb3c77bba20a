//! The verdict tables against a plain model: on the host and through the loaded
//! program, with the real prefixes of the world, while they change.
//!
//! `WEIR_SEED` and `WEIR_LOOKUPS` set the seed and how many look-ups there are at
//! least.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use aya::programs::{ProgramInfo, TestRun as _, TestRunOptions, Xdp};
use aya_obj::programs::XdpAttachType;
use filter_common::{
    abi::Preamble,
    decide::{Clock, Decision},
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
use weir_tests::{frame::frame, geoip, mutant::Random};

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

/// What every packet gets is what the state before a change or the one after it
/// says, while one change follows the other as fast as they can.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_packet_meets_anything_between_the_state_before_and_the_one_after() {
    let mut random = Random::new(number("WEIR_SEED", 0x7765_6973));
    let mut kernel = Kernel::load(
        &Sizes {
            ipv4: 20_000,
            ipv6: 20_000,
            buckets: 1_024,
        },
        None,
    )
    .expect("the kernel takes the object");
    kernel.filter().expect("it has a filter");
    // Each with a wider one around it, so that a missing entry would show.
    let sources: Vec<Address> = (0..3_000)
        .map(|number| match number % 2 {
            0 => Address::v4([10, (number >> 6) as u8, (number << 2) as u8, 7]),
            _ => Address::v6(
                [0x20, 1, 0xd, 0xb8, 0, 0, (number >> 8) as u8, number as u8],
                [7; 8],
            ),
        })
        .collect();
    let mut wide = Patch::default();
    for text in ["10.0.0.0/8", "2001:db8::/32"] {
        wide.push(prefix(text), &[block(WIDE)], &[]);
    }
    assert_eq!(kernel.apply(&wide), []);

    // The claims before and after the change that is under way, for each source.
    let states: Vec<AtomicU64> = sources.iter().map(|_| state(WIDE, WIDE)).collect();
    let over = AtomicBool::new(false);
    let explain = Mutex::new(explain(&mut kernel));
    let looked = AtomicU64::new(0);
    thread::scope(|scope| {
        // As the daemon does: beside what changes the tables.
        let (wait, waits) = mpsc::channel();
        let (passed, passes) = mpsc::channel();
        scope.spawn(move || {
            for () in waits {
                grace();
                passed.send(()).expect("the other side waits for it");
            }
        });
        let mut waiting = false;
        scope.spawn(|| {
            let program = explain.lock().expect("one thread uses it");
            let frames: Vec<_> = sources.iter().map(input).collect();
            let mut random = Random::new(7);
            while !over.load(Ordering::Relaxed) {
                let at = random.below(frames.len());
                let before = states[at].load(Ordering::SeqCst);
                let claim = u64::from(run(&program, &frames[at]).claim);
                let after = states[at].load(Ordering::SeqCst);
                let may = [before >> 32, before & MASK, after >> 32, after & MASK];
                assert!(
                    may.contains(&claim),
                    "{:?} got claim {claim}, not one of {may:?}",
                    sources[at]
                );
                looked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut claims = vec![WIDE; sources.len()];
        let mut next = WIDE;
        let (mut singles, mut switches) = (0, 0);
        while singles < 100_000 || switches < 1_000 {
            let all = singles * 1_000 >= switches * 100_000;
            let (changed, to): (Vec<usize>, _) = if all {
                ((0..sources.len()).collect(), next % 3 != 0)
            } else {
                (vec![random.below(sources.len())], random.below(3) != 0)
            };
            next = next % 1_000_000 + 1;
            let claim = if to { next.max(WIDE + 1) } else { WIDE };
            let mut patch = Patch::default();
            for at in &changed {
                states[*at].store(pair(claims[*at], claim), Ordering::SeqCst);
                let stages = [block(claim)];
                let stages = if to { &stages[..] } else { &[] };
                patch.push(Prefix::of(sources[*at]), stages, &[]);
            }
            assert_eq!(kernel.apply(&patch), []);
            for at in &changed {
                claims[*at] = claim;
                states[*at].store(pair(claim, claim), Ordering::SeqCst);
            }
            if waiting && passes.try_recv().is_ok() {
                kernel.release();
                waiting = false;
            }
            if !waiting && kernel.seal() {
                wait.send(()).expect("the other side waits");
                waiting = true;
            }
            if all {
                switches += 1;
            } else {
                singles += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
        if waiting {
            passes.recv().expect("it passes");
        }
        drop(wait);
    });
    let looked = looked.into_inner();
    assert!(looked > 10_000, "only {looked} packets came meanwhile");
    eprintln!("{looked} packets came meanwhile");
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

fn explain(kernel: &mut Kernel) -> Xdp {
    let program = kernel.object().program("explain").expect("it is there");
    let program: &Xdp = program.try_into().expect("it is an XDP program");
    let id = program.info().expect("it is loaded").id();
    let info = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .find(|info: &ProgramInfo| info.id() == id)
        .expect("the kernel knows it");
    Xdp::from_program_info(info, "explain".into(), XdpAttachType::Interface)
        .expect("a second handle")
}

fn run(program: &Xdp, input: &[u8]) -> Decision {
    let mut output = vec![0; input.len()];
    program
        .test_run(TestRunOptions {
            data_in: Some(input),
            data_out: Some(&mut output),
            ..TestRunOptions::default()
        })
        .expect("it runs");
    weir::datapath::kernel::decision(&output).expect("a decision")
}

fn input(source: &Address) -> Vec<u8> {
    let mut input = vec![0; size_of::<Preamble>()];
    input.extend(packet(source));
    input
}

fn packet(source: &Address) -> Vec<u8> {
    let from = weir::prefix::ip(*source).to_string();
    let to = match source.family {
        Family::V4 => "192.0.2.1",
        Family::V6 => "2001:db8:1::1",
    };
    frame().ip(&from, to).udp(40_000, 9).build()
}

fn block(claim: u64) -> Stage {
    Stage::new(Verdict::BLOCK, claim as u32, NEVER)
}

const fn pair(before: u64, after: u64) -> u64 {
    before << 32 | after
}

const fn state(before: u64, after: u64) -> AtomicU64 {
    AtomicU64::new(pair(before, after))
}

const fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

const fn word(address: Address) -> u128 {
    (address.high as u128) << 64 | address.low as u128
}

fn address(family: Family, word: u128) -> Address {
    match family {
        Family::V4 => Address::v4((word as u32).to_be_bytes()),
        Family::V6 => Address::v6(
            ((word >> 64) as u64).to_be_bytes(),
            (word as u64).to_be_bytes(),
        ),
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse::<weir::prefix::Written>().expect(text).prefix
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// The claim of the prefixes around all sources.
const WIDE: u64 = 1;
const MASK: u64 = u32::MAX as u64;
