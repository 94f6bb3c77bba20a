//! The stream of a verification service, answer by answer: a head that says how
//! many lines follow, and those lines, each a claim or the withdrawal of one.
//!
//! An answer is taken whole or not at all: a short one is never taken for
//! whole. A single claim that can't be accepted is refused by itself. Whatever
//! comes, memory stays bounded: by the claims that the tables have room for, and
//! by 65,536 bytes for a line.

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{Bad, Fault, LONGEST, ndjson};
use crate::{
    claim::{Change, Claim, Update},
    feed::{Refused, Rules},
};

mod cursor;

pub use cursor::{CURSOR, Cursor, NotACursor};

/// What the service was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its whole word.
    Snapshot,
    /// What has changed since.
    After(Cursor),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The place behind it.
    pub cursor: Cursor,
    /// A snapshot or a delta.
    pub update: Update,
    /// What of it can't be taken.
    pub refused: Refused,
    /// Its lines, those that were refused among them.
    pub claims: u64,
}

/// Why an answer is rejected whole; it is the service's fault, always.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing at all.
    #[error("it is empty: a stream begins with {{\"snapshot\": …, \"cursor\": …, \"claims\": …}}")]
    Empty,
    /// A web page, as from a login or an error in place of the stream.
    #[error("it is a web page and no stream: see what `url` really answers")]
    Page,
    /// Its first line isn't a stream's.
    #[error("its first line isn't a stream's: {0}")]
    Head(String),
    /// It follows another cursor than the one that was sent; this is its
    /// beginning, fit to be shown.
    #[error("it follows \"{0}\", not the cursor that was sent: the whole word is asked for")]
    Elsewhere(String),
    /// Changes, where the whole word was asked for.
    #[error("it has changes where the whole word was asked for")]
    NotWhole,
    /// More than the tables have room for.
    #[error("it has {0} claims, and there is room for {1}: allow larger tables")]
    TooMany(u64, u64),
    /// It ended before all lines were there.
    #[error("it was cut off: {1} lines were announced, and {0} came")]
    Short(u64, u64),
    /// It went on after all lines were there.
    #[error("it goes on after the {0} lines that were announced")]
    Long(u64),
    /// Bytes that no claims have.
    #[error("it has more than {0} bytes")]
    TooLong(u64),
    /// A line beyond what any claim needs.
    #[error("line {0} is longer than {LONGEST} bytes")]
    LongLine(u64),
    /// A byte that no text has.
    #[error("line {0} is binary")]
    Binary(u64),
    /// Some other encoding.
    #[error("line {0} is not UTF-8")]
    NotUtf8(u64),
    /// A line that isn't JSON.
    #[error("line {0}: {1}")]
    Syntax(u64, Fault),
}

/// Reads an answer piece by piece.
#[derive(Debug)]
pub struct Reader<'r> {
    rules: &'r Rules,
    objects: ndjson::Reader<'r>,
    asked: Asked,
    head: Option<Head>,
    /// Of the line that hasn't ended yet.
    partial: Vec<u8>,
    /// It has nothing but blanks so far.
    blank: bool,
    number: u64,
    bytes: u64,
    /// Lines that count.
    lines: u64,
    said: Said,
    bad: Bad,
    masked: u64,
}

/// What the lines of an answer come to.
#[derive(Debug)]
enum Said {
    Whole(Vec<Claim>),
    Changes(Vec<Change>),
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(expecting = "{\"snapshot\": …, \"cursor\": …, \"claims\": …}")]
struct Head {
    snapshot: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    cursor: Cursor,
    claims: u64,
}

/// The first line of an answer, with its end.
#[must_use]
pub fn head(asked: &Asked, cursor: &Cursor, claims: u64) -> String {
    let head = Head {
        snapshot: *asked == Asked::Snapshot,
        after: match asked {
            Asked::Snapshot => None,
            Asked::After(cursor) => Some(cursor.to_string()),
        },
        cursor: cursor.clone(),
        claims,
    };
    serde_json::to_string(&head).expect("strings and numbers can always be written") + "\n"
}

impl<'r> Reader<'r> {
    /// Nothing read yet.
    #[must_use]
    pub fn new(rules: &'r Rules, asked: Asked) -> Self {
        Self {
            rules,
            objects: ndjson::Reader::new(rules),
            asked,
            head: None,
            partial: Vec::new(),
            blank: true,
            number: 0,
            bytes: 0,
            lines: 0,
            said: Said::Whole(Vec::new()),
            bad: Bad::default(),
            masked: 0,
        }
    }

