//! From bytes to claims, and back; no I/O, no clock.
//!
//! Lists come as text or as NDJSON; the first character that isn't in a comment
//! tells which. A bad line is refused singly; what can't be a list at all is
//! rejected whole, so that a web page in place of a list withdraws nothing.

use std::collections::HashMap;

use crate::{
    claim::{Change, Claim},
    feed::{Refused, Rules},
    prefix::{NotAPrefix, Prefix},
};

pub mod ndjson;
pub mod stream;
pub mod text;

/// Reads a whole list.
///
/// # Errors
/// If it is rejected whole.
pub fn decode(bytes: &[u8], rules: &Rules) -> Result<Decoded, Error> {
    let mut decoder = Decoder::new(rules);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        decoder.line(line)?;
    }
    decoder.finish()
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One prefix a line.
    Text,
    /// One JSON object a line.
    Ndjson,
}

/// What a list says.
#[derive(Debug)]
pub struct Decoded {
    /// The claims, in order; of two on one prefix the later counts.
    pub claims: Vec<Claim>,
    /// How it is written; `None` where there are only comments.
    pub format: Option<Format>,
    /// Prefixes that had host bits.
    pub masked: u64,
    /// Lines that were refused.
    pub bad: Bad,
}

impl Decoded {
    /// What wasn't taken as it was written.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.bad.told(self.masked)
    }
}

/// Lines that were refused: all are counted, the first ten are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bad {
    /// How many there are.
    pub count: u64,
    /// The first of them, in order.
    pub first: Vec<BadLine>,
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {fault}")]
pub struct BadLine {
    /// Counted from 1.
    pub number: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Bad {
    /// Notes a line that is refused.
    pub fn push(&mut self, number: u64, fault: Fault) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(BadLine { number, fault });
        }
    }

    /// The refused lines as they are reported, with so many masked prefixes.
    pub fn told(&self, masked: u64) -> Refused {
        Refused {
            count: self.count,
            first: self.first.iter().map(BadLine::to_string).collect(),
            masked,
        }
    }

    /// Every one of them is known.
    pub const fn is_complete(&self) -> bool {
        self.count == self.first.len() as u64
    }
}

/// Why a list is rejected whole: it is its writer's fault, always.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is a byte that no text has.
    #[error("line {0} is binary: a list is text, one prefix or one JSON object a line")]
    Binary(u64),
    /// Some other encoding.
    #[error("line {0} is not UTF-8: save the list as UTF-8")]
    NotUtf8(u64),
    /// A web page, as from a login or an error in place of a download.
    #[error("it is a web page and no list: see what its address really answers")]
    Page,
    /// Lines, but no good one.
    #[error("none of its {0} lines can be taken: {1}")]
    NothingGood(u64, BadLine),
    /// More than a list may have.
    #[error("it has more than {0} claims: shorten it, or allow larger tables")]
    TooMany(usize),
}

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a prefix where one is due.
    #[error(transparent)]
    Prefix(#[from] NotAPrefix),
    /// A word behind the prefix.
    #[error("{0:?} stands behind the prefix: write one prefix a line, and comments behind `#`")]
    Behind(String),
    /// Longer than any claim.
    #[error("it is longer than {LONGEST} bytes: write one claim a line")]
    Long,
    /// Broken JSON.
    #[error("it is no JSON object: {0}")]
    Syntax(String),
    /// JSON, but not a claim's.
    #[error("it is no claim: {0}")]
    Shape(String),
    /// A key that may change what the line means.
    #[error(
        "its key {0:?} isn't known, and could change what it means: leave it out, or begin it \
         with `x_` if it is a note of your own"
    )]
    Key(String),
    /// An end that counts from a time that nobody knows any more.
    #[error("it has `expires_in_s` and no `expires`: write when it ends")]
    NoExpiry,
    /// A claim that asks for nothing.
    #[error("it has no verdict: write \"block\", \"allow\" or {{\"limit\": TIER}}")]
    NoVerdict,
    /// A verdict of some other program.
    #[error("{0:?} is no verdict: write \"block\", \"allow\" or {{\"limit\": TIER}}")]
    Verdict(String),
    /// A tier that isn't configured.
    #[error("{0:?} is no tier: name a configured one")]
    Tier(String),
    /// A time that can't be read.
    #[error("{0:?} is no time in UTC: write it like 2026-11-22T20:00:00Z")]
    Expiry(String),
    /// A reason beyond what is kept.
    #[error("its reason has more than {} characters", ndjson::REASON)]
    Reason,
    /// A withdrawal where nothing is left to withdraw.
    #[error("a whole word withdraws what it leaves out: a withdrawal has no place in it")]
    Withdrawn,
    /// An id beyond what is kept.
    #[error("its id has more than {} characters", ndjson::ID)]
    Id,
}

