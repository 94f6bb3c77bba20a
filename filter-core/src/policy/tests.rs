//! The rules of the policy, one by one.

use super::{
    world::{ENFORCE, World, attested, rules, source, wide},
    *,
};
use crate::config::tier;

#[test]
fn a_source_that_only_fails_is_blocked_and_reopens_through_bootstrap() {
    let mut world = World::new(ENFORCE);
    let bad = source(2);
    let mut blocks = Vec::new();
    for expected in [20, 10, 5, 2, 2, 2, 2, 2] {
        let mut calls = 0;
        while world.verdict(bad).as_deref() != Some("block") {
            world.fails(bad, "tok_badsig", 1);
            calls += 1;
        }
        assert_eq!(calls, expected);
        let claim = &world.enforced[&bad];
        assert_eq!(claim.reason.as_deref(), Some("tok_badsig"));
        let (mut seconds, ends) = (0, claim.expires.expect("it ends"));
        assert!(ends > world.unix);
        while world.verdict(bad).as_deref() == Some("block") {
            world.pass(1_000);
            seconds += 1;
        }
        assert_eq!(world.verdict(bad).as_deref(), Some(tier::BOOTSTRAP));
        blocks.push(seconds);
    }
    assert_eq!(blocks, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    world.pass(660_000);
    assert_eq!(world.verdict(bad), None);
    // After a day nothing of it counts.
    world.pass(24 * 3_600_000);
    world.fails(bad, "tok_badsig", 19);
    assert_eq!(world.verdict(bad).as_deref(), Some(tier::SUSPECT));
    world.fails(bad, "tok_badsig", 1);
    assert_eq!(world.verdict(bad).as_deref(), Some("block"));
}

#[test]
fn genuine_devices_raise_their_source_and_hold_it_where_somebody_fails_there() {
    let mut world = World::new(ENFORCE);
    let nat = source(1);
    for device in 0..100 {
        world.see(&attested(nat, device));
    }
    assert_eq!(world.verdict(nat).as_deref(), Some(tier::ATTESTED));
    world.fails(nat, "tok_missing", 2_000);
    assert_eq!(world.verdict(nat).as_deref(), Some("shared-128"));
    for device in 100..1_200 {
        world.see(&attested(nat, device));
    }
    assert_eq!(world.verdict(nat).as_deref(), Some("shared-2048"));
    assert_eq!(world.enforced[&nat].reason.as_deref(), Some("tok_missing"));
    // Nobody is there any more, and it goes on failing.
    world.pass(25 * 3_600_000);
    world.fails(nat, "tok_missing", 2_000);
    assert_eq!(world.verdict(nat).as_deref(), Some(tier::BOOTSTRAP));
    world.pass(7 * 24 * 3_600_000);
    world.fails(nat, "tok_missing", 20);
    assert_eq!(world.verdict(nat).as_deref(), Some("block"));
    // One that comes through all the same lifts it.
    world.see(&attested(nat, 1));
    assert_eq!(world.verdict(nat).as_deref(), Some(tier::ATTESTED));
}

#[test]
fn a_large_source_is_raised_to_what_its_devices_need() {
    let mut world = World::new(ENFORCE);
    for device in 0..1_500 {
        world.see(&attested(source(1), device));
    }
    let tier = world.verdict(source(1));
    assert_eq!(tier.as_deref(), Some("shared-2048"));
}

#[test]
fn nothing_is_enforced_until_the_operator_says_so() {
    let mut world = World::new("[policy]\nmode = \"observe\"\nsources = 100\ndevices = 100\n");
    let (bad, good) = (source(2), source(4));
    world.fails(bad, "tok_badsig", 20);
    world.see(&attested(good, 1));
    assert_eq!(world.shadow(bad).as_deref(), Some("block"));
    assert_eq!(world.shadow(good).as_deref(), Some(tier::ATTESTED));
    assert!(world.enforced.is_empty());

    // One rule only; its sanctions in shadow are withdrawn.
    let text = "[policy]\nmode = \"observe\"\nsources = 100\ndevices = 100\n[policy.rule.credential]\nmode = \"enforce\"\n";
    let changes = world.policy.configure(rules(text).0, world.now());
    world.apply(&changes);
    assert_eq!(world.shadow(bad), None);
    world.fails(bad, "app_tampered", 20);
    assert_eq!(world.shadow(bad).as_deref(), Some("block"));
    assert_eq!(world.verdict(bad), None);
    world.fails(bad, "tok_badsig", 20);
    assert_eq!(world.verdict(bad).as_deref(), Some("block"));
}

#[test]
fn a_reason_is_its_rules_by_name_before_its_integrity() {
    let text = format!(
        "{ENFORCE}[policy.rule.service]\nreasons = []\n[policy.rule.expired]\nreasons = [\"tok_expired\"]\nsteps = [{{ evidence = 5, share = 0.0, verdict = {{ limit = \"bootstrap\" }}, lifetime = \"1h\" }}]\n"
    );
    let mut world = World::new(&text);
    world.fails(source(2), "tok_expired", 100);
    assert_eq!(world.verdict(source(2)).as_deref(), Some("bootstrap"));
    world.fails(source(4), "tok_missing", 20);
    assert_eq!(world.verdict(source(4)).as_deref(), Some("block"));
    world.fails(source(6), "crowdsec:anything", 100);
    assert_eq!(world.verdict(source(6)), None, "no rule is about it");
}

#[test]
fn a_token_elsewhere_neither_raises_nor_protects() {
    let mut world = World::new(ENFORCE);
    let call = Observation {
        elsewhere: true,
        ..attested(source(2), 1)
    };
    for _ in 0..50 {
        world.see(&call);
    }
    assert_eq!(world.verdict(source(2)), None);
    world.fails(source(2), "tok_badsig", 20);
    assert_eq!(world.verdict(source(2)).as_deref(), Some("block"));
}

#[test]
fn a_replayed_token_raises_four_sources_and_blocks_the_others() {
    let mut world = World::new(ENFORCE);
    for round in 0..20 {
        for number in 0..50 {
            world.see(&Observation {
                ends: Some(world.unix + 300),
                ..attested(source(number), 1)
            });
        }
        world.pass(if round < 10 { 10 } else { 1_000 });
    }
    let verdicts = (0..50).map(|number| world.verdict(source(number)));
    let raised = verdicts.filter(|verdict| verdict.as_deref() == Some(tier::ATTESTED));
    assert_eq!(raised.count(), 4);
    let blocked =
        (0..50).filter(|number| world.verdict(source(*number)).as_deref() == Some("block"));
    assert_eq!(blocked.count(), 46);
    let reason = world.enforced[&source(49)].reason.as_deref();
    assert_eq!(reason, Some("replay"));
}

#[test]
fn a_telephone_on_its_way_is_no_replay() {
    let mut world = World::new(ENFORCE);
    for number in 0..40 {
        // Each hour another network, and another token.
        for _ in 0..60 {
            let call = Observation {
                token: Some(1_000 + u64::from(number)),
                ..attested(source(number), 1)
            };
            world.see(&call);
        }
        world.pass(3_600_000);
        let verdict = world.verdict(source(number));
        assert!(verdict.is_none_or(|tier| tier == tier::ATTESTED));
    }
}

#[test]
fn a_shadow_says_what_it_would_have_hit_and_how_much_of_it_was_genuine() {
    let mut world = World::new("[policy]\nmode = \"observe\"\nsources = 4000\ndevices = 4000\n");
    for number in 0..30 {
        world.fails(source(number), "tok_badsig", 25);
    }
    for number in 0..6 {
        world.see(&attested(source(number), u64::from(number)));
    }
    let blocks = |world: &World| {
        let rows = world.policy.shadow();
        let row = rows.into_iter().find(|row| row.then == Then::Block);
        row.expect("a row of the block")
    };
    let row = blocks(&world);
    assert_eq!(
        (row.rule.as_str(), &*row.reason),
        ("credential", "tok_badsig")
    );
    assert_eq!(row.mode, Mode::Observe);
    assert_eq!((row.hits.sources, row.hits.attested_sources), (30, 6));
    assert_eq!((row.hits.calls, row.hits.attested_calls), (30 * 6 + 6, 6));
    // A source counts once an hour, and after a day not any more.
    world.pass(23 * 3_600_000);
    assert_eq!(blocks(&world).hits.sources, 30);
    world.pass(2 * 3_600_000);
    assert!(world.policy.shadow().is_empty());
}

#[test]
fn the_breaker_opens_when_those_fail_who_were_attested() {
    let mut world = World::new(ENFORCE);
    let sources = 200;
    for _ in 0..40 {
        for number in 0..sources {
            world.see(&attested(wide(number), u64::from(number)));
        }
        world.pass(15_000);
    }
    let bad = wide(9_999);
    world.fails(bad, "tok_badsig", 20);
    assert_eq!(world.verdict(bad).as_deref(), Some("block"));
    // However many strangers fail, they are what it is there for.
    for number in 5_000..7_000 {
        world.fails(wide(number), "tok_badsig", 2);
    }
    for number in 0..sources {
        world.see(&attested(wide(number), u64::from(number)));
    }
    world.pass(30_000);
    assert_eq!(world.policy.alarm(), None);
    // A key was rotated.
    for _ in 0..3 {
        for number in 0..sources {
            world.fails(wide(number), "tok_badsig", 7);
        }
        world.pass(15_000);
    }
    let alarm = world.policy.alarm().expect("it opened");
    assert!(matches!(alarm.why, Why::Failing { share, .. } if share > 0.9));
    assert!(alarm.since <= world.unix && alarm.since + 60 > world.unix);
    let against = world
        .enforced
        .values()
        .filter(|claim| claim.reason.as_deref() != Some("attested"));
    assert_eq!(against.count(), 0, "its own verdicts lapsed");
    world.fails(wide(20_000), "tok_badsig", 100);
    assert_eq!(world.verdict(wide(20_000)), None, "no new one is made");
    // The keys are right again.
    for _ in 0..12 {
        for number in 0..sources {
            world.see(&attested(wide(number), u64::from(number)));
        }
        world.pass(15_000);
    }
    assert_eq!(world.policy.alarm(), None);
    world.fails(wide(0), "tok_badsig", 9);
    assert_eq!(
        world.verdict(wide(0)).as_deref(),
        Some(tier::ATTESTED),
        "nothing of it counts"
    );
    world.fails(bad, "tok_badsig", 20);
    assert_eq!(world.verdict(bad).as_deref(), Some("block"));
}

#[test]
fn the_breaker_opens_when_nothing_is_attested_while_calls_come() {
    for (known, strangers, opens) in [(1, 0, true), (0, 40, true), (0, 5, false)] {
        let mut world = World::new(ENFORCE);
        for number in 0..known {
            world.see(&attested(wide(number), 1));
        }
        let mut opened = None;
        for minute in 0..10 {
            for number in 0..known + strangers {
                world.fails(wide(number), "tok_badsig", 1);
            }
            world.pass(60_000);
            opened = opened.or_else(|| world.policy.alarm().map(|_| minute));
        }
        assert_eq!(
            opened.is_some(),
            opens,
            "{known} known, {strangers} strangers"
        );
        assert!(
            opened.is_none_or(|minute| (4..=5).contains(&minute)),
            "{opened:?}"
        );
    }
}

#[test]
fn a_full_table_forgets_the_idlest_and_never_what_holds() {
    let mut world = World::new(ENFORCE);
    for number in 0..100 {
        world.fails(wide(number), "tok_badsig", 20);
    }
    for number in 1_000..21_000 {
        world.fails(wide(number), "tok_badsig", 1);
    }
    let status = world.policy.status();
    assert_eq!(status.sources, 4_000);
    assert_eq!(status.forgotten, 20_100 - 4_000);
    assert_eq!(status.blocked, [100, 0]);
    world.pass(61_000);
    assert!((0..100).all(|number| world.verdict(wide(number)).as_deref() == Some("bootstrap")));
}
