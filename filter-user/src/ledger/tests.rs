//! What the ledger promises, one sentence a test.

use filter_common::{
    source::{Address, Family},
    verdict::{Entry, NEVER, SHADOW_STAGES, STAGES, Stage, Verdict as Settled},
};

use super::{
    model::{Table, look_up, patch_into},
    *,
};
use crate::{
    claim::{Change, Claim, Verdict},
    prefix::Written,
};

const NOW: Now = Now {
    unix: 1_000_000,
    boot: 400,
};
const FEED: FeedId = 1;
const OTHER: FeedId = 2;
const SHADOW: FeedId = 3;

fn at(seconds: u32) -> Now {
    Now {
        unix: NOW.unix + seconds,
        boot: NOW.boot + seconds,
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse::<Written>().expect(text).prefix
}

fn host(number: u32) -> Prefix {
    let [a, b, c, d] = number.to_be_bytes();
    Prefix::of(Address::v4([10 + a, b, c, d]))
}

fn claim(prefix: Prefix, verdict: Verdict) -> Claim {
    Claim {
        prefix,
        verdict,
        reason: None,
        evidence: 1,
        expires: None,
        id: None,
    }
}

fn ending(text: &str, verdict: Verdict, seconds: u32) -> Claim {
    Claim {
        expires: Some(NOW.unix + seconds),
        ..claim(prefix(text), verdict)
    }
}

fn says(claim: Claim) -> Update {
    Update::Delta(vec![Change::Claim(claim)])
}

fn blocks(text: &str) -> Update {
    says(claim(prefix(text), Verdict::Block))
}

fn feed(rank: u32, shadow: bool) -> Option<FeedRules> {
    Some(FeedRules { rank, shadow })
}

/// The operator, two feeds of one rank, and a shadow feed.
fn rules() -> Rules {
    Rules {
        feeds: vec![
            feed(0, false),
            feed(50, false),
            feed(50, false),
            feed(40, true),
        ],
        protected: Vec::new(),
        strictness: vec![1, 3, 2],
    }
}

fn with_room(ipv4: u32, ipv6: u32) -> Ledger {
    let mut ledger = Ledger::new(Capacity { ipv4, ipv6 });
    ledger.configure(rules(), NOW);
    ledger
}

fn ledger() -> Ledger {
    with_room(100_000, 100_000)
}

fn table(ledger: &Ledger) -> Table {
    let mut table = Table::new();
    patch_into(&mut table, &ledger.table());
    table
}

fn entry(ledger: &Ledger, text: &str) -> Entry {
    look_up(&table(ledger), prefix(text).address())
}

fn settled(ledger: &Ledger, text: &str) -> Settled {
    entry(ledger, text).stages[0].verdict()
}

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
    assert_eq!(seen[0], (Settled::BLOCK, NOW.boot + 10));
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
    let until = |stage: Stage| (stage.until() - NOW.boot) / 10;
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
fn of_two_claims_on_one_prefix_the_later_counts() {
    let mut ledger = ledger();
    let one = prefix("192.0.2.7");
    let both = vec![claim(one, Verdict::Block), claim(one, Verdict::Limit(1))];
    let applied = ledger.apply(FEED, Update::Snapshot(both), NOW);
    assert_eq!((applied.added, applied.changed), (1, 0));
    assert_eq!(settled(&ledger, "192.0.2.7"), Settled::limit(1));
}

#[test]
fn other_words_for_the_same_verdict_need_no_patch() {
    let mut ledger = ledger();
    ledger.apply(FEED, blocks("192.0.2.7"), NOW);
    let mut worded = claim(prefix("192.0.2.7"), Verdict::Block);
    worded.reason = Some("dev_hooked".into());
    worded.id = Some("case 7".into());
    worded.evidence = 12;
    let applied = ledger.apply(FEED, says(worded), NOW);
    assert_eq!((applied.changed, applied.patch.is_empty()), (1, true));
    let views = ledger.covering(prefix("192.0.2.7").address());
    assert_eq!(
        (views[0].reason, views[0].id, views[0].evidence),
        (Some("dev_hooked"), Some("case 7"), 12)
    );
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
    assert_eq!(until, NOW.boot + 62);
    assert!(ledger.expire(stepped).is_empty());
}

#[test]
fn an_end_before_the_boot_has_passed_and_one_beyond_all_time_still_comes() {
    let now = Now { unix: 10, boot: 0 };
    let mut ledger = ledger();
    let mut one = claim(prefix("192.0.2.7"), Verdict::Block);
    one.expires = Some(11);
    ledger.apply(FEED, says(one.clone()), now);
    assert_eq!(entry(&ledger, "192.0.2.7").stages[0].until(), 1);
    let late = Now {
        unix: 10,
        boot: 1_000,
    };
    one.expires = Some(NEVER - 1);
    ledger.apply(FEED, says(one), late);
    assert_eq!(entry(&ledger, "192.0.2.7").stages[0].until(), NEVER - 1);
}

#[test]
fn claim_numbers_rest_before_they_are_used_again() {
    let mut ledger = ledger();
    let resting = records::RESTING as u32;
    let mut numbers = Vec::new();
    for _round in 0..resting + 3 {
        ledger.apply(FEED, blocks("192.0.2.7"), NOW);
        let stage = entry(&ledger, "192.0.2.7").stages[0];
        numbers.push(stage.claim());
        assert_eq!(ledger.claim(stage.claim()).expect("a claim").feed, FEED);
        ledger.drop_feed(FEED, NOW);
        assert_eq!(ledger.claim(stage.claim()), None);
    }
    let expected = (1..=resting + 1).chain([1, 2]);
    assert_eq!(numbers, expected.collect::<Vec<_>>());
    assert_eq!(ledger.claim(0), None);
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

#[test]
fn claims_are_counted_listed_and_explained() {
    let mut ledger = ledger();
    for (feed, text, verdict) in [
        (FEED, "192.0.2.0/24", Verdict::Block),
        (FEED, "2001:db8::/32", Verdict::Limit(1)),
        (SHADOW, "192.0.2.7", Verdict::Allow),
        (OPERATOR, "192.0.2.0/25", Verdict::Allow),
    ] {
        ledger.apply(feed, says(claim(prefix(text), verdict)), NOW);
    }
    let counts = Counts {
        ipv4: 3,
        ipv6: 1,
        blocked: 1,
        limited: 1,
        allowed: 2,
    };
    assert_eq!(ledger.counts(), counts);
    let one = Counts {
        ipv4: 1,
        allowed: 1,
        ..Counts::default()
    };
    assert_eq!(ledger.counts_of(SHADOW), one);
    assert_eq!(ledger.counts_of(99), Counts::default());
    let keys = (ledger.keys(Family::V4), ledger.keys(Family::V6));
    assert_eq!(keys, (3, 1));

    let list = |feed, inside: Option<&str>| -> Vec<String> {
        let views = ledger.claims(feed, inside.map(prefix));
        views.map(|view| view.prefix.to_string()).collect()
    };
    assert_eq!(list(Some(FEED), None), ["192.0.2.0/24", "2001:db8::/32"]);
    assert_eq!(
        list(None, Some("192.0.2.0/25")),
        ["192.0.2.0/25", "192.0.2.7/32"]
    );
    let views = ledger.covering(prefix("192.0.2.7").address());
    let feeds: Vec<_> = views.iter().map(|view| (view.feed, view.shadow)).collect();
    assert_eq!(feeds, [(OPERATOR, false), (SHADOW, true), (FEED, false)]);
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
