//! The tables in memory, only looked at: what `explain` asks.

use std::cell::OnceCell;

use filter_common::{
    bucket::{Line, Notes, Seed},
    decide::{Clock, Tables},
    handshake::Handshake,
    rate::{Cell, Still, Tier},
    settings::{Port, Service, Settings},
    source::Address,
    table::Standing,
};

use super::Memory;

/// The same tables, only looked at: a line that is asked for is a copy.
pub(super) struct Peek<'a> {
    tables: &'a Memory,
    /// Source, neighbourhood and all together, enforced and shadow, side by side.
    lines: [OnceCell<Line<Still>>; 6],
    /// A handshake's two words, looked up twice.
    handshakes: [OnceCell<Still>; 4],
}

impl<'a> Peek<'a> {
    /// A look at these tables, for one decision.
    pub(super) fn at(tables: &'a Memory) -> Self {
        Self {
            tables,
            lines: Default::default(),
            handshakes: Default::default(),
        }
    }
}

impl Tables for Peek<'_> {
    type Cell = Still;

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

    fn seed(&self) -> Option<&Seed> {
        self.tables.seed()
    }

    fn line(&self, line: u32) -> Option<&Line<Still>> {
        let real = self.tables.line(line)?;
        let free = self.lines.iter().find(|copy| copy.get().is_none())?;
        Some(free.get_or_init(|| Line(real.0.each_ref().map(|word| Still(word.load())))))
    }

    fn lay(&self, handshake: Handshake) {
        self.tables.lay(handshake);
    }

    fn laid(&self) -> Handshake {
        self.tables.laid()
    }

    fn handshake(&self, at: u32) -> Option<&Still> {
        let real = self.tables.handshake(at)?;
        let free = self.handshakes.iter().find(|copy| copy.get().is_none())?;
        Some(free.get_or_init(|| Still(real.load())))
    }

    fn note(&self, _notes: Notes) {}

    fn merges(&self) -> bool {
        self.tables.merges()
    }
}
