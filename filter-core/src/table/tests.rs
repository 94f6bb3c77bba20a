//! The tables say the same as a plain model, whatever is put into them and in
//! whatever order.

mod interleavings;

use std::collections::BTreeMap;

use filter_common::verdict::{NEVER, Stage, Verdict};
use proptest::prelude::*;

use super::*;

/// Longest match, by looking at every length.
#[derive(Default)]
struct Model(BTreeMap<Prefix, (Vec<Stage>, Vec<Stage>)>);

impl Model {
    fn apply(&mut self, patch: &Patch) {
        for family in [Family::V4, Family::V6] {
            for (prefix, enforced, shadow) in patch.part(family).iter() {
                if enforced.is_empty() && shadow.is_empty() {
                    self.0.remove(&prefix);
                } else {
                    self.0.insert(prefix, (enforced.to_vec(), shadow.to_vec()));
                }
            }
        }
    }

    fn standing(&self, source: &Address, now: u32) -> Standing {
        let address = Prefix::of(*source);
        let found = (0..=address.length())
            .rev()
            .find_map(|length| self.0.get(&address.widened(length)));
        let holds = |stages: &[Stage]| {
            let holds = |stage: &&Stage| stage.until() == NEVER || now < stage.until();
            stages.iter().find(holds).copied().unwrap_or(Stage::NONE)
        };
        found.map_or(Standing::NONE, |(enforced, shadow)| Standing {
            stage: holds(enforced),
            shadow: holds(shadow),
        })
    }
}

struct At(u32);

impl Clock for At {
    fn nanoseconds(&self) -> u64 {
        panic!("verdicts are in seconds")
    }

    fn boot_seconds(&self) -> u32 {
        self.0
    }
}

/// A sequence without end; the tests are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Some of an address's bits are random, so that prefixes meet and nest.
    fn prefix(&mut self, spread: u64) -> Prefix {
        let mut word = u128::from(self.next()) << 64 | u128::from(self.next());
        let kept = self.below(spread) as u32;
        // Random upper bits, then a run of zeros or ones, then few random ones.
        word &= !(u128::MAX >> kept.min(127)) | 0x0303;
        if self.below(4) == 0 {
            word |= u128::MAX >> kept.clamp(1, 127) & !0x0fff;
        }
        if self.below(2) == 0 {
            let address = Address {
                family: Family::V4,
                high: 0,
                low: (word >> 96) as u64 & 0xffff_ffff,
            };
            let length = [8, 12, 16, 17, 18, 19, 20, 23, 24, 25, 31, 32, 32, 32, 32, 0];
            Prefix::new(address, length[self.below(16) as usize])
        } else {
            let address = Address {
                family: Family::V6,
                high: (word >> 64) as u64,
                low: word as u64,
            };
            let length = [
                16, 20, 29, 31, 32, 33, 47, 48, 56, 63, 64, 65, 96, 127, 128, 0,
            ];
            Prefix::new(address, length[self.below(16) as usize])
        }
    }

    fn stages(&mut self, most: u64) -> Vec<Stage> {
        let count = self.below(most + 1);
        let mut until = 0;
        (0..count)
            .map(|step| {
                until += 1 + self.below(40) as u32;
                let last = step + 1 == count && self.below(2) == 0;
                let claim = self.below(1 << 24) as u32;
                let verdict = [
                    Verdict::BLOCK,
                    Verdict::ALLOW,
                    Verdict::limit(3),
                    Verdict::ADMIT,
                ];
                let verdict = verdict[self.below(4) as usize];
                Stage::new(verdict, claim, if last { NEVER } else { until })
            })
            .collect()
    }

    fn patch(&mut self, known: &Model, changes: u64, spread: u64) -> Patch {
        let mut all = BTreeMap::new();
        for _ in 0..changes {
            let prefix = if self.below(2) == 0 && !known.0.is_empty() {
                let at = self.below(known.0.len() as u64) as usize;
                *known.0.keys().nth(at).expect("there are so many")
            } else {
                self.prefix(spread)
            };
            let (enforced, shadow) = match self.below(8) {
                0 | 1 => (Vec::new(), Vec::new()),
                2 => (self.stages(8), self.stages(4)),
                _ => (
                    vec![Stage::new(
                        Verdict::BLOCK,
                        self.below(1 << 24) as u32,
                        NEVER,
                    )],
                    Vec::new(),
                ),
            };
            all.insert(prefix, (enforced, shadow));
        }
        let mut patch = Patch::default();
        for (prefix, (enforced, shadow)) in all {
            patch.push(prefix, &enforced, &shadow);
        }
        patch
    }
}

fn table(shape: &Shape) -> Table<Plain> {
    Table::new(Storage::in_memory(shape), shape, || {})
}

