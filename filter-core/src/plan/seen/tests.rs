use filter_common::rate::Kind;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::plan::tests::{config, plan, rate};

/// Two services with default tiers that are strict in different ways.
const TWO: &str = r#"
    [[service]]
    name = "api"
    ports = ["tcp/443"]
    [[service]]
    name = "slow"
    ports = ["tcp/80"]
    default_tier = "slow"
    [tier.slow]
    connections = { rate = "20/s", burst = 2000 }
    [tier.slow.neighbourhood]
    packets = { rate = "500/s", burst = 500 }
    [tier.fragments]
    packets = { rate = "50/s", burst = 100 }
    [tier.partner]
    packets = { rate = "40000/s", burst = 80000 }
    connections = { rate = "100/s", burst = 900 }
"#;

#[test]
fn fragments_have_the_strictest_of_what_a_tier_does_not_name() {
    let plan = plan(TWO);
    let suspect = plan.seen_by(FRAGMENTS, "suspect");
    assert_eq!(suspect.source.connections, rate(1, 5).cold());
    assert_eq!(suspect.source.packets, rate(50, 100));
    let near = suspect.neighbourhood(Family::V6);
    assert_eq!(near.packets, rate(500, 500).cold());
    // The slower rate of one, the smaller burst of another.
    let text = format!("{TWO}\n[tier.bare]");
    let bare = self::plan(&text).seen_by(FRAGMENTS, "bare").source;
    assert_eq!(bare.connections, rate(20, 1_000).cold());
    assert_eq!(bare.packets, rate(50, 100));
    // What is named holds, and begins without a burst if it is stricter anywhere.
    let partner = plan.seen_by(FRAGMENTS, "partner").source;
    assert_eq!(partner.connections, rate(100, 900).cold());
    assert_eq!(partner.packets, rate(40_000, 80_000).cold());
}

#[test]
fn fragments_of_sources_without_a_verdict_have_their_own_tier() {
    let plan = plan(TWO);
    let fragments = plan.seen_by(FRAGMENTS, "fragments");
    assert_eq!(fragments.source.packets, rate(50, 100));
    assert_eq!(fragments.source.connections, rate(200, 1_000));
    assert!(!fragments.neighbourhood(Family::V4).is_set());
    assert!(!fragments.neighbourhood(Family::V6).is_set());
}

#[test]
fn a_removed_tier_is_to_fragments_a_tier_that_names_nothing() {
    let before = plan(&format!("{TWO}\n[tier.old]"));
    let after = config(TWO).plan(&before.tier_names).expect("few tiers");
    let old = before.tier_names.number("old").expect("a tier");
    let bare = before.seen_by(FRAGMENTS, "old");
    assert!(after.tiers.contains(&(FRAGMENTS, old, bare)));
}

#[test]
fn what_is_said_of_ipv6_alone_does_not_bind_who_proved_himself() {
    let text = r#"
        [policy]
        mode = "observe"
        [[service]]
        name = "api"
        ports = ["tcp/443"]
        default_tier = "busy"
        [tier.busy]
        packets = { rate = "20000/s", burst = 40000 }
        connections = { rate = "200/s", burst = 1000 }
        [tier.busy.neighbourhood]
        packets = { rate = "50000/s", burst = 90000 }
        [tier.busy.neighbourhood.ipv6]
        packets = { rate = "40000/s", burst = 80000 }
        connections = { rate = "9000/s", burst = 9000 }
    "#;
    let plan = plan(text);
    for tier in ["attested", "shared-2", "shared-8192"] {
        let seen = plan.seen_by(1, tier);
        let [v4, v6] = seen.neighbourhoods;
        assert_eq!(v4.packets, rate(50_000, 90_000), "{tier}");
        assert_eq!(v6, v4, "{tier}");
        let hidden = plan.seen_by(FRAGMENTS, tier).neighbourhoods;
        assert_eq!(hidden[1], hidden[0], "{tier}");
    }
    let suspect = *plan.seen_by(1, "suspect").neighbourhood(Family::V6);
    assert_eq!(suspect.packets, rate(40_000, 80_000));
    assert_eq!(suspect.connections, rate(9_000, 9_000));
    // What they say themselves does.
    let own = format!(
        "{text}\n[tier.attested.neighbourhood.ipv6]\nconnections = {{ rate = \"30000/s\", burst = 90000 }}"
    );
    let attested = *self::plan(&own)
        .seen_by(1, "attested")
        .neighbourhood(Family::V6);
    assert_eq!(attested.connections.interval, rate(30_000, 90_000).interval);
}

