//! Blocked sources stay out of a real interface, and their free twins get in.

use aya::programs::XdpMode;
use weir_tests::bed::{assert_all_kept_out, pair};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_the_driver_what_is_blocked_stays_out_and_its_twin_gets_in() {
    assert_all_kept_out(&pair(), XdpMode::Driver);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_generic_mode_what_is_blocked_stays_out_and_its_twin_gets_in() {
    assert_all_kept_out(&pair(), XdpMode::Skb);
}
