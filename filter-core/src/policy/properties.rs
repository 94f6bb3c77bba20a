//! The promises of the policy, each for any calls in any order.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::world::{ENFORCE, World, attested, failed, rules, source, wide};
use super::*;
use crate::{claim::Verdict, config::tier, prefix::Prefix};

/// A step of a random history.
#[derive(Clone, Debug)]
enum Step {
    /// A call of this source fails for this reason.
    Fail(u32, &'static str, u32),
    /// A call of this source, by one of its own devices, of a token that lasts so
    /// many seconds.
    Attest(u32, u64, u32),
    /// Time passes.
    Pass(u64),
}

const REASONS: [&str; 8] = [
    "tok_badsig",
    "tok_missing",
    "app_tampered",
    "dev_rooted",
    "dev_hooked",
    "mitm_detected",
    "rate_exceeded",
    "anything",
];

fn steps(sources: u32) -> impl Strategy<Value = Vec<Step>> {
    let weight = select(vec![1, 1, 1, 5, 15, 100, 5_000]);
    let fail = (0..sources, select(REASONS.to_vec()), weight)
        .prop_map(|(source, reason, weight)| Step::Fail(source, reason, weight));
    let attest = (0..sources, 0..40_u64, 0..7_200_u32)
        .prop_map(|(source, device, lasts)| Step::Attest(source, device, lasts));
    let pass = select(vec![
        1, 200, 1_000, 5_000, 60_000, 600_000, 3_600_000, 40_000_000,
    ])
    .prop_map(Step::Pass);
    vec(prop_oneof![4 => fail, 1 => attest, 2 => pass], 1..120)
}

impl World {
    /// Takes a step.
    fn take(&mut self, step: &Step) -> Changes {
        match step {
            Step::Fail(number, reason, weight) => self.see(&Observation {
                weight: *weight,
                ..failed(source(*number), reason)
            }),
            Step::Attest(number, device, lasts) => self.see(&Observation {
                ends: Some(self.unix + lasts),
                ..attested(source(*number), u64::from(*number) << 32 | device)
            }),
            Step::Pass(ms) => {
                self.pass(*ms);
                Changes::default()
            }
        }
    }

    fn against(&self, source: Prefix) -> Option<String> {
        let against = |claim: &&Claim| claim.reason.as_deref() != Some("attested");
        let claim = self.enforced.get(&source).filter(against);
        claim.map(|claim| self.name(claim))
    }
}

/// Seconds in which devices count, at least and at most.
const HALF_DAY: u64 = 12 * 3_600_000;
const WEEK: u64 = 14 * HALF_DAY;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn one_failing_call_never_changes_a_verdict(
        calls in vec((0..40_u32, select(REASONS.to_vec()), any::<bool>(), 0..100_000_u64), 1..100)
    ) {
        let mut world = World::new(ENFORCE);
        let mut failing = BTreeMap::<Prefix, u32>::new();
        for (number, reason, genuine, ms) in calls {
            let source = source(number);
            let fails = failing.entry(source).or_default();
            if genuine || *fails == 1 {
                world.see(&attested(source, u64::from(number)));
            } else {
                *fails += 1;
                let before = world.verdict(source);
                world.see(&failed(source, reason));
                prop_assert_eq!(world.verdict(source), before);
            }
            prop_assert_eq!(world.against(source), None);
            world.pass(ms);
        }
    }

    #[test]
    fn after_a_block_one_failing_call_changes_nothing_either(
        pauses in vec(0..7_000_000_u64, 1..12)
    ) {
        let mut world = World::new(ENFORCE);
        let bad = source(2);
        for pause in pauses {
            while world.verdict(bad).as_deref() != Some("block") {
                world.see(&failed(bad, "tok_badsig"));
            }
            while world.verdict(bad).as_deref() == Some("block") {
                world.pass(1_000);
            }
            world.pass(pause);
            let before = world.verdict(bad);
            world.see(&failed(bad, "tok_badsig"));
            prop_assert_eq!(world.verdict(bad), before);
        }
    }

    #[test]
    fn a_device_reason_alone_never_does_more_than_choose_a_tier(steps in steps(6)) {
        let mut world = World::new(ENFORCE);
        for step in steps {
            if !matches!(step, Step::Fail(_, reason, _) if !reason.starts_with("dev_")) {
                world.take(&step);
            }
            let blocked = |claim: &Claim| claim.verdict == Verdict::Block;
            prop_assert!(!world.enforced.values().any(blocked));
        }
    }

