//! What is read, spared and judged by its source, and what looks like it.

use filter_common::cause::Cause::*;

use super::Case;
use crate::{
    frame::{Frame, frame, header::*},
    world::{BLOCKED, BLOCKED6, FREE, FREE6, SERVER, SERVER6},
};

pub(super) fn cases() -> Vec<Case> {
    [unread(), malformed(), essential(), protected(), verdicts()].concat()
}

fn unread() -> Vec<Case> {
    vec![
        Case::new("ARP", NotIp, frame().ether_type(0x0806).payload([1; 28])),
        Case::new("ARP in a VLAN", NotIp, {
            frame().tag(0x8100).ether_type(0x0806).payload([1; 28])
        }),
        Case::new("MPLS", NotIp, syn(BLOCKED).ether_type(0x8847)),
        Case::new("PPPoE", NotIp, syn(BLOCKED).ether_type(0x8864)),
        Case::new(
            "an 802.3 length",
            NotIp,
            frame().ether_type(46).payload([0; 46]),
        ),
        Case::new("Ethernet alone", NotIp, frame()),
        Case::new("a tag and then nothing", Unreadable, {
            syn(BLOCKED).tag(0x8100).cut(16)
        }),
        Case::new("IPv4 cut in its source", Unreadable, syn(BLOCKED).cut(28)),
        Case::new(
            "IPv4 cut in its last byte",
            Unreadable,
            syn(BLOCKED).cut(33),
        ),
        Case::new("IPv6 cut in its source", Unreadable, syn(BLOCKED6).cut(30)),
        Case::new(
            "IPv6 cut in its last byte",
            Unreadable,
            syn(BLOCKED6).cut(53),
        ),
        Case::new(
            "IPv4 that says version 6",
            Unreadable,
            syn(BLOCKED).version(6),
        ),
        Case::new(
            "IPv6 that says version 4",
            Unreadable,
            syn(BLOCKED6).version(4),
        ),
        Case::new(
            "IPv4 called IPv6",
            Unreadable,
            syn(BLOCKED).ether_type(0x86dd),
        ),
        Case::new(
            "IPv6 called IPv4",
            Unreadable,
            syn(BLOCKED6).ether_type(0x0800),
        ),
    ]
}

