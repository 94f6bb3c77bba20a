//! Two hundred times one filter takes over from another, under a flood.

use weir::config::Attach;
use weir_tests::{
    netns::{Namespace, veth},
    replacement::assert_without_a_gap,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_the_driver_two_hundred_replacements_leak_lose_and_miscount_nothing() {
    replaced(Attach::Native);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_generic_mode_two_hundred_replacements_leak_lose_and_miscount_nothing() {
    replaced(Attach::Generic);
}

fn replaced(attach: Attach) {
    let (net, host) = (Namespace::new(), Namespace::new());
    veth((&net, "eth0"), (&host, "eth0"));
    assert_without_a_gap(&net, &host, attach, 200);
}
