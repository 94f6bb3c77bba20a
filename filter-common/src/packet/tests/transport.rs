//! What the law asks of TCP, UDP and `ICMPv6`.

use std::vec;

use super::super::{
    transport::*,
    wire::{read, *},
    *,
};

#[test]
fn only_replies_of_a_dhcp_server_are_essential() {
    for (from, to, four, six) in [
        (67, 68, true, false),
        (547, 546, false, true),
        (68, 67, false, false),
        (546, 547, false, false),
        (67, 443, false, false),
        (443, 68, false, false),
    ] {
        for (protocol, payload) in [(UDP, udp(from, to, b"")), (TCP, udp(from, to, &[0; 12]))] {
            let packet = read(&frame(&[], &v4(protocol, 1, 0, &payload)));
            let expected = four && protocol == UDP;
            assert_eq!(packet.is(Packet::ESSENTIAL), expected, "{from} to {to}");
            let packet = read(&frame(&[], &v6(&[], protocol, &payload)));
            let expected = six && protocol == UDP;
            assert_eq!(packet.is(Packet::ESSENTIAL), expected, "{from} to {to}");
        }
        let (four, six) = first_fragments(UDP, &udp(from, to, &[0; 8]));
        assert!(!read(&four).is(Packet::ESSENTIAL) && !read(&six).is(Packet::ESSENTIAL));
    }
}

#[test]
fn neighbour_discovery_is_essential_if_no_router_forwarded_it() {
    for kind in 0..=255_u8 {
        for hops in [255, 254, 64, 0] {
            for code in [0, 1, 255] {
                let mut ip = v6(&[], ICMPV6, &[kind, code, 0, 0]);
                ip[7] = hops;
                let expected = if (133..=137).contains(&kind) && hops == 255 && code == 0 {
                    Packet::ESSENTIAL
                } else {
                    0
                };
                assert_eq!(
                    read(&frame(&[], &ip)).flags,
                    expected,
                    "{kind}/{code}, {hops}"
                );
            }
        }
        let in_ipv4 = v4(ICMPV6, 0, 0, &[kind, 0, 0, 0]);
        assert_eq!(read(&frame(&[], &in_ipv4)).flags, 0);
    }
}

#[test]
fn of_all_tcp_flags_syn_without_ack_opens() {
    for flags in 0..=255_u8 {
        let opens = flags & 0x02 != 0 && flags & 0x10 == 0;
        for ip in [v4(TCP, 3, 0, &tcp(flags)), v6(&[], TCP, &tcp(flags))] {
            let packet = read(&frame(&[0x8100], &ip));
            assert_eq!(packet.is(Packet::OPENS), opens, "flags {flags:02x}");
            assert!(packet.is(Packet::PORT) && packet.port == 443);
        }
    }
}

#[test]
fn of_all_long_headers_an_initial_opens_or_one_whose_types_nobody_knows_may() {
    let known = [
        (1_u32, 0),
        (0xff00_001d, 0),
        (0xff00_0020, 0),
        (0x6b33_43cf, 0x10),
    ];
    let unknown = [0, 2, 0x0a0a_0a0a, 0x5130_3436, 0x5130_3530, 0xface_b002];
    let versions = known
        .into_iter()
        .map(|(version, kind)| (version, Some(kind)));
    for (version, initial) in versions.chain(unknown.map(|version| (version, None))) {
        for first in 0..=255_u8 {
            let kind = first & 0x30;
            let expected = match initial {
                _ if first & 0x80 == 0 => 0,
                Some(initial) if kind == initial => Packet::OPENS,
                Some(_) => Packet::LONG,
                None if kind == 0 => Packet::LONG | Packet::INITIAL,
                None => Packet::LONG,
            };
            let mut payload = vec![first];
            payload.extend_from_slice(&version.to_be_bytes());
            let packet = read(&frame(&[], &v4(UDP, 0, 0, &udp(1, 443, &payload))));
            let told = packet.flags & !Packet::PORT;
            assert_eq!(told, expected, "{first:02x} {version:08x}");
            for cut in 0..5 {
                let short = v6(&[], UDP, &udp(1, 443, &payload[..cut]));
                assert_eq!(read(&frame(&[], &short)).flags, Packet::PORT);
            }
        }
    }
}
