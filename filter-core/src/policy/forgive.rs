//! What forgiving a source means, and what it doesn't.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    world::{ENFORCE, World, attested, failed, rules, source},
    *,
};
use crate::{config::tier, prefix::Written};

impl World {
    fn forgive(&mut self, source: &Prefix) -> Forgiven {
        let (changes, forgiven) = self.policy.forgive(source, self.now());
        self.apply(&changes);
        forgiven
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse::<Written>().expect(text).prefix
}

/// The same rules, enforced and only counted.
const BOTH: [&str; 2] = [
    ENFORCE,
    "[policy]\nmode = \"observe\"\nsources = 4000\ndevices = 4000\n",
];

#[test]
fn a_source_that_was_blocked_again_and_again_begins_anew() {
    for text in BOTH {
        let mut world = World::new(text);
        let bad = source(2);
        let held = |world: &World| match text {
            ENFORCE => world.verdict(bad),
            _ => world.shadow(bad),
        };
        for blocks in 1..=3 {
            while held(&world).as_deref() != Some("block") {
                world.fails(bad, "tok_badsig", 1);
            }
            let forgiven = world.forgive(&bad);
            assert_eq!(held(&world), None, "{text}: after {blocks} blocks");
            let [lifted] = &forgiven.lifted[..] else {
                panic!("{forgiven:?}")
            };
            assert_eq!(lifted.verdict, Verdict::Block);
            assert_eq!(&*lifted.reason, "tok_badsig");
            assert_eq!(forgiven.source, Some(bad));
        }
        // It needs as much as one that was never seen.
        world.fails(bad, "tok_badsig", 19);
        assert_ne!(held(&world).as_deref(), Some("block"), "{text}");
        world.fails(bad, "tok_badsig", 1);
        assert_eq!(held(&world).as_deref(), Some("block"), "{text}");
    }
}

#[test]
fn who_was_attested_stays_so_and_is_raised_again() {
    let mut world = World::new(ENFORCE);
    let nat = source(1);
    for device in 0..100 {
        world.see(&attested(nat, device));
    }
    let raised = world.verdict(nat);
    assert_eq!(raised.as_deref(), Some(tier::ATTESTED));
    world.fails(nat, "tok_missing", 2_000);
    assert_eq!(world.verdict(nat).as_deref(), Some("shared-128"));
    assert_eq!(world.forgive(&nat).lifted.len(), 1);
    assert_eq!(world.verdict(nat), raised);
    // Its genuine devices still keep it from being blocked.
    world.fails(nat, "tok_missing", 2_000);
    assert_eq!(world.verdict(nat).as_deref(), Some("shared-128"));
}

#[test]
fn only_what_a_source_can_be_is_forgiven() {
    let mut world = World::new(ENFORCE);
    for (text, is) in [
        ("192.0.2.1", Some("192.0.2.1/32")),
        ("2001:db8:0:1::7", Some("2001:db8:0:1::/64")),
        ("2001:db8:0:1::/64", Some("2001:db8:0:1::/64")),
        ("192.0.2.0/24", None),
        ("2001:db8::/48", None),
        ("ff02::1", None),
    ] {
        let forgiven = world.forgive(&prefix(text));
        assert_eq!(forgiven.source, is.map(prefix), "{text}");
        assert!(forgiven.lifted.is_empty(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn forgiving_one_is_as_if_it_had_never_failed_and_changes_nothing_of_others(
        calls in vec((
            0..12_u32,
            select(vec!["tok_badsig", "tok_missing", "app_tampered", "dev_rooted", "anything"]),
            select(vec![1_u32, 15, 100]),
            any::<bool>(),
            0..100_000_u64,
        ), 1..80),
        observe in any::<bool>(),
        whom in 0..12_u32,
    ) {
        let mut world = World::new(BOTH[usize::from(observe)]);
        for (number, reason, weight, genuine, ms) in calls {
            let source = source(number);
            world.see(&if genuine {
                attested(source, u64::from(number))
            } else {
                Observation { weight, ..failed(source, reason) }
            });
            world.pass(ms);
        }
        let whom = source(whom);
        let others = |world: &World| {
            let mut all = (world.enforced.clone(), world.shadow.clone());
            let (one, two) = (all.0.remove(&whom), all.1.remove(&whom));
            drop((one, two));
            all
        };
        let before = others(&world);
        let forgiven = world.forgive(&whom);
        prop_assert_eq!(others(&world), before);
        let against = |claim: Option<&Claim>| claim.is_some_and(|claim| {
            claim.reason.as_deref() != Some("attested")
        });
        prop_assert!(!against(world.enforced.get(&whom)), "{:?}", forgiven);
        prop_assert!(!against(world.shadow.get(&whom)), "{:?}", forgiven);
        prop_assert!(world.forgive(&whom).lifted.is_empty(), "once is enough");

        // Nor does a restart bring anything back.
        let text = world.policy.snapshot(world.now());
        let (rules, _) = rules(BOTH[usize::from(observe)]);
        let (restored, _) = Policy::restore(rules, 7, &text, world.now()).expect("its own text");
        let word = restored.word(world.now());
        let of = |claims: &[Claim]| claims.iter().any(|claim| {
            claim.prefix == whom && against(Some(claim))
        });
        prop_assert!(!of(&word.enforced) && !of(&word.shadow));

        // It takes as many failing calls as it takes a stranger: in both a call that
        // isn't the last of them changes nothing.
        let stranger = source(13);
        if world.policy.alarm().is_none() && world.verdict(whom).is_none() && world.shadow(whom).is_none() {
            for call in 0..19 {
                world.fails(whom, "tok_badsig", 1);
                world.fails(stranger, "tok_badsig", 1);
                let held = [world.verdict(whom), world.shadow(whom)];
                let blocked = held.iter().flatten().any(|held| held == "block");
                prop_assert!(!blocked, "call {}", call);
            }
        }
    }
}
