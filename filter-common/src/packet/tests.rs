mod transport;

use std::{format, vec, vec::Vec};

use proptest::prelude::*;

use super::{
    ip::*,
    transport::*,
    wire::{read, *},
    *,
};

#[test]
fn every_truncation_is_read_as_far_as_it_goes() {
    for (name, tags, ip) in samples() {
        let frame = frame(&tags, &ip);
        let fixed = 14 + 4 * tags.len() + if ip[0] >> 4 == 4 { 20 } else { 40 };
        for cut in 0..=frame.len() {
            let packet = read(&frame[..cut]);
            assert_eq!(packet.length as usize, cut);
            if cut < fixed {
                assert_eq!(packet.kind, Kind::Unreadable, "{name}, cut at {cut}");
                assert_eq!(packet.flags, 0, "{name}, cut at {cut}");
            } else {
                assert_eq!(packet.kind, Kind::Ip, "{name}, cut at {cut}");
                assert_eq!(ends(&packet), ends(&read(&frame)), "{name}, cut at {cut}");
            }
        }
        let packet = read(&frame);
        assert_eq!(ends(&packet), addresses(packet.source.family), "{name}");
    }
}

#[test]
fn what_is_cut_off_before_its_port_is_malformed() {
    let ip = v4(TCP, 0, 0, &tcp(ACK));
    let frame = frame(&[], &ip);
    for cut in 34..=frame.len() {
        let expected = match cut {
            ..38 => Packet::MALFORMED,
            38..48 => Packet::PORT | Packet::OPENS,
            _ => Packet::PORT,
        };
        assert_eq!(read(&frame[..cut]).flags, expected, "cut at {cut}");
    }
}

#[test]
fn a_first_fragment_that_is_cut_off_before_it_tells_opens() {
    let (four, six) = first_fragments(UDP, &udp(1, 443, &[0x40, 0, 0, 0, 1, 0, 0, 0]));
    for whole in [four, six] {
        let told = whole.len() - 3;
        assert_eq!(read(&whole[..told]).flags, Packet::PORT);
        assert_eq!(read(&whole[..told - 1]).flags, Packet::PORT | Packet::OPENS);
    }
}

proptest! {
    #[test]
    fn nothing_behind_the_addresses_changes_the_source(
        index in 0..samples().len(),
        noise in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (_, tags, ip) = &samples()[index];
        let mut bytes = frame(tags, ip);
        let fixed = 14 + 4 * tags.len() + if ip[0] >> 4 == 4 { 20 } else { 40 };
        let whole = read(&bytes);
        bytes.truncate(fixed);
        bytes.extend_from_slice(&noise);
        let packet = read(&bytes);
        prop_assert_eq!(packet.kind, Kind::Ip);
        prop_assert_eq!(ends(&packet), ends(&whole));
    }

    #[test]
    fn any_bytes_are_read(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ether_type in proptest::sample::select(vec![0x0800_u16, 0x86dd, 0x8100, 0x0806]),
        version in proptest::sample::select(vec![0x45_u8, 0x4f, 0x60, 0x00]),
    ) {
        if let Some(place) = bytes.get_mut(12..14) {
            place.copy_from_slice(&ether_type.to_be_bytes());
        }
        if let Some(place) = bytes.get_mut(14) {
            *place = version;
        }
        let packet = read(&bytes);
        prop_assert_eq!(packet.length as usize, bytes.len());
        prop_assert!(!(packet.is(Packet::PORT) && packet.is(Packet::HIDDEN)));
        prop_assert!(packet.is(Packet::PORT) || packet.port == 0);
        prop_assert!(packet.kind == Kind::Ip || packet.flags & !Packet::MALFORMED == 0);
        let malformed = packet.is(Packet::MALFORMED);
        prop_assert!(!malformed || packet.flags & !Packet::OVER_IPV6 == Packet::MALFORMED);
    }
}

