//! Tips for what was mistyped, none of which turns its meaning round.

use std::{collections::BTreeSet, ffi::OsString};

use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue},
};

use super::Cli;

/// The error with tips that mean what was typed, and no others.
pub(super) fn mended(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    for (typed, suggested) in [
        (
            ContextKind::InvalidSubcommand,
            ContextKind::SuggestedSubcommand,
        ),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
    ] {
        let Some(ContextValue::String(typed)) = error.get(typed).cloned() else {
            continue;
        };
        let found = error.remove(suggested);
        if suggested == ContextKind::SuggestedSubcommand && is_the_command(&typed, arguments) {
            let tips = commands_like(&typed);
            if !tips.is_empty() {
                error.insert(suggested, ContextValue::Strings(tips));
            }
            continue;
        }
        let means_it = |tip: &String| {
            let known = std::slice::from_ref(tip);
            is_negated(tip, known) == is_negated(&typed, known)
        };
        match found {
            Some(ContextValue::String(tip)) if means_it(&tip) => {
                error.insert(suggested, ContextValue::String(tip));
            }
            Some(ContextValue::Strings(tips)) => {
                let tips: Vec<_> = tips.into_iter().filter(means_it).collect();
                if !tips.is_empty() {
                    error.insert(suggested, ContextValue::Strings(tips));
                }
            }
            _ => {}
        }
    }
    error
}

/// Whether it stands where the command stands, not where one of its own does.
fn is_the_command(typed: &str, arguments: &[OsString]) -> bool {
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--socket" || argument == "--timeout" {
            arguments.next();
        } else if !argument.to_string_lossy().starts_with('-') {
            return argument == typed;
        }
    }
    false
}

/// The commands that are nearest to what was typed; none if the nearest would do
/// something else, or different things.
fn commands_like(typed: &str) -> Vec<String> {
    let root = Cli::command();
    let mut words: Vec<(&str, &str)> = vec![("help", "help")];
    for command in root.get_subcommands() {
        let names = command.get_visible_aliases().chain([command.get_name()]);
        words.extend(names.map(|name| (name, name)));
    }
    for (means, synonyms) in SYNONYMS {
        words.extend(synonyms.iter().map(|word| (*word, means)));
    }
    let plain = normal(typed);
    let distance = |word: &str| strsim::osa_distance(&normal(word), &plain);
    let near =
        |word: &str| distance(word) <= (word.len() / 4).clamp(usize::from(word.len() > 2), 2);
    let nearest = words.iter().filter(|(word, _)| near(word));
    let Some(least) = nearest.clone().map(|(word, _)| distance(word)).min() else {
        return Vec::new();
    };
    let nearest: Vec<_> = nearest
        .filter(|(word, _)| distance(word) == least)
        .collect();
    let known: Vec<_> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
    let negated = is_negated(typed, &known);
    let turned = nearest
        .iter()
        .any(|(word, _)| is_negated(word, &[]) != negated);
    let tips: BTreeSet<_> = nearest
        .iter()
        .map(|(_, means)| (*means).to_owned())
        .collect();
    let one_of = |words: &[&str]| tips.iter().any(|tip| words.contains(&tip.as_str()));
    if (turned && least > 0) || (one_of(SHUT) && one_of(OPEN)) {
        return Vec::new();
    }
    tips.into_iter().collect()
}

/// Whether a word takes back what another says, as `unblock` does.
fn is_negated(word: &str, known: &[String]) -> bool {
    let word = normal(word);
    let near = |rest: &str| {
        let near = |known: &String| strsim::osa_distance(&normal(known), rest) <= 1;
        rest.len() > 2 && known.iter().any(near)
    };
    ["un", "dis", "non"]
        .iter()
        .any(|before| word.starts_with(before))
        || ["de", "no", "not", "dont", "stop", "end"]
            .iter()
            .any(|before| word.strip_prefix(before).is_some_and(near))
}

/// A word without what people put between its parts.
fn normal(word: &str) -> String {
    let letters = word.chars().filter(|letter| !"-_ ".contains(*letter));
    letters.flat_map(char::to_lowercase).collect()
}

