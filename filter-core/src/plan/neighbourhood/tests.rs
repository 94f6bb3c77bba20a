use proptest::prelude::*;

use super::*;
use crate::plan::{
    Plan,
    tests::{config, plan, rate},
};

const API: &str = "[[service]]\nname = \"api\"\nports = [\"tcp/443\"]\n";

fn of_48(plan: &Plan, service: u8, tier: &str) -> Rate {
    plan.seen_by(service, tier)
        .neighbourhood(Family::V6)
        .connections
}

#[test]
fn a_48_has_fifty_times_a_sources_connections_and_at_least_ten_thousand() {
    let plan = plan(&format!(
        "{API}[tier.partner]\nconnections = {{ rate = \"500/s\", burst = 2000 }}\n[tier.wide]\nconnections = {{ rate = \"1/s\", burst = 3000 }}"
    ));
    for tier in ["unknown", "suspect", "bootstrap", "fragments"] {
        assert_eq!(of_48(&plan, 1, tier), rate(10_000, 50_000), "{tier}");
    }
    assert_eq!(of_48(&plan, 1, "partner"), rate(25_000, 100_000));
    assert_eq!(of_48(&plan, 1, "wide"), rate(10_000, 150_000));
    for (.., tier) in &plan.tiers {
        assert!(!tier.neighbourhood(Family::V4).is_set());
        let Rates { packets, bytes, .. } = *tier.neighbourhood(Family::V6);
        assert!(!packets.is_set() && !bytes.is_set());
    }
}

#[test]
fn who_proved_himself_and_fragments_have_no_default() {
    let on = format!("[policy]\nmode = \"enforce\"\n{API}");
    let plan = plan(&on);
    for (service, tier, rates) in &plan.tiers {
        let name = plan.tier_names.name(*tier).expect("a name");
        let spared = *service == FRAGMENTS || name == "attested" || name.starts_with("shared-");
        let set = rates.neighbourhood(Family::V6).connections.is_set();
        assert_eq!(set, !spared, "{service} {name}");
    }
    // Without a policy it is a tier like any other.
    let own = format!("{API}[tier.shared-2]\nconnections = {{ rate = \"9/s\", burst = 9 }}");
    assert_eq!(
        of_48(&self::plan(&own), 1, "shared-2"),
        rate(10_000, 50_000)
    );
}

#[test]
fn what_is_said_goes_before_the_default_which_nobody_inherits() {
    let said = |more: &str| plan(&format!("{API}{more}"));
    let ipv6 = "connections = { rate = \"9/s\", burst = 90 }";
    let plan = said(&format!("[tier.unknown.neighbourhood.ipv6]\n{ipv6}"));
    for tier in ["unknown", "suspect", "bootstrap"] {
        assert_eq!(of_48(&plan, 1, tier), rate(9, 90), "{tier}");
    }
    assert!(!of_48(&plan, 1, "attested").is_set());
    // What is said of both families is said of IPv6.
    let plan = said(&format!("[tier.suspect.neighbourhood]\n{ipv6}"));
    assert_eq!(of_48(&plan, 1, "suspect"), rate(9, 90).cold());
    assert_eq!(of_48(&plan, 1, "unknown"), rate(10_000, 50_000));
    // Each tier has fifty times its own.
    let plan = said("[tier.unknown]\nconnections = { rate = \"1000/s\", burst = 1000 }");
    assert_eq!(of_48(&plan, 1, "unknown"), rate(50_000, 50_000));
    assert_eq!(of_48(&plan, 1, "suspect"), rate(10_000, 50_000));
}

#[test]
fn where_a_source_is_not_held_a_48_is_not() {
    let free = format!("{API}default_tier = \"free\"\n[tier.free]\n");
    let plan = plan(&free);
    assert!(!of_48(&plan, 1, "free").is_set());
    assert!(of_48(&plan, 1, "suspect").is_set());
    assert_eq!(config(&free).unheld(), [""; 0]);
}

#[test]
fn the_default_needs_no_tick_of_its_own() {
    let built_in = plan(API);
    let without: Vec<_> = config(API).tiers.into_values().collect();
    let together = Tier::NONE.with_together(rate(1_000, 2_000));
    let shifts = tick::shifts(without.iter().chain([&together]), &[]);
    assert_eq!(Ok(built_in.shifts), shifts);
}

#[test]
fn the_default_takes_a_tick_that_is_free() {
    let slow = format!(
        "{API}[tier.unknown]\npackets = {{ rate = \"100/s\", burst = 1000 }}\nbytes = {{ rate = \"100KB/s\", burst = \"1MB\" }}"
    );
    let config = config(&slow);
    let together = config.under_attack.together;
    let shifts = tick::shifts(config.tiers.values().chain([&together]), &[]);
    let shifts = shifts.expect("few ticks");
    let default = rate(10_000, 50_000);
    assert!(!tick::holds(&shifts, Kind::Connections, &default));
    assert_eq!(of_48(&plan(&slow), 1, "unknown"), default);
}

#[test]
fn where_four_ticks_are_taken_the_default_is_as_near_as_they_hold() {
    // Each of these bursts leaves its rate a single tick; the bytes of `attested` have
    // the fourth, in which 50,000 connections at 10,000 a second are too long a time.
    let tiers = [2_500, 312, 39].map(|units| (units, 1_500_000));
    let tiers: String = tiers
        .iter()
        .map(|(units, burst)| {
            format!("[tier.t{units}]\npackets = {{ rate = \"{units}/s\", burst = {burst} }}\n")
        })
        .collect();
    let plan = plan(&format!("{API}{tiers}"));
    let held = of_48(&plan, 1, "unknown");
    let slowest = rate(20_000, 50_000).interval..SLOWEST;
    assert!(slowest.contains(&held.interval), "{held:?}");
    assert_eq!(burst(&held), LEAST_BURST);
    assert_eq!(plan.tiers_in_ticks().count(), plan.tiers.len());
}

proptest! {
    #[test]
    fn the_default_is_never_stricter_than_fifty_times(
        units in 1_u64..8_000_000,
        seconds in 1_u64..100,
        units_at_once in 1_u64..3_000_000,
        ticks in proptest::array::uniform4(0_u8..31),
    ) {
        let source = Rate::new(units, seconds * 1_000_000_000, units_at_once);
        prop_assume!(source.is_some_and(|rate| tick::finest(Kind::Connections, &rate).is_some()));
        let source = source.expect("it was looked at");
        let wanted = wanted(&source).expect("a source is held to it");
        let by_these = |rate: &Rate| tick::holds(&ticks, Kind::Connections, rate);
        let by_any = |rate: &Rate| tick::finest(Kind::Connections, rate).is_some();
        for held in [held_by(wanted, by_these), held_by(wanted, by_any)].into_iter().flatten() {
            prop_assert!(held.interval * TIMES <= source.interval && held.interval <= SLOWEST);
            prop_assert!(burst(&held) >= (burst(&source) * TIMES).max(LEAST_BURST));
            prop_assert!(by_any(&held));
        }
        // Up to here every burst has a tick.
        if units_at_once <= 50_000 && units / seconds <= 100_000 {
            prop_assert!(held_by(wanted, by_any).is_some());
        }
    }
}
