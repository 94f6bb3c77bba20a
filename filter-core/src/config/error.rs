//! Errors of a configuration: the place, the fault, and what to write instead.

use std::{fmt, io, ops::Range, path::PathBuf};

use toml::de::{DeTable, DeValue};

use super::{example, gather::MOST, words};

/// The reason that a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("can't read {}: {error}; write that file or name another with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says. (Its words are in the sentence, so that it isn't a
        /// source.)
        error: io::Error,
    },
    /// It isn't TOML.
    #[error("line {line}{}: {sentence}", place.as_ref().map_or_else(String::new, |place| format!(", {place}")))]
    NotToml {
        /// Counted from 1.
        line: usize,
        /// The key in that line, and its table, if there is one.
        place: Option<String>,
        /// The fault, and what to write.
        sentence: String,
    },
    /// A key that means nothing.
    #[error("line {}: unknown key `{key}` {}; {hint}", place.line, place.table())]
    UnknownKey {
        /// Its place.
        place: Place,
        /// As it is written.
        key: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A value that can't be.
    #[error("{place}: {sentence}")]
    Refused {
        /// Its place.
        place: Place,
        /// The fault, and what to write.
        sentence: String,
    },
    /// A key that isn't there and has to be.
    #[error("{place}: {sentence}")]
    Missing {
        /// Its place.
        place: Place,
        /// The missing key, and what to write.
        sentence: String,
    },
    /// One more than there is room for.
    #[error("{place}: {sentence}")]
    TooMany {
        /// Its place.
        place: Place,
        /// How many there may be.
        sentence: String,
    },
    /// A tier that there isn't.
    #[error("{place}: {sentence}")]
    NoTier {
        /// Its place.
        place: Place,
        /// Which, and which there are.
        sentence: String,
    },
    /// Several of these, in the order of the file.
    #[error("{}", lines(errors, *more))]
    Several {
        /// Each of them; none of them is several.
        errors: Vec<Self>,
        /// There are more than these.
        more: bool,
    },
    /// An interface of the command line that can't be.
    #[error("--interface: {0}")]
    Interface(String),
    /// Nothing to filter.
    #[error(
        "no interface is named: write interfaces = [\"eth0\"] in [datapath] or use --interface eth0"
    )]
    NoInterface,
}

/// A place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// As it is written: `[tier.unknown]`, `[[service]]`; empty at the top.
    pub table: String,
    /// The key in that table, if it is about one.
    pub key: Option<String>,
    /// Bytes before it.
    offset: usize,
}

impl Error {
    /// All that is wrong, the first `most` of it.
    pub(super) fn all(mut errors: Vec<Self>, most: usize) -> Self {
        errors.sort_by_key(|error| (error.line(), error.offset()));
        let more = errors.len() > most;
        errors.truncate(most);
        if errors.len() == 1 && !more {
            return errors.remove(0);
        }
        Self::Several { errors, more }
    }

    /// Bytes before the place that it is about.
    pub(super) fn offset(&self) -> Option<usize> {
        self.place().map(|place| place.offset)
    }

    /// The line that it is about, counted from 1; of several the first one's.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::NotToml { line, .. } => Some(*line),
            Self::Several { errors, .. } => errors.first().and_then(Self::line),
            _ => self.place().map(|place| place.line),
        }
    }

    const fn place(&self) -> Option<&Place> {
        match self {
            Self::UnknownKey { place, .. }
            | Self::Refused { place, .. }
            | Self::Missing { place, .. }
            | Self::TooMany { place, .. }
            | Self::NoTier { place, .. } => Some(place),
            Self::Unreadable { .. }
            | Self::NotToml { .. }
            | Self::Several { .. }
            | Self::Interface(_)
            | Self::NoInterface => None,
        }
    }
}

impl Place {
    /// The table that a key of it would be in.
    fn path(&self) -> String {
        let plain = self.table.trim_matches(['[', ']']);
        match &self.key {
            Some(key) if plain.is_empty() => key.clone(),
            Some(key) => format!("{plain}.{key}"),
            None => plain.to_owned(),
        }
    }

    fn table(&self) -> String {
        if self.table.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in {}", self.table)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.key {
            Some(key) => write!(f, ", `{key}` {}", self.table()),
            None if self.table.is_empty() => Ok(()),
            None => write!(f, ", {}", self.table),
        }
    }
}

