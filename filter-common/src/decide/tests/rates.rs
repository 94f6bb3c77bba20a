//! Levels, weights, and that all is tested before anything is charged.

use super::*;

mod together;

#[test]
fn a_rate_of_the_source_belongs_to_an_ipv4_address_or_an_ipv6_64() {
    let one = Rates {
        packets: burst(1),
        ..Rates::NONE
    };
    let tables = with(source_rates(one));
    for (first, same, others) in [
        (v4_at(1, 1), v4_at(1, 1), [v4_at(1, 2), v4_at(2, 1)]),
        (
            v6_at(1, 1, 1),
            v6_at(1, 1, 2),
            [v6_at(1, 2, 1), v6_at(2, 1, 1)],
        ),
    ] {
        assert_eq!(cause_of(first, &tables), Cause::Conforming);
        assert_eq!(cause_of(same, &tables), Cause::OverPackets);
        for other in others {
            assert_eq!(cause_of(other, &tables), Cause::Conforming);
        }
    }
}

#[test]
fn a_rate_of_the_neighbourhood_belongs_to_an_ipv4_24_or_an_ipv6_48() {
    let two = Rates {
        packets: burst(2),
        ..Rates::NONE
    };
    let tables = with(Tier::new(Rates::NONE, two));
    for (inside, outside) in [
        ([v4_at(1, 1), v4_at(1, 2), v4_at(1, 3)], v4_at(2, 1)),
        (
            [v6_at(1, 1, 1), v6_at(1, 2, 1), v6_at(1, 3, 1)],
            v6_at(2, 1, 1),
        ),
    ] {
        assert_eq!(cause_of(inside[0], &tables), Cause::Conforming);
        assert_eq!(cause_of(inside[1], &tables), Cause::Conforming);
        let packet = sent_from(api(), inside[2]);
        let decision = decide(&packet, &tables, &At(0, 0));
        assert_eq!(decision.cause, Cause::OverNeighbourhood as u8);
        assert_eq!((decision.level, decision.drops()), (1, true));
        assert_eq!(cause_of(outside, &tables), Cause::Conforming);
    }
}

#[test]
fn the_first_address_of_a_neighbourhood_is_not_the_neighbourhood() {
    let two = Rates {
        packets: burst(2),
        ..Rates::NONE
    };
    let tables = with(Tier::new(two, two));
    for first in [v4_at(1, 0), v6_at(1, 0, 0)] {
        assert_eq!(cause_of(first, &tables), Cause::Conforming);
        assert_eq!(cause_of(first, &tables), Cause::Conforming);
        assert_eq!(cause_of(first, &tables), Cause::OverPackets);
    }
}

#[test]
fn each_rate_refuses_by_its_own_cause() {
    for (rates, cause) in [
        (
            Rates {
                packets: burst(1),
                ..Rates::NONE
            },
            Cause::OverPackets,
        ),
        (
            Rates {
                bytes: burst(60),
                ..Rates::NONE
            },
            Cause::OverBytes,
        ),
        (
            Rates {
                connections: burst(1),
                ..Rates::NONE
            },
            Cause::OverConnections,
        ),
    ] {
        let tables = with(source_rates(rates));
        assert_eq!(cause_of(from(1), &tables), Cause::Conforming);
        assert_eq!(cause_of(from(1), &tables), cause);
        let later = decide(&sent_from(api(), from(1)), &tables, &At(60 * SECOND, 0));
        assert_eq!(later.cause, Cause::Conforming as u8);
    }
}

#[test]
fn only_a_packet_that_opens_is_charged_to_the_connections() {
    let tables = with(source_rates(Rates {
        connections: burst(1),
        ..Rates::NONE
    }));
    let data = read(&frame(&[], &v4(TCP, 0, 0, &tcp(0x10))));
    for _ in 0..5 {
        assert_eq!(
            decide(&data, &tables, &At(0, 0)).cause,
            Cause::Conforming as u8
        );
    }
    assert_eq!(
        decide(&api(), &tables, &At(0, 0)).cause,
        Cause::Conforming as u8
    );
    assert_eq!(
        decide(&api(), &tables, &At(0, 0)).cause,
        Cause::OverConnections as u8
    );
    assert_eq!(
        decide(&data, &tables, &At(0, 0)).cause,
        Cause::Conforming as u8
    );
}

