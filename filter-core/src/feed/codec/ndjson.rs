//! NDJSON: one claim a line, or the withdrawal of one.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use self::line::Line;
use super::Fault;
use crate::{
    claim::{Change, Claim, Verdict},
    feed::Rules,
    prefix::Written,
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
        // serde would also take an array for an object.
        if !text.starts_with('{') {
            return Err(Fault::Syntax("it doesn't begin with `{`".to_owned()));
        }
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| fault(&error))?;
        if let Some(key) = line.unknown {
            return Err(Fault::Key(key));
        }
        if line.expires_in && line.expires.is_none() {
            return Err(Fault::NoExpiry);
        }
        let Written { prefix, masked } = line.prefix.0.parse()?;
        let prefix = self.rules.widen(prefix);
        if line.withdrawn == Some(true) {
            return Ok(Some((Change::Withdraw(prefix), masked)));
        }
        let verdict = self.verdict(line.verdict.ok_or(Fault::NoVerdict)?)?;
        let expires = line
            .expires
            .flatten()
            .map(|text| seconds(&text.0))
            .transpose()?;
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

#[derive(Deserialize, Serialize)]
#[serde(untagged, deny_unknown_fields)]
#[serde(expecting = "a verdict is a word, or an object with `limit` alone")]
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
        expires: claim.expires.map(time),
        id: claim.id.as_deref(),
    })
}

/// A time in Unix seconds as it is written in a line.
#[must_use]
pub fn time(unix_seconds: u32) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(unix_seconds.into());
    humantime::format_rfc3339_seconds(time).to_string()
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
    let what = words(error);
    if error.is_data() {
        Fault::Shape(what)
    } else {
        Fault::Syntax(format!("{what} at column {}", error.column()))
    }
}

/// What serde says, without its place.
pub(super) fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ");
    shortened(what.map_or(&*text, |(what, _)| what))
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

mod line;

#[cfg(test)]
mod tests;
