//! What stands behind the headers of IP, as far as the law asks: ports, what opens
//! a connection, what a network can't do without.

use super::{Packet, TCP, UDP};
use crate::{frame::Frame, source::Family};

#[inline(always)]
pub(super) fn read_transport<F: Frame + ?Sized>(
    frame: &F,
    at: usize,
    whole: bool,
    from_this_link: bool,
    packet: &mut Packet,
) {
    match packet.protocol {
        TCP => {
            let Some([_, _, high, low]) = frame.read::<4>(at) else {
                packet.flags = Packet::HIDDEN | Packet::OPENS;
                return;
            };
            packet.port = u16::from_be_bytes([high, low]);
            packet.flags = Packet::PORT;
            let opens = match frame.read::<1>(at + 13) {
                Some([flags]) => flags & (SYN | ACK) == SYN,
                None => true,
            };
            if opens {
                packet.flags |= Packet::OPENS;
            }
        }
        UDP => {
            let Some([from_high, from_low, high, low]) = frame.read::<4>(at) else {
                packet.flags = Packet::HIDDEN | Packet::OPENS;
                return;
            };
            packet.port = u16::from_be_bytes([high, low]);
            packet.flags = Packet::PORT;
            let from = u16::from_be_bytes([from_high, from_low]);
            let dhcp = match packet.source.family {
                Family::V4 => from == 67 && packet.port == 68,
                Family::V6 => from == 547 && packet.port == 546,
            };
            if dhcp && whole {
                packet.flags |= Packet::ESSENTIAL;
            }
            let opens = match frame.read::<5>(at + 8) {
                Some(payload) => opens_quic(payload),
                None => !whole,
            };
            if opens {
                packet.flags |= Packet::OPENS;
            }
        }
        // RFC 4861 §7.1.2: a hop limit of 255 proves that no router forwarded
        // it; RFC 6980 §5: never fragmented.
        ICMPV6 if from_this_link && whole => {
            let Some(bytes) = frame.read::<2>(at) else {
                return;
            };
            if matches!(bytes[0], 133..=137) && bytes[1] == 0 {
                packet.flags = Packet::ESSENTIAL;
            }
        }
        _ => {}
    }
}

/// Whether a UDP payload begins like a QUIC Initial: a long header of a version
/// that opens connections (RFC 9000 §17.2.2, RFC 9369 §3.2, and the drafts).
/// With any other version a server answers without keeping state. The fixed bit
/// isn't asked for: servers accept an Initial without it (RFC 9287 §3).
#[inline(always)]
const fn opens_quic(payload: [u8; 5]) -> bool {
    let version = u32::from_be_bytes([payload[1], payload[2], payload[3], payload[4]]);
    let kind = payload[0] & 0xb0;
    if version == 0x6b33_43cf {
        kind == 0x90
    } else {
        kind == 0x80 && (version == 1 || version & 0xffff_ff00 == 0xff00_0000)
    }
}

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const ICMPV6: u8 = 58;
