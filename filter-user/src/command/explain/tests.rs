use filter_common::settings::Mode;

use super::*;
use crate::control::protocol::{LosingClaim, ShadowOutcome, Verdict};

fn blocked() -> Explanation {
    Explanation {
        address: [203, 0, 113, 7].into(),
        protocol: Protocol::Tcp,
        port: 443,
        mode: Mode::Enforce,
        cause: Cause::Blocked,
        action: Action::Drop,
        verdict: Some(Verdict::Block),
        prefix: Some("203.0.113.0/24".into()),
        feed: Some("local".into()),
        reason: Some("feed_listed".into()),
        evidence: Some(12),
        expires_in_s: Some(200),
        tier: None,
        service: Some("api".into()),
        bucket: Vec::new(),
        shadow: None,
        losing: Vec::new(),
    }
}

#[test]
fn a_blocked_source_is_one_sentence() {
    let mut explanation = blocked();
    assert_eq!(
        sentence(&explanation),
        "203.0.113.7 would be dropped: blocked by feed local (203.0.113.0/24, reason \
         feed_listed, 12 pieces of evidence), for another 3m 20s"
    );
    explanation.action = Action::Pass;
    explanation.mode = Mode::Observe;
    explanation.feed = Some("operator".into());
    explanation.reason = None;
    explanation.expires_in_s = None;
    assert_eq!(
        sentence(&explanation),
        "203.0.113.7 would pass in observe, and be dropped in enforce: blocked by the operator \
         (203.0.113.0/24), until cleared"
    );
}

#[test]
fn a_source_that_nothing_is_said_of_is_explained_by_its_rates() {
    let explanation = Explanation {
        cause: Cause::Conforming,
        action: Action::Pass,
        verdict: None,
        prefix: None,
        feed: None,
        reason: None,
        evidence: None,
        expires_in_s: None,
        tier: Some("unknown".into()),
        bucket: vec![
            RateRoom {
                level: "source".into(),
                rate: "packets".into(),
                left: 39_997,
                burst: 40_000,
            },
            RateRoom {
                level: "source".into(),
                rate: "bytes".into(),
                left: 3 << 19,
                burst: 64 << 20,
            },
        ],
        ..blocked()
    };
    assert_eq!(
        sentence(&explanation),
        "203.0.113.7 would pass: within the rates of tier unknown of service api"
    );
    assert_eq!(
        details(&explanation),
        [
            "  packet  tcp/443, service api, tier unknown",
            "  mode    enforce",
            "  left    39,997 of 40,000 packets (source)",
            "  left    1.5 MiB of 64.0 MiB (source)",
        ]
    );
}

#[test]
fn a_neighbourhood_is_as_wide_as_its_family_has_it() {
    let v6 = Explanation {
        address: "2001:db8::7".parse().expect("an address"),
        cause: Cause::OverNeighbourhood,
        feed: None,
        tier: Some("unknown".into()),
        bucket: vec![RateRoom {
            level: "neighbourhood".into(),
            rate: "connections".into(),
            left: 0,
            burst: 50_000,
        }],
        ..blocked()
    };
    assert_eq!(
        sentence(&v6),
        "2001:db8::7 would be dropped: the /48 around it is over a rate of tier unknown of \
         service api"
    );
    let left = "  left    0 of 50,000 connections (neighbourhood, /48)";
    assert_eq!(details(&v6)[2], left);
    let v4 = Explanation {
        address: blocked().address,
        ..v6
    };
    assert!(details(&v4)[2].ends_with("(neighbourhood, /24)"));
}

#[test]
fn a_protected_source_is_told_from_a_protected_port() {
    let mut explanation = Explanation {
        cause: Cause::Protected,
        action: Action::Pass,
        verdict: None,
        feed: None,
        reason: None,
        ..blocked()
    };
    assert_eq!(
        sentence(&explanation),
        "203.0.113.7 would pass: protected, as all of 203.0.113.0/24"
    );
    explanation.prefix = None;
    assert_eq!(
        sentence(&explanation),
        "203.0.113.7 would pass: the source or the port is protected"
    );
}

#[test]
fn what_lost_and_what_the_shadow_says_follows() {
    let claim = ClaimLine {
        prefix: "203.0.0.0/16".into(),
        verdict: Verdict::Limit("suspect".into()),
        feed: "wide".into(),
        reason: None,
        evidence: 1,
        expires: None,
        expires_in_s: None,
        id: None,
        hits: Some(0),
    };
    let explanation = Explanation {
        shadow: Some(ShadowOutcome {
            cause: Cause::OverConnections,
            tier: Some("suspect".into()),
            claim: Some(claim.clone()),
        }),
        losing: vec![LosingClaim {
            claim,
            why: "a narrower prefix of its rank".into(),
        }],
        ..blocked()
    };
    assert_eq!(
        details(&explanation)[2..],
        [
            "  shadow  would be dropped: over the new connections a second of tier suspect of \
             service api, by feed wide (203.0.0.0/16, 1 piece of evidence, <64 hits), until withdrawn",
            "  losing  limit suspect by feed wide (203.0.0.0/16, 1 piece of evidence, <64 hits), \
             until withdrawn: a narrower prefix of its rank",
        ]
    );
}
