//! A builder of frames, from Ethernet to the payload, with checksums that are
//! right: a real network stack takes what is built here.
//!
//! ```
//! use weir_tests::frame::frame;
//!
//! let hello = frame().ip("198.51.100.7", "192.0.2.1").tcp(40_000, 443).syn();
//! assert_eq!(hello.build().len(), 14 + 20 + 20);
//! ```
//!
//! What is wrong on purpose is said: [`Frame::ihl`], [`Frame::says_length`],
//! [`Frame::says_udp_length`], [`Frame::cut`].

use std::net::IpAddr;

mod bytes;
mod checksum;
pub mod fragments;
pub mod header;
pub mod quic;

/// Ethernet with nothing behind it yet.
#[must_use]
pub const fn frame() -> Frame {
    Frame {
        to: [2, 0, 0, 0, 0, 1],
        from: [2, 0, 0, 0, 0, 2],
        tags: Vec::new(),
        ether_type: None,
        addresses: None,
        version: None,
        hops: 64,
        ihl: None,
        options: Vec::new(),
        fragment: 0,
        chain: Vec::new(),
        says_length: None,
        says_udp_length: None,
        upper: Upper::Nothing,
        payload: Vec::new(),
        cut: None,
    }
}

/// A frame that is written in hexadecimal digits.
///
/// # Panics
/// If it isn't.
#[must_use]
pub fn written(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "a byte has two digits");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// A frame as it is put together.
#[derive(Clone, Debug)]
pub struct Frame {
    to: [u8; 6],
    from: [u8; 6],
    tags: Vec<(u16, u16)>,
    ether_type: Option<u16>,
    addresses: Option<(IpAddr, IpAddr)>,
    version: Option<u8>,
    hops: u8,
    ihl: Option<u8>,
    options: Vec<u8>,
    fragment: u16,
    chain: Vec<(u8, Vec<u8>)>,
    says_length: Option<u16>,
    says_udp_length: Option<u16>,
    upper: Upper,
    payload: Vec<u8>,
    cut: Option<usize>,
}

/// What stands behind the IP headers.
#[derive(Clone, Copy, Debug)]
enum Upper {
    Nothing,
    Tcp { ports: (u16, u16), flags: u8 },
    Udp { ports: (u16, u16) },
    Icmp { kind: u8, code: u8 },
    Other(u8),
}

impl Frame {
    /// From this hardware address to that.
    #[must_use]
    pub const fn ethernet(mut self, from: [u8; 6], to: [u8; 6]) -> Self {
        self.from = from;
        self.to = to;
        self
    }

    /// One more VLAN tag of this type, inside those there are.
    #[must_use]
    pub fn tag(mut self, ether_type: u16) -> Self {
        self.tags.push((ether_type, VLAN));
        self
    }

    /// The same of VLAN 0, which only gives a priority (IEEE 802.1Q §6.9.1): who
    /// receives it goes on as if it weren't there.
    #[must_use]
    pub fn priority_tag(mut self, ether_type: u16) -> Self {
        self.tags.push((ether_type, 0));
        self
    }

    /// Another ether type than that of the addresses.
    #[must_use]
    pub const fn ether_type(mut self, ether_type: u16) -> Self {
        self.ether_type = Some(ether_type);
        self
    }

    /// From one address to another, both of one family.
    ///
    /// # Panics
    /// If they aren't addresses of one family.
    #[must_use]
    pub fn ip(mut self, source: &str, destination: &str) -> Self {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (source, destination) = (parse(source), parse(destination));
        assert_eq!(source.is_ipv4(), destination.is_ipv4(), "one family");
        self.addresses = Some((source, destination));
        self
    }

    /// The same from another source of the same family.
    ///
    /// # Panics
    /// If it has no addresses yet, or `source` isn't of their family.
    #[must_use]
    pub fn source(self, source: &str) -> Self {
        let (_, destination) = self.addresses.expect("a frame with addresses");
        self.ip(source, &destination.to_string())
    }

    /// The IP header says this version.
    #[must_use]
    pub const fn version(mut self, version: u8) -> Self {
        self.version = Some(version);
        self
    }

    /// Time to live, or hop limit.
    #[must_use]
    pub const fn hops(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// IPv4 options: so many words, "no operation" and an end.
    #[must_use]
    pub fn options(mut self, words: usize) -> Self {
        self.options = vec![1; words * 4];
        if let Some(last) = self.options.last_mut() {
            *last = 0;
        }
        self
    }

    /// The IPv4 header says that it is so many words long.
    #[must_use]
    pub const fn ihl(mut self, words: u8) -> Self {
        self.ihl = Some(words);
        self
    }

    /// The fragment that begins at eight times `offset`, with `more` behind it:
    /// in IPv6 one more extension header. A later one has a payload only; say
    /// which protocol by [`protocol`](Self::protocol).
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        if self.is_v4() {
            self.fragment = offset | u16::from(more) << 13;
        } else {
            let bytes = header::fragment(offset, more);
            self.chain.push((header::FRAGMENT, bytes));
        }
        self
    }

