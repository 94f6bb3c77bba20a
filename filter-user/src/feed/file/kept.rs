//! The last good text of a list, kept so that a small change of a long list
//! costs little: what the two texts share is compared, not read again.

use std::{cmp::Ordering, collections::HashSet};

use super::diff::{diff, lines};
use crate::{
    claim::Change,
    feed::{
        Refused, Rules,
        codec::{self, Bad, Decoded, Format, text},
    },
    prefix::Prefix,
};

/// A list that was read, as it stood in the file.
#[derive(Debug)]
pub(super) struct Kept {
    text: Vec<u8>,
    /// A fingerprint of every line's prefix, sorted. Two prefixes may have the
    /// same: it can prove that a prefix is nowhere else, never that it is.
    index: Vec<u32>,
    masked: u64,
    bad: Bad,
}

impl Kept {
    /// Keeps a list in the text format, if it isn't mostly comments.
    pub(super) fn new(text: Vec<u8>, decoded: &Decoded) -> Option<Self> {
        if decoded.format != Some(Format::Text)
            || !decoded.bad.is_complete()
            || text.len() > decoded.claims.len() * LINE + SMALL
        {
            return None;
        }
        let claims = decoded.claims.iter();
        let mut index: Vec<u32> = claims.map(|claim| fingerprint(&claim.prefix)).collect();
        index.sort_unstable();
        Some(Self {
            text,
            index,
            masked: decoded.masked,
            bad: decoded.bad.clone(),
        })
    }

    /// Whether this is the text.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.text == text
    }

    /// What of the list wasn't taken as it was written.
    pub(super) fn refused(&self) -> Refused {
        self.bad.told(self.masked)
    }

    /// The changes that make the list in `text` of this one; from then on that
    /// one is kept.
    ///
    /// # Errors
    /// Gives the text back where it has to be read as a whole.
    pub(super) fn follow(&mut self, text: Vec<u8>, rules: &Rules) -> Result<Vec<Change>, Vec<u8>> {
        let Some((changes, index, masked, bad)) = self.changes(&text, rules) else {
            return Err(text);
        };
        *self = Self {
            text,
            index,
            masked,
            bad,
        };
        Ok(changes)
    }

    fn changes(&self, text: &[u8], rules: &Rules) -> Option<(Vec<Change>, Vec<u32>, u64, Bad)> {
        let old = codec::without_mark(&self.text);
        let new = codec::without_mark(text);
        if codec::format_of(new) != Some(Format::Text) {
            return None;
        }
        let hunks = diff(old, new);
        let differs: usize = hunks
            .iter()
            .map(|hunk| hunk.old.len() + hunk.new.len())
            .sum();
        if differs > SMALL + (old.len() + new.len()) / 4 {
            return None;
        }
        let (mut left, mut come) = (Part::default(), Part::default());
        let mut bad = Bad::default();
        let mut known = self.bad.first.iter().peekable();
        let (mut old_at, mut old_line) = (0, 1);
        let (mut new_at, mut new_line) = (0, 1);
        for hunk in &hunks {
            let same = count_lines(&old[old_at..hunk.old.start]);
            (old_line, new_line) = (old_line + same, new_line + same);
            while let Some(line) = known.next_if(|line| line.number < old_line) {
                bad.push(line.number + new_line - old_line, line.fault.clone());
            }
            old_line = left.read(&old[hunk.old.clone()], old_line, rules)?;
            new_line = come.read(&new[hunk.new.clone()], new_line, rules)?;
            while known.next_if(|line| line.number < old_line).is_some() {}
            for (number, fault) in come.bad.drain(..) {
                bad.push(number, fault);
            }
            (old_at, new_at) = (hunk.old.end, hunk.new.end);
        }
        debug_assert_eq!(
            old[old_at..],
            new[new_at..],
            "what follows the hunks is the same"
        );
        for line in known {
            bad.push(line.number + new_line - old_line, line.fault.clone());
        }

        let index = merged(&self.index, left.index(), come.index());
        if !bad.is_complete() || index.is_empty() || index.len() > rules.max_claims {
            return None;
        }
        let before: HashSet<_> = left.prefixes.iter().copied().collect();
        let after: HashSet<_> = come.prefixes.iter().copied().collect();
        let mut changes = Vec::new();
        for prefix in before.difference(&after) {
            // Another line may still say it.
            if index.binary_search(&fingerprint(prefix)).is_ok() {
                return None;
            }
            changes.push(Change::Withdraw(*prefix));
        }
        for prefix in after.difference(&before) {
            changes.push(Change::Claim(text::claim(*prefix, rules)));
        }
        Some((changes, index, self.masked - left.masked + come.masked, bad))
    }
}

/// What the lines of hunks say.
#[derive(Default)]
struct Part {
    prefixes: Vec<Prefix>,
    masked: u64,
    bad: Vec<(u64, codec::Fault)>,
}

impl Part {
    /// Reads the lines, the first of which has this number, and gives the
    /// number of the next. `None` where the list may have to be rejected.
    fn read(&mut self, part: &[u8], mut number: u64, rules: &Rules) -> Option<u64> {
        for line in lines(part) {
            if line.contains(&0) || line.len() > codec::LONGEST {
                return None;
            }
            match text::read(str::from_utf8(line).ok()?) {
                Ok(None) => {}
                Ok(Some(written)) => {
                    self.prefixes.push(rules.widen(written.prefix));
                    self.masked += u64::from(written.masked);
                }
                Err(fault) => self.bad.push((number, fault)),
            }
            number += 1;
        }
        Some(number)
    }

    fn index(&self) -> Vec<u32> {
        let mut index: Vec<u32> = self.prefixes.iter().map(fingerprint).collect();
        index.sort_unstable();
        index
    }
}

/// `all` without `left`, which is part of it, and with `come`; all are sorted.
fn merged(all: &[u32], left: Vec<u32>, come: Vec<u32>) -> Vec<u32> {
    let mut merged = Vec::with_capacity(all.len() + come.len() - left.len());
    let mut left = left.into_iter().peekable();
    let mut come = come.into_iter().peekable();
    for one in all {
        match left.peek().map(|gone| gone.cmp(one)) {
            Some(Ordering::Equal) => {
                left.next();
                continue;
            }
            order => debug_assert_ne!(order, Some(Ordering::Less), "it was part of all"),
        }
        while let Some(new) = come.next_if(|new| new <= one) {
            merged.push(new);
        }
        merged.push(*one);
    }
    merged.extend(come);
    merged
}

fn count_lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn fingerprint(prefix: &Prefix) -> u32 {
    let bits = u128::from_be_bytes(prefix.octets());
    let seed = u64::from(prefix.length()) << 8 | prefix.family() as u64;
    let mix = |word: u64| {
        let wide = u128::from(word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        (wide >> 64) as u64 ^ wide as u64
    };
    (mix(mix(mix((bits >> 64) as u64) ^ bits as u64) ^ seed) >> 32) as u32
}

/// Bytes a claim that the text may have, to be kept: an IPv6 address in full
/// and its end.
const LINE: usize = 48;

/// Bytes that are always few.
const SMALL: usize = 4096;

#[cfg(test)]
mod tests;
