//! A packet: what a frame means, read once.
//!
//! The source is read before anything behind it and doesn't depend on it: a
//! bad header length, a fragment or an endless chain of extension headers
//! hides the port from the rates, never the source from its verdict.

use crate::{
    frame::Frame,
    source::{Address, Family},
};

/// VLAN tags that are looked behind (IEEE 802.1Q and 802.1ad).
pub const MAX_TAGS: usize = 4;

/// IPv6 extension headers that are looked behind (RFC 8200 §4).
pub const MAX_EXTENSIONS: usize = 8;

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// How far a frame could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Neither IPv4 nor IPv6.
    NotIp = 0,
    /// No source can be read.
    Unreadable = 1,
    /// IP, with a source.
    Ip = 2,
}

/// A frame once read. Plain fields and flags: the verifier of the kernel
/// refuses an `Option` that lives across the packet path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// How far the frame could be read.
    pub kind: Kind,
    /// The address that it came from.
    pub source: Address,
    /// The address that it goes to.
    pub destination: Address,
    /// IP protocol number; of a chain of extension headers that couldn't be
    /// read to its end, the last one known.
    pub protocol: u8,
    /// Destination port, if [`PORT`](Self::PORT) is set.
    pub port: u16,
    /// Bytes of the whole frame.
    pub length: u32,
    flags: u8,
}

impl Packet {
    /// The port was read.
    pub const PORT: u8 = 1;
    /// A port belongs here, but a later fragment, a short frame or a long
    /// chain of headers hides it.
    pub const HIDDEN: u8 = 2;
    /// It opens a connection, or is too short to tell.
    pub const OPENS: u8 = 4;
    /// DHCP reply or IPv6 neighbour discovery.
    pub const ESSENTIAL: u8 = 8;

    /// Whether a flag is set.
    #[inline(always)]
    #[must_use]
    pub const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    const fn unread(kind: Kind, length: u32) -> Self {
        Self {
            kind,
            source: Address::v4([0; 4]),
            destination: Address::v4([0; 4]),
            protocol: 0,
            port: 0,
            length,
            flags: 0,
        }
    }

    /// The same packet, all that is known of it passed through `forget` (see
    /// [`Frame::forget`]).
    #[inline(always)]
    #[must_use]
    pub fn forgotten(&self, forget: impl Fn(u64) -> u64) -> Self {
        let word = forget(
            self.kind as u64
                | (self.source.family as u64) << 8
                | (self.protocol as u64) << 16
                | (self.flags as u64) << 24
                | (self.port as u64) << 32,
        );
        let family = match (word >> 8) as u8 {
            4 => Family::V4,
            _ => Family::V6,
        };
        let address = |address: Address| Address {
            family,
            high: forget(address.high),
            low: forget(address.low),
        };
        Self {
            kind: match word as u8 {
                0 => Kind::NotIp,
                1 => Kind::Unreadable,
                _ => Kind::Ip,
            },
            source: address(self.source),
            destination: address(self.destination),
            protocol: (word >> 16) as u8,
            flags: (word >> 24) as u8,
            port: (word >> 32) as u16,
            length: forget(self.length as u64) as u32,
        }
    }
}

/// Reads a frame: Ethernet, VLAN tags, IPv4 with options or IPv6 with
/// extension headers, and of TCP, UDP and `ICMPv6` what the law asks for.
#[inline(always)]
pub fn read<F: Frame + ?Sized>(frame: &F) -> Packet {
    // What steers the branches of the law, through the eye of the needle: it is
    // judged once, not once for each way through the headers.
    read_link(frame).forgotten(|number| frame.forget(number))
}

