//! Whether a packet opens a connection, as the service sees it.

use super::{Clock, Tables};
use crate::{
    packet::{Packet, TCP, UDP},
    settings::Service,
};

/// Whether a packet that [looks like it](Packet::OPENS), or may be one of another
/// version of [QUIC](Packet::LONG), opens a connection that wasn't counted yet.
#[inline(always)]
pub(super) fn opens<T: Tables, C: Clock>(
    packet: &Packet,
    tables: &T,
    clock: &C,
    service: u8,
) -> bool {
    if packet.protocol == TCP {
        return true;
    }
    let Some(service) = tables.service(service) else {
        return true;
    };
    let handshake = tables.laid();
    if !speaks(packet, handshake.version(), service) {
        return false;
    }
    !handshake.is_known(tables, clock.coarse())
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
    // A version that it speaks has types of packets, and of these the Initial opens.
    packet.is(Packet::INITIAL) || !lists(service, version)
}

/// Whether a version is one that the service names.
#[inline(always)]
const fn lists(service: &Service, version: u32) -> bool {
    let [a, b, c, d] = service.versions;
    (a == version) | (b == version) | (c == version) | (d == version)
}

/// The port of HTTP/3 (RFC 9114 §3.1 takes what `https` has).
const HTTP_3: u16 = 443;
