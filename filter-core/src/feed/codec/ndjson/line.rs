//! The keys of a line: those that mean something, those that `weir list --json`
//! writes beside them, and the writer's own.
//!
//! Written by hand, since a key that isn't known may change what a line means (a
//! `not_before`, a `ports`): it refuses the line, and is named.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use super::{Text, WireVerdict};

/// A line as it is written.
pub(super) struct Line<'a> {
    pub(super) prefix: Text<'a>,
    pub(super) verdict: Option<WireVerdict<'a>>,
    pub(super) reason: Option<Text<'a>>,
    pub(super) evidence: Option<u64>,
    /// `Some(None)`: it is said to have no end.
    pub(super) expires: Option<Option<Text<'a>>>,
    pub(super) id: Option<Text<'a>>,
    pub(super) withdrawn: Option<bool>,
    /// It has an end in seconds from when it was listed.
    pub(super) expires_in: bool,
    /// The first key that isn't known.
    pub(super) unknown: Option<String>,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claim such as {\"prefix\": \"192.0.2.7\", \"verdict\": \"block\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut prefix = None;
        let mut verdict = None;
        let (mut reason, mut evidence, mut expires) = (None, None, None);
        let (mut id, mut withdrawn, mut expires_in) = (None, None, None);
        let (mut feed, mut mode, mut hits) = (None, None, None);
        let (mut enforced, mut shadow) = (None, None);
        let mut unknown = None;
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match &*key {
                "prefix" => once(&mut prefix, "prefix", &mut map)?,
                "verdict" => once::<Option<_>, A>(&mut verdict, "verdict", &mut map)?,
                "reason" => once::<Option<_>, A>(&mut reason, "reason", &mut map)?,
                "evidence" => once::<Option<_>, A>(&mut evidence, "evidence", &mut map)?,
                "expires" => once::<Option<_>, A>(&mut expires, "expires", &mut map)?,
                "id" => once::<Option<_>, A>(&mut id, "id", &mut map)?,
                "withdrawn" => once::<Option<_>, A>(&mut withdrawn, "withdrawn", &mut map)?,
                // What `weir list --json` writes beside the claim.
                "expires_in_s" => {
                    once::<Option<u64>, A>(&mut expires_in, "expires_in_s", &mut map)?
                }
                "feed" => once::<Option<Text<'_>>, A>(&mut feed, "feed", &mut map)?,
                "mode" => once::<Option<Text<'_>>, A>(&mut mode, "mode", &mut map)?,
                "hits" => once::<Option<u64>, A>(&mut hits, "hits", &mut map)?,
                "enforced" => {
                    once::<Option<WireVerdict<'_>>, A>(&mut enforced, "enforced", &mut map)?
                }
                "shadow" => once::<Option<WireVerdict<'_>>, A>(&mut shadow, "shadow", &mut map)?,
                own => {
                    if unknown.is_none() && !own.starts_with(WRITERS_OWN) {
                        unknown = Some(own.chars().take(LONGEST_KEY).collect());
                    }
                    let _passed_over: IgnoredAny = map.next_value()?;
                }
            }
        }
        Ok(Line {
            prefix: prefix.ok_or_else(|| A::Error::missing_field("prefix"))?,
            verdict: verdict.flatten(),
            reason: reason.flatten(),
            evidence: evidence.flatten(),
            expires,
            id: id.flatten(),
            withdrawn: withdrawn.flatten(),
            expires_in: expires_in.flatten().is_some(),
            unknown,
        })
    }
}

/// Reads the value of a key that may stand once.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    value: &mut Option<T>,
    key: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if value.is_some() {
        return Err(A::Error::duplicate_field(key));
    }
    *value = Some(map.next_value()?);
    Ok(())
}

/// Keys that begin so are the writer's own, and never mean anything to weir.
const WRITERS_OWN: &str = "x_";

/// Characters of a key that are told.
const LONGEST_KEY: usize = 64;
