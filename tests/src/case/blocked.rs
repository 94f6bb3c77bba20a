//! Whatever a blocked source sends is blocked: every way around that is known.

use filter_common::cause::Cause;

use super::Case;
use crate::{
    frame::{Frame, SYN, frame, header::*},
    world::{BLOCKED, BLOCKED6, SERVER, SERVER6},
};

/// A way to send something, and its name.
type Way = (&'static str, fn(Frame) -> Frame);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (family, source, server, ways) in [
        ("IPv4", BLOCKED, SERVER, [BOTH, V4]),
        ("IPv6", BLOCKED6, SERVER6, [BOTH, V6]),
        // An IPv4 node that comes over IPv6: as an address of a socket has it (RFC 4291
        // §2.5.5.2), as the old tunnels had it, and through a translator (RFC 6052).
        ("mapped", "::ffff:198.51.100.7", SERVER6, [BOTH, V6]),
        ("compatible", "::198.51.100.7", SERVER6, [SPELLED, &[]]),
        (
            "translated",
            "64:ff9b::198.51.100.7",
            SERVER6,
            [SPELLED, &[]],
        ),
    ] {
        for (name, way) in ways.into_iter().flatten() {
            let frame = way(frame().ip(source, server));
            let name = format!("blocked {family}: {name}");
            cases.push(Case::new(name, Cause::Blocked, frame));
        }
    }
    cases
}

const BOTH: &[Way] = &[
    // Any protocol, any port.
    ("TCP SYN to the service", |f| f.tcp(40_000, 443).syn()),
    ("TCP inside a connection", |f| {
        f.tcp(40_000, 443).payload([1; 400])
    }),
    ("TCP without flags", |f| f.tcp(40_000, 443).flags(0)),
    ("TCP with all flags", |f| f.tcp(40_000, 443).flags(0xff)),
    ("TCP to a port that isn't guarded", |f| {
        f.tcp(40_000, 80).syn()
    }),
    ("TCP to port 0 from port 0", |f| f.tcp(0, 0).syn()),
    ("UDP to the service", |f| {
        f.udp(40_000, 443).payload([1; 64])
    }),
    ("UDP without payload", |f| f.udp(40_000, 443)),
    ("a QUIC Initial", |f| {
        f.udp(40_000, 443).payload(quic_initial())
    }),
    ("QUIC inside a connection", |f| {
        f.udp(40_000, 443).payload(quic_short())
    }),
    ("UDP to port 22, which TCP protects", |f| f.udp(40_000, 22)),
    ("an ICMP error", |f| f.icmp(3, 1).payload([0; 36])),
    ("GRE", |f| f.protocol(GRE).payload([0, 0, 8, 0, 0x45])),
    ("ESP", |f| f.protocol(ESP).payload([7; 40])),
    ("SCTP", |f| f.protocol(SCTP).payload([1, 187, 1, 187, 0, 0])),
    ("a protocol for experiments", |f| {
        f.protocol(EXPERIMENT).payload([7; 8])
    }),
    ("no protocol", |f| f.protocol(NO_NEXT_HEADER)),
    // Tags.
    ("one VLAN tag", |f| f.tag(0x8100).tcp(40_000, 443).syn()),
    ("two tags, 802.1ad outside", |f| {
        f.tag(0x88a8).tag(0x8100).tcp(40_000, 443).syn()
    }),
    ("three tags of three types", |f| {
        let f = f.tag(0x9100).tag(0x88a8).tag(0x8100);
        f.udp(40_000, 443)
    }),
    ("four tags, mixed", |f| {
        let f = f.tag(0x8100).tag(0x9100).tag(0x8100).tag(0x88a8);
        f.tcp(40_000, 443).syn()
    }),
    ("eight priority tags", |f| {
        let f = [0x8100; 8].into_iter().fold(f, Frame::tag);
        f.tcp(40_000, 443).syn()
    }),
    // Fragments.
    ("a first fragment", |f| {
        f.fragment(0, true).tcp(40_000, 443).syn().payload([1; 44])
    }),
    ("a first fragment too short for ports", |f| {
        f.fragment(0, true).protocol(TCP).payload([0x9c])
    }),
    ("a first fragment too short for flags", |f| {
        f.fragment(0, true)
            .protocol(TCP)
            .payload([0x9c, 0x40, 1, 187, 0, 0, 0, 1])
    }),
    ("a second fragment", |f| {
        f.fragment(185, true).protocol(TCP).payload([7; 64])
    }),
    ("a last fragment", |f| {
        f.fragment(370, false).protocol(UDP).payload([7; 9])
    }),
    ("a fragment that overlaps the header", |f| {
        f.fragment(1, false)
            .protocol(TCP)
            .payload([0, 0, 0, 1, 0x50, SYN, 0xff, 0xff])
    }),
    ("a fragment at the very end", |f| {
        f.fragment(0x1fff, false).protocol(UDP).payload([7; 8])
    }),
    ("a fragment that looks like SSH", |f| {
        f.fragment(1, true).tcp(40_000, 22).syn()
    }),
    ("a fragment of a DHCP reply", |f| {
        f.fragment(0, true).udp(67, 68).payload(dhcp_offer())
    }),
    // Lengths that lie.
    ("a length of 0", |f| f.says_length(0).tcp(40_000, 443).syn()),
    ("a length that ends in the header", |f| {
        f.says_length(7).tcp(40_000, 443).syn()
    }),
    ("a length beyond the frame", |f| {
        f.says_length(u16::MAX).tcp(40_000, 443).syn()
    }),
    ("a UDP length of 0", |f| {
        f.says_udp_length(0).udp(40_000, 443)
    }),
    ("a UDP length beyond the frame", |f| {
        f.says_udp_length(u16::MAX).udp(40_000, 443)
    }),
    ("a frame longer than 1,500 bytes", |f| {
        f.tcp(40_000, 443).payload([1; 2_900])
    }),
    ("bytes behind the packet", |f| {
        f.says_length(40).tcp(40_000, 443).syn().payload([7; 200])
    }),
    // Cut off.
    ("nothing behind the addresses", |f| f.protocol(TCP)),
    ("TCP cut in its ports", |f| {
        f.protocol(TCP).payload([0x9c, 0x40, 1])
    }),
    ("UDP cut in its length", |f| {
        f.protocol(UDP).payload([0x9c, 0x40, 1, 187, 0])
    }),
    // What looks essential.
    ("a DHCP request", |f| f.udp(68, 67).payload(dhcp_offer())),
    ("DHCP over TCP", |f| f.tcp(67, 68)),
    ("the other family's DHCP", |f| {
        // Of IPv4 67 to 68 is a reply, of IPv6 547 to 546.
        let ports = if f.is_v4() { (547, 546) } else { (67, 68) };
        f.udp(ports.0, ports.1).payload([7; 20])
    }),
    ("half a DHCP reply's ports", |f| f.udp(67, 69)),
    ("neighbour discovery from afar", |f| {
        f.hops(254).icmp(135, 0).payload(neighbour(SERVER6))
    }),
    ("ICMP as neighbour discovery has it, of code 1", |f| {
        f.hops(255).icmp(135, 1).payload(neighbour(SERVER6))
    }),
];

