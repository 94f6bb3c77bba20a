use filter_common::packet::{self, Kind, Packet};

use super::{
    checksum::{checksum, pseudo},
    header::*,
    *,
};

const FROM: &str = "198.51.100.7";
const TO: &str = "192.0.2.1";
const FROM6: &str = "2001:db8::7";
const TO6: &str = "2001:db8:1::1";

#[test]
fn a_known_frame_has_its_known_checksums() {
    // RFC 1071 §3: the sum of these is ddf2.
    let known = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(checksum(&known), !0xddf2);

    let bytes = frame().ip(FROM, TO).udp(1, 2).payload([1, 2, 3]).build();
    assert_eq!(checksum(&bytes[14..34]), 0);
    let addresses = &bytes[26..34];
    let sum = checksum(&[pseudo(addresses, UDP, 11), bytes[34..].to_vec()].concat());
    assert_eq!(sum, 0, "a right checksum makes the sum 0");
}

#[test]
fn what_is_built_is_read_back() {
    for tags in 0..=4 {
        let mut base = frame();
        for _ in 0..tags {
            base = base.tag(0x8100);
        }
        let v4 = base.clone().ip(FROM, TO).options(3).tcp(40_000, 443).syn();
        let chain = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION];
        let mut v6 = base.ip(FROM6, TO6).tcp(40_000, 443).syn();
        for kind in chain {
            v6 = v6.extension(kind);
        }
        for frame in [v4, v6] {
            let packet = packet::read(frame.build().as_slice());
            assert!(matches!(packet.kind, Kind::Ip));
            assert_eq!((packet.protocol, packet.port), (TCP, 443));
            assert!(packet.is(Packet::PORT) && packet.is(Packet::OPENS));
        }
    }
}

#[test]
fn lengths_are_right_unless_said_otherwise() {
    let frame = frame().ip(FROM6, TO6).udp(1, 2).payload([0; 5]);
    let bytes = frame.build();
    assert_eq!(bytes[18..20], [0, 13], "the payload of IPv6");
    assert_eq!(bytes[58..60], [0, 13], "the length of UDP");
    let lying = frame.says_length(9).says_udp_length(2).build();
    assert_eq!((&lying[18..20], &lying[58..60]), (&[0, 9][..], &[0, 2][..]));
    assert_eq!(lying.len(), bytes.len());
}

#[test]
fn a_chain_names_what_follows() {
    let bytes = frame()
        .ip(FROM6, TO6)
        .extension(HOP_BY_HOP)
        .extension_of(AUTHENTICATION, authentication(12))
        .fragment(2, true)
        .protocol(SCTP)
        .build();
    assert_eq!(bytes[20], HOP_BY_HOP);
    assert_eq!(bytes[54..56], [AUTHENTICATION, 0]);
    assert_eq!(bytes[62..64], [FRAGMENT, 1]);
    assert_eq!(bytes[74..78], [SCTP, 0, 0, 17]);
}

#[test]
fn padding_fills_its_header_exactly() {
    for length in (8..=2048).step_by(8) {
        let bytes = padding(length);
        assert_eq!(bytes.len(), length);
        assert_eq!((usize::from(bytes[1]) + 1) * 8, length);
    }
}
