//! Each cause as it is meant to be, and what looks like it and isn't.

use filter_common::cause::Cause::*;

use super::Case;
use crate::{
    frame::{Frame, frame, header::*},
    world::{
        BLOCKED, BLOCKED6, FREE, FREE6, PARTNER, PARTNER6, SECOND_STAGE, SERVER, SERVER6,
        THIRD_STAGE,
    },
};

pub(super) fn cases() -> Vec<Case> {
    [
        unread(),
        essential(),
        protected(),
        verdicts(),
        services(),
        rates(),
        timelines(),
        shadows(),
    ]
    .concat()
}

fn unread() -> Vec<Case> {
    let five = [0x8100; 5].into_iter().fold(syn(BLOCKED), Frame::tag);
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
        Case::new("five tags", Unreadable, five),
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

fn services() -> Vec<Case> {
    let partner = |from| frame().ip(from, at(from, PARTNER, PARTNER6));
    vec![
        Case::new(
            "a port that isn't guarded",
            Unguarded,
            to(FREE).tcp(40_000, 80),
        ),
        Case::new("a guarded port of the other protocol", Unguarded, {
            to(FREE).udp(40_000, 6443)
        }),
        Case::new("an echo request", Unguarded, to(FREE).icmp(8, 0)),
        Case::new("a tunnel's later fragment", Unguarded, {
            to(FREE).fragment(100, true).protocol(GRE)
        }),
        Case::new("a later fragment", Conforming, {
            to(FREE).fragment(100, true).protocol(UDP)
        }),
        Case::new("too many later fragments", OverPackets, {
            to(FREE).fragment(100, true).protocol(UDP)
        })
        .after(20),
        Case::new(
            "too many short headers",
            OverPackets,
            to(FREE6).protocol(TCP),
        )
        .after(20),
        Case::new(
            "a partner's port elsewhere",
            Unguarded,
            to(FREE).tcp(40_000, 8443),
        ),
        Case::new("a partner's port there", OverPackets, {
            partner(FREE).tcp(40_000, 8443)
        })
        .after(3),
        Case::new("the partner's 443 has its own rates", OverPackets, {
            partner(FREE).tcp(40_000, 443)
        })
        .after(3),
        Case::new(
            "the partner's over IPv6",
            OverPackets,
            partner(FREE6).tcp(40_000, 443),
        )
        .after(3),
        Case::new(
            "the API's 443 has others",
            Conforming,
            to(FREE).tcp(40_000, 443),
        )
        .after(3),
        Case::new("a service in observe is only counted", OverPackets, {
            to(FREE).tcp(40_000, 9443)
        })
        .after(3)
        .passes(),
        Case::new("a block holds at a service in observe", Blocked, {
            to(BLOCKED).tcp(40_000, 9443)
        }),
        Case::new(
            "a tier without rates",
            Unlimited,
            to(FREE).tcp(40_000, 6443),
        )
        .after(9),
        Case::new(
            "a tier without rates over IPv6",
            Unlimited,
            to(FREE6).tcp(40_000, 6443),
        ),
    ]
}

fn rates() -> Vec<Case> {
    let data = |from: &str, bytes| to(from).tcp(40_000, 443).payload(vec![1; bytes]);
    let partner = frame().ip(FREE, PARTNER).tcp(40_000, 443);
    let quic = to("203.0.113.12").udp(40_000, 443).payload(quic_initial());
    let near = |from| to(from).tcp(40_000, 7443);
    vec![
        Case::new("a new connection", Conforming, syn(FREE)),
        Case::new("a burst to its last packet", Conforming, partner.clone()).after(2),
        Case::new("a stricter tier begins without a burst", Conforming, {
            data("203.0.113.10", 0)
        }),
        Case::new("over the packets", OverPackets, data("203.0.113.10", 0)).after(1),
        Case::new(
            "over the packets of a /64",
            OverPackets,
            syn("2001:db8:c:10::1"),
        )
        .after_frame(syn("2001:db8:c:10:9999::2")),
        Case::new("over the bytes", OverBytes, data("203.0.113.11", 900)).after(1),
        Case::new(
            "over the bytes of a /64",
            OverBytes,
            data("2001:db8:c:11::1", 900),
        )
        .after(1),
        Case::new(
            "longer than the burst of bytes",
            OverBytes,
            data("203.0.113.11", 3_000),
        ),
        Case::new("over the connections", OverConnections, syn("203.0.113.12")).after(1),
        Case::new(
            "over the connections of a /64",
            OverConnections,
            syn("2001:db8:c:12::1"),
        )
        .after(1),
        Case::new(
            "inside a connection that was refused",
            Conforming,
            data("203.0.113.12", 9),
        )
        .after_frame(syn("203.0.113.12"))
        .after_frame(syn("203.0.113.12")),
        Case::new("a QUIC Initial too many", OverConnections, quic).after(1),
        Case::new("QUIC inside a connection", Conforming, {
            to("203.0.113.12").udp(40_000, 443).payload(quic_short())
        })
        .after(9),
        Case::new(
            "a tiny first fragment opens a connection",
            OverConnections,
            {
                let f = to("203.0.113.12").fragment(0, true).protocol(TCP);
                f.payload([0x9c, 0x40, 1, 187, 0, 0, 0, 1])
            },
        )
        .after(1),
        Case::new(
            "a neighbour used it up",
            OverNeighbourhood,
            syn("203.0.113.130"),
        )
        .after_frame(syn("203.0.113.131")),
        Case::new("a neighbour in the /48 used it up", OverNeighbourhood, {
            data("2001:db8:d:1::1", 9)
        })
        .after_frame(data("2001:db8:d:ffff::1", 9)),
        Case::new(
            "a village's burst of connections",
            Conforming,
            near(FREE).syn(),
        )
        .after(2),
        Case::new(
            "a village's connections",
            OverNeighbourhood,
            near(FREE).syn(),
        )
        .after(3),
        Case::new("a village's packets", OverNeighbourhood, near(FREE6)).after(4),
        Case::new("merged packets count as many", OverPackets, {
            partner.clone().payload([1; 2_900])
        })
        .after(1)
        .merging(),
        Case::new("long packets count as one", Conforming, {
            partner.payload([1; 2_900])
        })
        .after(1),
    ]
}

fn timelines() -> Vec<Case> {
    let (first, second) = (syn("203.0.113.20"), syn("203.0.113.21"));
    let third = syn("2001:db8:e::9");
    vec![
        Case::new("blocked at first", Blocked, first.clone()).at(SECOND_STAGE - 1),
        Case::new("limited then", OverPackets, first.clone())
            .after(1)
            .at(SECOND_STAGE),
        Case::new("limited to the last second", OverPackets, first.clone())
            .after(1)
            .at(THIRD_STAGE - 1),
        Case::new("free at last", Conforming, first)
            .after(1)
            .at(THIRD_STAGE),
        Case::new("allowed at first", Allowed, second.clone()).at(SECOND_STAGE - 1),
        Case::new("blocked then", Blocked, second.clone()).at(SECOND_STAGE),
        Case::new("blocked for ever", Blocked, second).at(u32::MAX),
        Case::new("limited at first", OverConnections, third.clone()).after(1),
        Case::new("an IPv6 network blocked then", Blocked, third.clone()).at(SECOND_STAGE),
        Case::new("an IPv6 network free at last", Conforming, third).at(u32::MAX),
    ]
}

fn shadows() -> Vec<Case> {
    vec![
        Case::new("would be blocked", Conforming, syn("203.0.113.30")).shadowed(Blocked),
        Case::new("would be blocked, to no service", Unguarded, {
            to("203.0.113.30").tcp(40_000, 80)
        })
        .shadowed(Blocked),
        Case::new("would be admitted", Blocked, syn("203.0.113.31")).shadowed(Conforming),
        Case::new("would be over", Conforming, syn("203.0.113.32"))
            .after(1)
            .shadowed(OverPackets),
        Case::new(
            "is over and would be allowed",
            OverPackets,
            syn("203.0.113.33"),
        )
        .after(1)
        .shadowed(Allowed),
        Case::new(
            "is over and would be, by neighbours",
            OverPackets,
            syn("203.0.113.33"),
        )
        .after(1)
        .at(SECOND_STAGE)
        .shadowed(OverNeighbourhood),
        Case::new("would be over its bytes", Conforming, {
            to("2001:db8:9:9::9").tcp(40_000, 443).payload([1; 2_900])
        })
        .after(1)
        .shadowed(OverBytes),
        Case::new(
            "a shadow that has ended",
            Conforming,
            syn("2001:db8:9:9::9"),
        )
        .at(SECOND_STAGE),
    ]
}

/// From a source to the guarded services.
fn to(source: &str) -> Frame {
    frame().ip(source, at(source, SERVER, SERVER6))
}

/// The destination of the source's family.
fn at(source: &str, v4: &'static str, v6: &'static str) -> &'static str {
    if source.contains(':') { v6 } else { v4 }
}

/// A source opens a connection to the API.
fn syn(source: &str) -> Frame {
    to(source).tcp(40_000, 443).syn()
}