/// The rates of one level, as they are written: of packets, bytes and connections.
type Level = [Option<(&'static str, &'static str)>; 3];

fn level() -> impl Strategy<Value = Level> {
    let one = |choices: &'static [(&'static str, &'static str)]| option::of(select(choices));
    (
        one(&[("100/s", "50"), ("20000/s", "40000"), ("5000/s", "90000")]),
        one(&[
            ("\"1MiB/s\"", "\"1MiB\""),
            ("\"4MiB/s\"", "\"16MiB\""),
            ("\"32MiB/s\"", "\"64MiB\""),
        ]),
        one(&[
            ("1/s", "5"),
            ("20/s", "900"),
            ("200/s", "1000"),
            ("300/s", "40"),
        ]),
    )
        .prop_map(|(packets, bytes, connections)| [packets, bytes, connections])
}

fn written(table: &str, level: &Level) -> String {
    let mut text = format!("[tier.{table}]\n");
    for (name, rate) in ["packets", "bytes", "connections"].iter().zip(level) {
        if let Some((rate, burst)) = rate {
            let rate = rate.trim_matches('"');
            text += &format!("{name} = {{ rate = \"{rate}\", burst = {burst} }}\n");
        }
    }
    text
}

const NAMES: [&str; 7] = [
    "unknown",
    "suspect",
    "fragments",
    "bootstrap",
    "attested",
    "shared-2",
    "partner",
];

prop_compose! {
    fn configuration()(
        tiers in vec([level(), level(), level()], NAMES.len()),
        defaults in vec(select(&NAMES[..]), 1..4),
        policy in select(vec!["off", "observe"]),
    ) -> String {
        let mut text = format!("[policy]\nmode = \"{policy}\"\n");
        for (name, [source, both, v6]) in NAMES.iter().zip(&tiers) {
            text += &written(name, source);
            text += &written(&format!("{name}.neighbourhood"), both);
            text += &written(&format!("{name}.neighbourhood.ipv6"), v6);
        }
        for (number, tier) in (1..).zip(&defaults) {
            text += &format!(
                "[[service]]\nname = \"s{number}\"\nports = [\"tcp/{number}\"]\ndefault_tier = \"{tier}\"\n"
            );
        }
        text
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// So that hiding the port never pays. (Nothing of a /48's default: a later fragment
    /// opens no connection.)
    #[test]
    fn no_service_holds_a_source_more_strictly_than_fragments_do(text in configuration()) {
        let config = Config::parse(&text);
        prop_assume!(config.is_ok());
        let config = config.expect("it was looked at");
        let plan = config.plan(&Tiers::default()).expect("few tiers");
        prop_assert_eq!(plan.tiers_in_ticks().count(), plan.tiers.len());
        let names = &plan.tier_names;
        let fragments = plan.services[0].1;
        for (number, service) in &plan.services[1..] {
            for (tier, name) in (0..).zip(names.names()) {
                if name == tier::FRAGMENTS {
                    continue;
                }
                let plain = config.seen(tier, *number, service, names);
                let hidden = config.seen(tier, FRAGMENTS, &fragments, names);
                let levels = |tier: &Tier| [tier.source, tier.neighbourhoods[0], tier.neighbourhoods[1]];
                for (plain, hidden) in levels(&plain).iter().zip(levels(&hidden)) {
                    for kind in Kind::ALL {
                        let (plain, hidden) = (plain.of(kind as u32), hidden.of(kind as u32));
                        if plain.is_set() {
                            prop_assert!(hidden.interval >= plain.interval, "{} {:?}", name, kind);
                            prop_assert!(burst(hidden) <= burst(plain), "{} {:?}", name, kind);
                            prop_assert!(hidden.cold >= plain.cold, "{} {:?}", name, kind);
                        }
                    }
                }
            }
        }
    }
}