/// Reads a list line by line, for lists too long to be held at once.
#[derive(Debug)]
pub struct Decoder<'r> {
    rules: &'r Rules,
    objects: ndjson::Reader<'r>,
    number: u64,
    /// What was withdrawn, and how many claims stood before that.
    withdrawn: HashMap<Prefix, usize>,
    decoded: Decoded,
}

impl<'r> Decoder<'r> {
    /// Nothing read yet.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            objects: ndjson::Reader::new(rules),
            number: 0,
            withdrawn: HashMap::new(),
            decoded: Decoded {
                claims: Vec::new(),
                format: None,
                masked: 0,
                bad: Bad::default(),
            },
        }
    }

    /// Reads the next line, with or without its end.
    ///
    /// # Errors
    /// If the list is to be rejected.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.number += 1;
        let line = match self.number {
            1 => without_mark(line),
            _ => line,
        };
        if line.contains(&0) {
            return Err(Error::Binary(self.number));
        }
        let line = str::from_utf8(line).map_err(|_error| Error::NotUtf8(self.number))?;
        let format = match self.decoded.format {
            Some(format) => format,
            None => match format(line)? {
                Some(format) => *self.decoded.format.insert(format),
                None => return Ok(()),
            },
        };
        let read = match format {
            _ if line.len() > LONGEST => Err(Fault::Long),
            Format::Text => text::read(line).map(|written| {
                let written = written?;
                let claim = text::claim(written.prefix, self.rules);
                Some((Change::Claim(claim), written.masked))
            }),
            Format::Ndjson => self.objects.read(line),
        };
        match read {
            Ok(None) => Ok(()),
            Ok(Some((change, masked))) => {
                self.decoded.masked += u64::from(masked);
                self.take(change)
            }
            Err(fault) => {
                self.decoded.bad.push(self.number, fault);
                Ok(())
            }
        }
    }

    /// The whole list.
    ///
    /// # Errors
    /// If it has lines, but no good one.
    pub fn finish(self) -> Result<Decoded, Error> {
        let Self {
            mut decoded,
            withdrawn,
            ..
        } = self;
        if decoded.claims.is_empty()
            && withdrawn.is_empty()
            && let Some(first) = decoded.bad.first.first()
        {
            return Err(Error::NothingGood(decoded.bad.count, first.clone()));
        }
        if !withdrawn.is_empty() {
            let mut at = 0;
            decoded.claims.retain(|claim| {
                at += 1;
                withdrawn
                    .get(&claim.prefix)
                    .is_none_or(|before| at > *before)
            });
        }
        Ok(decoded)
    }

    fn take(&mut self, change: Change) -> Result<(), Error> {
        let claims = &mut self.decoded.claims;
        match change {
            _ if claims.len() + self.withdrawn.len() >= self.rules.max_claims => {
                return Err(Error::TooMany(self.rules.max_claims));
            }
            Change::Claim(claim) => claims.push(claim),
            Change::Withdraw(prefix) => {
                self.withdrawn.insert(prefix, claims.len());
            }
        }
        Ok(())
    }
}

/// The bytes behind a UTF-8 byte order mark.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// How a list is written; `None` where its lines don't tell, or if it is none.
pub fn format_of(list: &[u8]) -> Option<Format> {
    for line in list.split(|byte| *byte == b'\n') {
        let format = format(str::from_utf8(line).ok()?).ok()?;
        if format.is_some() {
            return format;
        }
    }
    None
}

/// How a list is written that has this as its first line; `None` if the line
/// doesn't tell.
fn format(line: &str) -> Result<Option<Format>, Error> {
    match line.trim_start().bytes().next() {
        None | Some(b'#' | b';') => Ok(None),
        Some(b'{') => Ok(Some(Format::Ndjson)),
        Some(b'<') => Err(Error::Page),
        Some(_) => Ok(Some(Format::Text)),
    }
}

/// Bytes a line may have.
pub const LONGEST: usize = 65536;

/// Refused lines that are told one by one.
pub const TOLD: usize = 10;

#[cfg(test)]
mod tests;