fn malformed() -> Vec<Case> {
    let tags = |count, source| {
        [0x8100]
            .repeat(count)
            .into_iter()
            .fold(syn(source), Frame::tag)
    };
    let chain = |count, source| {
        let chain = [DESTINATION].repeat(count);
        chain.into_iter().fold(syn(source), Frame::extension)
    };
    // RFC 8200 §4.5: the first fragment ends before the header of its protocol.
    let headless = |source| to(source).fragment(0, true).protocol(DESTINATION);
    // What comes behind the packet isn't part of it, whatever it says.
    let behind = |bytes: [u8; 8]| {
        let own = [&[TCP, 0, 1, 4, 0, 0, 0, 0], &bytes[..]].concat();
        headless(FREE6).says_length(16).payload(own)
    };
    vec![
        Case::new("eight tags", Conforming, tags(8, FREE)),
        Case::new("nine tags", Malformed, tags(9, FREE)),
        Case::new(
            "nine tags before a blocked source",
            Malformed,
            tags(9, BLOCKED),
        ),
        Case::new("nine tags over IPv6", Malformed, tags(9, FREE6)),
        Case::new("nine tags before ARP", Malformed, {
            let arp = frame().ether_type(0x0806).payload([1; 28]);
            [0x88a8; 9].into_iter().fold(arp, Frame::tag)
        }),
        Case::new("eight extension headers", Conforming, chain(8, FREE6)),
        Case::new("nine extension headers", Malformed, chain(9, FREE6)),
        Case::new(
            "nine of a limited source",
            Malformed,
            chain(9, "2001:db8:c:12::1"),
        ),
        Case::new(
            "nine of an allowed source",
            Allowed,
            chain(9, "2001:db8:b::2"),
        ),
        Case::new(
            "nine of a protected source",
            Protected,
            chain(9, "2001:db8:a:77::1"),
        ),
        Case::new("nine to no service", Malformed, {
            chain(9, FREE6).tcp(40_000, 80).syn()
        }),
        Case::new("a first fragment without an upper header", Malformed, {
            headless(FREE6).payload([TCP, 0, 1, 4, 0, 0, 0, 0])
        }),
        Case::new("the same behind other headers", Malformed, {
            let f = to(FREE6).extension(HOP_BY_HOP).extension(DESTINATION);
            let f = f.fragment(0, true).protocol(DESTINATION);
            f.payload([UDP, 0, 1, 4, 0, 0, 0, 0])
        }),
        Case::new("the same, its header longer than itself", Malformed, {
            headless(FREE6).payload([TCP, 1, 1, 12, 0, 0, 0, 0])
        }),
        Case::new("the same, and behind it TCP to no service", Malformed, {
            behind([0x9c, 0x40, 0, 80, 0, 0, 0, 0])
        }),
        Case::new("the same, and behind it TCP to the service", Malformed, {
            behind([0x9c, 0x40, 1, 187, 0, 0, 0, 0])
        }),
        Case::new("the same of an atomic fragment's shape", Conforming, {
            to(FREE6).fragment(0, false).tcp(40_000, 443).syn()
        }),
        Case::new("an IPv4 first fragment without a byte", Malformed, {
            to(FREE)
                .fragment(0, true)
                .protocol(TCP)
                .says_length(20)
                .payload([0; 26])
        }),
        Case::new("TCP without a header", Malformed, to(FREE6).protocol(TCP)),
        Case::new("UDP cut in its ports", Malformed, {
            to(FREE).protocol(UDP).payload([0x9c, 0x40, 1])
        }),
        Case::new("an IPv4 header length of 4", Malformed, syn(FREE).ihl(4)),
    ]
}

fn essential() -> Vec<Case> {
    let mut cases = vec![
        Case::new("a DHCP offer from a blocked source", Essential, {
            to(BLOCKED).udp(67, 68).payload(dhcp_offer())
        }),
        Case::new("a DHCP offer in a VLAN, with options", Essential, {
            let offer = to(BLOCKED).tag(0x8100).options(2);
            offer.udp(67, 68).payload(dhcp_offer())
        }),
        Case::new("a DHCPv6 reply from a blocked source", Essential, {
            to(BLOCKED6).udp(547, 546).payload([7; 40])
        }),
        Case::new("neighbour discovery in an atomic fragment", Essential, {
            let f = to("fe80::bad").hops(255).extension(FRAGMENT);
            f.icmp(135, 0).payload(neighbour(SERVER6))
        }),
    ];
    for kind in 133..=137 {
        cases.push(Case::new(
            format!("neighbour discovery of type {kind} from a blocked source"),
            Essential,
            to("fe80::bad")
                .hops(255)
                .icmp(kind, 0)
                .payload(neighbour(SERVER6)),
        ));
    }
    cases.push(Case::new("what neighbour discovery isn't", Unguarded, {
        to(FREE6).hops(255).icmp(138, 0).payload([0; 20])
    }));
    cases
}

