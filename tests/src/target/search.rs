//! The search for an input that breaks an invariant, and for the least of it.

use std::{collections::BTreeSet, panic::catch_unwind};

use super::Target;
use crate::mutant::{Random, text::Texts};

/// A search, as a seed leads it: through mutants, and on from those that turned
/// out as something new.
#[derive(Debug)]
pub struct Search {
    target: Target,
    texts: Texts,
    kinds: BTreeSet<String>,
    tried: u64,
}

/// An input that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where it comes from.
    pub which: String,
    /// The input.
    pub input: Vec<u8>,
    /// What the target said.
    pub why: String,
}

impl Search {
    /// Begins with these inputs, which must hold.
    ///
    /// # Errors
    /// If one of them doesn't.
    pub fn new(target: Target, inputs: Vec<(String, Vec<u8>)>, seed: u64) -> Result<Self, Broken> {
        let mut kinds = BTreeSet::new();
        let mut seeds = Vec::new();
        for (name, input) in inputs {
            kinds.insert(run(&target, &input).map_err(|why| Broken {
                which: name,
                input: input.clone(),
                why,
            })?);
            seeds.push(input);
        }
        Ok(Self {
            target,
            texts: Texts::new(seeds, target.words, Random::new(seed)),
            kinds,
            tried: 0,
        })
    }

    /// Tries the next mutant.
    ///
    /// # Errors
    /// If it breaks an invariant.
    pub fn step(&mut self) -> Result<(), Broken> {
        let input = self.texts.text();
        self.tried += 1;
        match run(&self.target, &input) {
            Ok(kind) => {
                if self.kinds.len() < KINDS && self.kinds.insert(kind) {
                    self.texts.add(input);
                }
                Ok(())
            }
            Err(why) => Err(Broken {
                which: format!("mutant {}", self.tried),
                input,
                why,
            }),
        }
    }

    /// Different things that the target made of what was tried.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Mutants tried.
    #[must_use]
    pub const fn tried(&self) -> u64 {
        self.tried
    }
}

impl Broken {
    /// The same with as little input as still breaks something.
    #[must_use]
    pub fn least(mut self, target: &Target) -> Self {
        let mut length = self.input.len().div_ceil(2);
        while length > 0 {
            let mut at = 0;
            while at < self.input.len() {
                let mut less = self.input.clone();
                less.drain(at..less.len().min(at + length));
                match run(target, &less) {
                    Ok(_kind) => at += length,
                    Err(why) => {
                        self.input = less;
                        self.why = why;
                    }
                }
            }
            length /= 2;
        }
        self
    }
}

/// What the target makes of an input, or what it says of an invariant.
fn run(target: &Target, input: &[u8]) -> Result<String, String> {
    catch_unwind(|| (target.body)(input)).map_err(|panic| {
        match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (_, Some(text)) => (*text).to_owned(),
            (None, None) => "it panicked".to_owned(),
        }
    })
}

/// Different things that are told apart; there are a few hundred.
const KINDS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks where a `0` stands behind a `7`.
    fn breaks(input: &[u8]) -> String {
        let seven = input.iter().position(|byte| *byte == b'7');
        let zero = seven.and_then(|at| input[at..].iter().position(|byte| *byte == b'0'));
        assert_eq!(zero, None, "a zero behind a seven");
        format!("{seven:?}")
    }

    const TARGET: Target = Target {
        name: "breaks",
        body: breaks,
        words: &["0", "7"],
    };

    #[test]
    fn an_input_that_breaks_is_found_and_made_small() {
        let inputs = vec![("seed".to_owned(), b"0 one 2 three\n".to_vec())];
        let mut search = Search::new(TARGET, inputs, 1).expect("it holds");
        let broken = loop {
            assert!(search.tried() < 10_000, "nothing was found");
            if let Err(broken) = search.step() {
                break broken;
            }
        };
        let least = broken.least(&TARGET);
        assert_eq!(least.input, b"70");
        assert!(least.why.contains("a zero behind a seven"), "{least:?}");
    }

    #[test]
    fn a_corpus_that_breaks_is_told_by_name() {
        let inputs = vec![("seed".to_owned(), b"700".to_vec())];
        let broken = Search::new(TARGET, inputs, 1).expect_err("it breaks");
        assert_eq!((&*broken.which, &*broken.input), ("seed", &b"700"[..]));
    }
}
