mod flood;
mod interleavings;
mod law;
mod race;
mod spread;

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::*;
use crate::rate::Kind;

#[test]
fn what_is_empty_gives_way_first_then_what_is_idle_longest() {
    let rate = packets(10, 5);
    let line = Line::default();
    // Seven sources at one moment each, the last empty way stays.
    for source in 0..7 {
        assert_ne!(
            charged(&line, source, &rate, NOW + u64::from(source) * SECOND),
            0
        );
        let taken = words(&line).iter().filter(|word| **word != 0).count();
        assert_eq!(taken, source as usize + 1);
    }
    let late = NOW + 100 * SECOND;
    assert_eq!(
        charged(&line, 7, &rate, late) & BYTE,
        1,
        "the eighth is taken"
    );
    // All are idle but the one that just came; one after the other they go.
    for source in 0..7 {
        let before = words(&line);
        let noted = charged(&line, 100 + source, &rate, late);
        assert_eq!(noted, ADMITTED, "an idle word is worth no note");
        let changed: Vec<_> = (0..WAYS)
            .filter(|way| words(&line)[*way] != before[*way])
            .collect();
        assert_eq!(changed, [source as usize], "the idlest");
    }
}

#[test]
fn among_busy_words_the_one_nearest_to_idle_gives_way() {
    let rate = packets(10, 50);
    let line = Line::default();
    for source in 0..8 {
        for _ in 0..=(source + 3) % 8 + 1 {
            charged(&line, source, &rate, NOW);
        }
    }
    // Source 5 has used two packets, more than the new one will.
    let before = words(&line);
    assert_eq!(
        charged(&line, 9, &rate, NOW),
        ADMITTED | Notes::SATURATED | Notes::NONE
    );
    assert_eq!(words(&line), before, "what is further ahead stays");
    // A tenth of a second and a bit later it is nearer than a new one would be.
    let noted = charged(&line, 9, &rate, NOW + SECOND / 9);
    assert_eq!(noted, ADMITTED | Notes::SATURATED | Notes::EVICTED);
    let changed: Vec<_> = (0..WAYS)
        .filter(|way| words(&line)[*way] != before[*way])
        .collect();
    assert_eq!(changed, [5]);
}

#[test]
fn busy_and_idle_are_told_apart_across_ticks() {
    let fast = Rate::new(20_000, SECOND, 40_000).expect("a rate");
    let fast = fast.in_ticks(Kind::Packets, SHIFTS[0], 0).expect("held");
    let slow = Rate::new(1, SECOND, 5).expect("a rate");
    let slow = slow
        .in_ticks(Kind::Connections, SHIFTS[2], 2)
        .expect("held");
    let line = Line::default();
    for source in 0..4 {
        charged(&line, source, &slow, NOW);
    }
    for source in 4..8 {
        charged(&line, source, &fast, NOW);
    }
    // After a millisecond the fast ones are idle, the slow ones for a second not.
    let later = NOW + SECOND / 1000;
    let before = words(&line);
    for source in 10..14 {
        assert_eq!(charged(&line, source, &slow, later), ADMITTED);
    }
    assert_eq!(words(&line)[..4], before[..4]);
    assert!((4..8).all(|way| words(&line)[way] != before[way]));
}

#[test]
fn what_seems_further_ahead_than_any_burst_is_an_old_word() {
    let rate = packets(10, 5);
    let reach = rate.limit as u32;
    let seed = Seed {
        reach: [reach; CLASSES],
        ..seed(KEY, 8)
    };
    let ask = |tag, now| Ask::new(tag, 0, &rate, now, 1);
    let tick = 1_u64 << rate.shift;
    for (ahead, old) in [
        (1, false),
        (u64::from(reach), false),
        (u64::from(reach) + 1, true),
    ] {
        let line = Line::<Word>::default();
        for way in 0..WAYS {
            assert!(line.0[way].replace(0, ask(50 + way as u32, NOW).word(ahead)));
        }
        let noted = charge(&line, &ask(9, NOW), &rate, NOW, &seed, |word| word);
        let idle = noted & (Notes::SATURATED | Notes::EVICTED) == 0;
        assert_eq!(idle, old, "{ahead} ticks");
        // All the way round they come to be idle and old once more, never busy.
        let mut then = NOW + (u64::from(reach) + 2) * tick;
        while then < NOW + ((1 << 30) - 2) * tick - u64::from(reach) * tick {
            assert!(victim(&line, then, &seed).ahead <= 0, "{then}");
            then += (1 << 22) * tick;
        }
    }
}

#[test]
fn each_packet_is_noted_once() {
    let mut usage = Usage::default();
    let rate = packets(10, 5);
    let line = Line::default();
    for (number, source) in [0, 0, 1, 0].into_iter().enumerate() {
        let noted = charged(&line, source, &rate, NOW + number as u64);
        usage.add(Notes(noted - ADMITTED));
    }
    assert_eq!((usage.taken, usage.begun), (2, 1));
    usage.add(Notes(2 * Notes::SATURATED + Notes::EVICTED + Notes::NONE));
    assert_eq!((usage.evicted, usage.saturated, usage.refused), (1, 1, 1));
    let mut sum = usage;
    sum += usage;
    assert_eq!((sum.taken, sum.begun, sum.saturated), (4, 2, 2));
}

#[test]
fn of_two_words_of_one_source_the_further_ahead_counts() {
    let rate = packets(10, 5);
    let ask = Ask::new(7, 0, &rate, NOW, 1);
    for (one, other) in [(1, 3), (3, 1)] {
        let line = Line::<Word>::default();
        for (way, ahead) in [(2, one), (6, other)] {
            assert!(line.0[way].replace(0, ask.word(ahead * rate.cost(1))));
        }
        assert_eq!(look(&line, &ask, &rate), 3 * rate.cost(1));
    }
}

#[test]
fn a_look_at_a_seed_does_not_tell_the_key() {
    let seed = seed([0xdead; 4], 8);
    let told = std::format!("{seed:?}");
    assert!(told.contains("lines") && !told.contains("57005") && !told.contains("dead"));
}

use std::vec::Vec;

/// Charges one packet to source `tag`.
fn charged(line: &Line<Word>, tag: u32, rate: &Rate, now: u64) -> u64 {
    let ask = Ask::new(tag, 0, rate, now, 1);
    charge(line, &ask, rate, now, &seed(KEY, 8), |word| word)
}

/// The words of a line.
fn words<C: Cell>(line: &Line<C>) -> [u64; WAYS] {
    line.0.each_ref().map(Cell::load)
}

fn packets(units: u64, burst: u64) -> Rate {
    let rate = Rate::new(units, SECOND, burst).expect("a rate that can be held");
    rate.in_ticks(Kind::Packets, SHIFTS[1], 1)
        .expect("held within 1 %")
}

#[derive(Debug, Default)]
struct Word(AtomicU64);

impl Cell for Word {
    fn load(&self) -> u64 {
        self.0.load(SeqCst)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.0.compare_exchange(old, new, SeqCst, SeqCst).is_ok()
    }
}

const fn seed(key: [u64; 4], lines: u32) -> Seed {
    Seed {
        key,
        reach: [AHEAD as u32; CLASSES],
        shifts: SHIFTS,
        lines,
    }
}

/// As random as any.
const KEY: [u64; 4] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
];

const SHIFTS: [u8; CLASSES] = [8, 18, 22, 4];
const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000_000 * SECOND;
/// One of the numbers in notes.
const BYTE: u64 = 0xff;
