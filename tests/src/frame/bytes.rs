//! The bytes of a frame's IP headers and of what stands behind them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    Frame, Upper,
    checksum::{checksum, pseudo},
    header,
};

impl Frame {
    /// RFC 791 §3.1.
    pub(super) fn v4(&self, bytes: &mut Vec<u8>, source: Ipv4Addr, destination: Ipv4Addr) {
        let (source, destination) = (source.octets(), destination.octets());
        let upper = self.upper(&[source, destination].concat());
        let length = 20 + self.options.len();
        let total = self
            .says_length
            .unwrap_or_else(|| (length + upper.len()) as u16);
        let words = self.ihl.unwrap_or((length / 4) as u8);
        let start = bytes.len();
        bytes.extend_from_slice(&[self.version.unwrap_or(4) << 4 | words, 0]);
        bytes.extend_from_slice(&total.to_be_bytes());
        bytes.extend_from_slice(&IDENTIFICATION.to_be_bytes());
        bytes.extend_from_slice(&self.fragment.to_be_bytes());
        bytes.extend_from_slice(&[self.hops, self.number(), 0, 0]);
        bytes.extend_from_slice(&source);
        bytes.extend_from_slice(&destination);
        bytes.extend_from_slice(&self.options);
        let sum = checksum(&bytes[start..]);
        bytes[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend_from_slice(&upper);
    }

    /// RFC 8200 §3 and §4.
    pub(super) fn v6(&self, bytes: &mut Vec<u8>, source: Ipv6Addr, destination: Ipv6Addr) {
        let (source, destination) = (source.octets(), destination.octets());
        let upper = self.upper(&[source, destination].concat());
        let behind = self.chain.iter().skip(1).map(|(kind, _)| *kind);
        let chain: Vec<u8> = self
            .chain
            .iter()
            .zip(behind.chain([self.number()]))
            .flat_map(|((_, header), next)| std::iter::once(next).chain(header[1..].to_vec()))
            .collect();
        let payload = self
            .says_length
            .unwrap_or_else(|| (chain.len() + upper.len()) as u16);
        let first = self.chain.first();
        let first = first.map_or_else(|| self.number(), |(kind, _)| *kind);
        bytes.extend_from_slice(&[self.version.unwrap_or(6) << 4, 0, 0, 0]);
        bytes.extend_from_slice(&payload.to_be_bytes());
        bytes.extend_from_slice(&[first, self.hops]);
        bytes.extend_from_slice(&source);
        bytes.extend_from_slice(&destination);
        bytes.extend_from_slice(&chain);
        bytes.extend_from_slice(&upper);
    }

    /// The header of the upper protocol, and the payload.
    fn upper(&self, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sum_at = match self.upper {
            Upper::Nothing | Upper::Other(_) => None,
            // RFC 9293 §3.1.
            Upper::Tcp {
                ports: (from, to),
                flags,
            } => {
                bytes.extend_from_slice(&from.to_be_bytes());
                bytes.extend_from_slice(&to.to_be_bytes());
                bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags]);
                bytes.extend_from_slice(&[0xff, 0xff, 0, 0, 0, 0]);
                Some(16)
            }
            Upper::Udp { ports: (from, to) } => {
                let length = self
                    .says_udp_length
                    .unwrap_or_else(|| (8 + self.payload.len()) as u16);
                bytes.extend_from_slice(&from.to_be_bytes());
                bytes.extend_from_slice(&to.to_be_bytes());
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&[0, 0]);
                Some(6)
            }
            Upper::Icmp { kind, code } => {
                bytes.extend_from_slice(&[kind, code, 0, 0]);
                Some(2)
            }
        };
        bytes.extend_from_slice(&self.payload);
        if let Some(at) = sum_at {
            let number = self.number();
            let sum = if number == header::ICMP {
                checksum(&bytes)
            } else {
                checksum(&[pseudo(addresses, number, bytes.len()), bytes.clone()].concat())
            };
            // RFC 768: of UDP, 0 means that there is none.
            let none = number == header::UDP && sum == 0;
            let sum = if none { u16::MAX } else { sum };
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }
}

/// All fragments are of one packet.
const IDENTIFICATION: u16 = 0x7765;