    #[test]
    fn genuine_devices_protect_their_source(steps in steps(4)) {
        let mut world = World::new(ENFORCE);
        let mut seen = BTreeMap::<u32, u64>::new();
        for step in steps {
            world.take(&step);
            if let Step::Attest(number, ..) = &step {
                seen.insert(*number, world.ms);
            }
            for (number, at) in &seen {
                let verdict = world.verdict(source(*number));
                let verdict = verdict.as_deref().unwrap_or(tier::UNKNOWN);
                let ago = world.ms - at;
                if ago < HALF_DAY {
                    let live = [tier::UNKNOWN, tier::ATTESTED];
                    prop_assert!(live.contains(&verdict) || verdict.starts_with("shared-"), "{verdict}");
                }
                if ago < WEEK - 600_000 {
                    prop_assert!(verdict != "block" && verdict != tier::SUSPECT, "{verdict}");
                }
            }
        }
    }

    #[test]
    fn a_tier_is_large_enough_for_the_devices_there(devices in 1..3_000_u64, salt in any::<u64>()) {
        let mut world = World::new(ENFORCE);
        for device in 0..devices {
            world.see(&attested(source(1), device ^ salt));
        }
        let large = |tier: &str| tier.strip_prefix("shared-").map(|devices| devices.parse::<u64>().expect("a number"));
        let raised = world.verdict(source(1)).expect("it is raised");
        // A sketch of sixteen registers may be a third short, rarely half.
        prop_assert!(large(&raised).is_none_or(|most| most * 2 >= devices && most <= devices.max(64) * 16), "{raised}");
        world.see(&Observation { weight: 4_000, ..failed(source(1), "tok_missing") });
        for _ in 0..10 {
            world.see(&Observation { weight: 4_000, ..failed(source(1), "tok_missing") });
        }
        let held = world.verdict(source(1)).expect("it is held");
        let most = large(&held).expect("a shared tier");
        prop_assert!(most * 2 >= devices && most <= devices * 16, "{held} for {devices}");
    }

