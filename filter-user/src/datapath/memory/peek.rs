//! The tables in memory, only looked at: what `explain` asks.

use std::cell::OnceCell;

use filter_common::{
    decide::{Clock, Tables},
    rate::{Bucket, BucketKey, Cell, Tier},
    settings::{Port, Service, Settings},
    source::Address,
    table::Standing,
};

use super::Memory;

/// The same tables, only looked at: a bucket that is asked for is a copy.
pub(super) struct Peek<'a> {
    tables: &'a Memory,
    /// Source and neighbourhood, enforced and shadow, side by side.
    places: [OnceCell<Bucket<Peeked>>; 4],
}

pub(super) struct Peeked(u64);

impl Cell for Peeked {
    fn load(&self) -> u64 {
        self.0
    }

    fn replace(&self, _old: u64, _new: u64) -> bool {
        true
    }
}

impl<'a> Peek<'a> {
    /// A look at these tables, for one decision.
    pub(super) fn at(tables: &'a Memory) -> Self {
        Self {
            tables,
            places: Default::default(),
        }
    }
}

impl Tables for Peek<'_> {
    type Cell = Peeked;

    fn settings(&self) -> Settings {
        self.tables.settings()
    }

    fn port(&self, protocol: u8, port: u16) -> Port {
        self.tables.port(protocol, port)
    }

    fn protects(&self, protocol: u8, port: u16, source: &Address) -> bool {
        self.tables.protects(protocol, port, source)
    }

    fn service_at(&self, protocol: u8, port: u16, destination: &Address) -> u8 {
        self.tables.service_at(protocol, port, destination)
    }

    fn standing<C: Clock>(&self, source: &Address, clock: &C) -> Standing {
        self.tables.standing(source, clock)
    }

    fn service(&self, service: u8) -> Option<&Service> {
        self.tables.service(service)
    }

    fn tier(&self, service: u8, tier: u8) -> Option<&Tier> {
        self.tables.tier(service, tier)
    }

    fn bucket(
        &self,
        key: &BucketKey,
        fresh: impl FnOnce() -> Bucket<u64>,
    ) -> Option<&Bucket<Peeked>> {
        let words = match self.tables.place(key) {
            Some(bucket) => Bucket {
                packets: bucket.packets.load(),
                bytes: bucket.bytes.load(),
                connections: bucket.connections.load(),
            },
            None => fresh(),
        };
        let place = &self.places[usize::from((key.shadow & 1) << 1 | (key.level & 1))];
        Some(place.get_or_init(|| Bucket {
            packets: Peeked(words.packets),
            bytes: Peeked(words.bytes),
            connections: Peeked(words.connections),
        }))
    }

    fn merges(&self) -> bool {
        self.tables.merges()
    }
}
