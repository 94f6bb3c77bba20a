//! Blocked sources stay out of a real interface, and their free twins get in.

use aya::programs::XdpMode;
use weir_tests::{
    kept_out::{assert_kept_out, attach, loaded},
    netns::{Namespace, veth},
    wire::Wire,
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
    let mut kernel = loaded();
    attach(&mut kernel, &inside, "eth0", mode);
    let (sender, receiver) = (Wire::open(&outside, "eth0"), Wire::open(&inside, "eth0"));
    let number = assert_kept_out(&mut kernel, &sender, &receiver, |_| true);
    assert!(number >= 100, "{number} cases are blocked");
}
