//! Sentences in place of what serde and the TOML reader say: what to write.

use std::ops::Range;

use super::{Place, example};

/// A value of the wrong type. `text` is the value as it is written.
pub(super) fn mistaken(place: &Place, message: &str, text: &str) -> String {
    let kind = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, expected)) = kind.and_then(|rest| rest.split_once(", expected ")) else {
        return message.to_owned();
    };
    let key = place.key.as_deref();
    let like = |what: &str| match (key, key.and_then(|key| example::of(&place.table, key))) {
        (Some(key), Some(value)) => format!("write {what}, such as {key} = {value}"),
        _ => format!("write {what}"),
    };
    match expected {
        "a table" | "a map" => not_a_table(place),
        "a sequence" => not_a_list(place, found, text),
        "a boolean" if matches!(found, "string \"true\"" | "string \"false\"") => {
            format!("write {} without quotes", text.trim_matches(['"', '\'']))
        }
        "a boolean" => "write true or false".to_owned(),
        "a string" => like("it in quotes"),
        "i64" | "u32" | "f64" => {
            let is_quoted = found.starts_with("string ");
            let bare = text.trim_matches(['"', '\'']);
            if is_quoted && bare.parse::<i64>().is_ok_and(|number| number >= 0) {
                return format!("write {bare} without quotes");
            }
            if found.starts_with("integer ") && !bare.starts_with('-') {
                return like("a smaller number");
            }
            match expected {
                "f64" => like("a number"),
                _ => like("a whole number from 0 on, without quotes"),
            }
        }
        _ => format!("write {expected}, not {}", shown(found)),
    }
}

fn not_a_table(place: &Place) -> String {
    let path = match &place.key {
        Some(key) if place.table.is_empty() => key.clone(),
        Some(key) => format!("{}.{key}", place.table.trim_matches(['[', ']'])),
        None => place.table.trim_matches(['[', ']']).to_owned(),
    };
    if example::LISTS.contains(&path.as_str()) {
        return format!("write [[{path}]] in a line of its own, and its keys below it");
    }
    format!("write [{path}] in a line of its own, and its keys below it")
}

fn not_a_list(place: &Place, found: &str, text: &str) -> String {
    let table = place.table.trim_matches(['[', ']']);
    match &place.key {
        None if example::LISTS.contains(&table) => {
            format!("there can be several: write [[{table}]], not [{table}]")
        }
        Some(key) if table.is_empty() && example::LISTS.contains(&key.as_str()) => {
            format!("write [[{key}]] in a line of its own, and its keys below it")
        }
        Some(key) if found.starts_with("string ") => {
            format!("write it in brackets: {key} = [{text}]")
        }
        Some(key) => match example::of(&place.table, key) {
            Some(value) => format!("write a list in brackets, such as {key} = {value}"),
            None => "write a list in brackets".to_owned(),
        },
        None => "write a list in brackets".to_owned(),
    }
}

/// A value in an operator's words.
fn shown(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        _ => match found.split_once(' ') {
            Some(("string" | "integer" | "boolean", value)) => value.replace('`', ""),
            Some(("floating", value)) => value.replace("point ", "").replace('`', ""),
            _ => found.to_owned(),
        },
    }
}

/// A line that isn't TOML: its key and table, and what to write. `message` is the reader's.
pub(super) fn not_toml(text: &str, span: &Range<usize>, message: &str) -> (Option<String>, String) {
    let at = span.start.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default().trim();
    let written = text.get(span.clone()).unwrap_or_default();
    let above = text[..start].lines().rev().map(str::trim);
    let header = above
        .filter(|line| line.starts_with('[') && line.ends_with(']'))
        .map(|line| {
            // A list in several lines ends like a header.
            line.trim_end_matches(',')
        });
    let table = header.into_iter().next().unwrap_or_default();
    let key = line.split_once('=').map(|(key, _)| key.trim());
    let key = key.filter(|key| !key.is_empty() && !line.starts_with('['));
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    let example = key.and_then(|key| example::of(table, key));
    let like = |what: &str| match (key, example) {
        (Some(key), Some(value)) => format!("{what}, such as {key} = {value}"),
        _ => what.to_owned(),
    };
    let is_of_digits = example.is_some_and(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let is_list = example.is_some_and(|value| value.starts_with('['));
    let sentence = match message.split(", expected").next().unwrap_or_default() {
        _ if line.starts_with("//") || line.starts_with(';') => "a comment begins with `#`: write that before it".to_owned(),
        _ if value.starts_with(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}']) => {
            like("these aren't the quotes of TOML: write straight ones")
        }
        "duplicate key" => format!("`{written}` is there twice: write it once"),
        _ if is_of_digits && value.starts_with(|c: char| c.is_ascii_digit()) => {
            like("write the number in digits alone")
        }
        "string values must be quoted" if value.is_empty() => like("the value is missing: write one"),
        "string values must be quoted" if matches!(example, Some("true" | "false")) => {
            "write true or false".to_owned()
        }
        "string values must be quoted" | "invalid float" | "invalid integer" | "unexpected key or value"
            if is_list =>
        {
            like("write a list in brackets, and each of it in quotes")
        }
        "string values must be quoted" => match key {
            Some(key) if value == written => format!("write it in quotes: {key} = \"{written}\""),
            _ => like("write it in quotes"),
        },
        "invalid boolean" => "write true or false, in small letters".to_owned(),
        "invalid basic string" | "invalid literal string" => {
            like("the quote that ends the value is missing: write it")
        }
        "missing escaped value" | "invalid escaped value" => {
            "a backslash means something of its own in these quotes: write it twice".to_owned()
        }
        "unclosed table" => "the name of a table stands between `[` and `]`, and has no spaces: write it like [datapath]".to_owned(),
        "unclosed array table" => "the name of a table of which there are several stands between `[[` and `]]`: write it like [[service]]".to_owned(),
        "key with no value" if line.ends_with(']') => "the `[` before the name of the table is missing: write it".to_owned(),
        "key with no value" if line.contains(':') => "write `=` between a key and its value, not `:`".to_owned(),
        "key with no value" => "this is no key with a value: write `=` between them, or `#` before a comment".to_owned(),
        "missing comma between array elements" => {
            "a `,` is missing between two values, or the `]` that ends the list: write it".to_owned()
        }
        "missing comma between key-value pairs" => "a `,` is missing between two keys: write it".to_owned(),
        "unclosed inline table" => "the `}` that ends the value is missing: write it".to_owned(),
        "unclosed array" => "the `]` that ends the list is missing: write it".to_owned(),
        _ => like(&format!("this isn't TOML ({message}): write it")),
    };
    let place = key.map(|key| match table {
        "" => format!("`{key}`"),
        table => format!("`{key}` in {table}"),
    });
    (place, sentence)
}
