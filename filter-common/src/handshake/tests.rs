mod interleavings;

use std::{
    collections::{BTreeMap, HashSet},
    vec::Vec,
};

use super::*;
use crate::{
    bucket::{Line, Notes},
    decide::Clock,
    packet::{
        UDP,
        wire::{SEED, frame, udp, v4},
    },
    rate::Tier,
    settings::{Port, Service, Settings},
    source::Address,
    table::Standing,
};

#[test]
fn a_connection_id_that_was_charged_is_free_for_three_seconds() {
    let table = Table::new();
    let one = initial(5_000, b"clients1", b"");
    assert!(!one.is_known(&table, NOW));
    one.remember(&table, NOW);
    for (later, known) in [
        (0, true),
        (SECOND, true),
        (2 * SECOND, true),
        (4 * SECOND, false),
    ] {
        assert_eq!(one.is_known(&table, NOW + later), known, "after {later} ns");
    }
    for other in [
        initial(5_001, b"clients1", b""),
        initial(5_001, b"clients1", b"own"),
    ] {
        assert!(!other.is_known(&table, NOW), "another port is another flow");
    }
}

#[test]
fn a_flow_has_one_more_connection_id_and_a_third_is_another_connection() {
    let table = Table::new();
    let ids: [&[u8]; 3] = [b"the-client-made-this", b"srv", b"another"];
    let [first, second, third] = ids.map(|id| initial(5_000, id, b"own"));
    first.remember(&table, NOW);
    assert!(second.is_known(&table, NOW));
    second.remember(&table, NOW);
    // The same again, in any order: what was shown stays known.
    for again in [&second, &first, &second] {
        assert!(again.is_known(&table, NOW));
        again.remember(&table, NOW);
    }
    assert!(!third.is_known(&table, NOW));
    // Charged, it has one more, too: never more than two for one.
    third.remember(&table, NOW);
    assert!(initial(5_000, b"fourth", b"own").is_known(&table, NOW));
}

#[test]
fn of_one_connection_id_so_many_packets_are_free_and_then_it_is_charged_again() {
    let table = Table::new();
    let one = initial(5_000, b"clients1", b"own");
    let mut charged = 0;
    for _ in 0..160 {
        charged += u32::from(!one.is_known(&table, NOW));
        one.remember(&table, NOW);
    }
    assert_eq!(charged, 160 / 16);
}

#[test]
fn another_destination_is_another_connection() {
    let table = Table::new();
    let bytes = |last: u8| {
        let mut bytes = datagram(5_000, b"clients1", b"own");
        bytes[33] = last;
        bytes
    };
    told(&bytes(1), &SEED).remember(&table, NOW);
    assert!(told(&bytes(1), &SEED).is_known(&table, NOW));
    assert!(!told(&bytes(2), &SEED).is_known(&table, NOW));
}

#[test]
fn of_many_connection_ids_of_one_flow_every_second_one_is_charged() {
    let table = Table::new();
    let mut charged = 0;
    for number in 0..1_000_u32 {
        let one = initial(5_000, &number.to_be_bytes(), b"");
        charged += u32::from(!one.is_known(&table, NOW));
        one.remember(&table, NOW);
    }
    assert_eq!(charged, 500);
}

#[test]
fn ids_that_differ_in_one_bit_or_in_their_length_are_two() {
    // As random as a real one.
    let seed = Seed {
        key: [
            0x6a09_e667_f3bc_c908,
            0xbb67_ae85_84ca_a73b,
            0x3c6e_f372_fe94_f82b,
            0xa54f_f53a_5f1d_36f1,
        ],
        ..SEED
    };
    let mut ids: Vec<Vec<u8>> = (0..=20).map(|length| [0].repeat(length)).collect();
    for bit in 0..160 {
        let mut id = [0_u8].repeat(20);
        id[bit / 8] |= 1 << (bit % 8);
        ids.push(id);
    }
    let known: HashSet<_> = ids
        .iter()
        .map(|id| told(&datagram(1, id, b""), &seed).connection)
        .collect();
    assert_eq!(known.len(), ids.len());
    let known: HashSet<_> = ids
        .iter()
        .map(|id| told(&datagram(1, b"", id), &seed).flow)
        .collect();
    assert_eq!(known.len(), ids.len());
}

