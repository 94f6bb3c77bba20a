//! Observations of other verifiers as they are sent: one JSON object a line, or
//! a JSON array of them. Pure.
//!
//! `{"source": "203.0.113.7", "outcome": "failed", "reason": "dev_rooted",
//! "device": "…", "ends": 1764100000, "weight": 3}`: an address (or the /32 or
//! /64 that it stands for), `attested` or `failed`, for the latter a reason; and
//! if that is known, a device's hashed id, when its token ends, and how many calls
//! it stands for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    observation::{Observation, Outcome, Reason},
    prefix::{Written, ip},
    token::pseudonym::Pseudonyms,
};

use super::source;

/// A line that was read, or what is wrong with it.
pub type Line = (usize, Result<Observation, Fault>);

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It isn't the object that belongs here.
    #[error("it isn't an observation: {0}")]
    NoObservation(String),
    /// The source isn't one.
    #[error("{0:?} is no source: write an IPv4 address, or an IPv6 address or its /64")]
    Source(String),
    /// The outcome isn't known.
    #[error("{0:?} is no outcome: write \"attested\" or \"failed\"")]
    Outcome(String),
    /// It failed for no reason.
    #[error("it failed, and says no reason: write one such as \"dev_rooted\"")]
    NoReason,
    /// It has a reason and didn't fail.
    #[error("it is attested, and says a reason: leave it out")]
    Reason,
    /// The reason can't be shown.
    #[error("a reason has 1 to 64 of letters, digits, `_`, `-`, `.`, `:` and `/`")]
    BadReason,
    /// The device's id is no id.
    #[error("a device's hashed id has 1 to 256 bytes")]
    Device,
    /// It stands for no call, or for too many.
    #[error("a weight is a number from 1 to 1000000")]
    Weight,
    /// There are more than are read at once.
    #[error("there are more than 10000 at once: send the rest apart")]
    TooMany,
}

/// Reads everything that was sent, each line by itself. Lines (or an array's
/// elements) are counted from 1.
///
/// # Errors
/// If it begins like an array and isn't one.
pub fn read(bytes: &[u8], marker: &Pseudonyms) -> Result<Vec<Line>, Fault> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        let elements: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|e| no(&e))?;
        let elements = elements.into_iter().map(|one| one.get().as_bytes());
        return Ok(each((1..).zip(elements), marker));
    }
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = (1..).zip(lines.map(<[u8]>::trim_ascii));
    Ok(each(lines.filter(|(_, line)| !line.is_empty()), marker))
}

fn each<'b>(lines: impl Iterator<Item = (usize, &'b [u8])>, marker: &Pseudonyms) -> Vec<Line> {
    let mut read = Vec::new();
    for (number, line) in lines {
        if read.len() == AT_ONCE {
            read.push((number, Err(Fault::TooMany)));
            break;
        }
        read.push((number, one(line, marker)));
    }
    read
}

fn one(line: &[u8], marker: &Pseudonyms) -> Result<Observation, Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sent<'l> {
        #[serde(borrow)]
        source: Cow<'l, str>,
        #[serde(borrow)]
        outcome: Cow<'l, str>,
        #[serde(borrow)]
        reason: Option<Cow<'l, str>>,
        #[serde(borrow)]
        device: Option<Cow<'l, str>>,
        ends: Option<u64>,
        weight: Option<u64>,
    }
    let sent: Sent<'_> = serde_json::from_slice(line).map_err(|error| no(&error))?;
    let outcome = match (&*sent.outcome, sent.reason.as_deref()) {
        ("attested", None) => Outcome::Attested,
        ("attested", Some(_)) => return Err(Fault::Reason),
        ("failed", None) => return Err(Fault::NoReason),
        ("failed", Some(reason)) if is_reason(reason) => Outcome::Failed(Reason::new(reason)),
        ("failed", Some(_)) => return Err(Fault::BadReason),
        (other, _) => return Err(Fault::Outcome(excerpt(other))),
    };
    let device = match sent.device.as_deref() {
        None => None,
        Some(id) if (1..=256).contains(&id.len()) => Some(marker.device(id.as_bytes())),
        Some(_) => return Err(Fault::Device),
    };
    let weight = sent.weight.unwrap_or(1);
    if !(1..=MOST_WEIGHT).contains(&weight) {
        return Err(Fault::Weight);
    }
    let written: Written = sent
        .source
        .parse()
        .map_err(|_error| Fault::Source(excerpt(&sent.source)))?;
    let whole = source::prefix(ip(written.prefix.address()));
    if !(whole.covers(&written.prefix) && source::is_source(ip(written.prefix.address()))) {
        return Err(Fault::Source(excerpt(&sent.source)));
    }
    Ok(Observation {
        source: whole,
        outcome,
        device,
        token: None,
        ends: sent
            .ends
            .map(|ends| u32::try_from(ends).unwrap_or(u32::MAX)),
        elsewhere: false,
        weight: u32::try_from(weight).unwrap_or(u32::MAX),
    })
}

fn is_reason(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

fn no(error: &serde_json::Error) -> Fault {
    Fault::NoObservation(excerpt(&error.to_string()))
}

/// What may be shown of what somebody sent.
fn excerpt(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(120).collect()
}

/// Observations that are read at once.
pub const AT_ONCE: usize = 10_000;

const MOST_WEIGHT: u64 = 1_000_000;

#[cfg(test)]
mod tests;