#[test]
fn every_ipv4_header_length_shows_the_source_and_only_possible_ones_the_port() {
    for words in 0..=15_u8 {
        let mut ip = v4(TCP, usize::from(words.max(5)) - 5, 0, &tcp(SYN));
        ip[0] = 0x40 | words;
        let packet = read(&frame(&[], &ip));
        assert_eq!(ends(&packet), addresses(Family::V4), "{words} words");
        let expected = if words < 5 {
            (Packet::MALFORMED, 0)
        } else {
            (Packet::PORT | Packet::OPENS, 443)
        };
        assert_eq!((packet.flags, packet.port), expected, "{words} words");
    }
}

#[test]
fn a_version_that_the_ether_type_does_not_name_is_unreadable() {
    for version in 0..=15_u8 {
        for (ether_type, named, mut ip) in [
            (0x0800_u16, 4, v4(TCP, 0, 0, &tcp(SYN))),
            (0x86dd, 6, v6(&[], TCP, &tcp(SYN))),
        ] {
            ip[0] = version << 4 | 5;
            let mut bytes = frame(&[], &ip);
            bytes[12..14].copy_from_slice(&ether_type.to_be_bytes());
            let expected = if version == named {
                Kind::Ip
            } else {
                Kind::Unreadable
            };
            assert_eq!(read(&bytes).kind, expected, "version {version}");
        }
    }
}

