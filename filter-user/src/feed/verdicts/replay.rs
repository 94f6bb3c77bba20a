//! Reading the copy of a stream: what stands after all that was taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    claim::{Change, Claim},
    feed::{
        Rules,
        codec::{ndjson, stream::Cursor},
    },
    prefix::Prefix,
    store::files,
};

/// What a copy says.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// What stands.
    pub(super) claims: Vec<Claim>,
    /// Which of that the service's whole word left out.
    pub(super) held: Vec<Prefix>,
    /// The place in the stream behind it; `None`: there is no copy.
    pub(super) cursor: Option<Cursor>,
    /// Bytes of it that are good.
    pub(super) end: u64,
}

/// The line behind what was taken.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub(super) cursor: Box<str>,
    /// Lines before it that belong to it.
    pub(super) claims: u64,
    pub(super) whole: bool,
    pub(super) held: bool,
}

impl Mark {
    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers can always be written") + "\n"
    }
}

/// Reads a copy as far as it is good.
pub(super) fn replay(mut copy: impl BufRead, rules: &Rules) -> Replayed {
    let mut objects = ndjson::Reader::new(rules);
    let mut claims: BTreeMap<Prefix, Claim> = BTreeMap::new();
    let mut held = BTreeSet::new();
    let (mut cursor, mut end) = (None, 0);
    let (mut at, mut changes, mut refused) = (0, Vec::new(), 0);
    let mut bytes = Vec::new();
    while let Ok(length @ 1..) = copy.read_until(b'\n', &mut bytes) {
        at += length as u64;
        let Some(line) = str::from_utf8(&bytes)
            .ok()
            .filter(|line| line.ends_with('\n'))
        else {
            break;
        };
        if let Some((mark, place)) = mark(line) {
            if changes.len() as u64 + refused != mark.claims {
                break;
            }
            if mark.whole {
                claims.clear();
                held.clear();
            }
            if mark.held {
                held.extend(claims.keys().copied());
            }
            for change in changes.drain(..) {
                match change {
                    Change::Claim(claim) => {
                        held.remove(&claim.prefix);
                        claims.insert(claim.prefix, claim);
                    }
                    Change::Withdraw(prefix) => {
                        held.remove(&prefix);
                        claims.remove(&prefix);
                    }
                }
            }
            (cursor, end, refused) = (Some(place), at, 0);
        } else {
            match objects.read(line) {
                Ok(Some((change, _))) => changes.push(change),
                // A tier that isn't configured any more, perhaps.
                _ => refused += 1,
            }
        }
        bytes.clear();
    }
    Replayed {
        claims: claims.into_values().collect(),
        held: held.into_iter().collect(),
        cursor,
        end,
    }
}

impl Replayed {
    /// Reads a copy; none is none.
    pub(super) fn read(path: &Path, rules: &Rules) -> Self {
        files::open(path).map_or_else(
            |_none| Self::default(),
            |(copy, _)| replay(BufReader::new(copy), rules),
        )
    }

    /// Forgets what had ended at `unix` seconds.
    pub(super) fn forget_ended(&mut self, unix: u64) {
        self.claims
            .retain(|claim| claim.expires.is_none_or(|end| u64::from(end) > unix));
    }

    /// The shortest copy that says the same.
    pub(super) fn lines<'a>(
        &'a self,
        tiers: &'a BTreeMap<String, u8>,
    ) -> impl Iterator<Item = String> + 'a {
        let held: BTreeSet<_> = self.held.iter().collect();
        let part = move |is_held: bool| {
            let held = held.clone();
            let claims = self.claims.iter();
            claims.filter(move |claim| held.contains(&claim.prefix) == is_held)
        };
        let mark = |claims: usize, whole, held| {
            let cursor = self.cursor.as_ref()?;
            let mark = Mark {
                cursor: cursor.as_str().into(),
                claims: claims as u64,
                whole,
                held,
            };
            Some(mark.line())
        };
        let lines = move |claims: Vec<&'a Claim>| {
            claims.into_iter().filter_map(move |claim| {
                // What was read can be written.
                ndjson::encode(&Change::Claim(claim.clone()), tiers).ok()
            })
        };
        let (first, second): (Vec<_>, Vec<_>) = (part(true).collect(), part(false).collect());
        let before = mark(first.len(), true, false);
        let behind = mark(second.len(), false, !self.held.is_empty());
        lines(first)
            .chain(before)
            .chain(lines(second))
            .chain(behind)
    }
}

fn mark(line: &str) -> Option<(Mark, Cursor)> {
    let mark: Mark = serde_json::from_str(line).ok()?;
    let cursor = mark.cursor.parse().ok()?;
    Some((mark, cursor))
}
