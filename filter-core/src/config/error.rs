//! What is wrong with a configuration, where, and what to do.

use std::{fmt, io, ops::Range, path::PathBuf};

use toml::de::{DeTable, DeValue};

/// Why a configuration isn't taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("can't read {}: {source}; write that file or name another with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It isn't TOML.
    #[error("line {line}: this isn't TOML: {message}")]
    NotToml {
        /// Counted from 1.
        line: usize,
        /// What the reader stumbled over.
        message: String,
    },
    /// A key that means nothing.
    #[error("line {}: unknown key `{key}` {}; {hint}", place.line, place.table())]
    UnknownKey {
        /// Where.
        place: Place,
        /// As it is written.
        key: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A value that can't be.
    #[error("{place}: {sentence}")]
    Refused {
        /// Where.
        place: Place,
        /// What is wrong, and what to write.
        sentence: String,
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
}

impl Place {
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
        match DeTable::parse(text) {
            Ok(tables) => Ok(Self {
                text,
                tables: tables.into_inner(),
            }),
            Err(error) => Err(Error::NotToml {
                line: line(text, error.span().map_or(0, |span| span.start)),
                message: error.message().to_owned(),
            }),
        }
    }

    /// The place of a span.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let (table, key) = within(&self.tables, "", span.start).unwrap_or_default();
        Place {
            line: line(self.text, span.start),
            table,
            key,
        }
    }

    /// A value that can't be.
    pub(super) fn refuse(&self, span: &Range<usize>, sentence: impl Into<String>) -> Error {
        Error::Refused {
            place: self.place(span),
            sentence: sentence.into(),
        }
    }

    /// Our words for what serde says. Its messages name keys between backticks.
    pub(super) fn translate(&self, error: &toml::de::Error) -> Error {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let names: Vec<_> = message.split('`').skip(1).step_by(2).collect();
        if message.starts_with("unknown field ") {
            let key = names[0].to_owned();
            return Error::UnknownKey {
                place: self.place(&span),
                hint: hint(&key, &names[1..]),
                key,
            };
        }
        if message.starts_with("missing field ") {
            return self.refuse(&span, format!("`{}` is missing; write it", names[0]));
        }
        if let Some((found, expected)) = message
            .strip_prefix("invalid type: ")
            .and_then(|rest| rest.split_once(", expected "))
        {
            return self.refuse(&span, format!("write {expected}, not {found}"));
        }
        self.refuse(&span, message)
    }
}

fn hint(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1.max(name.len() / 3));
    match nearest {
        Some((_distance, name)) => format!("did you mean `{name}`?"),
        None => format!("the keys here are `{}`", known.join("`, `")),
    }
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