#[test]
fn a_packet_that_one_rate_refuses_uses_up_nothing_of_the_others() {
    let wide = burst(1_000);
    let all = Rates {
        packets: wide,
        bytes: wide,
        connections: wide,
    };
    // Room for one packet of 54 bytes that opens a connection, not for two.
    let narrow = [
        Rates {
            packets: burst(1),
            ..all
        },
        Rates {
            bytes: burst(60),
            ..all
        },
        Rates {
            connections: burst(1),
            ..all
        },
    ];
    for rates in narrow {
        for tier in [Tier::new(rates, all), Tier::new(all, rates)] {
            let tables = with(tier);
            assert_eq!(cause_of(from(1), &tables), Cause::Conforming);
            let charged = tables.words();
            assert_eq!(charged.len(), 6);
            for level in [0, 1] {
                let key = bucket_of(from(1), level, 1, 0);
                assert_eq!(tables.used(&key, 0, &all), [1, 54, 1]);
            }
            for _ in 0..10 {
                assert!(cause_of(from(1), &tables).is_over());
                assert_eq!(tables.words(), charged);
            }
        }
    }
}

#[test]
fn a_stricter_tier_begins_without_a_burst() {
    let mut tables = Collections::new();
    let cold = Rates {
        packets: burst(50).cold(),
        ..Rates::NONE
    };
    tables.tiers.insert((1, 4), source_rates(cold));
    assert_eq!(cause_of(from(1), &tables), Cause::Conforming);
    tables.entries.insert(from(1), always(Verdict::limit(4)));
    assert_eq!(cause_of(from(1), &tables), Cause::Conforming);
    assert_eq!(cause_of(from(1), &tables), Cause::OverPackets);
    // The bucket of the tier before is another one.
    tables.entries.clear();
    assert_eq!(cause_of(from(1), &tables), Cause::Conforming);
}

#[test]
fn a_hidden_port_uses_up_nothing_of_the_service() {
    let mut tables = Collections::new();
    let one = source_rates(Rates {
        packets: burst(1),
        ..Rates::NONE
    });
    tables.tiers.insert((1, 1), one);
    tables.tiers.insert((0, 9), one);
    for cause in [Cause::Conforming, Cause::OverPackets] {
        assert_eq!(decide(&later(), &tables, &At(0, 0)).cause, cause as u8);
    }
    for cause in [Cause::Conforming, Cause::OverPackets] {
        assert_eq!(decide(&api(), &tables, &At(0, 0)).cause, cause as u8);
    }
}

#[test]
fn merged_packets_weigh_what_they_were() {
    let rates = Rates {
        packets: burst(100),
        bytes: burst(100_000),
        ..Rates::NONE
    };
    for (length, weight) in [
        (60, 1),
        (1514, 1),
        // With eight VLAN tags.
        (1546, 1),
        (1547, 2),
        (3000, 2),
        (3001, 3),
        (65_535, 44),
    ] {
        for (merges, weight) in [(true, weight), (false, 1)] {
            let mut tables = with(source_rates(rates));
            tables.merges = merges;
            decide(&of_length(api(), length), &tables, &At(0, 0));
            let key = bucket_of(api().source, 0, 1, 0);
            let expected = [weight, u64::from(length), 0];
            assert_eq!(tables.used(&key, 0, &rates), expected, "{length} bytes");
        }
    }
}

/// The default tables with another default tier of service 1.
fn with(tier: Tier) -> Collections {
    let mut tables = Collections::new();
    tables.tiers.insert((1, 1), tier);
    tables
}

fn cause_of(source: Address, tables: &Collections) -> Cause {
    let decision = decide(&sent_from(api(), source), tables, &At(0, 0));
    Cause::from_code(decision.cause).expect("a cause")
}

const fn v4_at(near: u8, host: u8) -> Address {
    Address::v4([198, 51, near, host])
}

const fn v6_at(near: u8, net: u8, host: u8) -> Address {
    let high = [0x20, 1, 0xd, 0xb8, 0, near, 0, net];
    Address::v6(high, [0, 0, 0, 0, 0, 0, 0, host])
}
