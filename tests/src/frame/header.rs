//! Protocol numbers, extension headers, and the payloads of some protocols.

/// An IPv6 extension header of this kind, as short as can be. Its first byte is
/// left to who builds the frame.
#[must_use]
pub fn extension(kind: u8) -> Vec<u8> {
    match kind {
        FRAGMENT => fragment(0, false),
        AUTHENTICATION => authentication(24),
        // Segments left: none, so that this is the destination.
        ROUTING => vec![0, 0, 4, 0, 0, 0, 0, 0],
        // RFC 6275 §6.1.1: no payload, then a binding refresh request.
        MOBILITY => vec![0, 0, 0, 0, 0, 0, 0, 0],
        _ => padding(8),
    }
}

/// Options of nothing but padding (RFC 8200 §4.2), `length` bytes in all.
///
/// # Panics
/// If that isn't a multiple of 8 that a header can say.
#[must_use]
pub fn padding(length: usize) -> Vec<u8> {
    assert!(length.is_multiple_of(8) && (8..=2048).contains(&length));
    let mut bytes = vec![0, (length / 8 - 1) as u8];
    while bytes.len() < length {
        // One option of PadN holds at most 255 bytes.
        let left = length - bytes.len();
        if left == 1 {
            bytes.push(0);
        } else {
            let inside = (left - 2).min(255);
            bytes.extend_from_slice(&[1, inside as u8]);
            bytes.resize(bytes.len() + inside, 0);
        }
    }
    bytes
}

/// An authentication header of `length` bytes (RFC 4302 §2).
///
/// # Panics
/// If that isn't a multiple of 4 that a header can say.
#[must_use]
pub fn authentication(length: usize) -> Vec<u8> {
    assert!(length.is_multiple_of(4) && (12..=1028).contains(&length));
    let mut bytes = vec![0, (length / 4 - 2) as u8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    bytes.resize(length, 0xaa);
    bytes
}

/// A fragment header (RFC 8200 §4.5), `offset` in units of eight bytes.
#[must_use]
pub fn fragment(offset: u16, more: bool) -> Vec<u8> {
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    vec![0, 0, high, low, 0x77, 0x65, 0x69, 0x72]
}

/// A QUIC Initial of version 1, filled up as clients must (RFC 9000 §14.1).
#[must_use]
pub fn quic_initial() -> Vec<u8> {
    let mut bytes = vec![0xc3, 0, 0, 0, 1, 8];
    bytes.extend_from_slice(&[0x11; 8]);
    bytes.resize(1_200, 0);
    bytes
}

/// An Initial of another version, or of another connection id.
#[must_use]
pub fn quic_initial_of(version: u32, id: [u8; 8]) -> Vec<u8> {
    let mut bytes = quic_initial();
    bytes[1..5].copy_from_slice(&version.to_be_bytes());
    bytes[6..14].copy_from_slice(&id);
    bytes
}

/// A QUIC packet inside a connection: a short header (RFC 9000 §17.3).
#[must_use]
pub fn quic_short() -> Vec<u8> {
    vec![0x43; 60]
}

/// A DHCP offer (RFC 2131 §2).
#[must_use]
pub fn dhcp_offer() -> Vec<u8> {
    let mut bytes = vec![2, 1, 6, 0];
    bytes.resize(236, 0);
    bytes.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 2, 0xff]);
    bytes
}

/// What follows type, code and checksum of a neighbour solicitation or
/// advertisement (RFC 4861 §4.3 and §4.4).
///
/// # Panics
/// If `target` is no IPv6 address.
#[must_use]
pub fn neighbour(target: &str) -> Vec<u8> {
    let target: std::net::Ipv6Addr = target.parse().expect("an IPv6 address");
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&target.octets());
    bytes
}

/// ICMP
pub const ICMP: u8 = 1;
/// TCP
pub const TCP: u8 = 6;
/// UDP
pub const UDP: u8 = 17;
/// Generic routing encapsulation.
pub const GRE: u8 = 47;
/// Encapsulating security payload.
pub const ESP: u8 = 50;
/// `ICMPv6`
pub const ICMPV6: u8 = 58;
/// Nothing follows.
pub const NO_NEXT_HEADER: u8 = 59;
/// SCTP
pub const SCTP: u8 = 132;
/// Set aside for trying things out (RFC 3692).
pub const EXPERIMENT: u8 = 253;

/// Hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Routing header.
pub const ROUTING: u8 = 43;
/// Fragment header.
pub const FRAGMENT: u8 = 44;
/// Authentication header.
pub const AUTHENTICATION: u8 = 51;
/// Destination options.
pub const DESTINATION: u8 = 60;
/// Mobility header.
pub const MOBILITY: u8 = 135;
/// Host identity protocol.
pub const HIP: u8 = 139;
/// Shim6
pub const SHIM6: u8 = 140;
