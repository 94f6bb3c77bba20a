//! What the service says: its claims, and what has changed since when. Pure:
//! the time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// Claims by prefix, and their changes by number.
#[derive(Clone, Debug)]
pub struct State {
    /// One more each time the memory is lost.
    epoch: u64,
    number: u64,
    claims: BTreeMap<String, Value>,
    history: VecDeque<(u64, Value)>,
    /// Changes that are remembered.
    remember: usize,
}

/// An honest answer: what it says, before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The whole word, or changes.
    pub whole: bool,
    /// The cursor that was asked, for changes.
    pub after: Option<String>,
    /// The cursor behind it.
    pub cursor: String,
    /// Claims and withdrawals.
    pub lines: Vec<Value>,
}

impl State {
    /// Nothing said yet.
    #[must_use]
    pub const fn new(epoch: u64) -> Self {
        Self {
            epoch,
            number: 0,
            claims: BTreeMap::new(),
            history: VecDeque::new(),
            remember: 200_000,
        }
    }

    /// The same, but soon forgetting what has changed.
    #[must_use]
    pub const fn forgetful(mut self, remember: usize) -> Self {
        self.remember = remember;
        self
    }

    /// Takes claims and withdrawals.
    ///
    /// # Errors
    /// If a line has no prefix; then nothing is taken.
    pub fn say(&mut self, lines: &[Value]) -> Result<(), String> {
        let prefix = |line: &Value| line["prefix"].as_str().map(ToOwned::to_owned);
        if let Some(line) = lines.iter().find(|line| prefix(line).is_none()) {
            return Err(format!("there is no prefix in {line}"));
        }
        for line in lines {
            let prefix = prefix(line).expect("it was looked for");
            if line["withdrawn"] == true {
                self.claims.remove(&prefix);
            } else {
                self.claims.insert(prefix, line.clone());
            }
            self.number += 1;
            self.history.push_back((self.number, line.clone()));
            if self.history.len() > self.remember {
                self.history.pop_front();
            }
        }
        Ok(())
    }

    /// How many changes there were.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Loses everything, as a restart without a disk does.
    pub fn forget_all(&mut self) {
        *self = Self {
            remember: self.remember,
            ..Self::new(self.epoch + 1)
        };
    }

    /// What stands at a time, by prefix.
    pub fn claims(&self, unix: u64) -> impl Iterator<Item = &Value> {
        let lives = move |claim: &&Value| end_of(claim).is_none_or(|end| end > unix);
        self.claims.values().filter(lives)
    }

    /// The cursor behind everything.
    #[must_use]
    pub fn cursor(&self) -> String {
        format!("{}-{}", self.epoch, self.number)
    }

    /// An honest answer at a time: the whole word, or what has changed after a
    /// cursor; `None` if that is forgotten, or never was.
    #[must_use]
    pub fn answer(&self, after: Option<&str>, unix: u64) -> Option<Answer> {
        let Some(after) = after else {
            return Some(Answer {
                whole: true,
                after: None,
                cursor: self.cursor(),
                lines: self.claims(unix).cloned().collect(),
            });
        };
        let (epoch, number) = after.split_once('-')?;
        let number: u64 = number.parse().ok()?;
        let oldest = self
            .history
            .front()
            .map_or(self.number, |(first, _)| first - 1);
        if epoch.parse() != Ok(self.epoch) || number > self.number || number < oldest {
            return None;
        }
        // They are numbered without gaps.
        let known = self.history.len() - (self.number - number) as usize;
        let new = self.history.range(known..);
        Some(Answer {
            whole: false,
            after: Some(after.to_owned()),
            cursor: self.cursor(),
            lines: new.map(|(_, line)| line.clone()).collect(),
        })
    }
}

impl Answer {
    /// The first line, with its end.
    #[must_use]
    pub fn head(&self) -> String {
        let mut head = json!({
            "snapshot": self.whole,
            "cursor": self.cursor,
            "claims": self.lines.len(),
        });
        if let Some(after) = &self.after {
            head["after"] = after.as_str().into();
        }
        head.to_string() + "\n"
    }

    /// All of it.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut body = self.head().into_bytes();
        for line in &self.lines {
            body.extend(line.to_string().into_bytes());
            body.push(b'\n');
        }
        body
    }
}

/// Unix seconds at which a claim ends, if it does.
#[must_use]
pub fn end_of(claim: &Value) -> Option<u64> {
    let text = claim["expires"].as_str()?;
    let end = humantime::parse_rfc3339_weak(text).ok()?;
    let since = end.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(since.as_secs() + u64::from(since.subsec_nanos() > 0))
}

/// A time as claims have it.
#[must_use]
pub fn written(unix: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix)).to_string()
}
