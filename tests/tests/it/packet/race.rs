//! CPUs that race for one bucket in the kernel admit no more than the rate, and
//! no less.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use filter_common::{abi::Preamble, cause::Cause};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use weir::{
    config::tier,
    datapath::{Datapath as _, kernel::Kernel},
};
use weir_tests::{frame::frame, world};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_one_moment_two_cpus_admit_the_burst_exactly() {
    let mut kernel = loaded();
    kernel
        .load_trial()
        .expect("the kernel takes the test entry");
    for round in 0..5 {
        // Both make the bucket, at once.
        world::forget(&mut kernel, "trial");
        let mut input = (round * 1_000_000_000_u64).to_ne_bytes().to_vec();
        input.resize(size_of::<Preamble>(), 0);
        input.extend_from_slice(&syn());
        let admitted = race(&mut kernel, "trial", |program| {
            let attempt = |_: &u64| {
                let causes = program.test_run(TestRunOptions {
                    data_in: Some(&input),
                    ..TestRunOptions::default()
                });
                causes.expect("it runs").return_value == Cause::Conforming as u32
            };
            (0..BURST).filter(attempt).count() as u64
        });
        assert_eq!(admitted.iter().sum::<u64>(), BURST, "{admitted:?}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn while_time_goes_on_two_cpus_admit_no_more_than_the_rate() {
    let mut kernel = loaded();
    let frame = syn();
    let start = Instant::now();
    race(&mut kernel, "filter", |program| {
        while start.elapsed() < Duration::from_millis(500) {
            program
                .test_run(TestRunOptions {
                    data_in: Some(&frame),
                    repeat: 1_000,
                    ..TestRunOptions::default()
                })
                .expect("it runs");
        }
        0
    });
    let window = start.elapsed().as_secs_f64();
    let counts = kernel.counts().expect("the tables can be read");
    let admitted = counts.causes[Cause::Conforming as usize].packets();
    let refused = counts.causes[Cause::OverConnections as usize].packets();
    let most = BURST as f64 + RATE * window + 1.0;
    assert!(admitted >= BURST, "{admitted} of a burst of {BURST}");
    assert!((admitted as f64) <= most, "{admitted} in {window} s");
    assert!(refused > admitted, "they raced: {refused} refused");
    assert_eq!(counts.buckets.begun, 1, "both took the bucket of the first");
    assert_eq!(counts.buckets.taken, 3, "a word for each rate");
}

/// Runs `body` on two CPUs at once, if there are two.
fn race(kernel: &mut Kernel, name: &str, body: impl Fn(&Xdp) -> u64 + Sync) -> Vec<u64> {
    let program = kernel.object().program_mut(name);
    let program: &Xdp = program
        .expect("the object has it")
        .try_into()
        .map(|program: &mut Xdp| &*program)
        .expect("it is an XDP program");
    let all = sched_getaffinity(None).expect("the CPUs of this thread");
    let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let run = |cpu| {
            let (barrier, body) = (&barrier, &body);
            scope.spawn(move || {
                let mut one = CpuSet::new();
                one.set(cpu);
                sched_setaffinity(None, &one).expect("one of its own");
                barrier.wait();
                body(program)
            })
        };
        let threads: Vec<_> = cpus.cycle().take(2).map(run).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it doesn't panic"))
            .collect()
    })
}

fn loaded() -> Kernel {
    let mut kernel = Kernel::load(&world::SIZES, None).expect("the kernel takes the object");
    let plan = world::fill(&mut kernel);
    assert_eq!(plan.tier_names.number(tier::UNKNOWN), Some(0));
    kernel
}

/// A new connection to the API, whose tier is the built-in one.
fn syn() -> Vec<u8> {
    frame()
        .ip(world::FREE, world::SERVER)
        .tcp(40_000, 443)
        .syn()
        .build()
}

/// New connections of the tier `unknown` at once.
const BURST: u64 = 1_000;

/// And a second.
const RATE: f64 = 200.0;
