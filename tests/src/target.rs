//! What is fuzzed: everything that makes meaning of bytes from elsewhere.
//!
//! A target is a plain function that panics if an invariant is broken. It is run
//! over the corpus and its mutants by `cargo test`, and for as long as one likes
//! by `cargo xtask fuzz`. What it makes of an input comes back as a label, so
//! that whoever searches can go on from what was new.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

mod config;
mod control;
mod list;
mod observations;
pub mod search;
mod stream;
mod token;

/// Something that reads bytes from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Reads an input, asserts what must hold of any, and tells what it was.
    pub body: fn(&[u8]) -> String,
    /// What means something to it.
    pub words: &'static [&'static str],
}

impl Target {
    /// The folder of its inputs.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name)
    }

    /// Its inputs, by name.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn corpus(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut corpus = Vec::new();
        for entry in fs::read_dir(self.folder())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            corpus.push((name, fs::read(entry.path())?));
        }
        corpus.sort();
        Ok(corpus)
    }
}

/// Asserts what must hold of any sentence, and gives its kind: the sentence
/// without what it tells of the input.
///
/// Sentences are shown on terminals and kept, so that what a stranger wrote
/// must not steer the one or fill the other.
fn kind(sentence: &str) -> String {
    assert!(!sentence.is_empty(), "there is no sentence");
    assert!(
        sentence.len() <= SENTENCE,
        "the sentence has {} bytes",
        sentence.len()
    );
    assert!(
        !sentence.contains(char::is_control),
        "a character of the sentence steers a terminal: {sentence:?}"
    );
    shape(sentence)
}

/// A sentence without its line, digits, and what it quotes of the input; that may
/// have quotes itself, or be cut off.
fn shape(sentence: &str) -> String {
    let said = match sentence.split_once(": ") {
        Some((place, said)) if place.starts_with("line ") => said,
        _ => sentence,
    };
    let quote = |one: char| matches!(one, '"' | '`');
    let told = match said.find(quote) {
        Some(0) => &said[said.rfind(quote).unwrap_or(0)..],
        Some(start) => &said[..start],
        None => said,
    };
    told.chars()
        .filter(|one| !one.is_ascii_digit())
        .take(80)
        .collect()
}

/// A number that an input fixes (FNV-1a).
fn number(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Every target.
pub const TARGETS: [Target; 9] = [
    Target {
        name: "list",
        body: list::list,
        words: list::WORDS,
    },
    Target {
        name: "line",
        body: list::line,
        words: list::WORDS,
    },
    Target {
        name: "prefix",
        body: list::prefix,
        words: list::PREFIXES,
    },
    Target {
        name: "stream",
        body: stream::body,
        words: stream::WORDS,
    },
    Target {
        name: "config",
        body: config::body,
        words: config::WORDS,
    },
    Target {
        name: "control",
        body: control::body,
        words: control::WORDS,
    },
    Target {
        name: "token",
        body: token::token,
        words: token::WORDS,
    },
    Target {
        name: "keys",
        body: token::keys,
        words: token::KEY_WORDS,
    },
    Target {
        name: "observations",
        body: observations::body,
        words: observations::WORDS,
    },
];

/// Bytes that a sentence may have.
const SENTENCE: usize = 1_024;
