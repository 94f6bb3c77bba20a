//! What services, rates and time make of a source.

use filter_common::cause::Cause::*;

use super::{
    Case,
    known::{at, syn, to},
};
use crate::{
    frame::{frame, header::*},
    world::{BLOCKED, FREE, FREE6, PARTNER, PARTNER6, SECOND_STAGE, THIRD_STAGE},
};

pub(super) fn cases() -> Vec<Case> {
    [services(), rates(), timelines(), shadows()].concat()
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
        Case::new("a limit holds for later fragments", OverPackets, {
            let f = to("203.0.113.10").fragment(100, true);
            f.protocol(UDP)
        })
        .after(1),
        Case::new("a limit holds for later fragments of a /64", OverPackets, {
            to("2001:db8:c:10::1").fragment(100, true).protocol(TCP)
        })
        .after(1),
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
    let long = |version, id: [u8; 8]| {
        let f = to("203.0.113.12").udp(40_000, 443);
        f.payload(quic_initial_of(version, id))
    };
    let [quic, more, third] = [[1; 8], [2; 8], [3; 8]].map(|id| long(1, id));
    let grease = |id| long(0x1a2a_3a4a, [id; 8]);
    let near = |from| to(from).tcp(40_000, 7443);
    let crowd = |from: &str| to(from).tcp(40_000, 5443);
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
        Case::new("the rest of a ClientHello", Conforming, quic.clone()).after(4),
        Case::new("a handshake's second flight", Conforming, more.clone())
            .after_frame(quic.clone()),
        Case::new("a third connection id", OverConnections, third)
            .after_frame(quic.clone())
            .after_frame(more),
        Case::new("a QUIC Initial too many", OverConnections, {
            quic.clone().udp(40_001, 443)
        })
        .after_frame(quic.clone()),
        Case::new("a version that nobody knows opens", OverConnections, {
            grease(2).udp(40_001, 443)
        })
        .after_frame(grease(1)),
        Case::new("a version that nobody knows, elsewhere", Unguarded, {
            grease(1).udp(40_000, 4433)
        })
        .after(9),
        Case::new(
            "an Initial in fragments is charged each time",
            OverConnections,
            quic.fragment(0, true),
        )
        .after(1),
        Case::new(
            "over the connections, spelled in IPv6",
            OverConnections,
            syn("::ffff:203.0.113.12"),
        )
        .after_frame(syn("203.0.113.12")),
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
            "flags that the next fragment's take the place of",
            OverConnections,
            {
                // Linux takes eight of these fifteen bytes.
                let f = to("203.0.113.12").fragment(0, true).tcp(40_000, 443);
                f.says_length(20 + 15)
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
        Case::new(
            "the last connection of all sources together",
            Conforming,
            crowd(FREE).syn(),
        )
        .after_frame(crowd("198.51.100.77").syn()),
        Case::new(
            "a connection too many of all sources together",
            OverConnections,
            crowd(FREE).syn(),
        )
        .after_frame(crowd("198.51.100.77").syn())
        .after_frame(crowd(FREE6).syn()),
        Case::new(
            "of all sources together, whatever their tiers",
            OverConnections,
            crowd("203.0.113.11").syn(),
        )
        .after_frame(crowd(FREE).syn())
        .after_frame(crowd(FREE6).syn()),
        Case::new(
            "inside a connection all sources together use up nothing",
            Conforming,
            crowd(FREE),
        )
        .after(9),
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
