//! The cost of a million claims.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;

#[test]
#[ignore = "a measurement: cargo test --release -p filter-user --lib a_million -- --ignored --nocapture --test-threads 1"]
fn a_million_neighbours_take_their_time_and_their_memory() {
    measure(Mix::Row);
}

#[test]
#[ignore = "a measurement, as above"]
fn a_million_claims_take_their_time_and_their_memory() {
    measure(Mix::Spread(32));
}

#[test]
#[ignore = "a measurement, as above"]
fn a_million_claims_that_nest_take_their_time_and_their_memory() {
    measure(Mix::Spread(26));
}

/// The memory is only right where nothing was freed before: in a process of its
/// own.
fn measure(mix: Mix) {
    let mut ledger = with_room(4 * MANY, 10);
    let before = resident();
    for (word, seed, seconds) in [
        ("first", 1, 60),
        ("again", 1, 60),
        ("prolonged", 1, 600),
        ("others instead", 2, 600),
        ("again", 2, 600),
    ] {
        let update = Update::Snapshot(mix.claims(seed, seconds));
        let start = Start::now();
        let applied = ledger.apply(FEED, update, NOW);
        let spent = start.spent();
        let (changes, claims) = (applied.patch.len(), ledger.counts().claims() as usize);
        drop(applied);
        let bytes = resident().saturating_sub(before) * 1024 / claims;
        eprintln!("  {word}: {spent}, {changes} changes, {bytes} bytes a claim");
    }
    let start = Start::now();
    let table = ledger.table();
    eprintln!("  table: {}, {} changes", start.spent(), table.len());
    single_changes(&mut ledger);
    let start = Start::now();
    let changes = ledger.expire(at(5_000)).len();
    eprintln!("  an expiry: {}, {changes} changes", start.spent());
}

/// One change after the other, each somewhere else.
fn single_changes(ledger: &mut Ledger) {
    let mut spent = [const { Vec::new() }; 6];
    let mut covered = 0;
    for round in 0..2_000 {
        let one = host(scattered(round, 7) & 0x03ff_ffff);
        let wide = one.widened(24);
        for low in 0..100 {
            // Keys that the wide claim covers.
            let key = Prefix::of(Address {
                low: wide.address().low + low,
                ..wide.address()
            });
            ledger.apply(OTHER, says(claim(key, Verdict::Limit(0))), NOW);
        }
        for (kind, prefix) in [(0, one), (3, wide)] {
            for (step, update) in [
                says(claim(prefix, Verdict::Limit(1))),
                says(claim(prefix, Verdict::Block)),
                Update::Delta(vec![Change::Withdraw(prefix)]),
            ]
            .into_iter()
            .enumerate()
            {
                let start = Instant::now();
                let applied = ledger.apply(OPERATOR, update, NOW);
                spent[kind + step].push(start.elapsed());
                covered = applied.patch.len();
            }
        }
    }
    let names = ["adds", "changes", "withdraws"];
    for (kind, mut spent) in spent.into_iter().enumerate() {
        let (what, keys) = (names[kind % 3], if kind < 3 { 1 } else { covered });
        let (median, late) = percentiles(&mut spent);
        eprintln!("  one claim {what}, about {keys} keys: p50 {median:?}, p99 {late:?}");
    }
}

fn percentiles(spent: &mut [Duration]) -> (Duration, Duration) {
    spent.sort_unstable();
    (spent[spent.len() / 2], spent[spent.len() * 99 / 100])
}

#[derive(Clone, Copy)]
enum Mix {
    /// Neighbours, in their order; all of them expire.
    Row,
    /// At random in so many bits: nine of ten are addresses, the others are
    /// wider; half of them expire.
    Spread(u32),
}

impl Mix {
    fn claims(self, seed: u32, seconds: u32) -> Vec<Claim> {
        let reason: Arc<str> = "dev_hooked".into();
        let one = |number: u32| {
            let random = scattered(number, seed);
            let (address, length, expires) = match self {
                Self::Row => (number + seed * MANY, 32, true),
                Self::Spread(bits) => {
                    let wide = scattered(number, seed + 100);
                    let length = if wide.is_multiple_of(10) {
                        20 + wide / 10 % 10
                    } else {
                        32
                    };
                    (
                        random >> (32 - bits),
                        length as u8,
                        number.is_multiple_of(2),
                    )
                }
            };
            let [a, b, c, d] = address.to_be_bytes();
            Claim {
                expires: expires.then_some(NOW.unix + seconds + random % 4_000),
                reason: Some(reason.clone()),
                ..claim(
                    Prefix::new(Address::v4([a, b, c, d]), length),
                    Verdict::Block,
                )
            }
        };
        (0..MANY).map(one).collect()
    }
}

/// A moment, on the clock and on the processor's: a machine that does other
/// things as well makes the first run and not the second.
struct Start(Instant, Duration);

impl Start {
    fn now() -> Self {
        Self(Instant::now(), processor())
    }

    fn spent(&self) -> String {
        let spent = processor() - self.1;
        format!(
            "{:.1?}, {spent:.1?} of them on the processor",
            self.0.elapsed()
        )
    }
}

/// How long this thread has run.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a /proc");
    let first = text.split_whitespace().next();
    let nanoseconds = first.and_then(|first| first.parse().ok()).expect("a time");
    Duration::from_nanos(nanoseconds)
}

/// Numbers that look random: the finisher of MurmurHash3.
const fn scattered(number: u32, seed: u32) -> u32 {
    let mut hash = number.wrapping_add(seed.wrapping_mul(0x9e37_79b9));
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// KiB in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let field = line.and_then(|line| line.split_whitespace().nth(1));
    field.and_then(|field| field.parse().ok()).expect("a size")
}

const MANY: u32 = 1_000_000;
