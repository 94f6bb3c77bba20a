//! One source, spelled in two ways: an IPv4 address inside an IPv6 one.

use std::{
    collections::BTreeMap,
    net::{IpAddr, UdpSocket},
};

use aya::programs::XdpMode;
use weir_tests::{
    bed::{Host, to_host},
    frame::written,
};

weir_tests::in_both_modes! {
    nothing_of_a_blocked_source_reaches_the_socket_however_it_is_spelled: super::blocked;
    all_spellings_of_a_limited_source_share_one_bucket: super::limited;
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_filter_a_socket_takes_every_spelling_and_one_of_them_for_the_ipv4_node() {
    let host = Host::new();
    let socket = host.receive_on(443);
    let came = Came::of(&host, &socket, &datagrams(BLOCKED, 1));
    assert_eq!(came.each(BLOCKED), [1; 4]);
    let [_, mapped, ..] = spellings(BLOCKED);
    let peer = came.peers[&mapped];
    // What it answers goes out as IPv4.
    assert_eq!(
        peer.to_canonical(),
        BLOCKED.parse::<IpAddr>().expect("IPv4")
    );

    host.wire.send(&from_the_issue());
    let came = Came::of(&host, &socket, &[]);
    assert_eq!(came.total, 1, "the frame of the issue arrives");
}

fn blocked(mode: XdpMode) {
    let host = Host::behind(mode, CONFIGURATION, &[(BLOCKED, "block")]);
    let socket = host.receive_on(443);
    host.wire.send(&from_the_issue());
    let frames = [datagrams(BLOCKED, 3), datagrams(FREE, 3)].concat();
    let came = Came::of(&host, &socket, &frames);
    assert_eq!(
        came.each(BLOCKED),
        [0; 4],
        "{SPELLINGS:?} of the blocked source"
    );
    assert_eq!(came.each(FREE), [3; 4], "{SPELLINGS:?} of another source");
    assert_eq!(came.total, 12);
}

fn limited(mode: XdpMode) {
    let claims = [(BLOCKED, "thin"), (FREE, "thin")];
    let host = Host::behind(mode, CONFIGURATION, &claims);
    let socket = host.receive_on(443);
    let came = Came::of(&host, &socket, &datagrams(BLOCKED, 10));
    assert_eq!(came.total, 1, "of 40, a packet a minute being allowed");
    // Also where it never comes in plain.
    let [_, mapped, ..] = spellings(FREE);
    let frames: Vec<_> = (0..10).map(|number| datagram(&mapped, number)).collect();
    let came = Came::of(&host, &socket, &frames);
    assert_eq!(came.total, 1, "of 10, a packet a minute being allowed");
}

/// The datagrams that came to a socket.
#[derive(Debug, Default)]
struct Came {
    /// Datagrams, by the spelling that they were sent from.
    datagrams: BTreeMap<String, usize>,
    /// Whom the socket took them to be from.
    peers: BTreeMap<String, IpAddr>,
    total: usize,
}

impl Came {
    /// Sends frames, and gives what came of them and of all before.
    fn of(host: &Host, socket: &UdpSocket, frames: &[Vec<u8>]) -> Self {
        for frame in frames {
            host.wire.send(frame);
        }
        host.settle(|_| {});
        // The stack has seen them all, so the socket has them.
        socket.set_nonblocking(true).expect("a socket");
        let mut came = Self::default();
        let mut buffer = [0; 64];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let source = String::from_utf8_lossy(&buffer[..length]);
            let source = source.split(' ').next().unwrap_or_default();
            *came.datagrams.entry(source.to_owned()).or_default() += 1;
            came.peers.insert(source.to_owned(), peer.ip());
            came.total += 1;
        }
        came
    }

    /// The number that came of each spelling of an IPv4 source.
    fn each(&self, source: &str) -> [usize; 4] {
        spellings(source).map(|source| self.datagrams.get(&source).copied().unwrap_or(0))
    }
}

/// So many from each spelling of a source, one after the other.
fn datagrams(source: &str, number: u32) -> Vec<Vec<u8>> {
    let each = |number| spellings(source).map(|source| datagram(&source, number));
    (0..number).flat_map(each).collect()
}

/// It says from where it was sent. To a port where nothing is QUIC by it: its
/// first byte has no long header.
fn datagram(source: &str, number: u32) -> Vec<u8> {
    let text = format!("{source} {number}");
    to_host(source).udp(40_000, 443).payload(text).build()
}

/// An IPv4 source as itself, mapped and compatible (RFC 4291 §2.5.5), and behind
/// a NAT64 (RFC 6052 §2.1).
fn spellings(source: &str) -> [String; 4] {
    SPELLINGS.map(|prefix| format!("{prefix}{source}"))
}

const SPELLINGS: [&str; 4] = ["", "::ffff:", "::", "64:ff9b::"];

/// The 63 bytes of issue 11: UDP from `::ffff:203.0.113.66` to port 443.
fn from_the_issue() -> Vec<u8> {
    written(
        "02000000000202000000000186dd600000000009114000000000000000000000ffffcb0071422001\
         0db80000000000000000000000029c4001bb00097fe278",
    )
}

const BLOCKED: &str = "203.0.113.66";
const FREE: &str = "203.0.113.67";

const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["tcp/443", "udp/443"]

[tier.thin]
packets = { rate = "1/m", burst = 1 }
"#;
