//! New connections whose port is hidden: behind many extension headers, and in
//! fragments.

use aya::programs::XdpMode;
use filter_common::settings::Mode;
use weir_tests::{bed::Host, frame::written};

mod ways;

use self::ways::{Way, drawn, ways};

weir_tests::in_both_modes! {
    no_hidden_way_is_answered_more_often_than_plain_connections: super::each_way;
    whatever_chain_and_fragments_are_drawn_rates_hold_as_in_plain: super::any_way;
    all_hidden_ways_together_get_no_more_than_plain_connections: super::all_at_once;
    what_a_genuine_stack_may_send_is_answered_and_nothing_else: super::genuine;
    the_ceiling_under_attack_holds_for_hidden_connections_of_a_whole_48: super::under_attack;
    in_observe_all_of_them_are_answered: super::observed;
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_filter_every_hidden_way_is_answered() {
    let host = Host::new();
    let _listener = host.listen(443);
    every_way_is_answered(&host);
    // Of what is drawn many are answered, so that it means something that they
    // aren't behind weir.
    let drawn = drawn();
    let each = (0..).zip(&drawn);
    let works = each.filter(|(number, way)| answered(&host, &way.source(*number), way) == TRIES);
    let works = works.count();
    let all = drawn.len();
    eprintln!("the stack answers {works} of {all} drawn ways");
    assert!(works * 10 >= all * 9, "{works} of {all}");
}

fn each_way(mode: XdpMode) {
    let host = limited(mode);
    let _listener = host.listen(443);
    for (number, way) in (0..).zip(&ways()) {
        let allowed = answered(&host, &way.source(100 + number), &Way::plain(way.is_v4));
        assert_eq!(allowed, 1, "one at once, and one a minute");
        let hidden = answered(&host, &way.source(number), way);
        let most = if way.is_malformed { 0 } else { allowed };
        assert!(hidden <= most, "{hidden} of {TRIES}: {}", way.name);
    }
    let issue = host.answered(&from_the_issue()).len();
    assert_eq!(issue, 0, "no genuine stack sends the issue's two frames");
}

fn any_way(mode: XdpMode) {
    let host = limited(mode);
    let _listener = host.listen(443);
    for (number, way) in (0..).zip(&drawn()) {
        let hidden = answered(&host, &way.source(number), way);
        assert!(hidden <= 1, "{hidden} of {TRIES}: {}", way.name);
    }
}

fn all_at_once(mode: XdpMode) {
    let host = limited(mode);
    let _listener = host.listen(443);
    for is_v4 in [false, true] {
        let ways = ways();
        let ways = ways.iter().filter(|way| way.is_v4 == is_v4);
        let all: usize = ways.map(|way| answered(&host, &way.source(0), way)).sum();
        assert!(all <= 1, "{all} of one source, one a minute being allowed");
    }
}

/// No claim holds these sources, and the rates leave them room.
fn genuine(mode: XdpMode) {
    let host = Host::behind(mode, CONFIGURATION, &[]);
    let _listener = host.listen(443);
    for (number, way) in (0..).zip(&ways()) {
        let expected = if way.is_malformed { 0 } else { TRIES };
        let all = answered(&host, &way.source(number), way);
        assert_eq!(all, expected, "{}", way.name);
    }
}

/// Each of another source, so that only what all have together is used up.
fn under_attack(mode: XdpMode) {
    let host = Host::behind_plan(mode, CONFIGURATION, &[], |plan, config| {
        plan.under_attack(config)
    });
    let _listener = host.listen(443);
    let mut all = 0;
    for (number, way) in (0..).zip(&ways()) {
        let each = |client| way.sent(&way.source(number * CROWD + client), 1_000);
        let frames: Vec<_> = (0..CROWD).flat_map(each).collect();
        all += host.answered(&frames).len();
    }
    // Of the genuine ones, which are more.
    assert!(
        (30..=31).contains(&all),
        "{all}, 30 at once and one a minute being allowed to all together"
    );
}

fn observed(mode: XdpMode) {
    let mut host = limited(mode);
    host.set_mode(Mode::Observe);
    let _listener = host.listen(443);
    every_way_is_answered(&host);
}

fn every_way_is_answered(host: &Host) {
    for (number, way) in (0..).zip(&ways()) {
        let all = answered(host, &way.source(number), way);
        assert_eq!(all, TRIES, "{}", way.name);
    }
    let issue = host.answered(&from_the_issue()).len();
    assert_eq!(issue, 1, "the issue's two frames");
}

/// Every source of these ways may begin one connection, and one more a minute.
fn limited(mode: XdpMode) -> Host {
    let claims = [("2001:db8:66::/48", "slow"), ("198.18.0.0/15", "slow")];
    Host::behind(mode, CONFIGURATION, &claims)
}

/// Counts the answered ones of [`TRIES`] connections of a source.
fn answered(host: &Host, source: &str, way: &Way) -> usize {
    let frames: Vec<_> = (0..TRIES as u16)
        .flat_map(|number| way.sent(source, 1_000 + number))
        .collect();
    host.answered(&frames).len()
}

/// The two fragments of issue 11, of which the first ends before the TCP header.
fn from_the_issue() -> [Vec<u8>; 2] {
    [
        "02000000000202000000000186dd6000000000102c4020010db80066000000000000000000012001\
         0db80000000000000000000000023c000001000000093c00010400000000",
        "02000000000202000000000186dd6000000000242c4020010db80066000000000000000000012001\
         0db80000000000000000000000023c0000080000000906000104000000009c4001bb000003e80000\
         00005002200092240000",
    ]
    .map(written)
}

/// Connections that a source begins in one way.
const TRIES: usize = 20;
/// Sources that begin one each.
const CROWD: u16 = 60;

const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["tcp/443"]

[tier.slow]
connections = { rate = "1/m", burst = 1 }

[under_attack]
connections = { rate = "1/m", burst = 30 }
"#;
