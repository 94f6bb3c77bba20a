//! A reader while the tables are written, in every order, tried by the model checker
//! loom: what it finds was in force before a change or is so after it, never a mix,
//! and never what memory holds that was used again.
//!
//! The words that readers come to are loom's: a read may see any value that the
//! memory model lets a read of its ordering see. All others are plain, and the model
//! panics if one of these is both read and written. A grace period is a lock that
//! readers share and the writer takes and gives back at once: it waits for whoever
//! reads, and orders as the kernel's RCU does. One reader, interrupted at most
//! twice; a table of a handful of prefixes.
//!
//! Each of these mutations was tried and makes a test here fail: memory that is used
//! again without waiting, and words that are published relaxed (both kept below);
//! blocks, leaves and timelines that are free as soon as they are replaced; a half
//! that is free as soon as the other is in force; IPv4 that is put in force before
//! IPv6 is made; a group whose prefilter is written before it, or isn't widened first.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{Arc, Mutex},
};

use filter_common::table as common;
use loom::{
    model::Builder,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::*;

#[test]
fn an_ipv4_block_is_replaced_and_its_memory_used_again() {
    explore(|| replaced(IPV4, Between::Grace, Ordering::Release));
    explore(|| replaced(IPV4, Between::Nothing, Ordering::Release));
}

#[test]
fn an_ipv6_leaf_is_replaced_and_its_memory_used_again() {
    explore(|| replaced(IPV6, Between::Grace, Ordering::Release));
    explore(|| replaced(IPV6, Between::Nothing, Ordering::Release));
}

#[test]
#[should_panic(expected = "in force")]
fn the_model_finds_memory_that_is_used_again_too_soon() {
    explore(|| replaced(IPV4, Between::TooSoon, Ordering::Release));
}

#[test]
#[should_panic(expected = "in force")]
fn the_model_finds_an_ipv6_leaf_that_is_used_again_too_soon() {
    explore(|| replaced(IPV6, Between::TooSoon, Ordering::Release));
}

#[test]
#[should_panic(expected = "in force")]
fn the_model_finds_a_word_that_is_published_in_no_order() {
    explore(|| replaced(IPV4, Between::Grace, Ordering::Relaxed));
}

#[test]
#[should_panic(expected = "in force")]
fn the_model_finds_an_ipv6_root_that_is_published_in_no_order() {
    explore(|| replaced(IPV6, Between::Grace, Ordering::Relaxed));
}

/// The writer's step between two patches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// It waits for a grace period, and gives back what was retired before.
    Grace,
    /// It gives it back without waiting: a mutation that the model has to find.
    TooSoon,
    /// It goes on: nothing is used again, or the table waits by itself.
    Nothing,
}

