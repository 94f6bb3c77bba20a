//! What stands behind the headers of IP, as far as the law asks: ports, what opens
//! a connection, what a network can't do without.

use super::{Packet, TCP, UDP, quic};
use crate::{frame::Frame, source::Family};

/// Where the upper header begins, and what is known of the packet around it.
pub(super) struct Place {
    pub(super) at: usize,
    /// Not a fragment.
    pub(super) whole: bool,
    /// No router forwarded it.
    pub(super) from_this_link: bool,
}

#[inline(always)]
pub(super) fn read_transport<F: Frame + ?Sized>(frame: &F, place: &Place, packet: &mut Packet) {
    let Place {
        at,
        whole,
        from_this_link,
    } = *place;
    packet.upper = at as u16;
    match packet.protocol {
        TCP => {
            let Some([_, _, high, low]) = frame.read::<4>(at) else {
                *packet = packet.malformed();
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
                *packet = packet.malformed();
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
            match frame.read::<5>(at + 8) {
                Some(begins) => quic::mark(begins, packet),
                None if !whole => packet.flags |= Packet::OPENS,
                None => {}
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

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const ICMPV6: u8 = 58;
