//! Every blocked case is sent over a wire and stays out, and its free twin gets
//! in. Which wire, and how the filter is attached, is up to the test.

use std::time::Duration;

use aya::programs::XdpMode;
use filter_common::cause::Cause;
use weir::datapath::kernel::{Kernel, Sizes};

use crate::{
    bed::{Namespace, Wire},
    case::{CASES, Case},
    frame::frame,
    world,
};

/// The filter with the [world] in its tables.
///
/// # Panics
/// If the kernel refuses it.
#[must_use]
pub fn loaded() -> Kernel {
    let mut kernel = Kernel::load(&SIZES, None).expect("the kernel takes the object");
    world::fill(&mut kernel);
    kernel
}

/// Attaches the filter to an interface, until that is gone.
///
/// # Panics
/// If the interface refuses it.
pub fn attach(kernel: &mut Kernel, namespace: &Namespace, interface: &str, mode: XdpMode) {
    let index = namespace.index(interface);
    namespace.enter(|| {
        let filter = kernel.filter().expect("the object has it");
        filter
            .attach_to_if_index(index, mode)
            .expect("the interface takes it");
    });
}

/// Puts the filter on the second's `eth0`, sends it every blocked case from the
/// first's, and asserts that their twins arrive and nothing else.
///
/// # Panics
/// If it isn't so.
pub fn assert_all_kept_out((outside, inside): &(Namespace, Namespace), mode: XdpMode) {
    for namespace in [outside, inside] {
        namespace.ip(&["link", "set", "eth0", "mtu", MTU]);
    }
    let mut kernel = loaded();
    attach(&mut kernel, inside, "eth0", mode);
    let (sender, receiver) = (Wire::open(outside, "eth0"), Wire::open(inside, "eth0"));
    let number = assert_kept_out(&mut kernel, &sender, &receiver, |_| true);
    assert!(number >= 100, "{number} cases are blocked");
}

/// Sends the blocked cases that are `wanted` and their twins, and asserts that
/// the twins arrive and nothing else. Gives back how many there were.
///
/// # Panics
/// If it isn't so.
pub fn assert_kept_out(
    kernel: &mut Kernel,
    sender: &Wire,
    receiver: &Wire,
    wanted: impl Fn(&Case) -> bool,
) -> u32 {
    let mut number = 0_u32;
    let blocked = |case: &&Case| case.second == 0 && case.cause == Cause::Blocked;
    for case in CASES.iter().filter(blocked).filter(|case| wanted(case)) {
        // A twin may have a rate of its own where it goes to. (What is free of charge as a
        // part of a handshake passes, too.)
        world::forget_buckets(kernel, "filter");
        number += 1;
        // Frames keep their order: once the last has come, no other will.
        let marker = frame().payload(number.to_be_bytes()).build();
        sender.send(&case.frame);
        if let Some(twin) = &case.twin {
            sender.send(twin);
        }
        sender.send(&marker);
        let mut came = Vec::new();
        loop {
            let next = receiver.receive(PLENTY, |_| true);
            let next = next.expect("the marker comes");
            if next.starts_with(&marker) {
                break;
            }
            came.push(next);
        }
        let is = |frame: &[u8]| came.iter().any(|came| *came == untagged(frame));
        assert!(!is(&case.frame), "{} came in", case.name);
        let twin = case.twin.as_deref();
        assert!(
            twin.is_none_or(is),
            "the twin of {} was kept out",
            case.name
        );
    }
    number
}

/// Whether a frame begins with a VLAN tag.
#[must_use]
pub fn is_tagged(frame: &[u8]) -> bool {
    matches!(frame[12..14], [0x81, 0] | [0x88, 0xa8])
}

/// As a packet socket shows it: the kernel has removed the outermost tag.
fn untagged(frame: &[u8]) -> Vec<u8> {
    let mut bare = frame.to_vec();
    if is_tagged(frame) {
        bare.drain(12..16);
    }
    bare
}

/// Room for the longest case, within what native XDP takes.
pub const MTU: &str = "3400";

/// For a packet at a time.
const SIZES: Sizes = Sizes {
    buckets: 512,
    ..world::SIZES
};

/// Longer than any machine takes that isn't broken.
const PLENTY: Duration = Duration::from_secs(10);
