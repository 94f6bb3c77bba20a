//! The law's rates, and nothing else of it.

use filter_common::{
    bucket::{Line, Notes, Seed},
    decide::{Clock, Tables},
    handshake::Handshake,
    rate::Tier,
    settings::{Mode, Port, Service, Settings},
    source::Address,
    table::Standing,
};
use filter_ebpf::{buckets::Live, maps::Maps};

/// Tables in which every port is the first service's and nobody has a verdict:
/// what the law does then is to hold the source to its rates.
pub(crate) struct RatesAlone(pub(crate) Maps<Live>);

impl Tables for RatesAlone {
    type Cell = <Maps<Live> as Tables>::Cell;

    #[inline(always)]
    fn settings(&self) -> Settings {
        Settings {
            mode: Mode::Enforce as u8,
            ..Settings::default()
        }
    }

    #[inline(always)]
    fn port(&self, _protocol: u8, _port: u16) -> Port {
        Port {
            service: 1,
            ..Port::default()
        }
    }

    #[inline(always)]
    fn protects(&self, _protocol: u8, _port: u16, _source: &Address) -> bool {
        false
    }

    #[inline(always)]
    fn service_at(&self, _protocol: u8, _port: u16, _destination: &Address) -> u8 {
        0
    }

    #[inline(always)]
    fn standing<C: Clock>(&self, _source: &Address, _clock: &C) -> Standing {
        Standing::NONE
    }

    #[inline(always)]
    fn service(&self, service: u8) -> Option<&Service> {
        self.0.service(service)
    }

    #[inline(always)]
    fn tier(&self, service: u8, tier: u8) -> Option<&Tier> {
        self.0.tier(service, tier)
    }

    #[inline(always)]
    fn seed(&self) -> Option<&Seed> {
        self.0.seed()
    }

    #[inline(always)]
    fn line(&self, line: u32) -> Option<&Line<Self::Cell>> {
        self.0.line(line)
    }

    #[inline(always)]
    fn expect(&self, line: u32) {
        self.0.expect(line);
    }

    #[inline(always)]
    fn lay(&self, handshake: Handshake) {
        self.0.lay(handshake);
    }

    #[inline(always)]
    fn laid(&self) -> Handshake {
        self.0.laid()
    }

    #[inline(always)]
    fn handshake(&self, at: u32) -> Option<&Self::Cell> {
        self.0.handshake(at)
    }

    #[inline(always)]
    fn note(&self, notes: Notes) {
        self.0.note(notes);
    }

    #[inline(always)]
    fn merges(&self) -> bool {
        self.0.merges()
    }

    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        self.0.forget(number)
    }
}