    /// Reads the next piece, wherever it begins and ends.
    ///
    /// # Errors
    /// If the answer is to be rejected; nothing of it needs to be read any more.
    pub fn bytes(&mut self, piece: &[u8]) -> Result<(), Error> {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            // What is within both bounds is looked at first, so that an error is
            // the same however the answer was cut.
            let most = self.most_bytes();
            let (all, one) = (most - self.bytes, LONGEST - self.partial.len());
            let within = line.len().min(one).min(usize::try_from(all).unwrap_or(one));
            self.begun(&line[..within])?;
            if within < line.len() {
                return Err(if within < one {
                    Error::TooLong(most)
                } else {
                    Error::LongLine(self.number + 1)
                });
            }
            self.bytes += line.len() as u64;
            if !line.ends_with(b"\n") {
                self.partial.extend_from_slice(line);
            } else if self.partial.is_empty() {
                self.line(line)?;
                self.blank = true;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole)?;
                self.blank = true;
                whole.clear();
                self.partial = whole;
            }
        }
        Ok(())
    }

    /// The whole answer.
    ///
    /// # Errors
    /// If it is none, or isn't whole.
    pub fn finish(mut self) -> Result<Answer, Error> {
        if !self.partial.is_empty() {
            // Its end may be missing, or half of it: the count tells which only
            // if half a line is no line.
            let last = std::mem::take(&mut self.partial);
            let come = self.lines;
            match (self.line(&last), &self.head) {
                (Err(_cut), Some(head)) => return Err(Error::Short(come, head.claims)),
                (taken, _) => taken?,
            }
        }
        let Some(head) = self.head else {
            return Err(Error::Empty);
        };
        if self.lines < head.claims {
            return Err(Error::Short(self.lines, head.claims));
        }
        Ok(Answer {
            cursor: head.cursor,
            update: match self.said {
                Said::Whole(claims) => Update::Snapshot(claims),
                Said::Changes(changes) => Update::Delta(changes),
            },
            refused: self.bad.told(self.masked),
            claims: head.claims,
        })
    }

    /// More of a line: it may be one too many, or the first of a web page.
    const fn begun(&mut self, more: &[u8]) -> Result<(), Error> {
        let first = match more.trim_ascii_start().first() {
            Some(first) if self.blank => first,
            _ => return Ok(()),
        };
        self.blank = false;
        match &self.head {
            None if *first == b'<' => Err(Error::Page),
            Some(head) if self.lines == head.claims => Err(Error::Long(head.claims)),
            _ => Ok(()),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.number += 1;
        if line.contains(&0) {
            return Err(Error::Binary(self.number));
        }
        let line = str::from_utf8(line).map_err(|_error| Error::NotUtf8(self.number))?;
        if line.trim().is_empty() {
            return Ok(());
        }
        let Some(head) = &self.head else {
            return self.take_head(line);
        };
        debug_assert!(self.lines < head.claims, "the line had begun");
        self.lines += 1;
        match self.objects.read(line) {
            Ok(Some((change, masked))) => {
                self.masked += u64::from(masked);
                self.take(change);
                Ok(())
            }
            Ok(None) => Err(Error::Syntax(
                self.number,
                Fault::Syntax("a stream has no comments".to_owned()),
            )),
            Err(fault) => {
                if matches!(fault, Fault::Syntax(_) | Fault::Shape(_)) && !is_object(line) {
                    return Err(Error::Syntax(self.number, fault));
                }
                self.bad.push(self.number, fault);
                Ok(())
            }
        }
    }

    fn take_head(&mut self, line: &str) -> Result<(), Error> {
        if !line.trim_ascii_start().starts_with('{') {
            return Err(Error::Head("it doesn't begin with `{`".to_owned()));
        }
        let head: Head =
            serde_json::from_str(line).map_err(|error| Error::Head(ndjson::words(&error)))?;
        let room = self.rules.max_claims as u64;
        if head.claims > room {
            return Err(Error::TooMany(head.claims, room));
        }
        match (&self.asked, head.snapshot) {
            (_, true) => {}
            (Asked::Snapshot, false) => return Err(Error::NotWhole),
            (Asked::After(cursor), false) => {
                if head.after.as_deref() != Some(cursor.as_str()) {
                    let after = head.after.as_deref().unwrap_or("no cursor");
                    return Err(Error::Elsewhere(after.escape_debug().take(96).collect()));
                }
                self.said = Said::Changes(Vec::new());
            }
        }
        self.head = Some(head);
        Ok(())
    }

    fn take(&mut self, change: Change) {
        match (&mut self.said, change) {
            (Said::Changes(changes), change) => changes.push(change),
            (Said::Whole(claims), Change::Claim(claim)) => claims.push(claim),
            (Said::Whole(_), Change::Withdraw(_)) => self.bad.push(self.number, Fault::Withdrawn),
        }
    }

    /// Bytes that an answer may have: claims have room, and nothing else.
    fn most_bytes(&self) -> u64 {
        let claims = self.head.as_ref().map_or(0, |head| head.claims);
        SPARE + claims.saturating_mul(A_CLAIM)
    }
}

/// Whether a line is a JSON object, whatever is in it.
///
/// A claim of another shape is given up before its end, and may be no JSON there.
/// And some JSON can't be held (half of a surrogate, a number beyond all): what
/// strangers can have written into one claim isn't to cost all the others. Only
/// an object tells by its end that it is whole.
fn is_object(line: &str) -> bool {
    let text = line.trim();
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Bytes that a claim takes on the average, at most.
const A_CLAIM: u64 = 512;

/// Bytes that an answer may have beyond.
const SPARE: u64 = 1 << 20;

#[cfg(test)]
mod tests;
