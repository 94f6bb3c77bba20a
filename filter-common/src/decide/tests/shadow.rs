//! The shadow, which is only counted, never changes the enforced outcome.

use super::*;

proptest! {
    #[test]
    fn a_shadow_changes_nothing_that_is_enforced(
        entries in proptest::collection::vec(entry(), 4),
        packets in proptest::collection::vec((0..4_u8, 0..8_usize), 1..60),
    ) {
        let (mut with, mut without) = (narrow(), narrow());
        for (number, entry) in (0..).zip(&entries) {
            with.entries.insert(from(number), *entry);
            let shadow = Entry::EMPTY.shadow;
            without.entries.insert(from(number), Entry { shadow, ..*entry });
        }
        let kinds = [api(), api(), api(), other(), ping(), later(), ssh(), dhcp()];
        for (second, (number, kind)) in (0..).zip(packets) {
            let packet = sent_from(kinds[kind], from(number));
            let clock = At(u64::from(second) * SECOND / 3, second);
            let shadowed = decide(&packet, &with, &clock);
            let plain = decide(&packet, &without, &clock);
            prop_assert_eq!(plain.shadow, Decision::NO_SHADOW);
            let enforced = Decision {
                shadow: Decision::NO_SHADOW,
                shadow_claim: 0,
                shadow_tier: 0,
                ..shadowed
            };
            prop_assert_eq!(enforced, plain);
            for source in 0..4 {
                for level in [0, 1] {
                    let key = bucket_of(from(source), level, 5, 0);
                    let rates = &with.tiers[&(1, 5)].source;
                    let used = |tables: &Collections| tables.used(&key, clock.0, rates);
                    prop_assert_eq!(used(&with), used(&without));
                }
            }

            let entry = &entries[usize::from(number)];
            let (stage, shadow) = (entry.current(&clock), entry.current_shadow(&clock));
            let early = matches!(
                Cause::from_code(plain.cause),
                Some(Cause::Essential | Cause::Protected)
            );
            let told = !early && !shadow.is_none() && shadow.claim() != stage.claim();
            prop_assert_eq!(shadowed.shadow != Decision::NO_SHADOW, told);
            prop_assert_eq!(shadowed.shadow_claim, if told { shadow.claim() } else { 0 });
        }
    }
}

#[test]
fn a_shadow_tells_what_would_have_happened() {
    for (enforced, shadow, cause, shadow_cause, shadow_drops) in [
        (
            Verdict::NONE,
            Verdict::BLOCK,
            Cause::Conforming,
            Cause::Blocked,
            true,
        ),
        (
            Verdict::BLOCK,
            Verdict::ADMIT,
            Cause::Blocked,
            Cause::Conforming,
            false,
        ),
        (
            Verdict::ALLOW,
            Verdict::limit(2),
            Cause::Allowed,
            Cause::OverBytes,
            true,
        ),
        (
            Verdict::limit(2),
            Verdict::PROTECT,
            Cause::OverBytes,
            Cause::Allowed,
            false,
        ),
    ] {
        let mut tables = Collections::new();
        let mut entry = always(enforced);
        entry.shadow[0] = Stage::new(shadow, 8, NEVER);
        tables.entries.insert(api().source, entry);
        let decision = decide(&api(), &tables, &At(0, 0));
        assert_eq!(
            (decision.cause, decision.shadow),
            (cause as u8, shadow_cause as u8)
        );
        assert_eq!(
            (decision.shadow_claim, decision.shadow_drops()),
            (8, shadow_drops)
        );
        assert_eq!(decision.drops(), cause.drops());
    }
}

#[test]
fn a_shadow_has_its_own_buckets() {
    let mut tables = narrow();
    let mut entry = always(Verdict::limit(5));
    entry.shadow[0] = Stage::new(Verdict::limit(5), 8, NEVER);
    tables.entries.insert(api().source, entry);
    // The same tier in both: each is used up by itself, at the same pace.
    for cause in [Cause::Conforming, Cause::Conforming, Cause::OverPackets] {
        let decision = decide(&api(), &tables, &At(0, 0));
        assert_eq!(
            (decision.cause, decision.shadow),
            (cause as u8, cause as u8)
        );
        assert_eq!((decision.tier, decision.shadow_tier), (5, 5));
    }
    for level in [0, 1] {
        for shadow in [0, 1] {
            let key = bucket_of(api().source, level, 5, shadow);
            let rates = &tables.tiers[&(1, 5)].source;
            assert_eq!(tables.used(&key, 0, rates), [2, 0, 2]);
        }
    }
}

#[test]
fn a_shadow_by_the_same_claim_is_not_told() {
    let mut tables = Collections::new();
    let mut entry = always(Verdict::ADMIT);
    entry.shadow[0] = Stage::new(Verdict::BLOCK, 7, NEVER);
    tables.entries.insert(api().source, entry);
    let decision = decide(&api(), &tables, &At(0, 0));
    assert_eq!(
        (decision.shadow, decision.shadow_claim),
        (Decision::NO_SHADOW, 0)
    );
}

/// Tier 5 and the fragments' hold to two packets at once, on both levels.
fn narrow() -> Collections {
    let mut tables = Collections::new();
    let two = Rates {
        packets: burst(2),
        connections: burst(3),
        ..Rates::NONE
    };
    let tier = Tier::new(two, two);
    tables.tiers.insert((1, 5), tier);
    tables.tiers.insert((0, 9), tier);
    tables
}

fn entry() -> impl Strategy<Value = Entry> {
    let verdict = prop_oneof![
        1 => Just(Verdict::PROTECT),
        1 => Just(Verdict::ALLOW),
        1 => Just(Verdict::BLOCK),
        1 => Just(Verdict::ADMIT),
        1 => Just(Verdict::limit(2)),
        1 => Just(Verdict::limit(3)),
        4 => Just(Verdict::limit(5)),
    ];
    let stage = (verdict, 1..4_u32, prop_oneof![0..70_u32, Just(NEVER)]);
    let stages = proptest::collection::vec(stage, 0..=STAGES);
    (stages.clone(), stages).prop_map(|(mut enforced, mut shadow)| {
        shadow.truncate(SHADOW_STAGES);
        let mut entry = Entry::EMPTY;
        for (given, places) in [
            (&mut enforced, &mut entry.stages[..]),
            (&mut shadow, &mut entry.shadow[..]),
        ] {
            given.sort_by_key(|(.., until)| *until);
            for (place, (verdict, claim, until)) in places.iter_mut().zip(given) {
                *place = Stage::new(*verdict, *claim, *until);
            }
        }
        entry
    })
}