/// The file as text and as tables, to find places in.
pub(super) struct Source<'a> {
    text: &'a str,
    tables: DeTable<'a>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Error> {
        let (tables, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self {
                text,
                tables: tables.into_inner(),
            });
        }
        let mut not_toml: Vec<Error> = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let line = line(text, span.start);
            // A second error in a line likely comes from the same mistake.
            let is_known = |other: &Error| matches!(other, Error::NotToml { line: known, .. } if *known == line);
            if !not_toml.iter().any(is_known) {
                let (place, sentence) = words::not_toml(text, &span, error.message());
                not_toml.push(Error::NotToml {
                    line,
                    place,
                    sentence,
                });
            }
        }
        Err(Error::all(not_toml, MOST))
    }

    /// The place of a span.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let (table, key) = within(&self.tables, "", span.start).unwrap_or_default();
        Place {
            line: line(self.text, span.start),
            table,
            key,
            offset: span.start,
        }
    }

    /// The text of a span.
    pub(super) fn text_at(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The tables of the file.
    pub(super) const fn tables(&self) -> &DeTable<'a> {
        &self.tables
    }

    /// A key that isn't there and has to be.
    pub(super) fn missing(&self, span: &Range<usize>, sentence: impl Into<String>) -> Error {
        Error::Missing {
            place: self.place(span),
            sentence: sentence.into(),
        }
    }

    /// One more than there is room for.
    pub(super) fn too_many(&self, span: &Range<usize>, sentence: impl Into<String>) -> Error {
        Error::TooMany {
            place: self.place(span),
            sentence: sentence.into(),
        }
    }

    /// A value that can't be.
    pub(super) fn refuse(&self, span: &Range<usize>, sentence: impl Into<String>) -> Error {
        Error::Refused {
            place: self.place(span),
            sentence: sentence.into(),
        }
    }

    /// A sentence for an error of serde's, whose messages name keys between backticks.
    pub(super) fn translate(&self, error: &toml::de::Error) -> Error {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let names: Vec<_> = message.split('`').skip(1).step_by(2).collect();
        let place = self.place(&span);
        if message.starts_with("unknown field ") {
            let key = names[0].to_owned();
            return Error::UnknownKey {
                hint: hint(&place, &key, &names[1..]),
                place,
                key,
            };
        }
        if message.starts_with("missing field ") {
            let like = match example::of(&place.path(), names[0]) {
                Some(value) => format!(", such as {} = {value}", names[0]),
                None => String::new(),
            };
            let sentence = format!("`{}` is missing: write it{like}", names[0]);
            return Error::Missing { place, sentence };
        }
        let sentence = words::mistaken(&place, message, self.text_at(&span));
        Error::Refused { place, sentence }
    }
}

fn hint(place: &Place, key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1.max(name.len() / 3));
    match (nearest, example::table_of(key)) {
        _ if ["[tier.packets]", "[tier.bytes]", "[tier.connections]"].contains(&&*place.table) => {
            "a tier has a name: write [tier.unknown] or another above its rates, not [tier]"
                .to_owned()
        }
        (Some((_distance, name)), _) => format!("did you mean `{name}`?"),
        (None, Some(table)) if place.table.is_empty() => {
            format!("it belongs into [{table}]: write it below that line")
        }
        (None, _) => format!("the keys here are `{}`", known.join("`, `")),
    }
}

fn lines(errors: &[Error], more: bool) -> String {
    let mut lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    if more {
        lines.push("and more: mend these first".to_owned());
    }
    lines.join("\n")
}

/// The table and the key of a table's that stand at an offset. A table's own
/// span is its header only, so the tables below it are looked through first.
fn within(table: &DeTable<'_>, path: &str, offset: usize) -> Option<(String, Option<String>)> {
    let here = |key: &str| Some((path.to_owned(), Some(key.to_owned())));
    table.iter().find_map(|(key, value)| {
        let name: &str = key.get_ref();
        if key.span().contains(&offset) {
            return here(name);
        }
        let below = match path.trim_matches(['[', ']']) {
            "" => name.to_owned(),
            above => format!("{above}.{name}"),
        };
        let found = match value.get_ref() {
            DeValue::Table(table) => inside(table, &format!("[{below}]"), &value.span(), offset),
            DeValue::Array(items) => items.iter().find_map(|item| {
                let table = item.get_ref().as_table()?;
                inside(table, &format!("[[{below}]]"), &item.span(), offset)
            }),
            _ => None,
        };
        found.or_else(|| value.span().contains(&offset).then(|| here(name)).flatten())
    })
}

fn inside(
    table: &DeTable<'_>,
    path: &str,
    span: &Range<usize>,
    offset: usize,
) -> Option<(String, Option<String>)> {
    within(table, path, offset).or_else(|| span.contains(&offset).then(|| (path.to_owned(), None)))
}

fn line(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