fn protected() -> Vec<Case> {
    let ssh = |from| to(from).tcp(40_000, 22).syn();
    let narrow = |from| to(from).tcp(40_000, 2222).syn();
    vec![
        Case::new("SSH from a blocked source", Protected, ssh(BLOCKED)),
        Case::new("SSH from a blocked IPv6 source", Protected, ssh(BLOCKED6)),
        Case::new("SSH with options in a VLAN", Protected, {
            to(BLOCKED).tag(0x8100).options(3).tcp(40_000, 22)
        }),
        Case::new("SSH behind extension headers", Protected, {
            let f = to(BLOCKED6).extension(DESTINATION);
            f.extension(AUTHENTICATION).tcp(40_000, 22)
        }),
        Case::new("SSH from a free source", Protected, ssh(FREE)),
        Case::new(
            "a port protected for some, one of them",
            Protected,
            narrow(BLOCKED),
        ),
        Case::new(
            "a port protected for some, over IPv6",
            Protected,
            narrow(BLOCKED6),
        ),
        Case::new(
            "a port protected for some, another",
            Blocked,
            narrow("198.51.100.200"),
        ),
        Case::new("the same port from outside", Unguarded, narrow(FREE)),
        Case::new("a protected source", Protected, syn("203.0.113.1")),
        Case::new("a protected source's fragment", Protected, {
            to("203.0.113.1").fragment(9, true).protocol(TCP)
        }),
        Case::new("a protected network", Protected, syn("2001:db8:a:77::1")),
        Case::new(
            "a protected source over IPv6",
            Protected,
            syn("::ffff:203.0.113.1"),
        ),
        Case::new("a port protected for some, spelled in IPv6", Protected, {
            narrow("::ffff:198.51.100.7")
        }),
        Case::new("beside a protected source", Conforming, syn("203.0.113.3")),
    ]
}

fn verdicts() -> Vec<Case> {
    vec![
        Case::new("a blocked network", Blocked, syn("198.51.100.8")),
        Case::new("its first address", Blocked, syn("198.51.100.0")),
        Case::new("its last address", Blocked, syn("198.51.100.255")),
        Case::new("beside it", Conforming, syn("198.51.101.0")),
        Case::new("a blocked /64", Blocked, syn("2001:db8:bad:1:ffff::1")),
        Case::new("beside the /64", Conforming, syn("2001:db8:bad:2::1")),
        Case::new("a blocked /48", Blocked, syn("2001:db8:dead:ffff::1")),
        Case::new(
            "beside a blocked address",
            Conforming,
            syn("2001:db8:bad::8"),
        ),
        Case::new("allowed", Allowed, syn("203.0.113.2")),
        Case::new("allowed, over and over", Allowed, syn("203.0.113.2")).after(50),
        Case::new("allowed over IPv6", Allowed, syn("2001:db8:b::2")),
        Case::new(
            "allowed, spelled in IPv6",
            Allowed,
            syn("::ffff:203.0.113.2"),
        ),
        Case::new("allowed, through a translator", Allowed, {
            syn("64:ff9b::203.0.113.2")
        }),
        Case::new("6to4 of a blocked address", Conforming, {
            syn("2002:c633:6407::1")
        }),
        Case::new("an address that only looks mapped", Conforming, {
            syn("::fffe:198.51.100.7")
        }),
        Case::new(
            "allowed inside a blocked network",
            Allowed,
            syn("198.51.100.50"),
        ),
        Case::new(
            "allowed inside a blocked /48",
            Allowed,
            syn("2001:db8:dead:50::9"),
        ),
        Case::new("allowed, its fragments too", Allowed, {
            to("198.51.100.50").fragment(7, false).protocol(UDP)
        }),
        Case::new(
            "admitted inside a blocked network",
            Conforming,
            syn("198.51.100.60"),
        ),
        Case::new("admitted, to no service", Unguarded, {
            to("198.51.100.60").tcp(40_000, 80).syn()
        }),
        Case::new("limited, to no service", Unguarded, {
            to("203.0.113.10").tcp(40_000, 80).syn()
        }),
        Case::new(
            "limited inside a blocked network",
            OverPackets,
            syn("198.51.100.70"),
        )
        .after(1),
    ]
}

/// From a source to the guarded services.
pub(super) fn to(source: &str) -> Frame {
    frame().ip(source, at(source, SERVER, SERVER6))
}

/// The destination of the source's family.
pub(super) fn at(source: &str, v4: &'static str, v6: &'static str) -> &'static str {
    if source.contains(':') { v6 } else { v4 }
}

/// A source opens a connection to the API.
pub(super) fn syn(source: &str) -> Frame {
    to(source).tcp(40_000, 443).syn()
}
