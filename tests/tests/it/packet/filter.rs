//! The attached program itself: what it does with every case, what it counts,
//! and what it tells.

use std::{
    mem::offset_of,
    time::{Duration, Instant},
};

use filter_common::{
    cause::{Action, Cause},
    event::{Counter, Event},
    packet::{self, Packet},
    settings::{Mode, Settings},
};
use rustix::time::{ClockId, clock_gettime};
use weir::datapath::{Counts, Datapath, kernel::Kernel};
use weir_tests::{
    case::{CASES, Case},
    frame::frame,
    world,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_enforce_every_case_is_dropped_or_passed_and_counted_once() {
    let (mut kernel, _) = loaded(Mode::Enforce);
    for case in CASES.iter() {
        run(&mut kernel, case, &case.frame, case.drops);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_observe_every_case_passes_and_is_counted_once() {
    let (mut kernel, _) = loaded(Mode::Observe);
    for case in CASES.iter() {
        run(&mut kernel, case, &case.frame, false);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn explaining_says_the_same_and_counts_and_charges_nothing() {
    let (mut kernel, _) = loaded(Mode::Enforce);
    for case in CASES.iter() {
        at_once(&mut kernel, case, |kernel| {
            let before = kernel.counts().expect("the tables can be read");
            // Twice: the first one's answer would cost the second, if it charged.
            let decisions = [(); 2].map(|()| kernel.explain(&case.frame).expect("it runs"));
            let after = kernel.counts().expect("the tables can be read");
            move || {
                for decision in decisions {
                    assert_eq!(decision.cause, case.cause as u8, "{}", case.name);
                    assert_eq!(decision.drops(), case.drops, "{}", case.name);
                    let shadow = Cause::from_code(decision.shadow);
                    assert_eq!(shadow, case.shadow, "the shadow of {}", case.name);
                }
                assert_eq!(after, before, "{}", case.name);
            }
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_first_drop_of_a_source_is_told() {
    let (mut kernel, settings) = loaded(Mode::Enforce);
    // Otherwise the sampling reports one of the others too, once in a hundred runs.
    let settings = Settings {
        sample: 0,
        ..settings
    };
    kernel.set(&settings).expect("any settings");
    let mut events = kernel.take_events().expect("nobody has them");
    let frame = frame()
        .ip(world::BLOCKED6, world::SERVER6)
        .tcp(40_000, 443)
        .build();
    // On one CPU: each remembers for itself what it has reported.
    on_one_cpu();
    for _ in 0..3 {
        kernel.run_filter(&frame).expect("it runs");
    }
    let event = events.next().expect("an event").to_vec();
    assert_eq!(event.len(), size_of::<Event>());
    let read = packet::read(frame.as_slice());
    let word = |at| u64::from_ne_bytes(event[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!(word(offset_of!(Event, generation)), settings.generation);
    assert_eq!(word(offset_of!(Event, source)), read.source.high);
    assert_eq!(word(offset_of!(Event, source) + 8), read.source.low);
    assert_eq!(
        word(offset_of!(Event, destination)),
        read.destination().high
    );
    let byte = |at: usize| event[at];
    assert_eq!(byte(offset_of!(Event, family)), 6);
    assert_eq!(byte(offset_of!(Event, cause)), Cause::Blocked as u8);
    assert_eq!(byte(offset_of!(Event, action)), Action::Drop as u8);
    assert_eq!(byte(offset_of!(Event, first)), 1);
    assert!(events.next().is_none(), "only the first is told");
    let counts = kernel.counts().expect("the tables can be read");
    assert_eq!((counts.sent, counts.suppressed, counts.lost), (1, 2, 0));
}

/// Runs a case, and checks what is done, and what is counted.
fn run(kernel: &mut Kernel, case: &Case, frame: &[u8], drops: bool) {
    at_once(kernel, case, |kernel| {
        let before = kernel.counts().expect("the tables can be read");
        let action = kernel.run_filter(frame).expect("it runs");
        let after = kernel.counts().expect("the tables can be read");
        move || {
            let expected = if drops { XDP_DROP } else { XDP_PASS };
            assert_eq!(action, expected, "{}", case.name);
            moved(&before, &after, case, &packet::read(frame), drops);
        }
    });
}

/// Tries something just after what the case says was sent before it, and checks
/// what came of it. By the real clock: where the machine was too slow the rates
/// have let more through than the case says, and it is tried again.
fn at_once<C: FnOnce()>(kernel: &mut Kernel, case: &Case, attempt: impl Fn(&mut Kernel) -> C) {
    for _ in 0..100 {
        let second = enter(kernel, case);
        let start = Instant::now();
        for frame in &case.before {
            kernel.run_filter(frame).expect("it runs");
        }
        let check = attempt(kernel);
        if start.elapsed() <= AT_ONCE && boot_seconds() == second {
            return check();
        }
    }
    panic!("{} never ran at once: the machine is too busy", case.name);
}

/// The counters of the case's causes moved by one packet, and no others.
fn moved(before: &Counts, after: &Counts, case: &Case, packet: &Packet, drops: bool) {
    let (enforced, shadow) = (Some(case.cause), case.shadow);
    for (before, after, cause, drops) in [
        (&before.causes, &after.causes, enforced, drops),
        (
            &before.shadow,
            &after.shadow,
            shadow,
            shadow.is_some_and(Cause::drops),
        ),
    ] {
        for other in Cause::ALL {
            let mut expected: Counter = before[other as usize];
            let counted = after[other as usize];
            if cause == Some(other) {
                expected.add(packet, other.drops(), drops);
            }
            assert_eq!(counted, expected, "{} of {}", other.name(), case.name);
        }
    }
    let sources = after.sources[case.cause as usize];
    assert_eq!(sources > 0, case.cause.drops(), "sources of {}", case.name);
}

/// No packet has come yet, and it is the case's time, and it merges as there.
/// Gives back the seconds since boot.
fn enter(kernel: &mut Kernel, case: &Case) -> u32 {
    let second = boot_seconds();
    let refused = kernel.apply(&world::patch(&world::plan(), case.second, second));
    assert_eq!(refused, []);
    kernel
        .set_merging(LOOPBACK, case.merges)
        .expect("room for one");
    world::forget_before(kernel, "filter", case);
    second
}

fn loaded(mode: Mode) -> (Kernel, Settings) {
    let mut kernel = Kernel::load(&world::FEW_BUCKETS, None).expect("the kernel takes the object");
    let mut settings = world::fill(&mut kernel).settings;
    settings.mode = mode as u8;
    settings.generation = 77;
    kernel.set(&settings).expect("any settings");
    (kernel, settings)
}

fn boot_seconds() -> u32 {
    clock_gettime(ClockId::Boottime).tv_sec as u32
}

fn on_one_cpu() {
    let all = rustix::thread::sched_getaffinity(None).expect("the CPUs of this thread");
    let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu));
    let mut one = rustix::thread::CpuSet::new();
    one.set(first.expect("it runs on one"));
    rustix::thread::sched_setaffinity(None, &one).expect("one of its own");
}

/// Less than the shortest time in which any rate of the world admits one more.
const AT_ONCE: Duration = Duration::from_millis(15);

/// The interface that a test run reports a frame on.
const LOOPBACK: u32 = 1;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
