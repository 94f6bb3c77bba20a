//! Buckets are evenly spread whatever the addresses, and tags have
//! nothing to do with lines.

use std::{collections::HashSet, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    settings::MAX_TIERS,
    source::{Address, Family},
};

const LINES: u32 = 131_072;

const KEYS: [[u64; 4]; 3] = [
    [
        0x452821e638d01377,
        0xbe5466cf34e90c6c,
        0xc0ac29b7c97c50dd,
        0x3f84d5b5b5470917,
    ],
    [
        0x9216d5d98979fb1b,
        0xd1310ba698dfb5ac,
        0x2ffd72dbd01adfb7,
        0xb8e1afed6a267e96,
    ],
    [
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c89,
    ],
];

/// Sources as they come: one after the other, clustered, far apart; both families.
fn populations() -> Vec<(&'static str, Vec<BucketKey>)> {
    let key = |prefix: u64, family: Family| BucketKey {
        prefix,
        family: family as u8,
        level: BucketKey::SOURCE,
        service: 1,
        tier: 0,
        shadow: 0,
    };
    let v4 = |address: u32| key(Address::v4(address.to_be_bytes()).source(), Family::V4);
    let v6 = |high: u64| key(high, Family::V6);
    let many = 0..1_u32 << 18;
    vec![
        (
            "IPv4 in a row",
            many.clone().map(|n| v4(0x0a00_0000 + n)).collect(),
        ),
        (
            "the first of each /24",
            many.clone().map(|n| v4(n << 8)).collect(),
        ),
        (
            "the same host of each /20",
            many.clone().map(|n| v4(n << 14 | 7)).collect(),
        ),
        (
            "clusters of 16 in IPv4",
            many.clone()
                .map(|n| v4((n >> 4).wrapping_mul(0x9e37_79b1) & !15 | n & 15))
                .collect(),
        ),
        (
            "the /64s of a /46",
            many.clone()
                .map(|n| v6(0x2001_0db8 << 32 | u64::from(n)))
                .collect(),
        ),
        (
            "a /64 of each /46",
            many.clone()
                .map(|n| v6(0x2000_0000_0000_0000 | u64::from(n) << 18))
                .collect(),
        ),
        (
            "the neighbourhoods of a /30",
            many.clone()
                .map(|n| BucketKey {
                    level: BucketKey::NEIGHBOURHOOD,
                    ..v6((0x2001_0db8_0000 | u64::from(n)) << 16)
                })
                .collect(),
        ),
        (
            "the services of a few sources",
            many.map(|n| BucketKey {
                service: n as u8,
                ..v4(n >> 8)
            })
            .collect(),
        ),
    ]
}

/// How far from even, in standard deviations of chi-square.
fn skew(counts: &[u32]) -> f64 {
    let total: u32 = counts.iter().sum();
    let even = f64::from(total) / counts.len() as f64;
    let chi: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - even).powi(2) / even)
        .sum();
    let freedom = (counts.len() - 1) as f64;
    (chi - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn lines_and_tags_are_evenly_spread_and_independent_whatever_the_sources() {
    for key in KEYS {
        let seed = seed(key, LINES);
        for (name, sources) in populations() {
            let places: Vec<_> = sources.iter().map(|source| seed.place(source)).collect();
            let mut lines = vec![0_u32; 4096];
            let mut low = vec![0_u32; 4096];
            let mut high = vec![0_u32; 4096];
            // A tag's bits within lines that are near each other.
            let mut both = vec![0_u32; 4096];
            for place in &places {
                lines[(place.line / (LINES / 4096)) as usize] += 1;
                low[(place.tag & 0xfff) as usize] += 1;
                high[(place.tag >> 20) as usize] += 1;
                both[((place.line & 63) << 6 | place.tag & 63) as usize] += 1;
            }
            for (what, counts) in [
                ("lines", lines),
                ("low", low),
                ("high", high),
                ("both", both),
            ] {
                let skew = skew(&counts);
                // More even than by chance is fine.
                assert!(skew < 6.0, "{what} of {name}: {skew} deviations");
            }
            let words: HashSet<_> = places.iter().map(|place| (place.line, place.tag)).collect();
            assert!(
                sources.len() - words.len() <= 1,
                "two of {name} share a word"
            );
        }
    }
}

#[test]
fn the_buckets_of_a_home_share_its_line_and_no_two_have_near_tags() {
    for key in KEYS {
        let home = seed(key, LINES).home(0xc000_0207, 4, BucketKey::SOURCE, 3);
        let tiers = (0..MAX_TIERS as u8).flat_map(|tier| [(tier, 0), (tier, 1)]);
        let mut tags = Vec::new();
        for (tier, shadow) in tiers {
            let place = home.place(tier, shadow);
            assert_eq!(place.line, home.line);
            tags.push(place.tag);
        }
        tags.sort_unstable();
        // An old word seems to be of the next tag, and of the 16 next where it
        // is remembered longer.
        let nearest = tags.windows(2).map(|pair| pair[1] - pair[0]).min();
        assert!(nearest > Some(1 << 8), "{nearest:?}");
    }
}

#[test]
fn no_line_is_crowded_by_chance_more_than_chance_allows() {
    let seed = seed(KEYS[2], LINES);
    for (name, sources) in populations() {
        let mut lines = vec![0_u32; LINES as usize];
        for source in &sources {
            lines[seed.place(source).line as usize] += 1;
        }
        // Two a line on average: of 131,072 lines 31 have more than 8 by chance.
        let crowded = lines.iter().filter(|count| **count > 8).count();
        assert!((5..80).contains(&crowded), "{crowded} lines of {name}");
    }
}

proptest! {
    #[test]
    fn whoever_does_not_know_the_key_cannot_aim(
        key in any::<[u64; 4]>(), one in any::<u64>(), difference in 1..u64::MAX,
    ) {
        // A pair chosen beforehand meets in a line as seldom as any other pair: here
        // in 4,096 pairs of that difference, each under a key of its own.
        let mut met = 0;
        let mut key = key;
        for _ in 0..4096 {
            for word in &mut key {
                *word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                *word ^= *word >> 29;
            }
            let seed = seed(key, 256);
            let of = |prefix| seed.place(&BucketKey { prefix, family: 4, level: 0, service: 1, tier: 0, shadow: 0 });
            met += u32::from(of(one).line == of(one ^ difference).line);
        }
        // 16 are expected.
        prop_assert!(met < 48, "{met} of 4,096 met");
    }

    #[test]
    fn equal_words_of_two_families_never_meet(
        prefix in prop_oneof![any::<u64>(), 0..1_u64 << 32], key in any::<[u64; 4]>(),
    ) {
        let seed = seed(key, LINES);
        let of = |family, level, shadow| {
            seed.place(&BucketKey { prefix, family, level, service: 1, tier: 0, shadow })
        };
        let mut all = Vec::new();
        for family in [4, 6] {
            for level in [0, 1] {
                for shadow in [0, 1] {
                    all.push(of(family, level, shadow));
                }
            }
        }
        let different: HashSet<_> = all.iter().map(|place| (place.line, place.tag)).collect();
        prop_assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_line_is_always_in_the_table(prefix in any::<u64>(), key in any::<[u64; 4]>(), lines in 1..=u32::MAX) {
        let seed = seed(key, lines);
        let key = BucketKey { prefix, family: 4, level: 0, service: 1, tier: 0, shadow: 0 };
        prop_assert!(seed.place(&key).line < lines);
    }
}
