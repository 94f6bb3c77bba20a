//! The promise: heavy sources stay held and honest ones lose nothing, inside a
//! flood of random sources, with the table's default size.

use std::{vec, vec::Vec};

use super::*;

/// Words, as many as there are by default.
const WORDS: u32 = 1_048_576;

/// A thousand at forty times their rate, a thousand honest ones at nine tenths of
/// it, and a million packets a second from ten million random sources.
#[test]
fn heavy_sources_stay_held_and_honest_ones_lose_nothing_in_a_random_flood() {
    let rate = packets(RATE, BURST);
    let table = Table::new(WORDS);
    let mut random = 7_u64;
    let mut heavy = vec![0_u64; 1_000];
    let mut offered = 0_u64;
    let mut next_heavy = 0_u64;
    let mut next_honest = 0_u64;
    let mut usage = Usage::default();
    for tick in 0..FLOOD * SECONDS {
        let now = NOW + tick * (SECOND / FLOOD);
        let source = TEN_MILLION + below(&mut random, 10_000_000);
        usage.add(Notes(
            table.charge(source, &rate, now).saturating_sub(ADMITTED),
        ));
        // Each kind of source takes turns, so that all have their pace.
        while next_heavy * SECOND < (now - NOW) * HEAVY * 1_000 {
            let who = next_heavy % 1_000;
            heavy[who as usize] += u64::from(table.charge(who, &rate, now) != 0);
            offered += 1;
            next_heavy += 1;
        }
        while next_honest * SECOND < (now - NOW) * RATE * 900 {
            let who = HONEST + next_honest % 1_000;
            assert_ne!(
                table.charge(who, &rate, now),
                0,
                "an honest source lost a packet"
            );
            next_honest += 1;
        }
    }
    let allowed = 1_000 * (BURST + RATE * SECONDS);
    let admitted: u64 = heavy.iter().sum();
    let excess = offered - allowed;
    let wrongly = admitted.saturating_sub(allowed);
    assert!(
        wrongly * 1_000 < excess,
        "{wrongly} of {excess} too many: {usage:?}"
    );
    assert!(
        admitted * 100 > allowed * 97,
        "{admitted} of {allowed}: held too hard"
    );
    assert!(
        usage.taken > 900_000,
        "the flood went through the table: {usage:?}"
    );
}

/// Many sources each a little above their rate: what the table's size is for.
#[test]
fn a_quarter_of_the_words_busy_at_once_are_held_exactly() {
    let rate = packets(RATE, BURST);
    let table = Table::new(1 << 16);
    let sources = 1_u64 << 14;
    let mut admitted = 0_u64;
    let mut offered = 0_u64;
    let pause = SECOND / (RATE * 2);
    let seconds = 10;
    for turn in 0..seconds * RATE * 2 {
        for source in 0..sources {
            let now = NOW + turn * pause + source * (pause / sources);
            admitted += u64::from(table.charge(source, &rate, now) != 0);
            offered += 1;
        }
    }
    let allowed = sources * (BURST + RATE * seconds);
    assert!(offered > allowed);
    assert!(
        admitted <= allowed + allowed / 1_000,
        "{admitted} of {allowed}"
    );
}

/// Every word busy with what is worth more: new sources aren't charged, and what
/// is held stays held.
#[test]
fn a_saturated_table_keeps_what_is_further_ahead() {
    let rate = packets(RATE, BURST);
    let table = Table::new(1 << 10);
    let mut usage = Usage::default();
    for _ in 0..BURST {
        for source in 0..1_u64 << 13 {
            let noted = table.charge(source, &rate, NOW);
            usage.add(Notes(noted.saturating_sub(ADMITTED)));
        }
    }
    let held = (0..1_u64 << 13)
        .filter(|source| table.charge(*source, &rate, NOW) == 0)
        .count();
    assert!(
        held > (1 << 10) * 9 / 10,
        "{held} of {} words hold a heavy source",
        1 << 10
    );
    assert!(usage.saturated > 0 && usage.refused > 0, "{usage:?}");
    assert_eq!(u64::from(usage.taken > 1_000), 1, "{usage:?}");
}

struct Table {
    seed: Seed,
    lines: Vec<Line<Word>>,
}

impl Table {
    fn new(words: u32) -> Self {
        let mut lines = Vec::new();
        lines.resize_with(words as usize / WAYS, Line::default);
        Self {
            seed: seed(KEY, words / WAYS as u32),
            lines,
        }
    }

    fn charge(&self, source: u64, rate: &Rate, now: u64) -> u64 {
        let place = self.seed.place(&BucketKey {
            prefix: source,
            family: 4,
            level: BucketKey::SOURCE,
            service: 1,
            tier: 0,
            shadow: 0,
        });
        charged(&self.lines[place.line as usize], place.tag, rate, now)
    }
}

fn below(random: &mut u64, limit: u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random % limit
}

/// Packets a second of a source, and at once.
const RATE: u64 = 5;
const BURST: u64 = 10;
/// Forty times as many.
const HEAVY: u64 = 40 * RATE;
/// Packets a second from random sources.
const FLOOD: u64 = 500_000;
const SECONDS: u64 = 6;
const HONEST: u64 = 1_000_000_000;
const TEN_MILLION: u64 = 1 << 40;