    #[test]
    fn who_only_fails_at_volume_is_blocked_at_once_and_for_an_hour_at_most(steps in steps(3)) {
        let mut world = World::new(ENFORCE);
        for step in steps {
            // Without the pauses of a day the breaker has nothing to say: there
            // is nobody who was ever attested.
            if matches!(step, Step::Attest(..)) {
                continue;
            }
            let before = world.enforced.clone();
            let changes = world.take(&step);
            if let Step::Fail(number, reason, weight @ 100..) = step
                && (reason.starts_with("tok_") || reason.starts_with("app_"))
            {
                let verdict = world.verdict(source(number));
                prop_assert_eq!(verdict.as_deref(), Some("block"), "{} {}", weight, reason);
            }
            for change in &changes.enforced {
                if let Change::Claim(claim) = change && claim.verdict == Verdict::Block {
                    let length = claim.expires.expect("it ends") - world.unix - 1;
                    prop_assert!([60, 120, 240, 480, 960, 1_920, 3_600].contains(&length), "{length}");
                }
            }
            // What was blocked is blocked or in the bootstrap tier, until that
            // ends too.
            if let Step::Pass(ms) = step && ms <= 600_000 {
                for (prefix, claim) in before {
                    if claim.verdict == Verdict::Block {
                        let verdict = world.verdict(prefix);
                        prop_assert!(matches!(verdict.as_deref(), Some("block" | "bootstrap")), "{verdict:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_attested_source_is_raised_for_as_long_as_its_tokens_last(
        calls in vec((0..3_u32, 0..8_u64, 60..7_200_u32, 0..900_000_u64), 1..60)
    ) {
        let mut world = World::new(ENFORCE);
        let mut ends = BTreeMap::<u32, u32>::new();
        for (number, device, lasts, ms) in calls {
            let until = world.unix + lasts;
            let last = ends.entry(number).or_default();
            *last = until.max(*last);
            world.take(&Step::Attest(number, device, lasts));
            world.pass(ms);
            for (number, until) in &ends {
                let raised = world.verdict(source(*number)).is_some();
                prop_assert!(raised || *until <= world.unix + 1);
                // A second for what follows, and one for what is between two.
                prop_assert!(!raised || *until + 2 >= world.unix);
            }
        }
    }

    #[test]
    fn a_token_raises_or_protects_at_most_four_sources(
        calls in vec((0..60_u32, 0..2_u64, 0..120_000_u64), 1..200)
    ) {
        let mut world = World::new(ENFORCE);
        for (number, device, ms) in calls {
            world.see(&attested(wide(number), device));
            world.pass(ms);
            let raised = world.enforced.values().filter(|claim| claim.reason.as_deref() == Some("attested"));
            prop_assert!(raised.count() <= 8, "of two devices");
        }
        // Whom they speak for can't be blocked, all others can.
        for number in 0..60 {
            world.see(&Observation { weight: 4_000, ..failed(wide(number), "tok_badsig") });
        }
        let spared = (0..60).filter(|number| world.verdict(wide(*number)).as_deref() != Some("block"));
        prop_assert!(spared.count() <= 8);
    }

    #[test]
    fn a_restart_forgets_nothing_in_force(steps in steps(6), pause in 0..3_000_u32) {
        let mut world = World::new(ENFORCE);
        for step in steps {
            world.take(&step);
        }
        let text = world.policy.snapshot(world.now());
        let numbers = rules(ENFORCE);
        let later = Now { boot_ms: 17, unix: world.unix + pause };
        let (restored, read) = Policy::restore(numbers.0, 99, &text, later).expect("it was written");
        prop_assert_eq!(read.unreadable, 0);
        let word = |word: Word| -> BTreeMap<_, _> {
            word.enforced.into_iter().map(|claim| (claim.prefix, claim)).collect()
        };
        let before = word(world.policy.word(world.now()));
        let mut after = word(restored.word(later));
        for (prefix, claim) in before {
            let other = after.remove(&prefix).expect("it is there");
            prop_assert_eq!(claim.verdict, other.verdict);
            prop_assert_eq!((claim.reason, claim.evidence), (other.reason, other.evidence));
            let (one, two) = (claim.expires.expect("an end"), other.expires.expect("an end"));
            prop_assert!(one.abs_diff(two) <= 2 || one < later.unix, "{one} {two}");
        }
        prop_assert!(after.is_empty());
        // Nor who is protected, and who was blocked before.
        let mut one = world;
        one.pass(u64::from(pause) * 1_000);
        let mut two = World::new(ENFORCE);
        two.policy = restored;
        (two.ms, two.unix) = (later.boot_ms, later.unix);
        two.tick();
        one.pass(2_000);
        two.pass(2_000);
        let open = one.policy.alarm().is_some();
        for number in 0..6 {
            let call = Observation { weight: 4_000, ..failed(source(number), "tok_badsig") };
            let (one, two) = (one.see(&call), two.see(&call));
            let blocks = |changes: &Changes| changes.enforced.iter().any(|change| {
                matches!(change, Change::Claim(claim) if claim.verdict == Verdict::Block)
            });
            prop_assert!(open || blocks(&one) == blocks(&two), "{number}: {one:?} {two:?}");
        }
    }

    #[test]
    fn clocks_that_jump_break_nothing(
        steps in vec((steps(4), any::<u64>(), any::<u32>()), 1..6)
    ) {
        let mut world = World::new(ENFORCE);
        for (steps, ms, unix) in steps {
            for step in &steps {
                if !matches!(step, Step::Pass(_)) {
                    world.take(step);
                }
            }
            // The one forwards or backwards by up to a month, the other anywhere.
            world.ms = world.ms.wrapping_add(ms % (1 << 31)).wrapping_sub(1 << 30);
            world.unix = unix / 2;
            (world.enforced, world.shadow) = Default::default();
            let changes = world.policy.tick(world.now());
            world.apply(&changes);
            for claim in world.policy.word(world.now()).enforced {
                let left = claim.expires.expect("it ends").saturating_sub(world.unix);
                prop_assert!(left <= 24 * 3_600 + 1, "{left} s left");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_counted() {
    let rules = || rules(ENFORCE).0;
    let now = Now {
        boot_ms: 0,
        unix: 1_800_000_000,
    };
    for text in [
        "",
        "\n",
        "{}",
        "{\"weir_policy\":2,\"unix\":1,\"usual\":0.1}",
        "\u{0}",
    ] {
        assert!(Policy::restore(rules(), 1, text, now).is_err(), "{text:?}");
    }
    let text = "{\"weir_policy\":1,\"unix\":1800000000,\"usual\":1e40}\n\
        {\"source\":\"192.0.2.0/24\"}\n{\"source\":\"192.0.2.1\",\"attested\":4294967295}\n\
        {\"source\":\"192.0.2.2\",\"enforced\":{\"is\":\"blocked\",\"left\":50,\"reason\":\"x\",\"evidence\":1,\"step\":[\"gone\",7]}}\n\
        {\"source\":\"192.0.2.3\",\"enforced\":{\"is\":\"blocked\",\"left\":4000000000,\"reason\":\"x\",\"evidence\":1,\"step\":[\"credential\",1]},\"blocks\":[255,9223372036854775807]}\n\
        {\"source\":\"192.0.2.4\",\"enforced\":{\"is\":\"blocked\",\"left\":5,\"reason\":\"x\",\"evidence\":1,\"step\":[\"credential\",200]}}\n\
        nothing";
    let restored = Policy::restore(rules(), 1, text, now);
    let (policy, read) = restored.expect("its head is right");
    assert_eq!((read.sources, read.unreadable), (3, 3));
    let word = policy.word(now);
    assert_eq!(word.enforced.len(), 1);
    let ends = word.enforced[0].expires.expect("it ends");
    assert!(ends <= now.unix + 24 * 3_600 + 1);
}
