//! The tables as plain collections, and clocks that are set by hand.

use core::cell::{Cell as Value, RefCell};
use std::{collections::HashMap, vec, vec::Vec};

use super::super::*;
use crate::{
    bucket::{Ask, BucketKey, look},
    handshake,
    packet::{TCP, UDP, wire::SEED},
    rate::{Kind, Rate, Rates},
    settings::Mode,
    verdict::{Entry, Stage},
};

pub(super) struct Collections {
    pub(super) settings: Settings,
    pub(super) ports: HashMap<(u8, u16), Port>,
    pub(super) protected: Vec<(u8, u16, Address)>,
    pub(super) destinations: Vec<(u8, u16, Address, u8)>,
    pub(super) entries: HashMap<Address, Entry>,
    pub(super) services: Vec<Service>,
    pub(super) tiers: HashMap<(u8, u8), Tier>,
    pub(super) seed: Seed,
    pub(super) lines: Vec<Line<Word>>,
    pub(super) handshakes: Vec<Word>,
    pub(super) laid: Value<Handshake>,
    /// The notes on each packet.
    pub(super) notes: RefCell<Vec<Notes>>,
    pub(super) merges: bool,
}

impl Collections {
    /// Enforces. `tcp/22` is protected, `443` is guarded by service 1, which
    /// names tier 1 (wide), tier 2 (refuses all) and tier 3 (no rates).
    pub(super) fn new() -> Self {
        let api = Port {
            service: 1,
            ..Port::default()
        };
        let ssh = Port {
            protection: Port::PROTECTED,
            ..Port::default()
        };
        let default_tier = |default_tier| Service {
            default_tier,
            ..Service::default()
        };
        let mut lines = Vec::new();
        lines.resize_with(1024, Line::default);
        let mut handshakes = Vec::new();
        handshakes.resize_with(handshake::WORDS as usize, Word::default);
        Self {
            settings: Settings {
                mode: Mode::Enforce as u8,
                ..Settings::default()
            },
            ports: HashMap::from([((TCP, 22), ssh), ((TCP, 443), api), ((UDP, 443), api)]),
            protected: Vec::new(),
            destinations: Vec::new(),
            entries: HashMap::new(),
            services: vec![default_tier(9), default_tier(1), default_tier(2)],
            tiers: HashMap::from([
                ((0, 9), source_rates(WIDE)),
                ((0, 2), source_rates(REFUSING)),
                ((1, 1), source_rates(WIDE)),
                ((1, 2), source_rates(REFUSING)),
                ((1, 3), Tier::NONE),
                ((2, 2), source_rates(REFUSING)),
            ]),
            seed: Seed {
                shifts: [SHIFT; 4],
                ..SEED
            },
            lines,
            handshakes,
            laid: Value::default(),
            notes: RefCell::default(),
            merges: false,
        }
    }

    /// How far ahead of now each word of a bucket is, in units of the rate; 0
    /// also where there is none.
    pub(super) fn used(&self, key: &BucketKey, now: u64, rates: &Rates) -> [u64; 3] {
        let place = self.seed.place(key);
        let line = &self.lines[place.line as usize];
        Kind::ALL.map(|kind| {
            let rate = rates.of(kind as u32);
            let number = kind as u32 + 3 * u32::from(key.level);
            let ask = Ask::new(place.tag, number, rate, now, 0);
            look(line, &ask, rate) / rate.cost(1).max(1)
        })
    }

    /// Every word that holds something.
    pub(super) fn words(&self) -> Vec<u64> {
        let words = self.lines.iter().flat_map(|line| &line.0);
        words.map(Cell::load).filter(|word| *word != 0).collect()
    }

    /// Fills the table with words that are further ahead than any of a test.
    pub(super) fn saturate(&self) {
        for (tag, word) in (1..).zip(self.lines.iter().flat_map(|line| &line.0)) {
            assert!(word.replace(0, (tag << 32) + (1 << 30)));
        }
    }
}

impl Tables for Collections {
    type Cell = Word;

    fn settings(&self) -> Settings {
        self.settings
    }

