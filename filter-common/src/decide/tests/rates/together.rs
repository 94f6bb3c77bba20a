//! The rate of all sources of a service together.

use super::*;
use crate::{
    bucket::{Ask, look},
    rate::{Kind, TOGETHER},
};

/// So many connections at once together, and each source has more than enough.
fn shared(together: u64) -> Tier {
    source_rates(Rates {
        connections: burst(100),
        ..Rates::NONE
    })
    .with_together(burst(together))
}

fn tables() -> Collections {
    let mut tables = with(shared(3));
    tables.tiers.insert((1, 2), shared(3));
    tables
}

fn judged(source: Address, tables: &Collections, at: u64) -> Decision {
    decide(&sent_from(api(), source), tables, &At(at, 0))
}

#[test]
fn all_sources_and_tiers_of_a_service_share_it_exactly() {
    let mut tables = tables();
    tables
        .entries
        .insert(v4_at(2, 7), always(Verdict::limit(2)));
    let sources = [v4_at(1, 1), v4_at(2, 7), v6_at(1, 1, 1)];
    for source in sources {
        let decision = judged(source, &tables, 0);
        assert_eq!(decision.cause, Cause::Conforming as u8, "{source:?}");
    }
    for source in [v4_at(1, 1), v4_at(2, 7), v6_at(9, 1, 1), v4_at(3, 3)] {
        let decision = judged(source, &tables, 0);
        assert_eq!(decision.cause, Cause::OverConnections as u8, "{source:?}");
        assert_eq!(decision.level, BucketKey::TOGETHER);
        assert!(decision.drops());
    }
    // One word for all of them; of what was refused nothing was charged.
    let together = BucketKey::together(1, 0);
    let place = tables.seed.place(&together);
    let rate = burst(3);
    assert_eq!(together.number(Kind::Connections), TOGETHER);
    let ask = Ask::new(place.tag, TOGETHER, &rate, 0, 0);
    let ahead = look(&tables.lines[place.line as usize], &ask, &rate);
    assert_eq!(ahead / rate.cost(1), 3);
    let own = Rates {
        connections: burst(100),
        ..Rates::NONE
    };
    let bucket = bucket_of(v4_at(1, 1), BucketKey::SOURCE, 1, 0);
    assert_eq!(tables.used(&bucket, 0, &own), [0, 0, 1]);
    // One comes in each second (and a tick), whoever is first.
    let later = SECOND * 3 / 2;
    assert!(!judged(v4_at(3, 3), &tables, later).drops());
    assert!(judged(v4_at(3, 4), &tables, later).drops());
}

#[test]
fn a_source_over_its_own_rates_takes_nothing_from_the_others() {
    let tables = with(
        source_rates(Rates {
            connections: burst(1),
            ..Rates::NONE
        })
        .with_together(burst(2)),
    );
    assert!(!judged(v4_at(1, 1), &tables, 0).drops());
    for _ in 0..5 {
        let decision = judged(v4_at(1, 1), &tables, 0);
        assert_eq!(decision.cause, Cause::OverConnections as u8);
        assert_eq!(decision.level, BucketKey::SOURCE);
    }
    assert!(!judged(v4_at(1, 2), &tables, 0).drops());
    assert_eq!(judged(v4_at(1, 3), &tables, 0).level, BucketKey::TOGETHER);
}

#[test]
fn only_what_opens_a_connection_uses_it() {
    let tables = tables();
    let data = read(&frame(&[], &v4(TCP, 0, 0, &tcp(0x10))));
    for _ in 0..9 {
        let decision = decide(&data, &tables, &At(0, 0));
        assert_eq!(decision.cause, Cause::Conforming as u8);
    }
    for number in 1..=3 {
        assert!(!judged(v4_at(1, number), &tables, 0).drops());
    }
    assert!(judged(v4_at(1, 4), &tables, 0).drops());
    let decision = decide(&data, &tables, &At(0, 0));
    assert_eq!(decision.cause, Cause::Conforming as u8, "inside one");
}

#[test]
fn a_tier_without_it_neither_uses_it_nor_is_held_by_it() {
    let mut tables = tables();
    let own = Rates {
        connections: burst(100),
        ..Rates::NONE
    };
    tables.tiers.insert((1, 2), source_rates(own));
    let attested = v4_at(2, 7);
    tables.entries.insert(attested, always(Verdict::limit(2)));
    for _ in 0..5 {
        assert!(!judged(attested, &tables, 0).drops());
    }
    for number in 1..=3 {
        assert!(!judged(v4_at(1, number), &tables, 0).drops());
    }
    assert!(judged(v4_at(1, 4), &tables, 0).drops());
    assert!(!judged(attested, &tables, 0).drops());
}

#[test]
fn alone_it_holds_too() {
    let tables = with(Tier::NONE.with_together(burst(1)));
    assert!(!judged(v4_at(1, 1), &tables, 0).drops());
    assert!(judged(v4_at(1, 2), &tables, 0).drops());
}
