//! Whatever hides the port: the rates that hold are at least as strict as for the same
//! packet in plain, on the host and in the kernel.
//!
//! `WEIR_SEED` and `WEIR_HIDDEN` set the seed and how many ways are tried.

use filter_common::abi::Preamble;
use weir_tests::{
    both::Both,
    frame::{Frame, frame, header::*, quic::V1},
    mutant::Random,
    world::{SERVER, SERVER6},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_may_open_a_connection_is_admitted_no_more_often_than_in_plain() {
    let mut both = Both::new();
    let mut random = seeded(&mut both);
    let mut dropped = 0;
    for round in 0..rounds() {
        // Of sources with a limit, and of one without a claim, at a service whose
        // sources together are held.
        let (source, port) = *random.of(&[
            ("2001:db8:c:12::1", 443),
            ("::ffff:203.0.113.12", 443),
            ("203.0.113.12", 443),
            ("2001:db8:f::200", 5443),
        ]);
        let begun = begun(source, port, &mut random);
        let plain = admitted(&mut both, &begun.build(), SENT);
        let hidden = hide(begun, &mut random);
        let admitted = admitted(&mut both, &hidden, SENT);
        assert!(
            admitted <= plain,
            "round {round} (seed {}): {admitted} of {SENT} came in, {plain} in plain: {hidden:02x?}",
            both.seed
        );
        dropped += u32::from(admitted < plain);
    }
    assert!(dropped > 50, "only {dropped} ways hid anything");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_limit_holds_on_later_fragments_as_on_whole_packets() {
    let mut both = Both::new();
    let mut random = seeded(&mut both);
    for round in 0..rounds() / 4 {
        // Limited by packets, and by bytes.
        let source = *random.of(&[
            "2001:db8:c:10::1",
            "203.0.113.10",
            "2001:db8:c:11::1",
            "203.0.113.11",
        ]);
        let payload = vec![7; 8 * (1 + random.below(60))];
        let data = to(source).tcp(40_000, 443).payload(payload.clone());
        let plain = admitted(&mut both, &data.build(), SENT);
        let offset = 1 + random.below(8_000) as u16;
        let more = random.once_in(2);
        // As long as the other, or the bytes would tell them apart.
        let whole = [vec![0; 20], payload].concat();
        let later = to(source).fragment(offset, more).payload(whole);
        // In IPv6 it may say any protocol.
        let v6 = source.contains(':');
        let protocol = if v6 {
            random.next() as u8
        } else {
            *random.of(&[TCP, UDP])
        };
        let admitted = admitted(&mut both, &later.protocol(protocol).build(), SENT);
        assert!(
            admitted <= plain,
            "round {round} (seed {}): {admitted} of {SENT} fragments of {source}, {plain} in plain",
            both.seed
        );
    }
}

/// The frames that open a connection: TCP, or QUIC of a connection id that is always another.
fn begun(source: &str, port: u16, random: &mut Random) -> Frame {
    if port == 443 && random.once_in(3) {
        let id = random.next().to_be_bytes();
        return to(source)
            .udp(random.next() as u16, port)
            .payload(quic_initial_of(V1, id));
    }
    to(source).tcp(random.next() as u16, port).syn()
}

/// The same behind headers, in a first fragment, with something else behind it: as it
/// may be put together again.
fn hide(mut begun: Frame, random: &mut Random) -> Vec<u8> {
    let v6 = begun.build()[12] == 0x86;
    if !v6 {
        begun = begun.options(random.below(11));
    }
    let fragment = random.once_in(2);
    let headers = if v6 { random.below(13) } else { 0 };
    let first = random.below(headers + 1);
    for place in 0..=headers {
        if fragment && place == first {
            begun = begun.fragment(0, true);
        }
        if place < headers {
            let kind = *random.of(&[
                HOP_BY_HOP,
                ROUTING,
                DESTINATION,
                AUTHENTICATION,
                HIP,
                MOBILITY,
            ]);
            begun = if kind == DESTINATION {
                begun.extension_of(kind, padding(8 * (1 + random.below(6))))
            } else {
                begun.extension(kind)
            };
        }
    }
    let mut bytes = begun.build();
    let (header, length) = if v6 {
        (54, 18)
    } else {
        (14 + usize::from(bytes[14] & 15) * 4, 16)
    };
    if !fragment {
        return bytes;
    }
    // It ends anywhere behind the fragment header (in IPv6 at a multiple of eight, or no
    // stack takes it); what stands behind it in the frame is what follows, noise, or a
    // packet to nobody's port.
    let begins = if v6 {
        behind_fragment_header(&bytes)
    } else {
        header
    };
    let unit = if v6 { 8 } else { 1 };
    let end = begins + unit * random.below((bytes.len() - begins) / unit + 1);
    match random.below(4) {
        0 => {}
        1 => bytes.truncate(end),
        2 => bytes[end..].fill_with(|| random.next() as u8),
        _ => {
            bytes.truncate(end);
            bytes.extend_from_slice(&[0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10]);
            bytes.extend_from_slice(&[0; 40]);
        }
    }
    let own = (end - if v6 { 54 } else { 14 }) as u16;
    bytes[length..length + 2].copy_from_slice(&own.to_be_bytes());
    bytes
}

/// The place where the fragmented part begins.
fn behind_fragment_header(bytes: &[u8]) -> usize {
    let (mut next, mut at) = (bytes[20], 54);
    loop {
        let length = usize::from(bytes[at + 1]);
        let step = match next {
            FRAGMENT => return at + 8,
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        (next, at) = (bytes[at], at + step);
    }
}

/// Counts how many of so many are let in, at one moment, as the first of all packets. (Of one
/// connection id each after the first is free; so it is where it is hidden.)
fn admitted(both: &mut Both, frame: &[u8], sent: usize) -> usize {
    both.forget();
    let now = Preamble::default();
    (0..sent)
        .filter(|_| !both.judge(&now, frame).drops())
        .count()
}

fn to(source: &str) -> Frame {
    frame().ip(
        source,
        if source.contains(':') {
            SERVER6
        } else {
            SERVER
        },
    )
}

fn seeded(both: &mut Both) -> Random {
    both.seed = number("WEIR_SEED", 0x6869_6465);
    Random::new(both.seed)
}

fn rounds() -> u64 {
    number("WEIR_HIDDEN", 1_500)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// More than any of the rates lets in at once.
const SENT: usize = 5;
