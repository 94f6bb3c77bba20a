//! Decisions on packets while the verdict tables change under them.

use std::{
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
    decide::Decision,
    source::Address,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    datapath::{
        Datapath as _,
        kernel::{Kernel, Sizes, decision, grace},
    },
    patch::Patch,
    prefix::Prefix,
};
use weir_tests::{lookup::packet, mutant::Random, world::prefix_of};

/// Every packet is decided by the state before a change or by the one after it,
/// while one change follows the other as fast as they can.
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
        wide.push(prefix_of(text), &[block(WIDE)], &[]);
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
                ((0..sources.len()).collect(), !next.is_multiple_of(3))
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
    decision(&output).expect("a decision")
}

fn input(source: &Address) -> Vec<u8> {
    let mut input = vec![0; size_of::<Preamble>()];
    input.extend(packet(source));
    input
}

const fn block(claim: u64) -> Stage {
    Stage::new(Verdict::BLOCK, claim as u32, NEVER)
}

const fn pair(before: u64, after: u64) -> u64 {
    before << 32 | after
}

const fn state(before: u64, after: u64) -> AtomicU64 {
    AtomicU64::new(pair(before, after))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// The claim of the prefixes around all sources.
const WIDE: u64 = 1;
const MASK: u64 = u32::MAX as u64;
