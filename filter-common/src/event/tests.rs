use super::*;
use crate::{
    cause::{Action, Cause},
    packet::{TCP, wire::*},
    settings::Mode,
};

#[test]
fn an_event_carries_what_was_decided() {
    let packet = read(&frame(&[], &v6(&[], TCP, &tcp(2))));
    let decision = Decision {
        claim: 1,
        shadow_claim: 2,
        cause: Cause::OverBytes as u8,
        action: Action::Drop as u8,
        verdict: 3,
        service: 4,
        tier: 5,
        level: 0,
        shadow: 6,
        shadow_tier: 7,
    };
    let settings = Settings {
        generation: 8,
        mode: Mode::Enforce as u8,
        ..Settings::default()
    };
    let telling = Telling {
        first: true,
        send: true,
        wake: true,
        now: 9,
        suppressed_before: 10,
        weight: 12,
        sampled: true,
    };
    let event = Event::new(&packet, &decision, &settings, 11, &telling);
    let expected = Event {
        nanoseconds: 9,
        generation: 8,
        suppressed_before: 10,
        weight: 12,
        source: [0x2020_2020_2020_2020, 0x2121_2121_2121_2121],
        destination: [0x3030_3030_3030_3030, 0x3131_3131_3131_3131],
        interface: 11,
        claim: 1,
        length: 74,
        port: 443,
        family: 6,
        protocol: 6,
        cause: 9,
        action: 1,
        mode: 1,
        service: 4,
        tier: 5,
        first: 1,
        destination_family: 6,
        reserved: 0,
    };
    assert_eq!(event, expected);
}

#[test]
fn a_counter_adds_up_what_passed_and_what_did_not() {
    let opens = read(&frame(&[], &v4(TCP, 0, 0, &tcp(2))));
    let data = read(&frame(&[], &v4(TCP, 0, 0, &tcp(0x10))));
    let mut counter = Counter::default();
    counter.add(&opens, false, false);
    counter.add(&opens, true, false);
    counter.add(&opens, true, true);
    counter.add(&data, true, true);
    let expected = Counter {
        passed_packets: 2,
        passed_bytes: 2 * 54,
        dropped_packets: 2,
        dropped_bytes: 2 * 54,
        connections: 2,
    };
    assert_eq!(counter, expected);
}

#[test]
fn a_sketch_marks_a_source_once_and_tells_sources_apart() {
    let mut sketch = Sketch::NEW;
    let bits = |sketch: &Sketch| {
        sketch
            .words
            .iter()
            .map(|word| word.count_ones())
            .sum::<u32>()
    };
    for host in 0..1000_u32 {
        for _ in 0..3 {
            sketch.add(&Address::v4((0xc633_6400 + host).to_be_bytes()));
        }
    }
    // By chance some 30 of a thousand share a bit.
    assert!((940..=990).contains(&bits(&sketch)), "{}", bits(&sketch));
    let mut sketch = Sketch::NEW;
    let one = Address::v6([0x20; 8], [1; 8]);
    let same_source = Address::v6([0x20; 8], [2; 8]);
    sketch.add(&one);
    sketch.add(&same_source);
    assert_eq!(bits(&sketch), 1);
}
