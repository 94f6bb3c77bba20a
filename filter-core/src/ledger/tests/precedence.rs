//! Which claim wins, and what the tables hold of it.

use super::*;

#[test]
fn each_verdict_has_its_word_in_the_tables() {
    let mut ledger = ledger();
    for (feed, verdict, word) in [
        (OPERATOR, Verdict::Allow, Settled::ALLOW),
        (FEED, Verdict::Allow, Settled::ADMIT),
        (FEED, Verdict::Block, Settled::BLOCK),
        (OPERATOR, Verdict::Block, Settled::BLOCK),
        (FEED, Verdict::Limit(2), Settled::limit(2)),
    ] {
        ledger.drop_feed(OPERATOR, NOW);
        let one = claim(prefix("192.0.2.7"), verdict);
        ledger.apply(feed, says(one), NOW);
        assert_eq!(settled(&ledger, "192.0.2.7"), word);
    }
}

#[test]
fn a_stronger_rank_voids_what_it_covers() {
    let mut ledger = ledger();
    ledger.apply(FEED, blocks("192.0.2.7"), NOW);
    let wide = claim(prefix("192.0.2.0/24"), Verdict::Allow);
    ledger.apply(OPERATOR, says(wide), NOW);
    assert_eq!(settled(&ledger, "192.0.2.7"), Settled::ALLOW);
    ledger.drop_feed(OPERATOR, NOW);
    assert_eq!(settled(&ledger, "192.0.2.7"), Settled::BLOCK);
    assert_eq!(settled(&ledger, "192.0.2.8"), Settled::NONE);
}

#[test]
fn in_a_rank_the_narrower_prefix_wins_and_on_one_prefix_the_stricter_verdict() {
    let mut ledger = ledger();
    let one = "192.0.2.0/25";
    for (ours, theirs, winner) in [
        (Verdict::Allow, Verdict::Limit(0), Settled::limit(0)),
        (Verdict::Limit(1), Verdict::Block, Settled::BLOCK),
        (Verdict::Limit(0), Verdict::Limit(1), Settled::limit(1)),
        (Verdict::Limit(1), Verdict::Limit(2), Settled::limit(1)),
        // Unnamed tiers are alike: the lower feed.
        (Verdict::Limit(7), Verdict::Limit(8), Settled::limit(7)),
    ] {
        ledger.apply(FEED, says(claim(prefix(one), ours)), NOW);
        ledger.apply(OTHER, says(claim(prefix(one), theirs)), NOW);
        assert_eq!(settled(&ledger, "192.0.2.1"), winner);
    }
    let narrow = claim(prefix("192.0.2.1"), Verdict::Allow);
    ledger.apply(OTHER, says(narrow), NOW);
    assert_eq!(settled(&ledger, "192.0.2.1"), Settled::ADMIT);
}

#[test]
fn a_timeline_goes_down_the_ranks_as_claims_end() {
    let mut ledger = ledger();
    let block = ending("192.0.2.7", Verdict::Block, 10);
    ledger.apply(OPERATOR, says(block), NOW);
    // Ends before the stronger one: it is never seen.
    let limit = ending("192.0.2.7", Verdict::Limit(1), 9);
    ledger.apply(FEED, says(limit), NOW);
    let wide = claim(prefix("192.0.2.0/24"), Verdict::Allow);
    ledger.apply(OTHER, says(wide), NOW);
    let stages = entry(&ledger, "192.0.2.7").stages;
    let seen = stages.map(|stage| (stage.verdict(), stage.until()));
    assert_eq!(seen[0], (Settled::BLOCK, NOW.boot() + 10));
    assert_eq!(seen[1], (Settled::ADMIT, NEVER));
    assert!(stages[2].is_none());
}

#[test]
fn a_timeline_that_is_too_long_keeps_its_end() {
    let mut ledger = ledger();
    let stages = STAGES as u32 + 3;
    for step in 0..stages {
        let text = format!("192.0.2.0/{}", 32 - step);
        let one = ending(&text, Verdict::Block, 10 * (step + 1));
        ledger.apply(FEED, says(one.clone()), NOW);
        ledger.apply(SHADOW, says(one), NOW);
    }
    let entry = entry(&ledger, "192.0.2.0");
    let until = |stage: Stage| (stage.until() - NOW.boot()) / 10;
    assert_eq!(entry.stages.map(until), [1, 2, 3, 4, 5, 6, 7, stages]);
    assert_eq!(entry.shadow.map(until), [1, 2, 3, stages]);
    assert_eq!(
        (entry.stages.len(), entry.shadow.len()),
        (STAGES, SHADOW_STAGES)
    );
}

#[test]
fn a_shadow_stands_only_where_it_makes_a_difference() {
    let mut ledger = ledger();
    ledger.apply(SHADOW, blocks("192.0.2.0/24"), NOW);
    let alone = entry(&ledger, "192.0.2.1");
    assert!(alone.stages[0].is_none());
    assert_eq!(alone.shadow[0].verdict(), Settled::BLOCK);
    let allow = claim(prefix("192.0.2.7"), Verdict::Allow);
    ledger.apply(OPERATOR, says(allow), NOW);
    let voided = entry(&ledger, "192.0.2.7");
    assert_eq!(voided.stages[0].verdict(), Settled::ALLOW);
    assert!(voided.shadow[0].is_none());
}

#[test]
fn a_small_change_among_many_claims_touches_only_what_it_covers() {
    let mut ledger = ledger();
    let all = (0..20_000).map(|number| claim(host(number), Verdict::Limit(1)));
    let mut held = Table::new();
    let snapshot = Update::Snapshot(all.collect());
    patch_into(&mut held, &ledger.apply(FEED, snapshot.clone(), NOW).patch);
    assert_eq!(held.len(), 20_000);
    assert!(ledger.apply(FEED, snapshot, NOW).patch.is_empty());

    let applied = ledger.apply(OPERATOR, blocks("10.0.7.0/24"), NOW);
    assert_eq!(applied.patch.len(), 257);
    patch_into(&mut held, &applied.patch);
    assert_eq!(held, table(&ledger));
    let patch = ledger.drop_feed(OPERATOR, NOW);
    assert_eq!(patch.len(), 257);
    patch_into(&mut held, &patch);
    assert_eq!(held, table(&ledger));
}
