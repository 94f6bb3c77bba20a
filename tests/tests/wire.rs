//! Blocked sources stay out of a real interface, and their free twins get in.

use std::time::Duration;

use aya::programs::XdpMode;
use filter_common::cause::Cause;
use weir::datapath::kernel::Kernel;
use weir_tests::{
    case::CASES,
    frame::frame,
    netns::{Namespace, veth},
    wire::Wire,
    world,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_the_driver_what_is_blocked_stays_out_and_its_twin_gets_in() {
    blocked_cases_stay_out(XdpMode::Driver);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_generic_mode_what_is_blocked_stays_out_and_its_twin_gets_in() {
    blocked_cases_stay_out(XdpMode::Skb);
}

fn blocked_cases_stay_out(mode: XdpMode) {
    let (outside, inside) = (Namespace::new(), Namespace::new());
    veth((&outside, "eth0"), (&inside, "eth0"));
    for namespace in [&outside, &inside] {
        // Room for the longest case, within what native XDP takes.
        namespace.ip(&["link", "set", "eth0", "mtu", "3400"]);
    }
    let mut kernel = Kernel::load(&world::SIZES, None).expect("the kernel takes the object");
    world::fill(&mut kernel);
    let index = inside.index("eth0");
    inside.enter(|| {
        let filter = kernel.filter().expect("the object has it");
        filter
            .attach_to_if_index(index, mode)
            .expect("the interface takes it");
    });
    let (sender, receiver) = (Wire::open(&outside, "eth0"), Wire::open(&inside, "eth0"));
    let blocked = CASES
        .iter()
        .filter(|case| case.second == 0 && case.cause == Cause::Blocked);
    let mut number = 0_u32;
    for case in blocked {
        world::forget(&mut kernel, "filter");
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
    assert!(number >= 100, "{number} cases are blocked");
}

/// As a packet socket shows it: the kernel has taken the outermost tag off.
fn untagged(frame: &[u8]) -> Vec<u8> {
    let tagged = matches!(frame[12..14], [0x81, 0] | [0x88, 0xa8]);
    let mut frame = frame.to_vec();
    if tagged {
        frame.drain(12..16);
    }
    frame
}

/// Longer than any machine takes that isn't broken.
const PLENTY: Duration = Duration::from_secs(10);