/// Of a spelling that differs from another in its source alone.
const SPELLED: &[Way] = &[
    ("TCP SYN to the service", |f| f.tcp(40_000, 443).syn()),
    ("a QUIC Initial", |f| {
        f.udp(40_000, 443).payload(quic_initial())
    }),
    ("behind extension headers in a VLAN", |f| {
        let f = f.tag(0x8100).extension(DESTINATION).extension(ROUTING);
        f.udp(40_000, 443)
    }),
    ("a later fragment", |f| {
        f.fragment(185, true).protocol(TCP).payload([7; 64])
    }),
    ("no protocol", |f| f.protocol(NO_NEXT_HEADER)),
];

const V4: &[Way] = &[
    ("an echo request", |f| f.icmp(8, 0).payload([7; 60])),
    ("one word of options", |f| {
        f.options(1).tcp(40_000, 443).syn()
    }),
    ("ten words of options", |f| f.options(10).udp(40_000, 443)),
    ("options and two tags", |f| {
        let f = f.tag(0x88a8).tag(0x8100).options(4);
        f.tcp(40_000, 443).syn()
    }),
    ("a header length of 0", |f| f.ihl(0).tcp(40_000, 443).syn()),
    ("a header length of 4", |f| f.ihl(4).tcp(40_000, 443).syn()),
    ("a header length beyond the frame", |f| {
        f.ihl(15).tcp(40_000, 443).syn()
    }),
    ("a header length that hides TCP in options", |f| {
        f.ihl(10).tcp(40_000, 443).syn()
    }),
    ("the reserved bit of fragments", |f| {
        f.fragment(0x8000, false).tcp(40_000, 443).syn()
    }),
    ("don't fragment", |f| {
        f.fragment(0x4000, false).tcp(40_000, 443).syn()
    }),
    ("a time to live of 0", |f| f.hops(0).tcp(40_000, 443).syn()),
    ("what looks like neighbour discovery", |f| {
        f.hops(255).protocol(ICMPV6).payload([135, 0, 0, 0])
    }),
    ("an IPv6 extension header", |f| {
        f.protocol(HOP_BY_HOP).payload(extension(HOP_BY_HOP))
    }),
];

