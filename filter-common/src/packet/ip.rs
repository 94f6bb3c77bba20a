//! The headers of IP: IPv4 with options, IPv6 with extension headers.

use super::{
    Kind, MAX_EXTENSIONS, Packet, TCP, UDP,
    transport::{Place, read_transport},
};
use crate::{frame::Frame, source::Address};

/// RFC 791 §3.1.
#[inline(always)]
pub(super) fn read_v4<F: Frame + ?Sized>(frame: &F, offset: usize, length: u32) -> Packet {
    let mut packet = Packet::unread(Kind::Unreadable, length);
    let Some(header) = frame.read::<20>(offset) else {
        return packet;
    };
    if header[0] >> 4 != 4 {
        return packet;
    }
    packet.kind = Kind::Ip;
    packet.source = Address::v4([header[12], header[13], header[14], header[15]]);
    packet.destination[1] =
        u32::from_be_bytes([header[16], header[17], header[18], header[19]]) as u64;
    packet.protocol = header[9];

    let header_length = usize::from(header[0] & 0xf) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if header_length < 20 {
        return packet.malformed();
    }
    if fragment & 0x1fff != 0 {
        hide(&mut packet);
        return packet;
    }
    let whole = fragment & 0x2000 == 0;
    let place = Place {
        at: frame.offset(offset + header_length),
        whole,
        from_this_link: false,
    };
    read_transport(frame, &place, &mut packet);
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    judge_first_fragment(&mut packet, whole, header_length, end);
    packet
}

/// RFC 8200. A step reads four bytes and adds one length: this is what keeps
/// the verifier's work in bounds.
#[inline(always)]
pub(super) fn read_v6<F: Frame + ?Sized>(frame: &F, offset: usize, length: u32) -> Packet {
    let mut packet = Packet::unread(Kind::Unreadable, length);
    let Some(header) = frame.read::<8>(offset) else {
        return packet;
    };
    if header[0] >> 4 != 6 {
        return packet;
    }
    let (Some(source_high), Some(source_low), Some(high), Some(low)) = (
        frame.read::<8>(offset + 8),
        frame.read::<8>(offset + 16),
        frame.read::<8>(offset + 24),
        frame.read::<8>(offset + 32),
    ) else {
        return packet;
    };
    packet.kind = Kind::Ip;
    packet.source = Address::v6(source_high, source_low);
    packet.destination = [u64::from_be_bytes(high), u64::from_be_bytes(low)];
    packet.protocol = header[6];

    let from_this_link = header[7] == 255;
    let mut whole = true;
    let mut at = offset + 40;
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(packet.protocol) {
            break;
        }
        let Some([next, size, high, low]) = frame.read::<4>(at) else {
            return packet.malformed();
        };
        let step = match packet.protocol {
            // RFC 4302 §2.2: in units of four bytes, less two.
            AUTHENTICATION => (size as usize + 2) * 4,
            FRAGMENT => 8,
            _ => (size as usize + 1) * 8,
        };
        if packet.protocol == FRAGMENT {
            packet.protocol = next;
            let fragment = u16::from_be_bytes([high, low]);
            // RFC 8200 §4.5: only the first fragment's Next Header counts, so
            // that of a later one may lie and hides a port whatever it says.
            if fragment & 0xfff8 != 0 {
                packet.flags = Packet::HIDDEN;
                return packet;
            }
            // An atomic fragment (RFC 6946) is whole.
            if fragment & 1 != 0 {
                whole = false;
            }
        } else {
            packet.protocol = next;
        }
        at = frame.offset(at + step);
    }
    if is_extension(packet.protocol) {
        return packet.malformed();
    }
    let place = Place {
        at,
        whole,
        from_this_link,
    };
    read_transport(frame, &place, &mut packet);
    let payload = u16::from_be_bytes([header[4], header[5]]);
    let end = offset + 40 + usize::from(payload);
    judge_first_fragment(&mut packet, whole, at, end);
    packet
}

/// Judges a first fragment by where it ends itself, not by where the frame does:
/// Ethernet fills short frames, anybody can send more behind a packet, and neither is
/// part of what is put together again.
///
/// One that ends before its upper header has eight bytes has nothing of it, since
/// fragments are cut at multiples of eight (RFC 8200 §4.5 wants all headers in it);
/// one of less than [`TELLING`] bytes of TCP or UDP doesn't tell what it opens.
#[inline(always)]
const fn judge_first_fragment(packet: &mut Packet, whole: bool, at: usize, end: usize) {
    if whole {
        return;
    }
    // QUIC is never in fragments (RFC 9000 §14): so nobody is believed which handshake
    // these belong to.
    packet.upper = 0;
    if end < at + EIGHT {
        *packet = packet.malformed();
    } else if end < at + TELLING && (packet.protocol == TCP || packet.protocol == UDP) {
        packet.flags = Packet::PORT | Packet::OPENS;
    }
}

/// Marks the port as hidden, if there is one: the protocol of an IPv4 fragment
/// is part of what it is put together by, so it can't lie.
#[inline(always)]
const fn hide(packet: &mut Packet) {
    if packet.protocol == TCP || packet.protocol == UDP {
        packet.flags = Packet::HIDDEN;
    }
}

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6
    )
}

/// Bytes that hold TCP's flags, and QUIC's version behind UDP. Fewer tell nothing, even if
/// the flags are in them: Linux takes of an IPv4 fragment as many bytes as are a multiple
/// of eight, and the rest from the next one.
const TELLING: usize = 16;

/// What fragments are cut at multiples of.
const EIGHT: usize = 8;

// IANA "IPv6 Extension Header Types"; ESP isn't among them here: what is
// behind it can't be read by anybody but its receiver.
pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const AUTHENTICATION: u8 = 51;
pub(super) const DESTINATION: u8 = 60;
pub(super) const MOBILITY: u8 = 135;
pub(super) const HIP: u8 = 139;
pub(super) const SHIM6: u8 = 140;