    fn port(&self, protocol: u8, port: u16) -> Port {
        self.ports
            .get(&(protocol, port))
            .copied()
            .unwrap_or_default()
    }

    fn protects(&self, protocol: u8, port: u16, source: &Address) -> bool {
        self.protected.contains(&(protocol, port, *source))
    }

    fn service_at(&self, protocol: u8, port: u16, destination: &Address) -> u8 {
        let asked = (protocol, port, *destination);
        let found = self
            .destinations
            .iter()
            .find(|at| (at.0, at.1, at.2) == asked);
        found.map_or(0, |at| at.3)
    }

    fn standing<C: Clock>(&self, source: &Address, clock: &C) -> Standing {
        let entry = self.entries.get(source);
        entry.map_or(Standing::NONE, |entry| entry.standing(clock))
    }

    fn service(&self, service: u8) -> Option<&Service> {
        self.services.get(usize::from(service))
    }

    fn tier(&self, service: u8, tier: u8) -> Option<&Tier> {
        self.tiers.get(&(service, tier))
    }

    fn seed(&self) -> Option<&Seed> {
        Some(&self.seed)
    }

    fn line(&self, line: u32) -> Option<&Line<Word>> {
        self.lines.get(line as usize)
    }

    fn lay(&self, handshake: Handshake) {
        self.laid.set(handshake);
    }

    fn laid(&self) -> Handshake {
        self.laid.get()
    }

    fn handshake(&self, at: u32) -> Option<&Word> {
        self.handshakes.get(at as usize)
    }

    fn note(&self, notes: Notes) {
        self.notes.borrow_mut().push(notes);
    }

    fn merges(&self) -> bool {
        self.merges
    }
}

#[derive(Default)]
pub(super) struct Word(Value<u64>);

impl Cell for Word {
    fn load(&self) -> u64 {
        self.0.get()
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.0.replace(new) == old
    }
}

/// Virtual time: monotonic nanoseconds, and seconds since boot.
#[derive(Clone, Copy)]
pub(super) struct At(pub(super) u64, pub(super) u32);

impl Clock for At {
    fn nanoseconds(&self) -> u64 {
        self.0
    }

    fn boot_seconds(&self) -> u32 {
        self.1
    }
}

/// Nobody may ask it for the time.
pub(super) struct Stopped;

impl Clock for Stopped {
    fn nanoseconds(&self) -> u64 {
        panic!("the monotonic clock was read without need")
    }

    fn boot_seconds(&self) -> u32 {
        panic!("the seconds since boot were read without need")
    }
}

/// For ever the same verdict, from claim 7.
pub(super) fn always(verdict: Verdict) -> Entry {
    let mut entry = Entry::EMPTY;
    entry.stages[0] = Stage::new(verdict, 7, crate::verdict::NEVER);
    entry
}

/// The source's or the neighbourhood's bucket at service 1.
pub(super) fn bucket_of(source: Address, level: u8, tier: u8, shadow: u8) -> BucketKey {
    let prefix = if level == BucketKey::SOURCE {
        source.source()
    } else {
        source.neighbourhood()
    };
    BucketKey {
        prefix,
        family: source.family as u8,
        level,
        service: 1,
        tier,
        shadow,
    }
}

pub(super) const fn source_rates(source: Rates) -> Tier {
    Tier::new(source, Rates::NONE)
}

/// So many at once, and then one a second.
pub(super) const fn burst(burst: u64) -> Rate {
    let rate = Rate::new(1, SECOND, burst).expect("a rate that can be held");
    rate.in_ticks(Kind::Packets, SHIFT, 0)
        .expect("fine enough for one a second")
}

/// Ticks of four milliseconds.
const SHIFT: u8 = 22;

pub(super) const SECOND: u64 = 1_000_000_000;

/// Admits every packet of a test.
const WIDE: Rates = Rates {
    packets: burst(1_000),
    ..Rates::NONE
};

/// One byte is less than any packet has.
const REFUSING: Rates = Rates {
    bytes: burst(1),
    ..Rates::NONE
};
