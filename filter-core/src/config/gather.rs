//! Everything that is wrong with a file, in one answer.
//!
//! The readers stop at the first error. So its place is noted and removed from the tables,
//! and the rest is read again, until nothing is wrong or enough is noted. An error that
//! follows only from such a removal isn't noted.

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    Config,
    error::{Error, Source},
    example,
    file::File,
    validate,
};

/// Reads a file, or names everything that is wrong with it, up to [`MOST`] places.
pub(super) fn read(text: &str) -> Result<Config, Error> {
    let source = Source::new(text)?;
    let mut left = source.tables().clone();
    let mut gathered = Gathered::default();
    // Each round takes something out of a finite file.
    loop {
        let error = match once(&source, &left) {
            Ok(config) if gathered.errors.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(error) => error,
        };
        let offset = error.offset();
        gathered.note(error, &left);
        let taken = offset.and_then(|offset| take_out(&mut left, "", offset));
        match taken {
            Some(taken) if gathered.errors.len() <= MOST => gathered.taken.push(taken),
            _ => break,
        }
    }
    Err(Error::all(gathered.errors, MOST))
}

fn once(source: &Source<'_>, tables: &DeTable<'_>) -> Result<Config, Error> {
    // The reader of a table would accept a list of its values in place of it.
    for (name, value) in tables {
        let is_list = value.get_ref().is_array();
        if is_list
            && !example::LISTS.contains(&&**name.get_ref())
            && example::is_table(name.get_ref())
        {
            return Err(source.refuse(
                &name.span(),
                format!(
                    "there is only one: write [{0}], not [[{0}]]",
                    name.get_ref()
                ),
            ));
        }
    }
    let whole = Spanned::new(0..0, tables.clone());
    let file = File::deserialize(toml::Deserializer::from(whole))
        .map_err(|error| source.translate(&error))?;
    validate::validate(file, source)
}

#[derive(Default)]
struct Gathered {
    errors: Vec<Error>,
    /// Paths of the tables and lists from which something was removed, and its key.
    taken: Vec<(String, String)>,
}

impl Gathered {
    fn note(&mut self, error: Error, left: &DeTable<'_>) {
        let follows = match &error {
            Error::Missing { .. } => self.is_taken_from(&error, left),
            // One too many stays one too many until enough are gone.
            Error::TooMany { place, .. } => self.errors.iter().any(
                |other| matches!(other, Error::TooMany { place: first, .. } if first.table == place.table),
            ),
            Error::NoTier { .. } => self.taken.iter().any(|(table, key)| {
                table == ".tier" || (table.is_empty() && key == "tier") || (table == ".policy" && key == "mode")
            }),
            _ => false,
        };
        if !follows {
            self.errors.push(error);
        }
    }

    /// Whether something was removed from the table or list that the error is about.
    fn is_taken_from(&self, error: &Error, left: &DeTable<'_>) -> bool {
        let Some((table, key)) = error.offset().and_then(|offset| find(left, "", offset)) else {
            return false;
        };
        let below = match key {
            Some(key) => format!("{table}.{key}"),
            None => table.clone(),
        };
        let is_below = |from: &str| {
            let rest = from.strip_prefix(&below);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut taken = self.taken.iter();
        taken.any(|(from, _key)| *from == table || is_below(from))
    }
}

/// The path of the table at an offset, and the key of it that is there.
fn find(table: &DeTable<'_>, path: &str, offset: usize) -> Option<(String, Option<String>)> {
    table.iter().find_map(|(key, value)| {
        let here = || Some((path.to_owned(), Some(key.get_ref().to_string())));
        if key.span().contains(&offset) {
            return here();
        }
        let below = format!("{path}.{}", key.get_ref());
        let found = match value.get_ref() {
            DeValue::Table(table) => find(table, &below, offset)
                .or_else(|| value.span().contains(&offset).then_some((below, None))),
            DeValue::Array(items) => items.iter().find_map(|item| {
                let table = item.get_ref().as_table()?;
                let below = format!("{below}.{}", item.span().start);
                find(table, &below, offset)
                    .or_else(|| item.span().contains(&offset).then_some((below, None)))
            }),
            _ => None,
        };
        found.or_else(|| value.span().contains(&offset).then(here).flatten())
    })
}

/// Takes out the least that an offset is in: a key, or an item of a list. The path of
/// where it was, and its key.
fn take_out(table: &mut DeTable<'_>, path: &str, offset: usize) -> Option<(String, String)> {
    let mut whole = None;
    for (key, value) in table.iter_mut() {
        let name = key.get_ref().to_string();
        let span = value.span();
        let below = format!("{path}.{name}");
        if !key.span().contains(&offset) {
            let taken = match value.get_mut() {
                DeValue::Table(table) => take_out(table, &below, offset),
                DeValue::Array(items) => {
                    let inside = items.as_mut().iter_mut().find_map(|item| {
                        let below = format!("{below}.{}", item.span().start);
                        let DeValue::Table(table) = item.get_mut() else {
                            return None;
                        };
                        take_out(table, &below, offset)
                    });
                    inside.or_else(|| {
                        let before = items.len();
                        let rest = std::mem::replace(items, DeArray::new()).into_iter();
                        *items = rest.filter(|item| !item.span().contains(&offset)).collect();
                        (items.len() < before).then_some((below, name.clone()))
                    })
                }
                _ => None,
            };
            if taken.is_some() {
                return taken;
            }
            if !span.contains(&offset) {
                continue;
            }
        }
        whole = Some(name);
        break;
    }
    let key = whole?;
    table.remove(key.as_str())?;
    Some((path.to_owned(), key))
}

/// Places that are named at most: the operator mends these first.
pub(super) const MOST: usize = 10;