#[test]
fn every_mix_of_up_to_eight_tags_is_looked_behind_and_a_ninth_is_malformed() {
    for depth in 0..=9_u32 {
        // Every mix of few, and of many each that changes once.
        for mix in 0..3_usize.pow(depth.min(5)) {
            let tags: Vec<u16> = (0..depth)
                .map(|place| TAGS[mix / 3_usize.pow(place % 5) % 3])
                .collect();
            for ip in [v4(UDP, 1, 0, &udp(1, 443, b"")), v6(&[], TCP, &tcp(SYN))] {
                let packet = read(&frame(&tags, &ip));
                if depth <= 8 {
                    assert_eq!(ends(&packet), addresses(packet.source.family), "{tags:x?}");
                    assert_eq!(packet.port, 443, "{tags:x?}");
                } else {
                    assert_eq!(packet.kind, Kind::Unreadable, "{tags:x?}");
                    assert_eq!(packet.flags, Packet::MALFORMED, "{tags:x?}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_ip_is_so_behind_any_readable_tags() {
    for ether_type in [0x0806_u16, 0x8847, 0x88cc, 0x0026, 0xffff] {
        for depth in 0..=8 {
            let mut bytes = frame(&vec![0x8100; depth], &v4(TCP, 0, 0, &tcp(SYN)));
            let at = 12 + 4 * depth;
            bytes[at..at + 2].copy_from_slice(&ether_type.to_be_bytes());
            assert_eq!(read(&bytes).kind, Kind::NotIp, "{ether_type:x} at {depth}");
        }
    }
}

#[test]
fn eight_extension_headers_of_any_kind_are_looked_behind_and_nine_are_malformed() {
    for kind in EXTENSIONS {
        for size in [0, 1, 4] {
            for count in 0..=9 {
                let size = if kind == FRAGMENT { 0 } else { size };
                let chain = vec![extension(kind, size); count];
                let packet = read(&frame(&[], &v6(&chain, TCP, &tcp(ACK))));
                assert_eq!(ends(&packet), addresses(Family::V6));
                let expected = if count <= MAX_EXTENSIONS {
                    (TCP, 443, Packet::PORT)
                } else {
                    (kind, 0, Packet::MALFORMED)
                };
                let got = (packet.protocol, packet.port, packet.flags);
                assert_eq!(got, expected, "{count} of {kind}, size {size}");
            }
        }
    }
}

#[test]
fn a_chain_that_leads_out_of_the_frame_is_malformed() {
    for kind in EXTENSIONS.into_iter().filter(|kind| *kind != FRAGMENT) {
        let mut header = extension(kind, 0);
        header.bytes[1] = 255;
        let packet = read(&frame(&[], &v6(&[header], TCP, &tcp(ACK))));
        assert_eq!(packet.flags, Packet::MALFORMED, "{kind}");
    }
}

#[test]
fn a_fragment_header_is_understood_in_each_place_of_a_chain() {
    for count in 1..=MAX_EXTENSIONS {
        for place in 0..count {
            let read_with = |fragment: u16, protocol, payload: &[u8]| {
                let mut chain = vec![extension(DESTINATION, 0); count];
                chain[place] = extension(FRAGMENT, 0);
                chain[place].bytes[2..4].copy_from_slice(&fragment.to_be_bytes());
                let packet = read(&frame(&[], &v6(&chain, protocol, payload)));
                assert_eq!(ends(&packet), addresses(Family::V6));
                packet
            };
            let at = format!("fragment header {place} of {count}");
            let dhcp = udp(547, 546, b"");
            for atomic in [0, 0b110] {
                assert_eq!(
                    read_with(atomic, TCP, &tcp(ACK)).flags,
                    Packet::PORT,
                    "{at}"
                );
                assert!(read_with(atomic, UDP, &dhcp).is(Packet::ESSENTIAL), "{at}");
                assert!(
                    read_with(atomic, ICMPV6, &[135, 0]).is(Packet::ESSENTIAL),
                    "{at}"
                );
            }
            let first = read_with(1, TCP, &tcp(ACK));
            assert_eq!((first.flags, first.port), (Packet::PORT, 443), "{at}");
            assert!(!read_with(1, UDP, &dhcp).is(Packet::ESSENTIAL), "{at}");
            let first = read_with(1, ICMPV6, &[135, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(first.flags, 0, "{at}");
            // A later one may name any protocol: only the first one's counts.
            for later in [8, 9, 0xfff8, 0xffff] {
                for protocol in [TCP, UDP, ICMPV6, 59, 50, DESTINATION, 255] {
                    let later = read_with(later, protocol, &tcp(SYN));
                    assert_eq!((later.flags, later.port), (Packet::HIDDEN, 0), "{at}");
                }
            }
        }
    }
}

#[test]
fn a_later_ipv4_fragment_hides_the_port_if_it_has_one() {
    for fragment in (0..13).flat_map(|bit| [1 << bit, 0x2000 | 1 << bit]) {
        for (protocol, flags) in [
            (TCP, Packet::HIDDEN),
            (UDP, Packet::HIDDEN),
            (1, 0),
            (47, 0),
        ] {
            let packet = read(&frame(&[], &v4(protocol, 0, fragment, &tcp(SYN))));
            assert_eq!(ends(&packet), addresses(Family::V4));
            assert_eq!((packet.flags, packet.port), (flags, 0), "{protocol}");
        }
    }
    let unfragmented = read(&frame(&[], &v4(TCP, 0, 0xc000, &tcp(ACK))));
    assert_eq!(unfragmented.flags, Packet::PORT);
}

#[test]
fn a_first_fragment_too_short_to_tell_opens_whatever_fills_the_frame_up() {
    let quic = udp(1, 443, &[0x40, 0, 0, 0, 1, 0, 0, 0]);
    for fill in [0, 0xff, ACK] {
        for (length, protocol, payload) in [(8, TCP, tcp(ACK)), (8, UDP, quic.clone())] {
            let (four, six) = first_fragments(protocol, &payload[..length]);
            for mut bytes in [four, six] {
                bytes.extend_from_slice(&[fill; 32]);
                let packet = read(&bytes);
                assert_eq!(packet.port, 443);
                assert_eq!(packet.flags, Packet::PORT | Packet::OPENS, "{protocol}");
            }
        }
    }
    for (protocol, payload, flags) in [
        (TCP, tcp(ACK), Packet::PORT),
        (TCP, tcp(SYN), Packet::PORT | Packet::OPENS),
        (UDP, quic, Packet::PORT),
        (1, tcp(SYN), 0),
    ] {
        let (four, six) = first_fragments(protocol, &payload[..16]);
        assert_eq!(read(&four).flags, flags, "{protocol}");
        assert_eq!(read(&six).flags, flags, "{protocol}");
    }
}

#[test]
fn a_first_fragment_without_its_upper_header_is_malformed_whatever_follows_it() {
    // Each of these ends, by its own length, before TCP begins; what stands behind it in
    // the frame claims to be something harmless.
    let port_80 = [vec![0x9c, 0x40, 0, 80], vec![0; 40]].concat();
    let no_next = [vec![59, 0], vec![0; 60]].concat();
    for trailer in [&[][..], &port_80, &no_next, &[0; 46]] {
        for chain in 0..MAX_EXTENSIONS {
            for longer in [0, 1, 255] {
                let mut headers = vec![extension(DESTINATION, 0); chain];
                headers.push(extension(FRAGMENT, 0));
                headers[chain].bytes[3] = 1;
                let mut ip = v6(&headers, DESTINATION, &[TCP, longer, 1, 4, 0, 0, 0, 0]);
                let own = ip.len();
                if longer == 0 {
                    assert_eq!(read(&frame(&[], &ip)).flags, Packet::MALFORMED);
                }
                ip.extend_from_slice(trailer);
                let packet = read(&frame(&[], &ip));
                let at = format!("{chain} headers, {longer}, {own} of {} bytes", ip.len());
                assert_eq!(packet.flags, Packet::MALFORMED, "{at}");
            }
        }
        let (mut four, mut six) = first_fragments(TCP, &[]);
        for bytes in [&mut four, &mut six] {
            bytes.extend_from_slice(trailer);
            assert_eq!(read(bytes).flags, Packet::MALFORMED);
        }
    }
}

#[test]
fn an_ipv4_node_has_one_source_however_it_is_spelled_and_its_own_destination() {
    let mut bytes = frame(&[], &v6(&[], TCP, &tcp(SYN)));
    for spelling in [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7],
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7],
    ] {
        bytes[22..38].copy_from_slice(&spelling);
        let packet = read(&bytes);
        let (source, _) = addresses(Family::V4);
        let (_, destination) = addresses(Family::V6);
        assert_eq!(ends(&packet), (source, destination));
        assert_eq!(
            packet.flags,
            Packet::PORT | Packet::OPENS | Packet::OVER_IPV6
        );
        assert_eq!(packet.port, 443);
    }
}

#[test]
fn lengths_that_lie_change_nothing() {
    for (name, tags, ip) in samples() {
        let honest = frame(&tags, &ip);
        let at = 14 + 4 * tags.len();
        let field = if ip[0] >> 4 == 4 { at + 2 } else { at + 4 };
        let mut fields = vec![field];
        if read(&honest).protocol == UDP {
            // Five bytes of payload, and four of the header, stand behind it.
            fields.push(honest.len() - 9);
        }
        for field in fields {
            for lie in [0, 1, 8, 19, 20, 21, 40, 1500, u16::MAX] {
                let mut lying = honest.clone();
                lying[field..field + 2].copy_from_slice(&lie.to_be_bytes());
                assert_eq!(read(&lying), read(&honest), "{name}, {lie} at {field}");
            }
        }
    }
}

const fn ends(packet: &Packet) -> (Address, Address) {
    (packet.source, packet.destination())
}

/// Where every frame here comes from and goes to.
const fn addresses(family: Family) -> (Address, Address) {
    match family {
        Family::V4 => (Address::v4([192, 0, 2, 7]), Address::v4([198, 51, 100, 9])),
        Family::V6 => (
            Address::v6([0x20; 8], [0x21; 8]),
            Address::v6([0x30; 8], [0x31; 8]),
        ),
    }
}

const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

const EXTENSIONS: [u8; 8] = [
    HOP_BY_HOP,
    ROUTING,
    FRAGMENT,
    AUTHENTICATION,
    DESTINATION,
    MOBILITY,
    HIP,
    SHIM6,
];
