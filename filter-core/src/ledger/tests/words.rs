//! Claims that come twice or with other words, and queries.

use super::*;

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
        held: 0,
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
        let views = ledger.claims(feed, inside.map(prefix), None);
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
fn what_holds_on_a_prefix_is_known_with_the_shadow_and_without() {
    let mut ledger = ledger();
    let names = |ledger: &Ledger, text: &str| {
        let (enforced, shadow) = ledger.holders(&prefix(text));
        let name = |view: Option<View<'_>>| view.map(|view| (view.feed, view.verdict));
        (name(enforced), name(shadow))
    };
    assert_eq!(names(&ledger, "192.0.2.0/24"), (None, None));
    ledger.apply(SHADOW, blocks("192.0.2.0/24"), NOW);
    let shadow = Some((SHADOW, Verdict::Block));
    assert_eq!(names(&ledger, "192.0.2.0/24"), (None, shadow));
    let limit = says(claim(prefix("192.0.0.0/16"), Verdict::Limit(1)));
    ledger.apply(FEED, limit, NOW);
    let limit = Some((FEED, Verdict::Limit(1)));
    assert_eq!(names(&ledger, "192.0.2.0/24"), (limit, shadow));
    assert_eq!(names(&ledger, "192.0.2.7"), (limit, shadow));
    // What is narrower doesn't hold on all of it.
    assert_eq!(names(&ledger, "192.0.0.0/16"), (limit, limit));
}

#[test]
fn a_whole_word_that_leaves_out_more_than_half_isn_t_believed_in_that() {
    let mut ledger = ledger();
    let word = |texts: &[&str]| {
        let claims = texts.iter().map(|text| claim(prefix(text), Verdict::Block));
        Update::Resync(claims.collect())
    };
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    ledger.apply(FEED, word(&all), NOW);
    let half = ledger.apply(FEED, word(&all[..2]), NOW);
    assert_eq!((half.withdrawn, half.held), (2, 0));

    let empty = ledger.apply(FEED, word(&[]), NOW);
    assert_eq!((empty.withdrawn, empty.held, empty.patch.len()), (0, 2, 0));
    // What it learns anew is taken, and what is held stays even beside many.
    let anew = word(&["192.0.2.2", "192.0.2.5", "192.0.2.6", "192.0.2.7"]);
    let anew = ledger.apply(FEED, anew, NOW);
    assert_eq!((anew.added, anew.held), (3, 1));
    assert_eq!(settled(&ledger, "192.0.2.1"), Settled::BLOCK);
    assert_eq!(ledger.counts_of(FEED).held, 1);

    let accepted = Update::Snapshot(vec![claim(prefix("192.0.2.9"), Verdict::Block)]);
    let accepted = ledger.apply(FEED, accepted, NOW);
    assert_eq!((accepted.added, accepted.withdrawn), (1, 5));
    assert_eq!(ledger.counts().held, 0);
}
