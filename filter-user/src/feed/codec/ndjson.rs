//! NDJSON: one claim a line, or the withdrawal of one.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::{
    claim::{Change, Claim, Verdict},
    feed::Rules,
    prefix::{Prefix, Written},
};

/// Reads lines; claims that give the same reason share it.
#[derive(Debug)]
pub struct Reader<'r> {
    rules: &'r Rules,
    reasons: HashSet<Arc<str>>,
}

impl<'r> Reader<'r> {
    /// A reader that hasn't seen a reason yet.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            reasons: HashSet::new(),
        }
    }

    /// What a line says, and whether its prefix had host bits; `None` where
    /// there is only a comment, or nothing.
    ///
    /// # Errors
    /// If it is no claim, or none that can be accepted.
    pub fn read(&mut self, line: &str) -> Result<Option<(Change, bool)>, Fault> {
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Ok(None);
        }
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| fault(&error))?;
        let Written { prefix, masked } = line.prefix.0.parse()?;
        let prefix = self.rules.widen(prefix);
        if line.withdrawn == Some(true) {
            return Ok(Some((Change::Withdraw(prefix), masked)));
        }
        let verdict = self.verdict(line.verdict.ok_or(Fault::NoVerdict)?)?;
        let expires = line.expires.map(|text| seconds(&text.0)).transpose()?;
        let claim = Claim {
            prefix,
            verdict,
            reason: line.reason.map(|text| self.reason(text)).transpose()?,
            evidence: line.evidence.unwrap_or(0).min(u32::MAX.into()) as u32,
            expires,
            id: line.id.map(id).transpose()?,
        };
        Ok(Some((Change::Claim(claim), masked)))
    }

    fn verdict(&self, wire: WireVerdict<'_>) -> Result<Verdict, Fault> {
        match wire {
            WireVerdict::Word(Text(word)) => match &*word {
                "block" => Ok(Verdict::Block),
                "allow" => Ok(Verdict::Allow),
                _ => Err(Fault::Verdict(shortened(&word))),
            },
            WireVerdict::Tier { limit: Text(name) } => match self.rules.tiers.get(&*name) {
                Some(tier) => Ok(Verdict::Limit(*tier)),
                None => Err(Fault::Tier(shortened(&name))),
            },
        }
    }

    fn reason(&mut self, Text(reason): Text<'_>) -> Result<Arc<str>, Fault> {
        if let Some(known) = self.reasons.get(&*reason) {
            return Ok(known.clone());
        }
        if reason.chars().count() > REASON {
            return Err(Fault::Reason);
        }
        let reason: Arc<str> = reason.into();
        if self.reasons.len() < SHARED {
            self.reasons.insert(reason.clone());
        }
        Ok(reason)
    }
}

/// Writes a change as a line, with its end.
///
/// # Errors
/// If [`Reader`] wouldn't take the line.
pub fn encode(change: &Change, tiers: &BTreeMap<String, u8>) -> Result<String, Unwritable> {
    let mut line = match change {
        Change::Withdraw(prefix) => serde_json::to_string(&Withdrawal {
            prefix: prefix.to_string(),
            withdrawn: true,
        }),
        Change::Claim(claim) => serde_json::to_string(&written(claim, tiers)?),
    }
    .expect("strings and numbers can always be written");
    line.push('\n');
    Ok(line)
}

/// A claim that no line can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// Its tier isn't configured.
    #[error("tier {0} has no name: use a configured tier")]
    Tier(u8),
    /// Its reason is too long.
    #[error("the reason has more than {REASON} characters: shorten it")]
    Reason,
    /// Its id is too long.
    #[error("the id has more than {ID} characters: shorten it")]
    Id,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    prefix: Text<'a>,
    #[serde(borrow)]
    verdict: Option<WireVerdict<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    evidence: Option<u64>,
    #[serde(borrow)]
    expires: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    withdrawn: Option<bool>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "a verdict is a word, or an object with `limit`")]
enum WireVerdict<'a> {
    #[serde(borrow)]
    Word(Text<'a>),
    Tier {
        #[serde(borrow)]
        limit: Text<'a>,
    },
}

/// A `Cow` that also borrows within an `Option`.
#[derive(Deserialize, Serialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Serialize)]
struct WrittenClaim<'a> {
    prefix: String,
    verdict: WireVerdict<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    evidence: u32,
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

#[derive(Serialize)]
struct Withdrawal {
    prefix: String,
    withdrawn: bool,
}

fn written<'a>(
    claim: &'a Claim,
    tiers: &'a BTreeMap<String, u8>,
) -> Result<WrittenClaim<'a>, Unwritable> {
    let long = |text: &str, most| text.chars().count() > most;
    if claim.reason.as_ref().is_some_and(|text| long(text, REASON)) {
        return Err(Unwritable::Reason);
    }
    if claim.id.as_ref().is_some_and(|text| long(text, ID)) {
        return Err(Unwritable::Id);
    }
    let verdict = match claim.verdict {
        Verdict::Limit(tier) => match tiers.iter().find(|(_, number)| **number == tier) {
            Some((name, _)) => WireVerdict::Tier {
                limit: Text(name.into()),
            },
            None => return Err(Unwritable::Tier(tier)),
        },
        verdict => WireVerdict::Word(Text(verdict.name().into())),
    };
    Ok(WrittenClaim {
        prefix: claim.prefix.to_string(),
        verdict,
        reason: claim.reason.as_deref(),
        evidence: claim.evidence,
        expires: claim.expires.map(|seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds.into());
            humantime::format_rfc3339_seconds(time).to_string()
        }),
        id: claim.id.as_deref(),
    })
}

/// Unix seconds; a started second counts, and what is beyond 2106 ends there.
fn seconds(text: &str) -> Result<u32, Fault> {
    let since = humantime::parse_rfc3339_weak(text)
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .ok_or_else(|| Fault::Expiry(shortened(text)))?;
    let whole = since.as_secs() + u64::from(since.subsec_nanos() > 0);
    Ok(u32::try_from(whole).unwrap_or(u32::MAX))
}

fn id(Text(id): Text<'_>) -> Result<Box<str>, Fault> {
    match id.chars().count() {
        0..=ID => Ok(id.into()),
        _ => Err(Fault::Id),
    }
}

/// serde's own "line 1" would be taken for the list's.
fn fault(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    let what = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(what, _)| what);
    if error.is_data() {
        Fault::Shape(shortened(what))
    } else {
        Fault::Syntax(format!("{what} at column {}", error.column()))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(96).collect()
}

/// Characters a reason may have.
pub const REASON: usize = 128;

/// Characters an id may have.
pub const ID: usize = 256;

/// Reasons that are shared: there are few, unless somebody writes sentences.
const SHARED: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feed::tests::{prefix, rules};

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
               "evidence": 12, "expires": "2026-11-22T20:00:00Z", "id": "a\u0062", "new": [1, {}]}"#,
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
            (r#"{"prefix":"::1","verdict":"block"} x"#, "no JSON"),
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
        let mut next =
            || match reader.read(r#"{"prefix":"::1","verdict":"block","reason":"replay"}"#) {
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

        #[test]
        fn no_line_makes_the_reader_panic(line in ".*", tail in "[-+0-9TZ:. ]{0,40}") {
            let _read = read(&line);
            let _read = read(&format!(r#"{{"prefix":"::1","verdict":"block","expires":"{tail}"}}"#));
        }
    }
}
