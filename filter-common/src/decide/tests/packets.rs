//! One packet of each kind that the law tells apart.

use std::vec;

use crate::{
    packet::{Packet, TCP, UDP, wire::*},
    source::Address,
};

/// A SYN to the guarded port.
pub(super) fn api() -> Packet {
    read(&frame(&[], &v4(TCP, 0, 0, &tcp(2))))
}

pub(super) fn other() -> Packet {
    to_port(api(), 80)
}

pub(super) fn ssh() -> Packet {
    to_port(api(), 22)
}

pub(super) fn ping() -> Packet {
    read(&frame(&[], &v4(1, 0, 0, &[8, 0, 0, 0])))
}

pub(super) fn later() -> Packet {
    read(&frame(&[], &v4(TCP, 0, 1, &tcp(2))))
}

pub(super) fn chained() -> Packet {
    let chain = vec![extension(60, 0); 9];
    read(&frame(&[], &v6(&chain, TCP, &tcp(2))))
}

pub(super) fn dhcp() -> Packet {
    read(&frame(&[], &v4(UDP, 0, 0, &udp(67, 68, b""))))
}

pub(super) fn not_ip() -> Packet {
    read(&[0; 60][..])
}

/// More tags than are looked behind.
pub(super) fn nine_tags() -> Packet {
    read(&frame(&[0x8100; 9], &v4(TCP, 0, 0, &tcp(2))))
}

pub(super) fn unreadable() -> Packet {
    read(&[0; 13][..])
}

/// 192.0.2.`number`.
pub(super) const fn from(number: u8) -> Address {
    Address::v4([192, 0, 2, number])
}

pub(super) const fn sent_from(mut packet: Packet, source: Address) -> Packet {
    packet.source = source;
    packet
}

pub(super) const fn sent_to(mut packet: Packet, destination: Address) -> Packet {
    packet.destination = [destination.high, destination.low];
    packet
}

pub(super) const fn to_port(mut packet: Packet, port: u16) -> Packet {
    packet.port = port;
    packet
}

pub(super) const fn of_length(mut packet: Packet, length: u32) -> Packet {
    packet.length = length;
    packet
}