/// Words that others have for a command.
const SYNONYMS: [(&str, &[&str]); 9] = [
    (
        "block",
        &[
            "deny",
            "drop",
            "reject",
            "disallow",
            "blacklist",
            "blocklist",
            "refuse",
        ],
    ),
    (
        "allow",
        &["permit", "accept", "whitelist", "allowlist", "trust"],
    ),
    (
        "clear",
        &[
            "remove",
            "delete",
            "rm",
            "del",
            "unlimit",
            "unallow",
            "undeny",
            "undrop",
            "unreject",
            "unthrottle",
            "release",
            "revoke",
            "unset",
            "flush",
        ],
    ),
    ("forgive", &["pardon"]),
    ("limit", &["throttle", "ratelimit"]),
    ("list", &["ls"]),
    ("events", &["log", "logs", "tail"]),
    ("mode", &["enforce", "observe"]),
    ("detach", &["unload", "uninstall"]),
];

/// Commands that hold a source back.
const SHUT: &[&str] = &["block", "ban", "limit"];

/// Commands that let a source through again.
const OPEN: &[&str] = &["allow", "clear", "unblock", "unban", "forgive"];

#[cfg(test)]
mod tests {
    use crate::cli::read;

    /// The tips of an error, or what is printed in their stead.
    fn tips(line: &str) -> Vec<String> {
        let error = read(line.split(' ').map(Into::into)).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        let text = error.to_string();
        let tips = text.lines().filter(|line| line.contains("similar"));
        let quoted = tips.flat_map(|tip| tip.split('\'').skip(1).step_by(2));
        quoted.map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_tip_never_does_the_opposite_of_what_was_typed() {
        for (typed, expected) in [
            // What takes back.
            ("unblok", &["unblock"][..]),
            ("unblcok", &["unblock"]),
            ("un-block", &["unblock"]),
            ("un_block", &["unblock"]),
            ("Unblock", &["unblock"]),
            ("unlock", &["unblock"]),
            ("unbock", &["unblock"]),
            ("unabn", &["unban"]),
            ("un-ban", &["unban"]),
            ("unallow", &["clear"]),
            ("unlimit", &["clear"]),
            ("remove", &["clear"]),
            ("delete", &["clear"]),
            ("delet", &["clear"]),
            ("del", &["clear"]),
            ("rm", &["clear"]),
            ("claer", &["clear"]),
            ("forgiv", &["forgive"]),
            // What could mean either.
            ("ublock", &[]),
            ("nblock", &[]),
            ("deblock", &[]),
            ("noblock", &[]),
            ("no-block", &[]),
            ("dont-block", &[]),
            ("stopblock", &[]),
            ("unpermit", &[]),
            ("disblock", &[]),
            ("unforgive", &[]),
            ("disable", &[]),
            ("unmode", &[]),
            // What holds back.
            ("blok", &["block"]),
            ("bloc", &["block"]),
            ("blcok", &["block"]),
            ("BLOCK", &["block"]),
            ("disallow", &["block"]),
            ("dis-allow", &["block"]),
            ("disalow", &["block"]),
            ("deny", &["block"]),
            ("dney", &["block"]),
            ("drop", &["block"]),
            ("limt", &["limit", "list"]),
            ("throttle", &["limit"]),
            // What lets through.
            ("alow", &["allow"]),
            ("permit", &["allow"]),
            ("whitelist", &["allow"]),
            // The others.
            ("staus", &["status"]),
            ("underattack", &["under-attack"]),
            ("under-atack", &["under-attack"]),
            ("relaod", &["reload"]),
            ("detatch", &["detach"]),
            ("banana", &[]),
            ("x", &[]),
        ] {
            assert_eq!(
                tips(&format!("weir {typed} 192.0.2.7")),
                expected,
                "{typed}"
            );
            assert_eq!(
                tips(&format!("weir --socket /run/x --json {typed} 192.0.2.7")),
                expected,
                "{typed} behind options"
            );
        }
    }

    #[test]
    fn nor_do_the_tips_within_a_command() {
        for (line, never, expected) in [
            ("weir feed disabel x", "enable", Some("disable")),
            ("weir feed enabel x", "disable", Some("enable")),
            ("weir feed unable x", "enable", None),
            ("weir mode unenforce", "enforce", None),
            ("weir mode noenforce", "enforce", None),
            ("weir mode enforc", "observe", Some("enforce")),
            ("weir mode obsrve", "enforce", Some("observe")),
            ("weir events --no-follow", "--follow", None),
            ("weir events --folow", "--no-follow", Some("--follow")),
            ("weir mode enforce --no-force", "--force", None),
        ] {
            let tips = tips(line);
            assert!(!tips.iter().any(|tip| tip == never), "{line}: {tips:?}");
            if let Some(expected) = expected {
                assert_eq!(tips, [expected], "{line}");
            }
        }
    }
}
