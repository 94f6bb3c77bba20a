//! Frames that nobody thought of: cases changed at random, by a seed that makes
//! them all again.

use std::net::IpAddr;

use crate::{case::Case, world};

pub mod text;

/// Random numbers that a seed fixes (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// One below `end`; 0 if that is 0.
    pub const fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.next() % end as u64) as usize
    }

    /// True once in so many times.
    pub const fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub const fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Makes mutants of cases.
#[derive(Debug)]
pub struct Mutants<'a> {
    cases: &'a [Case],
    sources: Vec<IpAddr>,
    random: Random,
}

impl<'a> Mutants<'a> {
    /// Those that the numbers lead to.
    ///
    /// # Panics
    /// Never: the world's sources are addresses.
    #[must_use]
    pub fn new(cases: &'a [Case], random: Random) -> Self {
        let sources = world::sources();
        Self {
            cases,
            sources: sources
                .iter()
                .map(|source| source.parse().expect("the world's sources are addresses"))
                .collect(),
            random,
        }
    }

    /// The next frame. One in three is a case as it is, and of the others many
    /// have only another source, so that rates come to be exceeded.
    pub fn frame(&mut self) -> Vec<u8> {
        let cases = self.cases;
        let frame = self.random.of(cases).frame.clone();
        if self.random.once_in(3) {
            return frame;
        }
        self.of(frame)
    }

    /// A mutant of this frame.
    pub fn of(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        if self.random.once_in(2) {
            self.change_source(&mut frame);
        }
        if self.random.once_in(2) {
            for _ in 0..=self.random.below(4) {
                self.change(&mut frame);
            }
        }
        frame.truncate(LONGEST);
        frame
    }

    fn change(&mut self, frame: &mut Vec<u8>) {
        let random = &mut self.random;
        // What stands at the beginning means most.
        let range = if random.once_in(4) { frame.len() } else { 90 };
        let at = random.below(range.min(frame.len()));
        match random.below(8) {
            0 | 1 if at < frame.len() => frame[at] ^= 1 << random.below(8),
            2 | 3 if at < frame.len() => frame[at] = *random.of(&TELLING),
            4 => {
                let length = 1 + random.below(20);
                let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                frame.splice(at..at, bytes);
            }
            5 => {
                let end = frame.len().min(at + 1 + random.below(20));
                frame.drain(at..end);
            }
            6 => frame.truncate(at),
            _ => {
                let other = &random.of(self.cases).frame;
                let from = random.below(other.len());
                frame.truncate(at);
                frame.extend_from_slice(&other[from..]);
            }
        }
    }

    /// Puts one of the world's addresses where the source stands.
    fn change_source(&mut self, frame: &mut [u8]) {
        let tags = (0..4)
            .take_while(|tag| {
                matches!(
                    frame.get(12 + tag * 4..14 + tag * 4),
                    Some([0x81 | 0x91, 0] | [0x88, 0xa8])
                )
            })
            .count();
        let ip = 14 + tags * 4;
        let is_v4 = frame.get(ip).is_some_and(|byte| byte >> 4 == 4);
        let fits = |source: &&IpAddr| source.is_ipv4() == is_v4;
        let fitting: Vec<_> = self.sources.iter().filter(fits).collect();
        let (at, octets) = match self.random.of(&fitting) {
            IpAddr::V4(source) => (ip + 12, source.octets().to_vec()),
            IpAddr::V6(source) => (ip + 8, source.octets().to_vec()),
        };
        if let Some(place) = frame.get_mut(at..at + octets.len()) {
            place.copy_from_slice(&octets);
        }
    }
}

/// Bytes that mean something in many places: protocols, extension headers,
/// lengths, ether types, flags, bounds.
const TELLING: [u8; 32] = [
    0, 1, 2, 4, 6, 8, 0x10, 0x12, 17, 0x20, 22, 43, 44, 0x45, 0x46, 0x4f, 50, 51, 58, 60, 0x60,
    0x81, 0x86, 0x88, 0x91, 0xa8, 133, 135, 139, 0xbb, 0xdd, 0xff,
];

/// What a test run of the kernel takes as one piece, less the preamble.
pub const LONGEST: usize = 3_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::CASES;

    #[test]
    fn a_seed_makes_the_same_mutants_again() {
        let mutants = |seed| {
            let mut mutants = Mutants::new(&CASES, Random::new(seed));
            (0..500).map(|_| mutants.frame()).collect::<Vec<_>>()
        };
        assert_eq!(mutants(1), mutants(1));
        assert_ne!(mutants(1), mutants(2));
    }

    #[test]
    fn random_numbers_reach_all_there_are() {
        let mut random = Random::new(1);
        let mut seen = [false; 8];
        for _ in 0..1_000 {
            seen[random.below(8)] = true;
        }
        assert_eq!(seen, [true; 8]);
        assert_eq!(random.below(0), 0);
    }
}
