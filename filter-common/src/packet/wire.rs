//! Frames for tests, put together from their parts.

use std::{format, string::String, vec, vec::Vec};

use super::{
    Packet, TCP, UDP,
    ip::{AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING},
    transport::{ICMPV6, SYN},
};
use crate::bucket::Seed;

/// As the law reads it.
pub(crate) fn read(frame: &[u8]) -> Packet {
    super::read(frame)
}

/// A seed of no secret.
pub(crate) const SEED: Seed = Seed {
    key: [1, 2, 3, 4],
    reach: [1 << 29; 4],
    shifts: [0; 4],
    lines: 1024,
};

/// Each family, upper protocol, tags, and options or extension headers.
pub(crate) fn samples() -> Vec<(String, Vec<u16>, Vec<u8>)> {
    let chain: Vec<Extension> = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION]
        .map(|kind| extension(kind, u8::from(kind != FRAGMENT)))
        .into();
    let mut samples = Vec::new();
    for tags in [
        &[][..],
        &[0x8100],
        &[0x88a8, 0x8100],
        &[0x9100, 0x88a8, 0x8100, 0x8100],
    ] {
        for (protocol, payload) in [
            (TCP, tcp(SYN)),
            (UDP, udp(5000, 443, &[0xc0, 0, 0, 0, 1])),
            (ICMPV6, vec![135, 0, 0, 0]),
        ] {
            for (extras, ip) in [
                ("IPv4", v4(protocol, 0, 0, &payload)),
                ("IPv4 with options", v4(protocol, 10, 0, &payload)),
                ("IPv6", v6(&[], protocol, &payload)),
                ("IPv6 with extensions", v6(&chain, protocol, &payload)),
            ] {
                let name = format!("{extras}, protocol {protocol}, tags {tags:x?}");
                samples.push((name, tags.to_vec(), ip));
            }
        }
    }
    samples
}

/// Ethernet, with a tag for each ether type in `tags`.
pub(crate) fn frame(tags: &[u16], ip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    for tag in tags {
        bytes.extend_from_slice(&tag.to_be_bytes());
        bytes.extend_from_slice(&[0x20, 7]);
    }
    let ether_type: u16 = if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    bytes.extend_from_slice(&ether_type.to_be_bytes());
    bytes.extend_from_slice(ip);
    bytes
}

/// From 192.0.2.7 to 198.51.100.9.
pub(crate) fn v4(protocol: u8, option_words: usize, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let header = 20 + 4 * option_words;
    let mut bytes = vec![1; header];
    bytes[0] = 0x40 | (header / 4) as u8;
    bytes[2..4].copy_from_slice(&((header + payload.len()) as u16).to_be_bytes());
    bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
    bytes[9] = protocol;
    bytes[12..16].copy_from_slice(&[192, 0, 2, 7]);
    bytes[16..20].copy_from_slice(&[198, 51, 100, 9]);
    bytes.extend_from_slice(payload);
    bytes
}

/// An extension header; what comes next is written by [`v6`].
#[derive(Clone)]
pub(crate) struct Extension {
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
}

/// A header whose length byte says `size`.
pub(crate) fn extension(kind: u8, size: u8) -> Extension {
    let length = match kind {
        AUTHENTICATION => (usize::from(size) + 2) * 4,
        _ => (usize::from(size) + 1) * 8,
    };
    let mut bytes = vec![0; length];
    bytes[1] = size;
    Extension { kind, bytes }
}

/// With a hop limit of 255.
pub(crate) fn v6(chain: &[Extension], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 0, protocol, 255];
    bytes.extend_from_slice(&[0x20; 8]);
    bytes.extend_from_slice(&[0x21; 8]);
    bytes.extend_from_slice(&[0x30; 8]);
    bytes.extend_from_slice(&[0x31; 8]);
    let mut next_header = 6;
    for extension in chain {
        bytes[next_header] = extension.kind;
        next_header = bytes.len();
        bytes.extend_from_slice(&extension.bytes);
        bytes[next_header] = protocol;
    }
    bytes.extend_from_slice(payload);
    let length = (bytes.len() - 40) as u16;
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// The same first fragment in either family.
pub(crate) fn first_fragments(protocol: u8, payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut header = extension(FRAGMENT, 0);
    header.bytes[3] = 1;
    let chain = [extension(DESTINATION, 1), header];
    (
        frame(&[], &v4(protocol, 2, 0x2000, payload)),
        frame(&[], &v6(&chain, protocol, payload)),
    )
}

/// To port 443, without a payload.
pub(crate) fn tcp(flags: u8) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[..4].copy_from_slice(&[0x9c, 0x40, 1, 0xbb]);
    bytes[12] = 0x50;
    bytes[13] = flags;
    bytes
}

pub(crate) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&from.to_be_bytes());
    bytes.extend_from_slice(&to.to_be_bytes());
    bytes.extend_from_slice(&((payload.len() + 8) as u16).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(payload);
    bytes
}