#[inline(always)]
fn read_link<F: Frame + ?Sized>(frame: &F) -> Packet {
    let length = frame.length();
    let Some(bytes) = frame.read::<2>(12) else {
        return Packet::unread(Kind::Unreadable, length);
    };
    let mut ether_type = u16::from_be_bytes(bytes);
    let mut offset = 14;
    for _ in 0..MAX_TAGS {
        if !is_tag(ether_type) {
            break;
        }
        let Some(bytes) = frame.read::<2>(offset + 2) else {
            return Packet::unread(Kind::Unreadable, length);
        };
        ether_type = u16::from_be_bytes(bytes);
        offset += 4;
    }
    let offset = frame.forget(offset as u64) as usize & 0x1f;
    match ether_type {
        0x0800 => read_v4(frame, offset, length),
        0x86dd => read_v6(frame, offset, length),
        // What hides behind a fifth tag may well be IP.
        _ if is_tag(ether_type) => Packet::unread(Kind::Unreadable, length),
        _ => Packet::unread(Kind::NotIp, length),
    }
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100)
}

/// RFC 791 §3.1.
#[inline(always)]
fn read_v4<F: Frame + ?Sized>(frame: &F, offset: usize, length: u32) -> Packet {
    let mut packet = Packet::unread(Kind::Unreadable, length);
    let Some(header) = frame.read::<20>(offset) else {
        return packet;
    };
    if header[0] >> 4 != 4 {
        return packet;
    }
    packet.kind = Kind::Ip;
    packet.source = Address::v4([header[12], header[13], header[14], header[15]]);
    packet.destination = Address::v4([header[16], header[17], header[18], header[19]]);
    packet.protocol = header[9];

    let header_length = usize::from(header[0] & 0xf) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if header_length < 20 || fragment & 0x1fff != 0 {
        hide(&mut packet);
        return packet;
    }
    let whole = fragment & 0x2000 == 0;
    read_transport(frame, offset + header_length, whole, false, &mut packet);
    let total = u16::from_be_bytes([header[2], header[3]]);
    if !whole && usize::from(total) < header_length + TELLING {
        open(&mut packet);
    }
    packet
}

/// RFC 8200. A step reads four bytes and adds one length: this is what keeps
/// the verifier's work in bounds.
#[inline(always)]
fn read_v6<F: Frame + ?Sized>(frame: &F, offset: usize, length: u32) -> Packet {
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
    packet.destination = Address::v6(high, low);
    packet.protocol = header[6];

    let from_this_link = header[7] == 255;
    let mut whole = true;
    let mut at = offset + 40;
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(packet.protocol) {
            break;
        }
        let Some([next, size, high, low]) = frame.read::<4>(at) else {
            packet.flags = Packet::HIDDEN | Packet::OPENS;
            return packet;
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
        at = frame.forget((at + step) as u64) as usize;
        if at > MAX_HEADERS {
            packet.flags = Packet::HIDDEN;
            return packet;
        }
    }
    if is_extension(packet.protocol) {
        packet.flags = Packet::HIDDEN | Packet::OPENS;
        return packet;
    }
    read_transport(frame, at, whole, from_this_link, &mut packet);
    let payload = u16::from_be_bytes([header[4], header[5]]);
    if !whole && offset + 40 + usize::from(payload) < at + TELLING {
        open(&mut packet);
    }
    packet
}

/// Marks the port as hidden, if there is one: the protocol of an IPv4 fragment
/// is part of what it is put together by, so it can't lie.
#[inline(always)]
const fn hide(packet: &mut Packet) {
    if packet.protocol == TCP || packet.protocol == UDP {
        packet.flags = Packet::HIDDEN;
    }
}

/// Counts a first fragment that ends before it could tell as one that opens a
/// connection. Its own length decides, not the frame's: Ethernet fills short
/// frames up to 60 bytes, and the filling would be read as the answer.
#[inline(always)]
const fn open(packet: &mut Packet) {
    if packet.protocol == TCP || packet.protocol == UDP {
        packet.flags |= Packet::OPENS;
    }
}

#[inline(always)]
fn read_transport<F: Frame + ?Sized>(
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

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6
    )
}

/// No chain of [`MAX_EXTENSIONS`] headers is longer; it is asked only so that
/// the verifier knows.
const MAX_HEADERS: usize = 0x4fff;

/// Bytes of TCP up to its flags, and of UDP and QUIC up to the version: a
/// fragment is cut at multiples of eight, so 16 bytes tell and 8 don't.
const TELLING: usize = 14;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

// IANA "IPv6 Extension Header Types"; ESP isn't among them here: what is
// behind it can't be read by anybody but its receiver.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod wire;
