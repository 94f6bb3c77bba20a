//! Texts that nobody thought of: lists, streams and files changed at random, by
//! a seed that makes them all again.

use super::Random;

/// Makes mutants of texts.
#[derive(Clone, Debug)]
pub struct Texts {
    seeds: Vec<Vec<u8>>,
    /// What means something in texts of this kind.
    words: &'static [&'static str],
    random: Random,
}

impl Texts {
    /// Those that the numbers lead to.
    ///
    /// # Panics
    /// If there is no seed.
    #[must_use]
    pub fn new(seeds: Vec<Vec<u8>>, words: &'static [&'static str], random: Random) -> Self {
        assert!(!seeds.is_empty(), "there is nothing to change");
        Self {
            seeds,
            words,
            random,
        }
    }

    /// Goes on from this text too.
    pub fn add(&mut self, text: Vec<u8>) {
        if self.seeds.len() < POOL {
            self.seeds.push(text);
        } else {
            let at = self.random.below(POOL);
            self.seeds[at] = text;
        }
    }

    /// The next text.
    pub fn text(&mut self) -> Vec<u8> {
        let mut text = self.random.of(&self.seeds).clone();
        for _ in 0..=self.random.below(4) {
            self.change(&mut text);
        }
        text.truncate(LONGEST);
        text
    }

    fn change(&mut self, text: &mut Vec<u8>) {
        let random = &mut self.random;
        let at = random.below(text.len() + 1);
        let end = text.len().min(at + 1 + random.below(24));
        match random.below(12) {
            0 if at < text.len() => text[at] ^= 1 << random.below(8),
            1 if at < text.len() => text[at] = *random.of(TELLING),
            2 => {
                text.splice(at..at, [*random.of(TELLING)]);
            }
            3 => {
                text.splice(at..at, random.of(self.words).bytes());
            }
            4 => {
                text.splice(at..end, random.of(self.words).bytes());
            }
            5 => {
                text.drain(at..end);
            }
            6 => {
                let part = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, part);
            }
            7 => change_line(text, random),
            8 => {
                let other = random.of(&self.seeds);
                let from = random.below(other.len() + 1);
                text.truncate(at);
                text.extend_from_slice(&other[from..]);
            }
            9 => text.truncate(at),
            10 => change_number(text, random),
            // Now and then so much of one thing that a bound is met.
            11 if random.once_in(64) => {
                let byte = *random.of(TELLING);
                text.splice(at..at, vec![byte; *random.of(&[200, 65_530, 65_540])]);
            }
            _ => {
                let part = text[at..end].to_vec();
                text.splice(at..at, part.repeat(1 + random.below(80)));
            }
        }
    }
}

/// Doubles a line, leaves it out, or puts it elsewhere.
fn change_line(text: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    let line = lines[random.below(lines.len())].clone();
    let at = random.below(lines.len());
    match random.below(3) {
        0 => lines.insert(at, line),
        1 => {
            lines.remove(at);
        }
        _ => lines[at] = line,
    }
    *text = lines.concat();
}

/// Puts a number in a number's place.
fn change_number(text: &mut Vec<u8>, random: &mut Random) {
    let from = random.below(text.len() + 1);
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    if let Some(start) = text[from..].iter().position(is_digit) {
        let start = from + start;
        let digits = text[start..]
            .iter()
            .take_while(|byte| is_digit(byte))
            .count();
        text.splice(start..start + digits, random.of(NUMBERS).bytes());
    }
}

/// Bytes that mean something in texts, or that no text has.
const TELLING: &[u8] = b"\0\t\n\r \"#',-./0189:;<=>[\\]_`{}~\x0b\x0c\x1b\x7f\x80\xc3\xef\xff";

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "16",
    "31",
    "32",
    "33",
    "64",
    "65",
    "127",
    "128",
    "129",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "00",
    "-1",
    "1.5",
    "1e9",
    "1e999",
];

/// Bytes of a mutant: a few lines longer than any may be.
const LONGEST: usize = 200_000;

/// Texts that are gone on from.
const POOL: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_texts_again() {
        let texts = |seed| {
            let seeds = vec![b"one 1\ntwo 22\n".to_vec(), b"{\"three\": 333}\n".to_vec()];
            let mut texts = Texts::new(seeds, &["four"], Random::new(seed));
            (0..500).map(|_| texts.text()).collect::<Vec<_>>()
        };
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }

    #[test]
    fn nothing_can_be_changed_too() {
        let mut texts = Texts::new(vec![Vec::new()], &["word"], Random::new(1));
        assert!((0..500).any(|_| !texts.text().is_empty()));
    }
}
