//! A packet: what a frame means, read once.
//!
//! The source is read before anything behind it and doesn't depend on it: a
//! bad header length, a fragment or an endless chain of extension headers
//! hides the port from the rates, never the source from its verdict.

mod ip;
pub(crate) mod quic;
mod transport;

use ip::{read_v4, read_v6};

use crate::{
    frame::Frame,
    source::{Address, Family},
};

/// VLAN tags that are looked behind (IEEE 802.1Q and 802.1ad): twice as many as any
/// network stacks. Linux takes off any number of them that only say a priority.
pub const MAX_TAGS: usize = 8;

/// IPv6 extension headers that are looked behind (RFC 8200 §4).
pub const MAX_EXTENSIONS: usize = 8;

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;

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
    /// The words of the address that it goes to.
    pub(crate) destination: [u64; 2],
    /// IP protocol number; of a chain of extension headers that couldn't be
    /// read to its end, the last one known.
    pub protocol: u8,
    /// Destination port, if [`PORT`](Self::PORT) is set.
    pub port: u16,
    /// Bytes of the whole frame.
    pub length: u32,
    flags: u8,
    /// Offset of the upper header, if the port was read of a whole packet; else 0.
    upper: u16,
}

impl Packet {
    /// The port was read.
    pub const PORT: u8 = 1;
    /// A later fragment, which hides the port.
    pub const HIDDEN: u8 = 2;
    /// It opens a connection, or is too short to tell.
    pub const OPENS: u8 = 4;
    /// DHCP reply or IPv6 neighbour discovery.
    pub const ESSENTIAL: u8 = 8;
    /// No genuine stack sends it, and its kind can't be read: more tags or extension
    /// headers than are looked behind, or an end before the header of its protocol.
    /// (A receiver may drop these: RFC 7112 §5, RFC 8504 §5.3.)
    pub const MALFORMED: u8 = 16;
    /// A datagram that begins like a long header of QUIC (RFC 8999 §5.1): of a version
    /// that isn't known, or another packet than an Initial.
    pub const LONG: u8 = 32;
    /// A [long header](Self::LONG) whose type is that of an Initial, if its version has
    /// the types of QUIC 1.
    pub const INITIAL: u8 = 64;

    /// Its source is IPv4 and its header IPv6's.
    pub const OVER_IPV6: u8 = 128;

    /// Whether a flag is set.
    #[inline(always)]
    #[must_use]
    pub const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it may begin a handshake of QUIC, or be the rest of one.
    #[inline(always)]
    #[must_use]
    pub const fn shakes_hands(&self) -> bool {
        self.protocol == UDP && self.is(Self::OPENS | Self::LONG)
    }

    /// The address that it goes to: of the source's family, but where an IPv4 node came
    /// [over IPv6](Self::OVER_IPV6).
    #[inline(always)]
    #[must_use]
    pub const fn destination(&self) -> Address {
        let over_ipv6 = (self.flags & Self::OVER_IPV6) >> OVER_IPV6_TO_FAMILY;
        Address {
            family: Family::of(self.source.family as u8 | over_ipv6),
            high: self.destination[0],
            low: self.destination[1],
        }
    }

    const fn unread(kind: Kind, length: u32) -> Self {
        Self {
            kind,
            source: Address::v4([0; 4]),
            destination: [0; 2],
            protocol: 0,
            port: 0,
            length,
            flags: 0,
            upper: 0,
        }
    }

    /// The same, marked as [malformed](Self::MALFORMED) and nothing else.
    #[inline(always)]
    const fn malformed(mut self) -> Self {
        self.flags = Self::MALFORMED;
        self
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
        let numbers = forget(self.length as u64 | (self.upper as u64) << 32);
        Self {
            kind: match word as u8 {
                0 => Kind::NotIp,
                1 => Kind::Unreadable,
                _ => Kind::Ip,
            },
            source: Address {
                family: Family::of((word >> 8) as u8),
                high: forget(self.source.high),
                low: forget(self.source.low),
            },
            destination: self.destination.map(&forget),
            protocol: (word >> 16) as u8,
            flags: (word >> 24) as u8,
            port: (word >> 32) as u16,
            length: numbers as u32,
            upper: (numbers >> 32) as u16,
        }
    }
}

/// From [`Packet::OVER_IPV6`] to the bit in which the families' numbers differ.
const OVER_IPV6_TO_FAMILY: u32 = 6;
const _: () = assert!(
    Packet::OVER_IPV6 >> OVER_IPV6_TO_FAMILY == Family::V4 as u8 ^ Family::V6 as u8
        && Family::V4 as u8 & Family::V6 as u8 == Family::V4 as u8
);

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
    let offset = frame.offset(offset);
    match ether_type {
        0x0800 => read_v4(frame, offset, length),
        0x86dd => {
            let mut packet = read_v6(frame, offset, length);
            if packet.kind as u8 == Kind::Ip as u8 {
                packet.source = packet.source.canonical();
                let over_ipv6 = packet.source.family as u8 ^ Family::V6 as u8;
                packet.flags |= over_ipv6 << OVER_IPV6_TO_FAMILY;
            }
            packet
        }
        // The stack reads on behind any number of tags that only say a priority.
        _ if is_tag(ether_type) => Packet::unread(Kind::Unreadable, length).malformed(),
        _ => Packet::unread(Kind::NotIp, length),
    }
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod wire;
