//! Refused claims, and that a refusal costs no claim in force.

use super::*;

#[test]
fn what_is_protected_no_claim_can_touch() {
    let mut ledger = ledger();
    ledger.apply(FEED, blocks("192.0.2.7"), NOW);
    ledger.apply(FEED, blocks("192.0.2.0/24"), NOW);
    ledger.apply(SHADOW, blocks("192.0.0.0/16"), NOW);
    let protected = prefix("192.0.2.0/28");
    let mut rules = rules();
    rules.protected = vec![prefix("192.0.2.3"), protected];
    let applied = ledger.configure(rules.clone(), NOW);
    let refusal = Refusal {
        prefix: prefix("192.0.2.7"),
        fault: Fault::Protected(protected),
    };
    assert_eq!(
        (applied.refused.count, applied.refused.first),
        (1, vec![refusal])
    );
    let entry_of_it = entry(&ledger, "192.0.2.7");
    let stage = Stage::new(Settled::PROTECT, 0, NEVER);
    assert_eq!(
        (entry_of_it.stages[0], entry_of_it.shadow[0]),
        (stage, Stage::NONE)
    );
    assert_eq!(settled(&ledger, "192.0.2.16"), Settled::BLOCK);
    assert_eq!(
        ledger.protection(prefix("192.0.2.7").address()),
        Some(protected)
    );

    let again = ledger.apply(OPERATOR, blocks("192.0.2.7"), NOW);
    assert_eq!((again.refused.count, again.patch.is_empty()), (1, true));
    rules.protected.clear();
    ledger.configure(rules, NOW);
    assert_eq!(settled(&ledger, "192.0.2.7"), Settled::BLOCK);
    assert_eq!(ledger.protection(prefix("192.0.2.7").address()), None);
}

#[test]
fn claims_that_are_too_wide_are_refused_singly() {
    let mut ledger = ledger();
    let texts = [
        "0.0.0.0/0",
        "10.0.0.0/7",
        "10.0.0.0/8",
        "2000::/15",
        "2001::/16",
    ];
    let claims = texts.map(|text| claim(prefix(text), Verdict::Block));
    let applied = ledger.apply(FEED, Update::Snapshot(claims.to_vec()), NOW);
    assert_eq!((applied.added, applied.refused.count), (2, 3));
    assert_eq!(
        applied.refused.first[0].to_string(),
        "the claim on 0.0.0.0/0 is refused: it is too wide: a claim's prefix has a length of at least 8"
    );
}

#[test]
fn a_full_table_refuses_new_prefixes_and_loses_nothing() {
    let mut ledger = with_room(2, 1);
    let all = (0..30).map(|number| claim(host(number), Verdict::Block));
    let applied = ledger.apply(FEED, Update::Snapshot(all.collect()), NOW);
    assert_eq!((applied.added, applied.refused.count), (2, 28));
    assert_eq!(applied.refused.first.len(), 10);
    assert_eq!(applied.refused.first[0].fault, Fault::Full(2));
    assert_eq!(ledger.keys(Family::V4), 2);

    // Another claim on a prefix that is there needs no room, nor does IPv6.
    let operator = claim(host(0), Verdict::Allow);
    assert_eq!(ledger.apply(OPERATOR, says(operator), NOW).added, 1);
    assert_eq!(ledger.apply(FEED, blocks("2001:db8::/32"), NOW).added, 1);

    // A new snapshot gets the room of the old, and so does a delta.
    let moved = vec![claim(host(7), Verdict::Block)];
    let applied = ledger.apply(FEED, Update::Snapshot(moved), NOW);
    assert_eq!((applied.added, applied.refused.count), (1, 0));
    let changes = vec![
        Change::Claim(claim(host(1), Verdict::Block)),
        Change::Withdraw(host(7)),
    ];
    let applied = ledger.apply(FEED, Update::Delta(changes), NOW);
    assert_eq!(
        (applied.added, applied.withdrawn, applied.refused.count),
        (1, 1, 0)
    );
    assert_eq!(settled(&ledger, "10.0.0.0"), Settled::ALLOW);
}

#[test]
fn a_reload_drops_what_a_feed_that_is_gone_said() {
    let mut ledger = ledger();
    ledger.apply(FEED, blocks("192.0.2.7"), NOW);
    ledger.apply(OTHER, blocks("192.0.2.8"), NOW);
    let mut rules = rules();
    rules.feeds[usize::from(FEED)] = None;
    rules.feeds[usize::from(OTHER)] = feed(50, true);
    let applied = ledger.configure(rules, NOW);
    assert_eq!((applied.withdrawn, applied.patch.len()), (1, 2));
    assert_eq!(settled(&ledger, "192.0.2.8"), Settled::NONE);
    assert!(!entry(&ledger, "192.0.2.8").shadow[0].is_none());
    let late = ledger.apply(FEED, blocks("192.0.2.7"), NOW);
    assert_eq!(late.refused.first[0].fault, Fault::NoFeed(FEED));
    assert!(late.patch.is_empty());
}
