//! Whether a packet opens a connection, as the service sees it.

use super::{Clock, Tables};
use crate::{
    packet::{Packet, TCP, UDP},
    settings::Service,
};

/// Whether a packet that [looks like it](Packet::OPENS), or [may](Packet::LONG), opens a
/// connection that wasn't counted yet.
#[inline(always)]
pub(super) fn opens<T: Tables, C: Clock>(
    packet: &Packet,
    tables: &T,
    clock: &C,
    service: u8,
) -> bool {
    counts(packet, tables, service)
        && (packet.protocol == TCP || !tables.laid().is_known(tables, clock.coarse()))
}

/// Whether it counts as one at this service, if it wasn't counted yet.
#[inline(always)]
pub(super) fn counts<T: Tables>(packet: &Packet, tables: &T, service: u8) -> bool {
    if packet.protocol == TCP {
        return true;
    }
    let Some(service) = tables.service(service) else {
        return true;
    };
    speaks(packet, tables.laid().version(), service)
}

/// Whether the service may take this for the beginning of a connection.
#[inline(always)]
const fn speaks(packet: &Packet, version: u32, service: &Service) -> bool {
    if packet.protocol == UDP && service.quic == Service::NO_QUIC {
        return false;
    }
    if packet.is(Packet::OPENS) {
        return true;
    }
    if service.quic == Service::QUIC_AT_443 && packet.port != HTTP_3 {
        return false;
    }
    // Of a version that it names the types of packets are known: its Initial opens.
    packet.is(Packet::INITIAL) || !lists(service, version)
}

/// Whether a version is one that the service names.
#[inline(always)]
const fn lists(service: &Service, version: u32) -> bool {
    let [a, b, c, d] = service.versions;
    // What isn't named is 0, and so is what couldn't be read.
    version != 0 && ((a == version) | (b == version) | (c == version) | (d == version))
}

/// The port of HTTP/3 (RFC 9114 §3.1 takes what `https` has).
const HTTP_3: u16 = 443;
