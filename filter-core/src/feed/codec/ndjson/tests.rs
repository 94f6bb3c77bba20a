use proptest::prelude::*;

use super::*;
use crate::{
    feed::tests::{prefix, rules},
    prefix::Prefix,
    protocol,
};

fn read(line: &str) -> Result<Option<(Change, bool)>, Fault> {
    Reader::new(&rules()).read(line)
}

fn claim(line: &str) -> Claim {
    match read(line) {
        Ok(Some((Change::Claim(claim), _))) => claim,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_full_line_is_a_claim() {
    let claim = claim(
        r#"{"prefix": "203.0.113.7/32", "verdict": {"limit": "suspect"}, "reason": "dev_hooked",
           "evidence": 12, "expires": "2026-11-22T20:00:00Z", "id": "a\u0062", "x_new": [1, {}]}"#,
    );
    assert_eq!(
        claim,
        Claim {
            prefix: prefix("203.0.113.7"),
            verdict: Verdict::Limit(1),
            reason: Some("dev_hooked".into()),
            evidence: 12,
            expires: Some(1_795_377_600),
            id: Some("ab".into()),
        }
    );
}

#[test]
fn what_a_line_leaves_out_is_nothing() {
    let claim = claim(r#"{"prefix":"::1","verdict":"allow","reason":null,"expires":null}"#);
    assert_eq!(claim.verdict, Verdict::Allow);
    assert_eq!((claim.reason, claim.evidence), (None, 0));
    assert_eq!((claim.expires, claim.id), (None, None));
}

#[test]
fn a_withdrawal_needs_no_verdict() {
    let read = read(r#"{"prefix": "192.0.2.9/24", "withdrawn": true}"#);
    let withdrawn = Change::Withdraw(prefix("192.0.2.0/24"));
    assert_eq!(read, Ok(Some((withdrawn, true))));
}

#[test]
fn a_started_second_counts_and_time_ends_in_2106() {
    for (text, meant) in [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T00:00:10.000Z", 10),
        ("1970-01-01T00:00:10.001Z", 11),
        ("1970-01-01 00:00:10", 10),
        ("2200-01-01T00:00:00Z", u32::MAX),
    ] {
        assert_eq!(seconds(text), Ok(meant), "{text}");
    }
    for text in [
        "",
        "tomorrow",
        "2026-11-22T20:00:00+02:00",
        "2026-13-01T00:00:00Z",
    ] {
        assert_eq!(seconds(text), Err(Fault::Expiry(text.to_owned())));
    }
}

#[test]
fn what_cant_be_accepted_says_why() {
    let long = |field: &str, count| {
        let text = "ü".repeat(count);
        format!(r#"{{"prefix":"::1","verdict":"block","{field}":"{text}"}}"#)
    };
    for (line, part) in [
        (r#"{"prefix":"x","verdict":"block"}"#, "is no address"),
        (r#"{"verdict":"block"}"#, "missing field `prefix`"),
        (r#"{"prefix":"::1"}"#, "no verdict"),
        (
            r#"{"prefix":"::1","verdict":"drop"}"#,
            "\"drop\" is no verdict",
        ),
        (r#"{"prefix":"::1","verdict":7}"#, "a verdict is a word"),
        (
            r#"{"prefix":"::1","verdict":{"limit":"x"}}"#,
            "\"x\" is no tier",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","expires":"x"}"#,
            "is no time",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","evidence":-1}"#,
            "no claim",
        ),
        (&long("reason", REASON + 1), "reason"),
        (&long("id", ID + 1), "id"),
        (r#"{"prefix":"::1","verdict":"bl"#, "no JSON"),
        (
            r#"["::1","block",null,null,null,null,null]"#,
            "doesn't begin with",
        ),
        (r#"{"prefix":"::1","verdict":"block"} x"#, "no JSON"),
        (
            r#"{"prefix":"::1","verdict":"block","not_before":"2027-01-01T00:00:00Z"}"#,
            "its key \"not_before\" isn't known",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","Expires":"2027-01-01T00:00:00Z"}"#,
            "its key \"Expires\" isn't known",
        ),
        (
            r#"{"prefix":"::1","ports":["tcp/443"],"withdrawn":true}"#,
            "its key \"ports\" isn't known",
        ),
        (
            r#"{"prefix":"::1","verdict":{"limit":"suspect","for":"1h"}}"#,
            "with `limit` alone",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","expires_in_s":3600}"#,
            "no `expires`",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","prefix":"::2"}"#,
            "duplicate field `prefix`",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","hits":"many"}"#,
            "no claim",
        ),
        (
            r#"{"prefix":"::1","verdict":"block","enforced":7}"#,
            "a verdict is a word",
        ),
    ] {
        let fault = read(line).expect_err(line).to_string();
        assert!(fault.contains(part), "{line}: {fault}");
        assert!(!fault.contains("line 1"), "{fault}");
    }
    claim(&long("reason", REASON));
    claim(&long("id", ID));
}

#[test]
fn claims_share_their_reason() {
    let rules = rules();
    let mut reader = Reader::new(&rules);
    let mut next = || match reader.read(r#"{"prefix":"::1","verdict":"block","reason":"replay"}"#) {
        Ok(Some((Change::Claim(claim), _))) => claim.reason.expect("a reason"),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&next(), &next()));
}

#[test]
fn what_couldnt_be_read_again_isnt_written() {
    let claim = claim(r#"{"prefix":"::1","verdict":"block"}"#);
    let refusal = |claim: Claim| encode(&Change::Claim(claim), &rules().tiers);
    let (verdict, reason) = (Verdict::Limit(9), Some("x".repeat(REASON + 1).into()));
    let id = Some("x".repeat(ID + 1).into());
    assert_eq!(
        refusal(Claim {
            verdict,
            ..claim.clone()
        }),
        Err(Unwritable::Tier(9))
    );
    assert_eq!(
        refusal(Claim {
            reason,
            ..claim.clone()
        }),
        Err(Unwritable::Reason)
    );
    assert_eq!(refusal(Claim { id, ..claim }), Err(Unwritable::Id));
}

prop_compose! {
    fn any_claim()(
        address in any::<std::net::IpAddr>(),
        length in 0..=128u8,
        verdict in prop_oneof![
            Just(Verdict::Allow),
            Just(Verdict::Block),
            (0..3u8).prop_map(Verdict::Limit),
        ],
        reason in proptest::option::of(".{0,128}"),
        evidence: u32,
        expires: Option<u32>,
        id in proptest::option::of(".{0,256}"),
    ) -> Claim {
        Claim {
            prefix: Prefix::new(crate::prefix::address(address), length),
            verdict,
            reason: reason.map(Arc::from),
            evidence,
            expires,
            id: id.map(Into::into),
        }
    }
}

proptest! {
    #[test]
    fn a_written_line_is_read_as_what_was_written(claim in any_claim()) {
        for change in [Change::Withdraw(claim.prefix), Change::Claim(claim)] {
            let line = encode(&change, &rules().tiers).expect("a line");
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            prop_assert_eq!(read(&line), Ok(Some((change, false))));
        }
    }

    /// What `weir list --json` writes, fed back as a feed.
    #[test]
    fn a_listed_line_is_read_as_the_claim_that_was_listed(
        claim in any_claim(),
        observed: bool,
        hits: Option<u64>,
        left: u64,
    ) {
        let spelled = |verdict| match verdict {
            Verdict::Allow => protocol::Verdict::Allow,
            Verdict::Block => protocol::Verdict::Block,
            Verdict::Limit(tier) => {
                let rules = rules();
                let name = rules.tiers.iter().find(|(_, number)| **number == tier);
                protocol::Verdict::Limit(name.expect("a tier").0.clone())
            }
        };
        let line = protocol::ListLine {
            claim: protocol::ClaimLine {
                prefix: claim.prefix.to_string(),
                verdict: spelled(claim.verdict),
                feed: "local".into(),
                reason: claim.reason.as_deref().map(ToOwned::to_owned),
                evidence: claim.evidence,
                expires: claim.expires.map(time),
                expires_in_s: claim.expires.map(|_| left),
                id: claim.id.as_deref().map(ToOwned::to_owned),
                hits,
            },
            mode: if observed { "observe" } else { "inherit" }.into(),
            enforced: Some(spelled(claim.verdict)),
            shadow: None,
        };
        let text = serde_json::to_string(&line).expect("JSON");
        prop_assert_eq!(read(&text), Ok(Some((Change::Claim(claim), false))));
    }

    #[test]
    fn no_line_makes_the_reader_panic(line in ".*", tail in "[-+0-9TZ:. ]{0,40}") {
        let _read = read(&line);
        let _read = read(&format!(r#"{{"prefix":"::1","verdict":"block","expires":"{tail}"}}"#));
    }
}
