//! An IPv4 node is one source in all its spellings: the law, prefixes, the check endpoint
//! and the tables agree.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use filter_common::{
    cause::Cause,
    packet::read,
    source::{Address, Family},
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    check,
    datapath::{Datapath as _, memory::Memory},
    patch::Patch,
    prefix::{self, Prefix, Written},
};
use weir_tests::{
    frame::frame,
    mutant::Random,
    world::{self, SERVER, SERVER6},
};

#[test]
fn every_room_takes_a_spelling_for_the_same_source() {
    let mut random = Random::new(0x7370_656c);
    for _ in 0..2_000 {
        let node = node(&mut random);
        let source = Address::v4(node.octets());
        for spelled in spellings(node) {
            let ip = IpAddr::V6(spelled);
            assert_eq!(prefix::address(ip), source, "{spelled}");
            let written: Written = spelled.to_string().parse().expect("an address");
            assert_eq!(written.prefix, Prefix::of(source), "{spelled}");
            assert!(!written.masked, "{spelled}");
            assert_eq!(check::source::prefix(ip), Prefix::of(source), "{spelled}");
            let bytes = frame()
                .ip(&spelled.to_string(), SERVER6)
                .udp(1, 443)
                .build();
            assert_eq!(read(bytes.as_slice()).source, source, "{spelled}");
            // Prefixes within the spelling are the node's own. (Not those of a compatible
            // one that hold `::`.)
            let length = 8 + random.below(25) as u8;
            let wide: Written = format!("{spelled}/{}", 96 + length)
                .parse()
                .expect("a prefix");
            assert_eq!(
                wide.prefix,
                Prefix::new(source, length),
                "{spelled}/96+{length}"
            );
        }
    }
}

#[test]
fn a_block_of_any_spelling_holds_for_each_and_for_nobody_else() {
    let mut random = Random::new(0x626c_6f63);
    for _ in 0..50 {
        let node = node(&mut random);
        let beside = Ipv4Addr::from(u32::from(node) ^ 1);
        let mut named: Vec<_> = spellings(node).map(|one| one.to_string()).into();
        named.push(node.to_string());
        for name in &named {
            let mut memory = Memory::new(&world::SIZES);
            world::fill(&mut memory);
            let written: Written = name.parse().expect("an address");
            let mut patch = Patch::default();
            patch.push(
                written.prefix,
                &[Stage::new(Verdict::BLOCK, 7_000, NEVER)],
                &[],
            );
            assert_eq!(memory.apply(&patch), [], "{name}");
            let judged = |source: &str| {
                let to = if source.contains(':') {
                    SERVER6
                } else {
                    SERVER
                };
                memory.trial(&frame().ip(source, to).tcp(40_000, 443).syn().build())
            };
            for source in &named {
                let decision = judged(source);
                let named = (decision.cause, decision.claim);
                assert_eq!(
                    named,
                    (Cause::Blocked as u8, 7_000),
                    "{source}, blocked as {name}"
                );
            }
            for source in spellings(beside) {
                assert_ne!(
                    judged(&source.to_string()).claim,
                    7_000,
                    "{source} beside {name}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_spelling_of_ipv4_stays_what_it_is() {
    let mut random = Random::new(0x6f77_6e21);
    for text in [
        "::",
        "::1",
        "::ff",
        "::fffe:203.0.113.66",
        "::1:ffff:203.0.113.66",
        "64:ff9b:1::203.0.113.66",
        "64:ff9b::1:203.0.113.66",
        "2002:cb00:7142::1",
        "2001:0:cb00:7142::1",
    ] {
        same(text.parse().expect("an address"));
    }
    for _ in 0..2_000 {
        let word = u128::from(random.next()) << 64 | u128::from(random.next());
        same(Ipv6Addr::from(word | 1 << 125));
    }
}

fn same(ip: Ipv6Addr) {
    let source = prefix::address(IpAddr::V6(ip));
    assert_eq!(source.family, Family::V6, "{ip}");
    assert_eq!(prefix::ip(source), IpAddr::V6(ip));
    let bytes = frame().ip(&ip.to_string(), SERVER6).udp(1, 443).build();
    assert_eq!(read(bytes.as_slice()).source, source, "{ip}");
}

/// Mapped, compatible, and behind a translator.
fn spellings(node: Ipv4Addr) -> [Ipv6Addr; 3] {
    let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    [
        node.to_ipv6_mapped(),
        node.to_ipv6_compatible(),
        Ipv6Addr::from(u128::from(translated) | u128::from(u32::from(node))),
    ]
}

/// Any node that can be one: its first byte isn't 0.
const fn node(random: &mut Random) -> Ipv4Addr {
    let [_, b, c, d] = (random.next() as u32).to_be_bytes();
    Ipv4Addr::new(1 + random.below(223) as u8, b, c, d)
}
