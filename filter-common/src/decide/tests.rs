mod collections;
mod packets;
mod rates;
mod shadow;

use std::{vec, vec::Vec};

use proptest::prelude::*;

use self::{collections::*, packets::*};
use super::*;
use crate::{
    packet::{
        TCP, UDP,
        wire::{read, *},
    },
    rate::Rates,
    settings::Mode,
    verdict::{Entry, MAX_TIER, NEVER, SHADOW_STAGES, STAGES, Stage},
};

/// A question about a packet, with the verdict on its source; and what
/// comes out: cause, service, tier.
type Case = (&'static str, Packet, Verdict, (Cause, u8, u8));

fn cases() -> Vec<Case> {
    use Cause::*;
    let over = Verdict::limit(2);
    vec![
        ("nothing is said", api(), Verdict::NONE, (Conforming, 1, 1)),
        (
            "a feed's allow keeps the default tier",
            api(),
            Verdict::ADMIT,
            (Conforming, 1, 1),
        ),
        ("a limit chooses the tier", api(), over, (OverBytes, 1, 2)),
        (
            "a tier without rates",
            api(),
            Verdict::limit(3),
            (Unlimited, 1, 3),
        ),
        (
            "a tier that nobody made",
            api(),
            Verdict::limit(MAX_TIER),
            (Unlimited, 1, MAX_TIER),
        ),
        ("blocked", api(), Verdict::BLOCK, (Blocked, 1, 0)),
        (
            "allowed skips the rates",
            api(),
            Verdict::ALLOW,
            (Allowed, 1, 0),
        ),
        (
            "a protected source",
            api(),
            Verdict::PROTECT,
            (Protected, 0, 0),
        ),
        ("unguarded", other(), Verdict::NONE, (Unguarded, 0, 0)),
        ("unguarded beats a limit", other(), over, (Unguarded, 0, 0)),
        (
            "unguarded beats a feed's allow",
            other(),
            Verdict::ADMIT,
            (Unguarded, 0, 0),
        ),
        (
            "blocked beats unguarded",
            other(),
            Verdict::BLOCK,
            (Blocked, 0, 0),
        ),
        (
            "allowed beats unguarded",
            other(),
            Verdict::ALLOW,
            (Allowed, 0, 0),
        ),
        (
            "a protected source anywhere",
            other(),
            Verdict::PROTECT,
            (Protected, 0, 0),
        ),
        ("no port at all", ping(), Verdict::NONE, (Unguarded, 0, 0)),
        (
            "blocked without a port",
            ping(),
            Verdict::BLOCK,
            (Blocked, 0, 0),
        ),
        ("a hidden port", later(), Verdict::NONE, (Conforming, 0, 9)),
        (
            "a limit holds where the port is hidden",
            later(),
            over,
            (OverBytes, 0, 2),
        ),
        (
            "blocked beats a hidden port",
            later(),
            Verdict::BLOCK,
            (Blocked, 0, 0),
        ),
        (
            "allowed beats a hidden port",
            later(),
            Verdict::ALLOW,
            (Allowed, 0, 0),
        ),
        (
            "blocked behind a long chain",
            chained(),
            Verdict::BLOCK,
            (Blocked, 0, 0),
        ),
        ("a long chain", chained(), Verdict::NONE, (Malformed, 0, 0)),
        (
            "malformed beats a limit",
            chained(),
            over,
            (Malformed, 0, 0),
        ),
        (
            "malformed beats a feed's allow",
            chained(),
            Verdict::ADMIT,
            (Malformed, 0, 0),
        ),
        (
            "allowed beats malformed",
            chained(),
            Verdict::ALLOW,
            (Allowed, 0, 0),
        ),
        (
            "a protected source beats malformed",
            chained(),
            Verdict::PROTECT,
            (Protected, 0, 0),
        ),
        ("nine tags", nine_tags(), Verdict::BLOCK, (Malformed, 0, 0)),
        ("a protected port", ssh(), Verdict::NONE, (Protected, 0, 0)),
        (
            "a protected port beats blocked",
            ssh(),
            Verdict::BLOCK,
            (Protected, 0, 0),
        ),
        (
            "a protected port beats a limit",
            ssh(),
            over,
            (Protected, 0, 0),
        ),
        ("essential", dhcp(), Verdict::NONE, (Essential, 0, 0)),
        (
            "essential beats blocked",
            dhcp(),
            Verdict::BLOCK,
            (Essential, 0, 0),
        ),
        (
            "essential beats a protected source",
            dhcp(),
            Verdict::PROTECT,
            (Essential, 0, 0),
        ),
        ("not IP", not_ip(), Verdict::BLOCK, (NotIp, 0, 0)),
        (
            "unreadable",
            unreadable(),
            Verdict::BLOCK,
            (Unreadable, 0, 0),
        ),
    ]
}

#[test]
fn the_order_of_the_steps_is_the_law() {
    for (name, packet, verdict, (cause, service, tier)) in cases() {
        for mode in [Mode::Enforce, Mode::Observe] {
            let mut tables = Collections::new();
            tables.settings.mode = mode as u8;
            if verdict != Verdict::NONE {
                tables.entries.insert(packet.source, always(verdict));
            }
            let decision = decide(&packet, &tables, &At(0, 0));
            assert_eq!(Cause::from_code(decision.cause), Some(cause), "{name}");
            assert_eq!((decision.service, decision.tier), (service, tier), "{name}");
            assert_eq!(decision.would_drop(), cause.drops(), "{name}");
            let enforced = mode == Mode::Enforce && cause.drops();
            assert_eq!(decision.drops(), enforced, "{name} in {}", mode.name());
            assert_eq!(
                (decision.level, decision.shadow),
                (0, Decision::NO_SHADOW),
                "{name}"
            );
            let judged = !matches!(
                cause,
                Cause::NotIp | Cause::Unreadable | Cause::Essential | Cause::Protected
            ) && packet.kind == Kind::Ip;
            let said = judged && verdict != Verdict::NONE;
            let expected = if said { (7, verdict.code()) } else { (0, 0) };
            assert_eq!((decision.claim, decision.verdict), expected, "{name}");
        }
    }
}

#[test]
fn the_clock_is_read_only_for_rates_and_expiries() {
    for (_, packet, verdict, (cause, ..)) in cases() {
        let mut tables = Collections::new();
        tables.entries.insert(packet.source, always(verdict));
        if cause != Cause::Conforming && !cause.is_over() {
            decide(&packet, &tables, &Stopped);
        }
    }
}

#[test]
fn a_verdict_ends_in_its_second_and_the_next_one_follows() {
    let mut tables = Collections::new();
    let mut entry = Entry::EMPTY;
    entry.stages[0] = Stage::new(Verdict::BLOCK, 1, 10);
    entry.stages[1] = Stage::new(Verdict::limit(2), 2, 20);
    tables.entries.insert(api().source, entry);
    for (second, cause, claim) in [
        (9, Cause::Blocked, 1),
        (10, Cause::OverBytes, 2),
        (19, Cause::OverBytes, 2),
        (20, Cause::Conforming, 0),
    ] {
        let decision = decide(&api(), &tables, &At(0, second));
        assert_eq!(
            (decision.cause, decision.claim),
            (cause as u8, claim),
            "at {second} s"
        );
    }
}

#[test]
fn what_no_source_can_be_read_from_is_dropped_if_strict_and_enforced() {
    for (strict, mode, drops) in [
        (0, Mode::Enforce, false),
        (1, Mode::Enforce, true),
        (1, Mode::Observe, false),
    ] {
        let mut tables = Collections::new();
        tables.settings.strict = strict;
        tables.settings.mode = mode as u8;
        assert_eq!(decide(&unreadable(), &tables, &Stopped).drops(), drops);
        assert!(!decide(&not_ip(), &tables, &Stopped).drops());
    }
}

#[test]
fn a_port_protected_for_some_sources_is_so_for_no_others() {
    let mut tables = Collections::new();
    let some = Port {
        protection: Port::PROTECTED_FOR_SOME,
        ..Port::default()
    };
    tables.ports.insert((TCP, 22), some);
    for source in [from(1), from(2)] {
        tables.entries.insert(source, always(Verdict::BLOCK));
    }
    tables.protected = vec![(TCP, 22, from(1)), (TCP, 443, from(2))];
    for (number, port, cause) in [
        (1, ssh(), Cause::Protected),
        (2, ssh(), Cause::Blocked),
        (3, ssh(), Cause::Unguarded),
        (2, api(), Cause::Blocked),
    ] {
        let packet = sent_from(port, from(number));
        assert_eq!(
            decide(&packet, &tables, &At(0, 0)).cause,
            cause as u8,
            "source {number}"
        );
    }
}

#[test]
fn a_service_may_have_a_port_at_some_destinations_only() {
    let mut tables = Collections::new();
    tables.destinations = vec![(TCP, 443, from(50), 2), (TCP, 80, from(51), 2)];
    let by_destination = |service| Port {
        service,
        by_destination: 1,
        ..Port::default()
    };
    tables.ports.insert((TCP, 443), by_destination(1));
    tables.ports.insert((TCP, 80), by_destination(0));
    for (packet, destination, service, cause) in [
        (api(), 50, 2, Cause::OverBytes),
        (api(), 51, 1, Cause::Conforming),
        (other(), 51, 2, Cause::OverBytes),
        (other(), 50, 0, Cause::Unguarded),
    ] {
        let packet = sent_to(packet, from(destination));
        let decision = decide(&packet, &tables, &At(0, 0));
        assert_eq!((decision.service, decision.cause), (service, cause as u8));
    }
    // A port that isn't marked isn't looked up.
    tables.ports.insert(
        (TCP, 443),
        Port {
            service: 1,
            ..Port::default()
        },
    );
    let packet = sent_to(api(), from(50));
    assert_eq!(decide(&packet, &tables, &At(0, 0)).service, 1);
}

#[test]
fn a_service_in_observe_passes_what_is_over_and_drops_what_is_blocked() {
    let mut tables = Collections::new();
    tables.services[1].observe = 1;
    for (verdict, cause, drops) in [
        (Verdict::limit(2), Cause::OverBytes, false),
        (Verdict::BLOCK, Cause::Blocked, true),
    ] {
        tables.entries.insert(api().source, always(verdict));
        let decision = decide(&api(), &tables, &At(0, 0));
        assert_eq!(decision.cause, cause as u8);
        assert!(decision.would_drop() && decision.drops() == drops);
    }
}

#[test]
fn a_packet_that_finds_no_bucket_is_treated_as_the_settings_say() {
    let near = Tier::new(
        Rates {
            packets: burst(9),
            ..Rates::NONE
        },
        Rates {
            packets: burst(9),
            ..Rates::NONE
        },
    );
    for lines in [0, 1024] {
        for (refuse, cause) in [(0, Cause::Unlimited), (1, Cause::OverPackets)] {
            let mut tables = Collections::new();
            tables.tiers.insert((1, 1), near);
            tables.saturate();
            tables.lines.truncate(lines);
            tables.settings.refuse_saturated = refuse;
            let decision = decide(&api(), &tables, &At(0, 0));
            assert_eq!(
                (decision.cause, decision.drops()),
                (cause as u8, refuse == 1)
            );
            let notes: Vec<_> = tables.notes.take();
            let both = 2 * (Notes::SATURATED + Notes::NONE);
            assert!(notes.is_empty() || notes == [Notes(both)], "{notes:?}");
            assert_eq!(notes.is_empty(), lines == 0);
        }
    }
}

#[test]
fn what_is_not_counted_makes_nothing_free() {
    let long = |version: u32, first: u8, id: u8| {
        let mut payload = vec![first];
        payload.extend_from_slice(&version.to_be_bytes());
        payload.extend_from_slice(&[8, id, 2, 3, 4, 5, 6, 7, 8, 0]);
        payload.resize(1_200, 0);
        frame(&[], &v4(UDP, 0, 0, &udp(5_000, 443, &payload)))
    };
    for (quic, version, first) in [
        // Another than the Initial of a version that is named, and a version that isn't
        // one, before Initials with the same ids.
        (Service::QUIC, 0xface_b002, 0xe0),
        (Service::QUIC_AT_443, 0, 0xd0),
    ] {
        let mut tables = Collections::new();
        tables.services[1].quic = quic;
        tables.services[1].versions[0] = 0xface_b002;
        let one = Rates {
            connections: burst(4),
            ..Rates::NONE
        };
        tables.tiers.insert((1, 1), source_rates(one));
        let judged = |bytes: Vec<u8>| judge(&*bytes, &tables, &At(0, 0)).1.cause;
        let mut passed = 0;
        for id in 0..50 {
            judged(long(version, first, id));
            let initial = judged(long(1, 0xc0, id));
            passed += u32::from(initial == Cause::Conforming as u8);
        }
        // Two for each that is charged, as anywhere.
        assert!(passed <= 8, "{passed} of 50");
    }
}

#[test]
fn one_call_reads_and_judges() {
    let bytes = frame(&[0x8100], &v4(TCP, 0, 0, &tcp(2)));
    let (packet, decision) = judge(&*bytes, &Collections::new(), &At(0, 0));
    assert_eq!(packet, read(&bytes));
    assert_eq!(decision, decide(&packet, &Collections::new(), &At(0, 0)));
    assert_eq!(decision.cause, Cause::Conforming as u8);
}
