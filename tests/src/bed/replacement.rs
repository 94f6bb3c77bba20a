//! The filter of an interface is replaced again and again under a flood, as one
//! daemon takes over from another: nothing leaks, nothing is lost, and every
//! frame is counted once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use filter_common::{
    cause::Cause,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    config::{self, Config, tier::Tiers},
    datapath::{
        Datapath as _,
        attach::attach_all,
        kernel::{Kernel, Sizes},
        pins::Pins,
    },
    patch::Patch,
};

use crate::{
    bed::{Namespace, Traffic, daemon::traffic::datagrams},
    world::{BLOCKED, FREE, prefix_of},
};

/// Replaces the filter on the host's `eth0` so many times while the net floods
/// it, and asserts what must hold.
///
/// # Panics
/// If it doesn't.
pub fn assert_without_a_gap(
    net: &Namespace,
    host: &Namespace,
    wish: config::Attach,
    replacements: usize,
) {
    let pins = Path::new("/sys/fs/bpf").join(format!("{}-replaced", host.name()));
    let held = Pins::open(&pins).expect("root may pin");
    let mut kernels = [kernel(), kernel()];
    let mut replace = |round: usize| {
        let kernel = &mut kernels[round % 2];
        host.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let attached = runtime.block_on(attach_all(kernel, &held, &["eth0".to_owned()], wish));
            attached.expect("it replaces the other")[0].program
        })
    };
    let mut programs = vec![replace(0)];
    let traffic = Traffic::between(net, host);
    let is_over = AtomicBool::new(false);
    let (sent, replaced) = thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&traffic, &is_over));
        // Also when one fails: else the flood would never end.
        let replaced = catch_unwind(AssertUnwindSafe(|| {
            for round in 1..=replacements {
                programs.push(replace(round));
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        (flood.join().expect("it sent"), replaced)
    });
    drop(held);
    let removed = std::fs::remove_dir_all(&pins);
    replaced.expect("every replacement");
    removed.expect("the pins can be removed");
    programs.dedup();
    assert_eq!(programs.len(), replacements + 1, "each was another program");
    assert_eq!(
        sent.leaked, 0,
        "of {} frames of a blocked source",
        sent.of_each
    );
    assert_eq!(
        sent.arrived, sent.of_each,
        "frames of a free source arrived"
    );
    let counted = kernels.map(|kernel| kernel.counts().expect("the tables can be read").causes);
    let sum = |cause: Cause| -> u64 {
        let of = counted
            .iter()
            .map(|counts| counts[cause as usize].packets());
        of.sum()
    };
    for (cause, frames) in [
        (Cause::Blocked, sent.of_each),
        (Cause::Conforming, sent.of_each),
    ] {
        assert_eq!(
            sum(cause),
            frames as u64,
            "frames counted as {}",
            cause.name()
        );
    }
    assert!(
        counted
            .iter()
            .all(|counts| counts[Cause::Blocked as usize].packets() > 0),
        "both programs had to do with the flood"
    );
    eprintln!(
        "{replacements} replacements under {} frames of each source",
        sent.of_each
    );
}

/// The frames that were sent meanwhile.
#[derive(Default)]
struct Sent {
    /// Frames of the free source, and as many of the blocked one.
    of_each: usize,
    arrived: usize,
    leaked: usize,
}

fn flood(traffic: &Traffic, is_over: &AtomicBool) -> Sent {
    let frames = (datagrams(FREE, 64), datagrams(BLOCKED, 64));
    let mut sent = Sent::default();
    while !is_over.load(Ordering::Relaxed) {
        let batch = traffic.send(&frames.0, &frames.1);
        sent.of_each += 64;
        sent.arrived += batch.wanted;
        sent.leaked += batch.leaked.len();
    }
    sent
}

/// A filter with tables of its own, as the next daemon loads it.
fn kernel() -> Kernel {
    let sizes = Sizes {
        ipv4: 16,
        ipv6: 16,
        buckets: 1_024,
    };
    let mut kernel = Kernel::load(&sizes, None).expect("the kernel takes the object");
    let config = Config::parse(CONFIGURATION).expect("it can be configured");
    let plan = config.plan(&Tiers::default()).expect("it has few tiers");
    kernel.configure(&plan).expect("the plan fits");
    kernel.set(&plan.settings).expect("settings fit");
    let mut patch = Patch::default();
    let blocked = Stage::new(Verdict::BLOCK, 1, NEVER);
    patch.push(prefix_of(BLOCKED), &[blocked], &[]);
    assert_eq!(kernel.apply(&patch), [], "one entry fits");
    kernel
}

/// The free source is faster than the built-in flood ceiling.
const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["udp/443"]

[tier.unknown]
packets = { rate = "1000000/s", burst = 1000000 }
"#;
