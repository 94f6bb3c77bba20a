//! Every order in which two CPUs can ask and write the table of handshakes, tried by
//! the model checker loom. Its limits are those of `bucket/tests/interleavings.rs`.
//!
//! Who goes free because of a race, and finds at the end that the other CPU was faster,
//! writes what a charged packet writes. So a race that is won gives away as much as one
//! charge does, no more.
//!
//! Each of these mutations was tried and makes a test here fail: a connection that is
//! remembered only where its word is known already; one whose word is the flow's; a
//! count that is raised without asking how far it is; a free packet that is asked
//! of one word and remembered in the other.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use loom::{
    model::Builder,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use super::*;

/// Of two packets, which were free.
type Free = [bool; 2];

#[test]
fn of_two_first_packets_of_a_connection_one_at_least_is_charged_and_then_it_is_known() {
    let ways = race(
        [b"clients1", b"clients1"],
        |_| {},
        |table| {
            let one = client(b"clients1");
            assert!(one.is_known(table, NOW), "what was charged isn't known");
        },
    );
    assert!(!ways.contains(&[true, true]), "{ways:?}");
    assert!(ways.contains(&[false, false]), "the race wasn't tried");
}

#[test]
fn the_last_free_packet_of_a_connection_is_free_once_for_each_cpu_that_asks_at_once() {
    let before = |table: &Table<Raced>| {
        let one = client(b"clients1");
        for _ in 0..FREE {
            one.remember(table, NOW);
        }
    };
    let ways = race([b"clients1", b"clients1"], before, |table| {
        let one = client(b"clients1");
        let word = table.0[&place(one.connection)].load();
        let time = word >> COUNT_BITS & ((1 << TIME_BITS) - 1);
        assert_eq!(time, tick(NOW), "the count ran into the time");
    });
    assert!(!ways.contains(&[false, false]), "{ways:?}");
    assert!(ways.contains(&[true, true]), "the race wasn't tried");
}

#[test]
fn of_two_more_connections_of_a_flow_one_at_least_is_free_and_both_are_remembered() {
    let before = |table: &Table<Raced>| {
        client(b"clients1").remember(table, NOW);
    };
    let ways = race([b"clients2", b"clients3"], before, |table| {
        for id in [b"clients2", b"clients3"] {
            let known = client(id).is_known(table, NOW);
            assert!(known, "{id:?} isn't remembered");
        }
    });
    assert!(!ways.contains(&[false, false]), "{ways:?}");
    assert!(ways.contains(&[true, true]), "the race wasn't tried");
}

#[test]
fn two_connections_that_share_a_word_leave_one_of_both_and_never_a_mix() {
    explore(|| {
        let keys = [5 << 48 | 0x11, 5 << 48 | 0x23];
        let flows = [6 << 48 | 0x31, 7 << 48 | 0x41];
        let words = [5, 6, 7].map(|at| (at, Raced::default()));
        let table = Arc::new(Table(words.into_iter().collect()));
        let one = move |number: usize| Handshake {
            connection: keys[number],
            flow: flows[number],
            version: 1,
        };
        let other = Arc::clone(&table);
        let racer = thread::spawn(move || one(1).remember(&*other, NOW));
        one(0).remember(&*table, NOW);
        racer.join().expect("a racer doesn't panic");
        let left = table.0[&5].load();
        assert!(keys.map(|key| word(key, NOW)).contains(&left), "{left:#x}");
    });
}

/// Which of two packets with these connection ids were free, in every order of two
/// CPUs. Each asks, and remembers what follows.
fn race(
    ids: [&'static [u8; 8]; 2],
    before: fn(&Table<Raced>),
    after: fn(&Table<Raced>),
) -> BTreeSet<Free> {
    let ways = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&ways);
    explore(move || {
        let places = [b"clients1", b"clients2", b"clients3"].map(|id| {
            let one = client(id);
            [place(one.connection), place(one.flow)]
        });
        let words = places.into_iter().flatten();
        let table = Arc::new(Table(words.map(|at| (at, Raced::default())).collect()));
        before(&table);
        let ask = move |table: &Table<Raced>, id: &[u8]| {
            let one = client(id);
            let known = one.is_known(table, NOW);
            one.remember(table, NOW);
            known
        };
        let other = Arc::clone(&table);
        let racer = thread::spawn(move || ask(&other, ids[1]));
        let first = ask(&table, ids[0]);
        let second = racer.join().expect("a racer doesn't panic");
        after(&table);
        seen.lock()
            .expect("it isn't poisoned")
            .insert([first, second]);
    });
    let ways = ways.lock().expect("it isn't poisoned");
    ways.clone()
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

/// The handshake of a client's Initial with this connection id.
fn client(id: &[u8]) -> Handshake {
    let seed = Seed {
        // As random as a real one: the words lie apart.
        key: [
            0x6a09_e667_f3bc_c908,
            0xbb67_ae85_84ca_a73b,
            0x3c6e_f372_fe94_f82b,
            0xa54f_f53a_5f1d_36f1,
        ],
        ..SEED
    };
    told(&datagram(5_000, id, b"own"), &seed)
}

/// A word that both CPUs read and write.
#[derive(Default)]
struct Raced(AtomicU64);

impl Cell for Raced {
    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        let order = (Ordering::SeqCst, Ordering::SeqCst);
        self.0.compare_exchange(old, new, order.0, order.1).is_ok()
    }
}
