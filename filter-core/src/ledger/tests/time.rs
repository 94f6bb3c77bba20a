//! Expiries, and clocks that are set.

use super::*;

#[test]
fn a_claim_that_has_ended_counts_as_withdrawn() {
    let mut ledger = ledger();
    ledger.apply(FEED, blocks("192.0.2.7"), NOW);
    let ended = ending("192.0.2.7", Verdict::Block, 0);
    let applied = ledger.apply(FEED, says(ended.clone()), NOW);
    assert_eq!((applied.withdrawn, applied.refused.count), (1, 0));
    assert_eq!(
        applied.patch.iter().collect::<Vec<_>>(),
        [(prefix("192.0.2.7"), None)]
    );
    let applied = ledger.apply(FEED, Update::Snapshot(vec![ended]), NOW);
    assert_eq!((applied.added, applied.patch.is_empty()), (0, true));
}

#[test]
fn claims_end_when_their_time_has_come() {
    let mut ledger = ledger();
    assert_eq!(ledger.next_expiry(), None);
    for (text, seconds) in [("192.0.2.1", 30), ("192.0.2.2", 10), ("192.0.2.3", 20)] {
        ledger.apply(FEED, says(ending(text, Verdict::Block, seconds)), NOW);
    }
    assert_eq!(ledger.next_expiry(), Some(NOW.unix + 10));
    // Prolonged: the old end means nothing any more.
    ledger.apply(FEED, says(ending("192.0.2.2", Verdict::Block, 40)), NOW);
    assert_eq!(ledger.next_expiry(), Some(NOW.unix + 20));
    assert!(ledger.expire(at(19)).is_empty());
    let patch = ledger.expire(at(30));
    let gone: Vec<_> = patch.iter().collect();
    assert_eq!(
        gone,
        [(prefix("192.0.2.1"), None), (prefix("192.0.2.3"), None)]
    );
    assert_eq!(ledger.next_expiry(), Some(NOW.unix + 40));
    assert_eq!(ledger.expire(at(40)).len(), 1);
    assert_eq!((ledger.next_expiry(), ledger.counts().claims()), (None, 0));
}

#[test]
fn ends_that_are_moved_again_and_again_do_not_pile_up() {
    let mut ledger = ledger();
    for round in 0..20_000 {
        let one = ending("192.0.2.7", Verdict::Block, 10 + round % 2);
        ledger.apply(FEED, says(one), NOW);
    }
    assert!(ledger.expiries.len() < 2_000, "{}", ledger.expiries.len());
    assert_eq!(ledger.next_expiry(), Some(NOW.unix + 11));
}

#[test]
fn a_stepped_wall_clock_moves_every_end_and_jitter_moves_none() {
    let mut ledger = ledger();
    ledger.apply(FEED, says(ending("192.0.2.1", Verdict::Block, 60)), NOW);
    ledger.apply(FEED, blocks("192.0.2.2"), NOW);
    for unix in [NOW.unix - 1, NOW.unix, NOW.unix + 1] {
        assert!(ledger.expire(Now { unix, ..NOW }).is_empty());
    }
    let stepped = Now {
        unix: NOW.unix - 2,
        ..NOW
    };
    let patch = ledger.expire(stepped);
    let changes: Vec<_> = patch.iter().collect();
    assert_eq!((changes.len(), changes[0].0), (1, prefix("192.0.2.1")));
    let until = changes[0].1.expect("an entry").stages[0].until();
    assert_eq!(until, NOW.boot() + 62);
    assert!(ledger.expire(stepped).is_empty());
}

#[test]
fn an_end_before_the_boot_has_passed_and_one_beyond_all_time_still_comes() {
    let now = Now::at(10, 0);
    let mut ledger = ledger();
    let mut one = claim(prefix("192.0.2.7"), Verdict::Block);
    one.expires = Some(11);
    ledger.apply(FEED, says(one.clone()), now);
    assert_eq!(entry(&ledger, "192.0.2.7").stages[0].until(), 1);
    let late = Now::at(10, 1_000);
    one.expires = Some(NEVER - 1);
    ledger.apply(FEED, says(one), late);
    assert_eq!(entry(&ledger, "192.0.2.7").stages[0].until(), NEVER - 1);
}