    /// One more IPv6 extension header of the shortest kind.
    #[must_use]
    pub fn extension(self, kind: u8) -> Self {
        self.extension_of(kind, header::extension(kind))
    }

    /// One more IPv6 extension header; its first byte is written by
    /// [`build`](Self::build).
    #[must_use]
    pub fn extension_of(mut self, kind: u8, bytes: Vec<u8>) -> Self {
        self.chain.push((kind, bytes));
        self
    }

    /// The IP header says this length: of IPv4 the total, of IPv6 the payload's.
    #[must_use]
    pub const fn says_length(mut self, length: u16) -> Self {
        self.says_length = Some(length);
        self
    }

    /// TCP, with ACK.
    #[must_use]
    pub const fn tcp(mut self, from: u16, to: u16) -> Self {
        self.upper = Upper::Tcp {
            ports: (from, to),
            flags: ACK,
        };
        self
    }

    /// TCP's flags.
    #[must_use]
    pub const fn flags(mut self, to_be: u8) -> Self {
        if let Upper::Tcp { flags, .. } = &mut self.upper {
            *flags = to_be;
        }
        self
    }

    /// TCP that opens a connection.
    #[must_use]
    pub const fn syn(self) -> Self {
        self.flags(SYN)
    }

    /// UDP.
    #[must_use]
    pub const fn udp(mut self, from: u16, to: u16) -> Self {
        self.upper = Upper::Udp { ports: (from, to) };
        self
    }

    /// The UDP header says this length.
    #[must_use]
    pub const fn says_udp_length(mut self, length: u16) -> Self {
        self.says_udp_length = Some(length);
        self
    }

    /// ICMP or `ICMPv6`, as the addresses are.
    #[must_use]
    pub const fn icmp(mut self, kind: u8, code: u8) -> Self {
        self.upper = Upper::Icmp { kind, code };
        self
    }

    /// Any other protocol: the payload is all there is of it.
    #[must_use]
    pub const fn protocol(mut self, number: u8) -> Self {
        self.upper = Upper::Other(number);
        self
    }

    /// What stands behind the last header.
    #[must_use]
    pub fn payload(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = bytes.into();
        self
    }

    /// The frame ends after so many bytes, whatever its headers say.
    #[must_use]
    pub const fn cut(mut self, length: usize) -> Self {
        self.cut = Some(length);
        self
    }

    /// The bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.to);
        bytes.extend_from_slice(&self.from);
        for (ether_type, control) in &self.tags {
            bytes.extend_from_slice(&ether_type.to_be_bytes());
            bytes.extend_from_slice(&control.to_be_bytes());
        }
        let ether_type = self.ether_type.unwrap_or(match self.addresses {
            Some((IpAddr::V6(_), _)) => 0x86dd,
            Some((IpAddr::V4(_), _)) => 0x0800,
            None => LOCAL_EXPERIMENT,
        });
        bytes.extend_from_slice(&ether_type.to_be_bytes());
        match self.addresses {
            Some((IpAddr::V4(source), IpAddr::V4(destination))) => {
                self.v4(&mut bytes, source, destination);
            }
            Some((IpAddr::V6(source), IpAddr::V6(destination))) => {
                self.v6(&mut bytes, source, destination);
            }
            _ => bytes.extend_from_slice(&self.payload),
        }
        if let Some(length) = self.cut {
            bytes.truncate(length);
        }
        bytes
    }

    pub(crate) const fn is_v4(&self) -> bool {
        matches!(self.addresses, Some((IpAddr::V4(_), _)))
    }

    const fn number(&self) -> u8 {
        match self.upper {
            Upper::Nothing => header::NO_NEXT_HEADER,
            Upper::Tcp { .. } => header::TCP,
            Upper::Udp { .. } => header::UDP,
            Upper::Icmp { .. } if self.is_v4() => header::ICMP,
            Upper::Icmp { .. } => header::ICMPV6,
            Upper::Other(number) => number,
        }
    }
}

/// TCP's flag that opens a connection.
pub const SYN: u8 = 0x02;
/// TCP's flag that all packets but the first have.
pub const ACK: u8 = 0x10;

/// VLAN 7.
const VLAN: u16 = 7;

/// IEEE 802 local experimental ether type.
const LOCAL_EXPERIMENT: u16 = 0x88b5;

#[cfg(test)]
mod tests;
