//! Two hundred times one filter takes over from another, under a flood.

use weir::config::Attach;
use weir_tests::bed::{assert_without_a_gap, pair};

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
    let (net, host) = pair();
    assert_without_a_gap(&net, &host, attach, 200);
}
