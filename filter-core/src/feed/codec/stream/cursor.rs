//! A place in the stream, as a text that can be sent.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A place in the stream. What it says is the service's affair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(Box<str>);

impl Cursor {
    /// As it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let fits = (1..=CURSOR).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NotACursor)
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What can't be a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor has 1 to {CURSOR} visible characters")]
pub struct NotACursor;

/// Bytes that a cursor may have.
pub const CURSOR: usize = 1024;