const V6: &[Way] = &[
    ("an echo request", |f| f.icmp(128, 0).payload([7; 60])),
    ("a multicast listener report", |f| {
        f.hops(255).icmp(143, 0).payload([0; 20])
    }),
    ("hop-by-hop options", |f| {
        f.extension(HOP_BY_HOP).tcp(40_000, 443).syn()
    }),
    ("a routing header", |f| {
        f.extension(ROUTING).tcp(40_000, 443).syn()
    }),
    ("destination options", |f| {
        f.extension(DESTINATION).tcp(40_000, 443).syn()
    }),
    ("an authentication header", |f| {
        f.extension(AUTHENTICATION).tcp(40_000, 443).syn()
    }),
    ("an atomic fragment", |f| {
        f.extension(FRAGMENT).tcp(40_000, 443).syn()
    }),
    ("a mobility header", |f| {
        f.extension(MOBILITY).tcp(40_000, 443).syn()
    }),
    ("a host identity header", |f| {
        f.extension(HIP).udp(40_000, 443)
    }),
    ("a shim6 header", |f| f.extension(SHIM6).udp(40_000, 443)),
    ("hop-by-hop options in the wrong place", |f| {
        let f = f.extension(DESTINATION).extension(HOP_BY_HOP);
        f.tcp(40_000, 443).syn()
    }),
    ("a chain of eight headers, each kind", |f| {
        let chain = [
            HOP_BY_HOP,
            DESTINATION,
            ROUTING,
            FRAGMENT,
            AUTHENTICATION,
            DESTINATION,
            MOBILITY,
            HIP,
        ];
        let f = chain.into_iter().fold(f, Frame::extension);
        f.tcp(40_000, 443).syn()
    }),
    ("a chain of eight headers behind four tags", |f| {
        let f = [0x8100; 4].into_iter().fold(f, Frame::tag);
        let f = [DESTINATION; 8].into_iter().fold(f, Frame::extension);
        f.udp(40_000, 443)
    }),
    ("a chain of nine headers", |f| {
        let f = [DESTINATION; 9].into_iter().fold(f, Frame::extension);
        f.tcp(40_000, 443).syn()
    }),
    ("the longest header", |f| {
        f.extension_of(DESTINATION, padding(2_048)).tcp(40_000, 443)
    }),
    ("the longest authentication header", |f| {
        let f = f.extension_of(AUTHENTICATION, authentication(1_028));
        f.tcp(40_000, 443).syn()
    }),
    ("a header that ends beyond the frame", |f| {
        f.extension_of(DESTINATION, vec![0, 255]).payload([7; 40])
    }),
    ("a header that isn't there", |f| {
        f.extension_of(ROUTING, vec![0])
    }),
    ("a chain cut in its second header", |f| {
        let f = f.extension(HOP_BY_HOP).extension(ROUTING);
        f.tcp(40_000, 443).cut(14 + 40 + 8 + 2)
    }),
    ("a later fragment that says another protocol", |f| {
        f.fragment(100, true)
            .protocol(ICMPV6)
            .payload([135, 0, 0, 0])
    }),
    ("a fragment behind destination options", |f| {
        let f = f.extension(DESTINATION).fragment(9, false);
        f.protocol(TCP).payload([7; 16])
    }),
    ("fragments of fragments", |f| {
        f.fragment(0, true).fragment(3, true).protocol(UDP)
    }),
    ("a jumbogram", |f| {
        // RFC 2675 §2: the payload's length is 0, the option says it.
        let option = vec![0, 0, 0xc2, 4, 0, 1, 0, 0];
        let f = f.extension_of(HOP_BY_HOP, option).says_length(0);
        f.tcp(40_000, 443).payload([1; 1_400])
    }),
    ("ESP behind an authentication header", |f| {
        f.extension(AUTHENTICATION).protocol(ESP).payload([7; 24])
    }),
    ("neighbour discovery in a fragment", |f| {
        let f = f.hops(255).fragment(0, true);
        f.icmp(135, 0).payload(neighbour(SERVER6))
    }),
    ("IPv4 inside", |f| {
        f.protocol(4).payload([0x45, 0, 0, 20, 0, 0, 0, 0, 64, TCP])
    }),
];
