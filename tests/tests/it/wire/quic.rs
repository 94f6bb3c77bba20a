//! QUIC's cost in the rate of connections: one handshake one, with a real
//! server and real clients, and with the packets of other clients.

use aya::programs::XdpMode;
use filter_common::{cause::Cause, settings::Mode};
use weir_tests::{
    bed::{
        Host, SERVER, SERVER6,
        quic::{Server, handshakes},
        to_host,
    },
    frame::quic::{CLIENTS, Client, DRAFT_29, FOREIGN, Kind, Long, V1, V2, id},
    in_both_modes,
};

mod fragments;

in_both_modes! {
    ten_real_handshakes_cost_ten: super::ten_cost_ten;
    what_each_known_client_sends_for_ten_handshakes_costs_ten: super::known_clients;
    with_a_retry_a_handshake_costs_no_more_than_two: super::retries;
    packets_of_each_version_count_as_the_service_says: super::versions;
    a_flood_of_ids_gets_at_most_twice_the_rate: super::floods;
    initials_in_fragments_cost_as_much_as_whole_ones: super::fragments::cut_anywhere;
    an_id_in_an_ethernet_trailer_pays_for_nothing: super::fragments::lying_trailers;
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_eleventh_real_handshake_fails() {
    let host = host(XdpMode::Driver, "");
    let _server = Server::start(&host, &[]);
    assert_eq!(handshakes(&host, SERVER, 11, &[]).succeeded, 10);
    assert!(over(&host) > 0);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_observe_ten_real_handshakes_are_within_the_rate_and_the_eleventh_is_counted() {
    let mut host = host(XdpMode::Driver, "");
    host.set_mode(Mode::Observe);
    let _server = Server::start(&host, &[]);
    assert_eq!(handshakes(&host, SERVER6, 10, &[]).succeeded, 10);
    assert_eq!(over(&host), 0, "of ten");
    assert_eq!(handshakes(&host, SERVER6, 1, &[]).succeeded, 1);
    assert!(over(&host) > 0, "of the eleventh");
    assert_eq!(host.counted(Cause::OverConnections).dropped_packets, 0);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_real_handshake_with_a_retry_costs_no_more_than_two() {
    let host = host(XdpMode::Driver, "");
    let _server = Server::start(&host, &["--retry"]);
    assert_eq!(handshakes(&host, SERVER, 5, &["--large"]).succeeded, 5);
    assert_eq!(over(&host), 0);
}

/// With a small and with a large `ClientHello`, from clients with an id of their
/// own and without, from ports of their own.
fn ten_cost_ten(mode: XdpMode) {
    // A real client takes its time, so half of them in each mode.
    let (small, large): (&[&str], &[&str]) = match mode {
        XdpMode::Driver => (&[], &["--large", "--without-id"]),
        _ => (&["--without-id"], &["--large"]),
    };
    for (server, client, options, hello) in [
        (SERVER, "192.0.2.2", small, 1),
        (SERVER6, "2001:db8::1", large, 2),
    ] {
        let host = host(mode, "");
        let _server = Server::start(&host, &[]);
        let made = handshakes(&host, server, 10, options);
        eprintln!("{mode:?} {options:?}: {made:?}");
        assert_eq!(made.succeeded, 10, "{options:?}, {} over", over(&host));
        assert_eq!(over(&host), 0, "{options:?}, {made:?}");
        assert!(made.hello >= 10 * hello, "{options:?}, {made:?}");
        // And no less: nothing is left.
        for one in CLIENTS[0].first(0) {
            host.wire.send(&datagram(client, 9_999, 443, &one));
        }
        host.settle(|_| {});
        assert_eq!(over(&host), 1, "{options:?}: ten handshakes cost ten");
    }
}

fn known_clients(mode: XdpMode) {
    let host = host(mode, "");
    let socket = host.receive_on(443);
    for (place, client) in CLIENTS.iter().enumerate() {
        for (nth, chosen) in IDS_OF_SERVERS.into_iter().enumerate() {
            let source = source(place, nth);
            let handshake = |number: u64| {
                let mut sent = client.first(number);
                // Lost on its way, or its answer was.
                sent.push(sent[0].clone());
                let answer = client.second(number, &id(1_000 + number, chosen));
                sent.extend([answer.clone(), answer]);
                from_a_port(&source, number, sent)
            };
            let frames: Vec<_> = (0..10).flat_map(handshake).collect();
            let came = host.arrived(&socket, &frames);
            assert_eq!(came, frames.len(), "{}, server's id {chosen}", client.name);
            let came = host.arrived(&socket, &handshake(10));
            assert_eq!(
                came, 0,
                "the eleventh of {}, server's id {chosen}",
                client.name
            );
        }
    }
}

fn retries(mode: XdpMode) {
    let host = host(mode, "");
    let socket = host.receive_on(443);
    for (place, client) in CLIENTS.iter().enumerate() {
        let source = source(place, 0);
        let handshake = |number: u64| {
            let mut sent = client.first(number);
            sent.extend(client.again(number, &id(2_000 + number, 8)));
            sent.push(client.second(number, &id(1_000 + number, 8)));
            from_a_port(&source, number, sent)
        };
        let frames: Vec<_> = (0..5).flat_map(handshake).collect();
        let came = host.arrived(&socket, &frames);
        assert_eq!(came, frames.len(), "{}", client.name);
    }
}

fn versions(mode: XdpMode) {
    const ALL: [Kind; 3] = [Kind::Initial, Kind::ZeroRtt, Kind::Handshake];
    const INITIAL: [Kind; 1] = [Kind::Initial];
    const OTHERS: [Kind; 2] = [Kind::ZeroRtt, Kind::Handshake];
    const IETF: [u32; 3] = [V1, V2, DRAFT_29];
    const MVFST: u32 = 0xface_b002;
    const ELSE: [u32; 2] = [0x5130_3436, 0x1a2a_3a4a];
    // A port of the service, versions, types, and whether they count.
    type Case<'a> = (u16, &'a [u32], &'a [Kind], bool);
    // An Initial may stand behind any of them in the datagram.
    let unsaid: [Case<'_>; 5] = [
        (443, &IETF, &ALL, true),
        (443, &FOREIGN, &ALL, true),
        (8443, &IETF, &INITIAL, true),
        (8443, &IETF, &OTHERS, false),
        (8443, &FOREIGN, &ALL, false),
    ];
    let one: [Case<'_>; 2] = [(443, &IETF, &ALL, true), (8443, &FOREIGN, &ALL, true)];
    let three: [Case<'_>; 4] = [
        (443, &[V1, V2], &ALL, true),
        (443, &[MVFST], &INITIAL, true),
        (443, &[MVFST], &OTHERS, false),
        (443, &ELSE, &ALL, true),
    ];
    let none: [Case<'_>; 2] = [(443, &IETF, &ALL, false), (8443, &FOREIGN, &ALL, false)];
    for (says, cases) in [
        ("", &unsaid[..]),
        (r#"quic = ["v1"]"#, &one),
        (r#"quic = ["v1", "v2", "0xfaceb002"]"#, &three),
        ("quic = []", &none),
    ] {
        let host = host(mode, says);
        let (https, other) = (host.receive_on(443), host.receive_on(8443));
        let mut place = 0;
        for (port, versions, kinds, counts) in cases {
            let socket = if *port == 443 { &https } else { &other };
            for version in *versions {
                for kind in *kinds {
                    place += 1;
                    let source = source(place, place);
                    let packet = |number: u64| {
                        let mut packet = Long::initial(*version, &id(number, 8), &id(!number, 8));
                        packet.kind = *kind;
                        datagram(&source, 20_000 + number as u16, *port, &packet.build(1_200))
                    };
                    let frames: Vec<_> = (0..20).map(packet).collect();
                    let came = host.arrived(socket, &frames);
                    let expected = if *counts { 10 } else { 20 };
                    assert_eq!(came, expected, "{says}, udp/{port}, {version:#x}, {kind:?}");
                }
            }
        }
    }
}

fn floods(mode: XdpMode) {
    let host = host(mode, "");
    let socket = host.receive_on(443);
    let plain = Client {
        hello: 1,
        ..CLIENTS[0]
    };
    let with_ids = Client { source: 8, ..plain };
    let one_port =
        |source: &str, client: &Client, number: u64| from_a_port(source, 0, client.first(number));
    let each_its_port = |source: &str, client: &Client, number: u64| {
        from_a_port(source, number, client.first(number))
    };
    type Sends<'a> = &'a dyn Fn(&str, &Client, u64) -> Vec<Vec<u8>>;
    let floods: [(&str, Sends<'_>, Client); 4] = [
        ("from one port, without an id", &one_port, plain),
        ("from one port, with ids", &one_port, with_ids),
        ("from many ports, without an id", &each_its_port, plain),
        ("from many ports, with ids", &each_its_port, with_ids),
    ];
    for (nth, (name, sends, client)) in floods.iter().enumerate() {
        let source = source(0, nth);
        let frames: Vec<_> = (0..200)
            .flat_map(|number| sends(&source, client, number))
            .collect();
        let came = host.arrived(&socket, &frames);
        eprintln!("{mode:?}: {came} of 200 {name}");
        assert!((10..=20).contains(&came), "{came} of 200 {name}");
    }

    // One id again and again is charged once for sixteen packets, and leaves three of ten.
    let source = source(1, 0);
    let frames: Vec<_> = (0..100)
        .flat_map(|_| one_port(&source, &with_ids, 1))
        .collect();
    assert_eq!(host.arrived(&socket, &frames), 100);
    let frames: Vec<_> = (2..30)
        .flat_map(|number| each_its_port(&source, &with_ids, number))
        .collect();
    assert_eq!(host.arrived(&socket, &frames), 3);
}

/// A host whose service lets every source begin ten connections, and then one a
/// minute.
fn host(mode: XdpMode, quic: &str) -> Host {
    Host::behind(mode, &CONFIGURATION.replace("QUIC", quic), &[])
}

/// Packets that were over the rate of connections.
fn over(host: &Host) -> u64 {
    host.counted(Cause::OverConnections).packets()
}

/// Datagrams of a source to the service from the `number`th of its ports.
fn from_a_port(source: &str, number: u64, payloads: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let port = 20_000 + number as u16;
    let each = |payload: &Vec<u8>| datagram(source, port, 443, payload);
    payloads.iter().map(each).collect()
}

fn datagram(source: &str, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    to_host(source).udp(from, to).payload(payload).build()
}

/// A source that nothing is known of, of either family.
fn source(place: usize, nth: usize) -> String {
    if nth.is_multiple_of(2) {
        format!("198.18.{place}.{nth}")
    } else {
        format!("2001:db8:{place:x}:{nth:x}::1")
    }
}

/// The lengths of the ids that servers choose for themselves.
const IDS_OF_SERVERS: [usize; 4] = [0, 4, 8, 20];

const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["udp/443", "udp/8443"]
default_tier = "ten"
QUIC

[tier.ten]
connections = { rate = "1/m", burst = 10 }
"#;