#[test]
fn what_cannot_be_told_is_charged_each_time() {
    let table = Table::new();
    let longer = [7; 21];
    for untold in [
        initial(5_000, &longer, b""),
        initial(5_000, b"", &longer),
        // A frame that ends within what may be an id.
        read(&[0xc0, 0, 0, 0, 1, 8, 1, 2, 3]),
    ] {
        untold.remember(&table, NOW);
        assert!(!untold.is_known(&table, NOW));
        assert_eq!((untold.connection, untold.flow), (0, 0));
        assert_eq!(untold.version(), 1);
    }
}

#[test]
fn a_fragment_is_charged_each_time_whatever_it_says() {
    let whole = datagram(5_000, b"clients1", b"own");
    for fragment in [0x2000_u16, 0] {
        let mut bytes = whole.clone();
        bytes[20..22].copy_from_slice(&fragment.to_be_bytes());
        let handshake = told(&bytes, &SEED);
        assert_eq!(handshake.connection == 0, fragment != 0);
    }
}

#[test]
fn another_seed_finds_other_words() {
    let places: HashSet<_> = (0..64)
        .map(|key| {
            let seed = Seed {
                key: [key, key ^ 0x55, 3, 4],
                ..SEED
            };
            let handshake = told(&datagram(5_000, b"clients1", b"own"), &seed);
            (place(handshake.connection), place(handshake.flow))
        })
        .collect();
    assert!(places.len() > 60, "{} of 64", places.len());
}

/// The handshake of an Initial from a port with these connection ids.
fn initial(port: u16, to: &[u8], from: &[u8]) -> Handshake {
    told(&datagram(port, to, from), &SEED)
}

fn read(payload: &[u8]) -> Handshake {
    told(&frame(&[], &v4(UDP, 0, 0, &udp(1, 443, payload))), &SEED)
}

fn told(bytes: &[u8], seed: &Seed) -> Handshake {
    let packet = crate::packet::read(bytes);
    assert!(packet.shakes_hands());
    crate::packet::quic::handshake(bytes, &packet, seed)
}

fn datagram(port: u16, to: &[u8], from: &[u8]) -> Vec<u8> {
    let mut payload = std::vec![0xc3, 0, 0, 0, 1, to.len() as u8];
    payload.extend_from_slice(to);
    payload.push(from.len() as u8);
    payload.extend_from_slice(from);
    // What follows isn't part of an id.
    payload.resize(1_200, port as u8);
    frame(&[], &v4(UDP, 0, 0, &udp(port, 443, &payload)))
}

/// Nothing but the table of handshakes, or the words of it that a test needs.
struct Table<C>(BTreeMap<u32, C>);

impl Table<Word> {
    fn new() -> Self {
        Self((0..WORDS).map(|at| (at, Word::default())).collect())
    }
}

#[derive(Default)]
struct Word(core::cell::Cell<u64>);

impl Cell for Word {
    fn load(&self) -> u64 {
        self.0.get()
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.0.replace(new) == old
    }
}

impl<W: Cell> Tables for Table<W> {
    type Cell = W;

    fn lay(&self, _handshake: Handshake) {}

    fn laid(&self) -> Handshake {
        Handshake::default()
    }

    fn handshake(&self, at: u32) -> Option<&W> {
        self.0.get(&at)
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn port(&self, _protocol: u8, _port: u16) -> Port {
        Port::default()
    }

    fn protects(&self, _protocol: u8, _port: u16, _source: &Address) -> bool {
        false
    }

    fn service_at(&self, _protocol: u8, _port: u16, _destination: &Address) -> u8 {
        0
    }

    fn standing<C: Clock>(&self, _source: &Address, _clock: &C) -> Standing {
        Standing::NONE
    }

    fn service(&self, _service: u8) -> Option<&Service> {
        None
    }

    fn tier(&self, _service: u8, _tier: u8) -> Option<&Tier> {
        None
    }

    fn seed(&self) -> Option<&Seed> {
        Some(&SEED)
    }

    fn line(&self, _line: u32) -> Option<&Line<W>> {
        None
    }

    fn note(&self, _notes: Notes) {}

    fn merges(&self) -> bool {
        false
    }
}

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000_000 * SECOND;