/// Three addresses of one group or leaf: the reader asks for the last.
type Places = [&'static str; 3];
const IPV4: Places = ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.200/32"];
const IPV6: Places = ["2001:db8::1/128", "2001:db8::2/128", "2001:db8::9/128"];

/// A claim gives way to another; then, in the memory of the first, come others. An
/// address elsewhere takes it, so that who still reads it finds what was never said
/// of his source.
fn replaced([first, second, place]: Places, between: Between, order: Ordering) {
    let mut world = World::new(order);
    world.say(&[(place, 1)]);
    world.wait();
    let reader = world.reader([place, place]);
    world.say(&[(place, 2)]);
    world.between(between);
    world.say(&[(first, 8), (second, 9)]);
    let [before, after] = reader.join().expect("a reader doesn't panic");
    assert_in_force(before, &[1, 2]);
    assert_in_force(after, &[1, 2]);
    assert!(
        before <= after,
        "{after} was in force no more after {before}"
    );
}

#[test]
fn a_claim_that_moves_within_a_group_is_never_at_neither_place() {
    explore(|| {
        let [first, second] = ["192.0.2.1/32", "192.0.60.1/32"];
        let mut world = World::new(Ordering::Release);
        world.say(&[(first, 1)]);
        world.wait();
        let reader = world.reader([first, second]);
        world.say(&[(first, 0), (second, 2)]);
        let [gone, come] = reader.join().expect("a reader doesn't panic");
        assert_in_force(gone, &[0, 1]);
        assert_in_force(come, &[0, 2]);
        assert!(gone == 1 || come == 2, "it is at neither place");
    });
}

#[test]
fn a_timeline_is_replaced_and_its_memory_used_again() {
    explore(|| timeline(Between::Grace));
    explore(|| timeline(Between::Nothing));
}

#[test]
#[should_panic(expected = "in force")]
fn the_model_finds_a_timeline_that_is_used_again_too_soon() {
    explore(|| timeline(Between::TooSoon));
}

fn timeline(between: Between) {
    let [place, other] = ["192.0.2.1/32", "198.51.100.1/32"].map(written);
    let stages = |claim| {
        [
            Stage::new(Verdict::BLOCK, claim, 10),
            Stage::new(Verdict::BLOCK, claim + 1, NEVER),
        ]
    };
    let mut world = World::new(Ordering::Release);
    world.apply(&blocks([place], &stages(1)));
    world.wait();
    let reader = world.reader(["192.0.2.1/32"; 2]);
    world.apply(&blocks([place], &[Stage::new(Verdict::BLOCK, 3, NEVER)]));
    world.between(between);
    world.apply(&blocks([other], &stages(8)));
    for claim in reader.join().expect("a reader doesn't panic") {
        // The first of the two stages has ended.
        assert_in_force(claim, &[2, 3]);
    }
}

#[test]
fn a_switch_of_halves_is_one_for_both_families_and_the_old_half_is_used_again() {
    explore(|| switched(Between::Grace));
    explore(|| switched(Between::Nothing));
}

#[test]
#[should_panic(expected = "in force")]
fn the_model_finds_a_half_that_is_used_again_too_soon() {
    explore(|| switched(Between::TooSoon));
}

/// Two patches that are too large to be put in force piece by piece.
fn switched(between: Between) {
    let [place4, place6] = [IPV4[2], IPV6[2]];
    let mut world = World::new(Ordering::Release);
    world.say(&[(place4, 1), (place6, 1)]);
    world.wait();
    let reader = world.reader([place4, place6]);
    world.say(&[(place4, 2), (place6, 2), (LARGE, 7)]);
    world.between(between);
    // What was said before comes behind others now.
    world.say(&[
        (IPV4[0], 8),
        (IPV6[0], 8),
        (place4, 3),
        (place6, 3),
        (LARGE, 0),
    ]);
    let [found4, found6] = reader.join().expect("a reader doesn't panic");
    assert_in_force(found4, &[1, 2, 3]);
    assert_in_force(found6, &[1, 2, 3]);
    assert!(
        found4 <= found6,
        "{found4} in force of IPv4, {found6} of IPv6"
    );
}

/// It touches more groups than are changed piece by piece.
const LARGE: &str = "128.0.0.0/7";

fn assert_in_force(claim: u32, claims: &[u32]) {
    assert!(claims.contains(&claim), "{claim} was never in force");
}

/// Tables, and programs that read them.
struct World {
    table: Table<Modelled>,
    storage: Storage<Modelled>,
    /// Held by a program while it runs.
    running: loom::sync::Arc<RwLock<()>>,
}

impl World {
    fn new(order: Ordering) -> Self {
        let shape = Shape { ipv4: 8, ipv6: 8 };
        let sizes = Storage::<Modelled>::sizes(&shape);
        let watched = [
            vec![active::IN_FORCE],
            words_of(&shape),
            rows(shape.lines(), LINE),
            prefilter_of(&shape),
            rows(shape.nodes(), NODE),
            (0..2 * QUAD).collect(),
        ];
        let mut memory = sizes.into_iter().zip(watched);
        let storage = Storage::of(std::array::from_fn(|_| {
            let (count, watched) = memory.next().expect("there are six");
            Modelled::new(count, watched, order)
        }));
        let running = loom::sync::Arc::new(RwLock::new(()));
        let waited_for = loom::sync::Arc::clone(&running);
        let grace = move || drop(waited_for.write().expect("nobody panics in it"));
        Self {
            table: Table::new(storage.clone(), &shape, grace),
            storage,
            running,
        }
    }

    /// Puts claims in force, each on a prefix; 0: none.
    fn say(&mut self, claims: &[(&str, u32)]) {
        let mut patch = Patch::default();
        let mut claims: Vec<_> = claims
            .iter()
            .map(|(text, claim)| (written(text), *claim))
            .collect();
        claims.sort_unstable();
        for (prefix, claim) in claims {
            let stage = [Stage::new(Verdict::BLOCK, claim, NEVER)];
            patch.push(prefix, if claim == 0 { &[] } else { &stage }, &[]);
        }
        self.apply(&patch);
    }

    fn apply(&mut self, patch: &Patch) {
        assert_eq!(self.table.apply(patch), []);
    }

    fn between(&mut self, between: Between) {
        if between == Between::Nothing {
            return;
        }
        self.table.seal();
        if between == Between::Grace {
            drop(self.running.write().expect("nobody panics in it"));
        }
        self.table.release();
    }

    /// Gives all memory back that isn't in use, before there are readers.
    fn wait(&mut self) {
        self.table.seal();
        self.table.release();
    }

    /// A program on another CPU that looks for two sources: the claims it finds.
    fn reader(&self, places: [&'static str; 2]) -> thread::JoinHandle<[u32; 2]> {
        let running = loom::sync::Arc::clone(&self.running);
        let [active, groups, lines, prefilter, nodes, quads] = [
            &self.storage.active,
            &self.storage.groups,
            &self.storage.lines,
            &self.storage.prefilter,
            &self.storage.nodes,
            &self.storage.quads,
        ]
        .map(|words| Seen(words.share()));
        let storage = Storage::of([active, groups, lines, prefilter, nodes, quads]);
        thread::spawn(move || {
            places.map(|place| {
                let _running = running.read().expect("nobody panics in it");
                let source = written(place).address();
                let found = common::standing(&&storage, &source, &At(20));
                found.stage.claim()
            })
        })
    }
}

/// The words of both halves that a reader of the IPv4 places comes to before blocks.
fn words_of(shape: &Shape) -> Vec<usize> {
    use filter_common::table::ipv4;
    let open = shape.open();
    let group = written(IPV4[0]).address().low as usize >> open;
    let half = shape.groups() as usize / 2;
    let groups = ipv4::prefilter(open) as usize;
    [0, half]
        .into_iter()
        .flat_map(|first| [first + group / 8, first + groups + group])
        .collect()
}

/// The words of both halves in which the IPv6 places have their bits.
fn prefilter_of(shape: &Shape) -> Vec<usize> {
    use filter_common::table::ipv6;
    let high = written(IPV6[0]).address().high;
    let (word, _bit) = ipv6::prefilter_bit(high, u64::from(shape.prefilter_words()) - 1);
    [word, shape.prefilter() + word]
        .map(|at| at as usize)
        .to_vec()
}

/// The first rows of both halves.
fn rows(half: u32, words: usize) -> Vec<usize> {
    let second = half as usize * words;
    (0..3 * words).chain(second..second + 3 * words).collect()
}

/// Words of which some are loom's.
#[derive(Clone)]
struct Modelled(Arc<Memory>);

struct Memory {
    count: usize,
    watched: HashMap<usize, AtomicU64>,
    /// How a word is published.
    order: Ordering,
    others: Mutex<Others>,
}

/// Words that aren't loom's: they are written before there are readers, or never read.
#[derive(Default)]
struct Others {
    words: HashMap<usize, u64>,
    is_shared: bool,
    read: HashSet<usize>,
    written: HashSet<usize>,
}

impl Modelled {
    fn new(count: usize, watched: Vec<usize>, order: Ordering) -> Self {
        let watched = watched.into_iter();
        Self(Arc::new(Memory {
            count,
            watched: watched.map(|at| (at, AtomicU64::new(0))).collect(),
            order,
            others: Mutex::default(),
        }))
    }

    fn share(&self) -> Self {
        self.others(|others| others.is_shared = true);
        self.clone()
    }

    fn others<T>(&self, with: impl FnOnce(&mut Others) -> T) -> T {
        with(&mut self.0.others.lock().expect("nobody panics with it"))
    }

    fn write(&self, at: usize, word: u64, order: Ordering) {
        if let Some(watched) = self.0.watched.get(&at) {
            watched.store(word, order);
            return;
        }
        let is_unseen = self.others(|others| {
            let before = others.words.insert(at, word).unwrap_or(0);
            let changes = others.is_shared && before != word;
            if changes {
                others.written.insert(at);
            }
            !changes || !others.read.contains(&at)
        });
        assert!(
            is_unseen,
            "word {at} is read while it is written, and not watched"
        );
    }
}

impl Words for Modelled {
    fn count(&self) -> usize {
        self.0.count
    }

    fn get(&self, at: usize) -> u64 {
        match self.0.watched.get(&at) {
            // The writer is alone: it needn't try what another would see.
            Some(watched) => watched.load(Ordering::Acquire),
            None => self.others(|others| others.words.get(&at).copied().unwrap_or(0)),
        }
    }

    fn put(&self, at: usize, word: u64) {
        self.write(at, word, Ordering::Relaxed);
    }

    fn publish(&self, at: usize, word: u64) {
        self.write(at, word, self.0.order);
    }

    fn set(&self, at: usize, bits: u64) {
        match self.0.watched.get(&at) {
            Some(watched) => {
                watched.fetch_or(bits, self.0.order);
            }
            None => self.write(at, self.get(at) | bits, self.0.order),
        }
    }

    fn clear(&self, words: Range<usize>) {
        for at in self.0.watched.keys().filter(|at| words.contains(at)) {
            self.put(*at, 0);
        }
        let others: Vec<_> = self.others(|others| {
            let set = others
                .words
                .iter()
                .filter(|(at, word)| words.contains(at) && **word != 0);
            set.map(|(at, _)| *at).collect()
        });
        for at in others {
            self.put(at, 0);
        }
    }
}

/// The same words as a reader sees them.
struct Seen(Modelled);

impl Words for Seen {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn get(&self, at: usize) -> u64 {
        if let Some(watched) = self.0.0.watched.get(&at) {
            return watched.load(Ordering::Acquire);
        }
        let (word, is_unwritten) = self.0.others(|others| {
            others.read.insert(at);
            let word = others.words.get(&at).copied().unwrap_or(0);
            (word, !others.written.contains(&at))
        });
        assert!(
            is_unwritten,
            "word {at} is read while it is written, and not watched"
        );
        word
    }

    fn put(&self, _at: usize, _word: u64) {
        panic!("a reader doesn't write");
    }

    fn publish(&self, _at: usize, _word: u64) {
        panic!("a reader doesn't write");
    }

    fn set(&self, _at: usize, _bits: u64) {
        panic!("a reader doesn't write");
    }
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 100_000;
    builder.check(model);
}
