//! Random updates and events. Few addresses and few lengths, so
//! that claims nest, meet and end together.

use filter_common::{source::Address, verdict::MAX_TIER};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{FeedId, FeedRules, Prefix, Rules, Update, refusal};
use crate::claim::{Change, Claim, Verdict};

pub(super) const START: u32 = 1_000;
pub(super) const FEEDS: FeedId = 4;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Say(FeedId, Update),
    Pass(u32),
    SetClock(i32),
    Configure(Rules),
    Drop(FeedId),
}

pub(super) fn address() -> impl Strategy<Value = Address> {
    let low = select(vec![0u8, 1, 2, 3, 7, 64, 128, 255]);
    (any::<bool>(), low).prop_map(|(v4, low)| {
        if v4 {
            Address::v4([10, 0, 0, low])
        } else {
            Address::v6(
                [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, low],
            )
        }
    })
}

pub(super) fn prefix() -> impl Strategy<Value = Prefix> {
    let length = select(vec![8u8, 23, 24, 25, 28, 30, 31, 32, 48, 64, 120, 127, 128]);
    (address(), length).prop_map(|(address, length)| Prefix::new(address, length))
}

pub(super) fn verdict() -> impl Strategy<Value = Verdict> {
    let tier = select(vec![0, 1, 2, 3, MAX_TIER]);
    prop_oneof![
        2 => Just(Verdict::Block),
        2 => Just(Verdict::Allow),
        3 => tier.prop_map(Verdict::Limit),
    ]
}

pub(super) fn claim() -> impl Strategy<Value = Claim> {
    let expires = prop_oneof![
        1 => Just(None),
        3 => (START..START + 90).prop_map(Some),
    ];
    // IPv6 prefixes below /16 are too wide; the model knows nothing of that.
    let prefix = prefix().prop_filter("not too wide", |one| refusal::too_wide(one).is_none());
    (prefix, verdict(), expires, 0u32..2).prop_map(|(prefix, verdict, expires, evidence)| Claim {
        prefix,
        verdict,
        reason: Some("tok_badsig".into()),
        evidence,
        expires,
        id: None,
    })
}

pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let feed =
        (select(vec![10, 50]), any::<bool>()).prop_map(|(rank, shadow)| FeedRules { rank, shadow });
    let others = vec(prop::option::weighted(0.85, feed), usize::from(FEEDS) - 1);
    let narrow = prefix().prop_filter("narrow", |prefix| prefix.length() > 25);
    let protected = prop_oneof![2 => Just(vec![]), 1 => vec(narrow, 1..3)];
    let strictness = prop_oneof![Just(vec![]), Just(vec![0, 5, 5]), Just(vec![9, 1, 4, 7])];
    (others, protected, strictness).prop_map(|(others, protected, strictness)| {
        let operator = Some(FeedRules {
            rank: 0,
            shadow: false,
        });
        Rules {
            feeds: [operator].into_iter().chain(others).collect(),
            protected,
            strictness,
        }
    })
}

pub(super) fn update() -> impl Strategy<Value = Update> {
    let change = prop_oneof![
        4 => claim().prop_map(Change::Claim),
        1 => prefix().prop_map(Change::Withdraw),
    ];
    prop_oneof![
        2 => vec(change, 0..12).prop_map(Update::Delta),
        1 => vec(claim(), 0..12).prop_map(Update::Snapshot),
        1 => vec(claim(), 0..12).prop_map(Update::Resync),
        1 => vec(prefix(), 0..4).prop_map(Update::Hold),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..FEEDS, update()).prop_map(|(feed, update)| Step::Say(feed, update)),
        3 => (0u32..25).prop_map(Step::Pass),
        1 => (-40i32..40).prop_map(Step::SetClock),
        1 => rules().prop_map(Step::Configure),
        1 => (1..FEEDS).prop_map(Step::Drop),
    ]
}
