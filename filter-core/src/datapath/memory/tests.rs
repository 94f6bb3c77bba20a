use filter_common::{
    packet::TCP,
    rate::{Rate, Rates},
    settings::Mode,
    verdict::{NEVER, Stage, Verdict},
};

use filter_common::cause::Cause;

use super::*;
use crate::{config::tier::Tiers, prefix::Written};

const SIZES: Sizes = Sizes {
    ipv4: 2,
    ipv6: 2,
    buckets: 3,
};

fn prefix(text: &str) -> Prefix {
    text.parse::<Written>().expect(text).prefix
}

fn block(prefix: Prefix) -> Patch {
    let mut patch = Patch::default();
    patch.push(prefix, &[Stage::new(Verdict::BLOCK, 7, NEVER)], &[]);
    patch
}

/// `tcp/443` is guarded: two packets at once, one a second.
fn memory() -> Memory {
    let mut memory = Memory::new(&SIZES);
    let two = Rate::new(1, 1_000_000_000, 2).expect("a rate");
    let tier = Tier::new(
        Rates {
            packets: two,
            ..Rates::NONE
        },
        Rates::NONE,
    );
    let port = Port {
        service: 1,
        ..Port::default()
    };
    let plan = Plan {
        settings: Settings {
            mode: Mode::Enforce as u8,
            event_budget: two,
            ..Settings::default()
        },
        ports: vec![(TCP, 443, port)],
        scopes: Vec::new(),
        services: vec![(1, Service::default())],
        tiers: vec![(1, 0, tier)],
        shifts: [22; 4],
        reach: [1000; 4],
        tier_names: Tiers::default(),
        service_names: Vec::new(),
    };
    memory.configure(&plan).expect("memory takes any plan");
    memory.set(&plan.settings).expect("and any settings");
    memory
}

/// TCP to port 443 from 192.0.2.`last`.
fn frame(last: u8) -> [u8; 54] {
    let mut frame = [0; 54];
    frame[12] = 8;
    frame[14] = 0x45;
    frame[23] = TCP;
    frame[26..30].copy_from_slice(&[192, 0, 2, last]);
    frame[36..38].copy_from_slice(&443_u16.to_be_bytes());
    frame
}

fn causes(memory: &mut Memory, lasts: &[u8]) -> Vec<Cause> {
    let cause = |last: &u8| memory.filter(&frame(*last)).cause;
    let codes: Vec<_> = lasts.iter().map(cause).collect();
    let named = codes.into_iter().map(Cause::from_code);
    named.map(|cause| cause.expect("a cause")).collect()
}

#[test]
fn the_longest_prefix_holds() {
    let mut memory = memory();
    let mut patch = block(prefix("192.0.2.0/24"));
    patch.push(
        prefix("192.0.2.7"),
        &[Stage::new(Verdict::ALLOW, 8, NEVER)],
        &[],
    );
    assert_eq!(memory.apply(&patch), []);
    assert_eq!(
        causes(&mut memory, &[7, 8]),
        [Cause::Allowed, Cause::Blocked]
    );
}

#[test]
fn a_full_table_refuses_what_is_new_and_keeps_what_is_there() {
    let mut memory = memory();
    for text in ["192.0.2.1", "192.0.2.2", "192.0.2.0/24"] {
        assert_eq!(memory.apply(&block(prefix(text))), [], "{text} has room");
    }
    let refused = memory.apply(&block(prefix("192.0.2.3")));
    assert_eq!(refused[0].0, prefix("192.0.2.3"));
    assert_eq!(memory.apply(&block(prefix("192.0.2.2"))), []);
    let mut leave = Patch::default();
    leave.push(prefix("192.0.2.1"), &[], &[]);
    assert_eq!(memory.apply(&leave), []);
    assert_eq!(memory.apply(&block(prefix("192.0.2.3"))), []);
}

#[test]
fn every_packet_is_counted_and_the_first_drop_is_told() {
    let mut memory = memory();
    causes(&mut memory, &[1, 1, 1, 1]);
    let counts = memory.counts().expect("memory can be read");
    let over = counts.causes[Cause::OverPackets as usize];
    assert_eq!(counts.causes[Cause::Conforming as usize].packets(), 2);
    assert_eq!((over.packets(), over.dropped_bytes), (2, 2 * 54));
    let sources = counts.sources[Cause::OverPackets as usize];
    assert_eq!((sources, counts.sent, counts.buckets.begun), (1, 1, 1));
    let events = memory.take_events();
    assert_eq!((events.len(), events[0].first), (1, 1));
    assert_eq!(memory.take_events(), []);
}

#[test]
fn explaining_changes_nothing() {
    let mut memory = memory();
    for _ in 0..5 {
        let decision = memory.explain(&frame(1)).expect("memory explains");
        assert_eq!(decision.cause, Cause::Conforming as u8);
    }
    assert_eq!(memory.counts().expect("counts"), Counts::default());
    causes(&mut memory, &[1, 1]);
    let decision = memory.explain(&frame(1)).expect("memory explains");
    assert_eq!(decision.cause, Cause::OverPackets as u8);
}

#[test]
fn a_source_that_finds_only_busier_ones_passes_unlimited_and_evicts_nobody() {
    // Room for three is room for a line of eight; each uses up its burst.
    let mut memory = memory();
    for last in 1..=8 {
        causes(&mut memory, &[last, last]);
    }
    assert_eq!(causes(&mut memory, &[9, 9]), [Cause::Unlimited; 2]);
    let counts = memory.counts().expect("counts").buckets;
    assert_eq!((counts.taken, counts.begun, counts.evicted), (8, 1, 0));
    assert_eq!((counts.saturated, counts.refused), (2, 2));
    for last in 1..=8 {
        assert_eq!(causes(&mut memory, &[last]), [Cause::OverPackets]);
    }
    // A second and a half later they have used up less than a new one will.
    memory.set_time(1_500_000_000, 1);
    assert_eq!(causes(&mut memory, &[9]), [Cause::Conforming]);
    let counts = memory.counts().expect("counts").buckets;
    assert_eq!(
        (counts.evicted, counts.saturated, counts.refused),
        (1, 3, 2)
    );
}

#[test]
fn a_bucket_fills_as_time_goes_on() {
    let mut memory = memory();
    causes(&mut memory, &[1, 1, 1]);
    // One in a hundred later than the rate says, at most.
    memory.set_time(1_010_000_000, 1);
    assert_eq!(
        causes(&mut memory, &[1, 1]),
        [Cause::Conforming, Cause::OverPackets]
    );
}