/// Looks at both edges of every prefix, and just outside of them.
fn assert_same(table: &Table<Plain>, model: &Model, random: &mut Random, now: u32) {
    let mut places: Vec<Address> = Vec::new();
    for prefix in model.0.keys() {
        let first = prefix.address();
        let end = prefix.last();
        let last = Prefix::new(end.address(), u8::MAX).address();
        let step = |address: Address, by: i128| {
            let word = u128::from(address.high) << 64 | u128::from(address.low);
            let word = word.wrapping_add_signed(by);
            let low = word as u64;
            match address.family {
                Family::V4 => Address {
                    low: low & 0xffff_ffff,
                    ..address
                },
                Family::V6 => Address {
                    high: (word >> 64) as u64,
                    low,
                    ..address
                },
            }
        };
        places.extend([first, last, step(first, -1), step(last, 1), step(first, 1)]);
    }
    places.extend((0..50).map(|_| random.prefix(128).address()));
    for place in places {
        assert_eq!(
            table.standing(&place, &At(now)),
            model.standing(&place, now),
            "{place:?} at {now} s"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_tables_say_what_a_plain_model_says(seed: u64, spread in 1_u64..129, large: bool) {
        goes_with_a_model(&Shape { ipv4: 4_000, ipv6: 4_000 }, seed, spread, large);
    }
}

#[test]
fn with_more_room_groups_are_narrower_and_say_the_same() {
    let open = |ipv4| Shape { ipv4, ipv6: 4_000 }.open();
    let most = [2_000_000, 4_000_000, 8_000_000, u32::MAX].map(open);
    assert_eq!(most, [14, 13, 12, 11]);
    let shape = Shape {
        ipv4: 2_000_001,
        ipv6: 4_000,
    };
    goes_with_a_model(&shape, 1, 32, true);
}

fn goes_with_a_model(shape: &Shape, seed: u64, spread: u64, large: bool) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut table = table(shape);
    for step in 0..30 {
        let changes = if large && step % 5 == 0 {
            3_000
        } else {
            1 + random.below(20)
        };
        let patch = random.patch(&model, changes, spread);
        let refused = table.apply(&patch);
        assert_eq!(refused, []);
        model.apply(&patch);
        if random.below(3) == 0 && table.seal() {
            table.release();
        }
        let now = random.below(100) as u32;
        if step % 5 == 4 || step < 5 {
            assert_same(&table, &model, &mut random, now);
        }
        if model.0.len() > 3_000 {
            break;
        }
    }
    assert_same(&table, &model, &mut random, 7);
}

fn written(text: &str) -> Prefix {
    text.parse::<crate::prefix::Written>().expect(text).prefix
}

fn blocks(prefixes: impl IntoIterator<Item = Prefix>, stages: &[Stage]) -> Patch {
    let mut patch = Patch::default();
    for prefix in prefixes {
        patch.push(prefix, stages, &[]);
    }
    patch
}

const BLOCK: Stage = Stage::new(Verdict::BLOCK, 7, NEVER);

#[test]
fn what_does_not_fit_comes_back_and_what_is_in_force_stays() {
    let shape = Shape { ipv4: 2, ipv6: 2 };
    let mut table = table(&shape);
    let first = ["192.0.2.1/32", "192.0.2.2/32", "2001:db8::/32"].map(written);
    assert_eq!(table.apply(&blocks(first, &[BLOCK])), []);
    let third = written("192.0.2.3/32");
    let refused = table.apply(&blocks([third], &[BLOCK]));
    assert_eq!(refused[0].0, third);
    assert_eq!(refused[0].1, "the table holds 2 prefixes and is full");
    for (prefix, stage) in [(first[0], BLOCK), (third, Stage::NONE), (first[2], BLOCK)] {
        assert_eq!(table.standing(&prefix.address(), &At(0)).stage, stage);
    }
    // What leaves makes room, in the same patch.
    let mut patch = blocks([third], &[BLOCK]);
    patch.push(first[0], &[], &[]);
    assert_eq!(table.apply(&patch), []);
    assert_eq!(table.standing(&third.address(), &At(0)).stage, BLOCK);
    assert_eq!(table.fill(Family::V4).prefixes, 2);
}

#[test]
fn timelines_that_find_no_room_come_back_and_find_it_once_others_are_gone() {
    let shape = Shape {
        ipv4: 4_000,
        ipv6: 1,
    };
    let mut table = table(&shape);
    let address = |host: u32| Prefix::of(Address::v4((0x0a00_0000 + host).to_be_bytes()));
    let stages: Vec<_> = (1..9)
        .map(|end| Stage::new(Verdict::BLOCK, end, end))
        .collect();
    let refused = table.apply(&blocks((0..4_000).map(address), &stages));
    let kept = 4_000 - refused.len() as u32;
    assert_eq!(kept, shape.quads() / 2, "eight stages are two quads");
    assert!(refused[0].1.contains("stages"), "{}", refused[0].1);
    assert_eq!(
        table.standing(&address(0).address(), &At(3)).stage,
        stages[3]
    );

    let gone = blocks((0..kept).map(address), &[]);
    assert_eq!(table.apply(&gone), []);
    let again = refused
        .iter()
        .map(|(prefix, _)| *prefix)
        .take(kept as usize);
    assert_eq!(table.apply(&blocks(again, &stages)), []);
    assert_eq!(
        table.standing(&refused[0].0.address(), &At(0)).stage,
        stages[0]
    );
}

#[test]
fn prefixes_that_the_memory_has_no_room_for_come_back_the_last_first() {
    let shape = Shape {
        ipv4: 1,
        ipv6: 60_000,
    };
    let mut table = table(&shape);
    let wide = written("2001:db8::/32");
    assert_eq!(table.apply(&blocks([wide], &[BLOCK])), []);
    // Every second /64: each takes a cell, and the wide one another behind it.
    let narrow = |number: u64| {
        let address = Address {
            family: Family::V6,
            high: 0x2001_0db8_0000_0000 + number * 2,
            low: 0,
        };
        Prefix::new(address, 64)
    };
    let stage = Stage::new(Verdict::ALLOW, 8, NEVER);
    // As many nodes in use as if they were full.
    let most = 59_999;
    let refused = table.apply(&blocks((0..most).map(narrow), &[stage]));
    assert!(
        refused.len() < most as usize / 4,
        "{} were refused",
        refused.len()
    );
    for number in (0..most).step_by(997) {
        let prefix = narrow(number);
        let is_refused = refused.iter().any(|(one, _)| *one == prefix);
        let expected = if is_refused { BLOCK } else { stage };
        assert_eq!(table.standing(&prefix.address(), &At(0)).stage, expected);
        let between = Address {
            high: prefix.address().high + 1,
            ..prefix.address()
        };
        assert_eq!(table.standing(&between, &At(0)).stage, BLOCK, "{between:?}");
    }
}

#[test]
fn equal_words_of_two_families_never_meet() {
    let shape = Shape { ipv4: 10, ipv6: 10 };
    let mut table = table(&shape);
    assert_eq!(table.apply(&blocks([written("0.0.0.7/32")], &[BLOCK])), []);
    assert_eq!(
        table.standing(&Address::v4([0, 0, 0, 7]), &At(0)).stage,
        BLOCK
    );
    let six = written("::7/128");
    assert_eq!(table.standing(&six.address(), &At(0)), Standing::NONE);
    let stage = Stage::new(Verdict::ALLOW, 8, NEVER);
    assert_eq!(table.apply(&blocks([six], &[stage])), []);
    assert_eq!(
        table.standing(&Address::v4([0, 0, 0, 7]), &At(0)).stage,
        BLOCK
    );
    assert_eq!(table.standing(&six.address(), &At(0)).stage, stage);
}

#[test]
fn where_the_memory_is_full_the_last_new_prefixes_come_back() {
    let shape = Shape {
        ipv4: 4_000,
        ipv6: 1,
    };
    let mut table = table(&shape);
    *table.ipv4.memory.halves() = Halves::new(100);
    // Each is alone in its group, and needs a line.
    let apart = |number: u32| Prefix::of(Address::v4((number << 14).to_be_bytes()));
    let standing = |table: &Table<Plain>, number: u32| {
        let source = apart(number).address();
        table.standing(&source, &At(0)).stage
    };
    assert_eq!(table.apply(&blocks((0..10).map(apart), &[BLOCK])), []);
    let refused = table.apply(&blocks((10..1_000).map(apart), &[BLOCK]));
    let kept = 1_000 - refused.len() as u32;
    assert!((50..=100).contains(&kept), "{kept} were kept");
    assert!(refused.iter().all(|(_, why)| why == FULL));
    for number in 0..1_000 {
        let expected = if number < kept { BLOCK } else { Stage::NONE };
        assert_eq!(
            standing(&table, number),
            expected,
            "number {number} of {kept}"
        );
    }
    assert_eq!(table.fill(Family::V4).prefixes, u64::from(kept));
    // Another isn't even tried; but what leaves makes room.
    let refused = table.apply(&blocks([apart(2_000)], &[BLOCK]));
    assert_eq!(refused, [(apart(2_000), FULL.to_owned())]);
    let mut patch = blocks((0..5).map(apart), &[]);
    patch.push(apart(2_000), &[BLOCK], &[]);
    assert_eq!(table.apply(&patch), []);
    assert_eq!(
        (standing(&table, 2_000), standing(&table, 0)),
        (BLOCK, Stage::NONE)
    );
}
