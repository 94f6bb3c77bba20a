//! Whatever comes from elsewhere, the invariants of `target.rs` hold: for the
//! whole corpus, and for tens of thousands of its mutants. `cargo xtask fuzz`
//! goes on from here.
//!
//! `WEIR_SEED` and `WEIR_MUTANTS` set the seed and how many are tried.

use std::env;

use weir_tests::target::{TARGETS, search::Search};

#[test]
fn lists_hold_for_mutants() {
    holds("list", 12);
}

#[test]
fn lines_hold_for_mutants() {
    holds("line", 15);
}

#[test]
fn prefixes_hold_for_mutants() {
    holds("prefix", 8);
}

#[test]
fn the_stream_holds_for_mutants() {
    holds("stream", 20);
}

#[test]
fn configurations_hold_for_mutants() {
    holds("config", 10);
}

#[test]
fn what_control_speaks_holds_for_mutants() {
    holds("control", 10);
}

#[test]
fn tokens_hold_for_mutants() {
    holds("token", 18);
}

#[test]
fn key_sets_hold_for_mutants() {
    holds("keys", 15);
}

#[test]
fn observations_hold_for_mutants() {
    holds("observations", 12);
}

#[test]
fn every_target_has_a_test_here() {
    let source = include_str!("codec.rs");
    for target in TARGETS {
        let call = format!("holds(\"{}\", ", target.name);
        assert!(source.contains(&call), "none has {call}");
    }
}

/// Tries the corpus, in which there must be so many different things, and
/// mutants of it, which must come to more.
fn holds(name: &str, different: usize) {
    let mut targets = TARGETS.into_iter();
    let target = targets
        .find(|target| target.name == name)
        .expect("a target");
    let seed = number("WEIR_SEED", 0x7765_6972);
    let corpus = target.corpus().expect("a folder of inputs");
    let broken = |broken| -> Search { panic!("seed {seed}: {broken:?}") };
    let mut search = Search::new(target, corpus, seed).unwrap_or_else(broken);
    let known = search.kinds();
    assert!(known >= different, "only {known} kinds of inputs");
    for _ in 0..number("WEIR_MUTANTS", 20_000) {
        if let Err(broken) = search.step() {
            panic!("seed {seed}: {:?}", broken.least(&target));
        }
    }
    assert!(search.kinds() > known, "the mutants are nothing new");
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}
