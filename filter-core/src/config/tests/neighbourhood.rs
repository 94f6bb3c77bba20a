//! Rates of neighbourhoods: what holds for both families, and what for IPv6 alone.

use super::{SMALL, parse, rate};
use crate::config::{Config, tier};
use filter_common::{
    rate::{Rate, Rates},
    source::Family::{V4, V6},
};

fn near(text: &str, tier: &str) -> [Rates; 2] {
    let tier = parse(text).tiers[tier];
    [*tier.neighbourhood(V4), *tier.neighbourhood(V6)]
}

#[test]
fn what_is_said_of_ipv6_goes_before_what_is_said_of_both_families() {
    let [v4, v6] = near(
        r#"
        [tier.a.neighbourhood]
        packets = { rate = "100/s", burst = 100 }
        connections = { rate = "20/s", burst = 100 }
        [tier.a.neighbourhood.ipv6]
        connections = { rate = "2000/s", burst = 9000 }
        bytes = { rate = "1MiB/s", burst = "1MiB" }
        "#,
        "a",
    );
    assert_eq!(v4.packets, rate(100, 100));
    assert_eq!(v6.packets, v4.packets);
    assert_eq!(v4.connections, rate(20, 100));
    assert_eq!(v6.connections, rate(2_000, 9_000));
    assert_eq!((v4.bytes, v6.bytes), (Rate::NONE, rate(1 << 20, 1 << 20)));
    assert!(!parse(SMALL).tiers[tier::UNKNOWN].neighbourhood(V6).is_set());
}

#[test]
fn tiers_that_follow_unknown_follow_what_it_says_of_both_families() {
    let text = r#"
        [policy]
        mode = "observe"
        [tier.unknown.neighbourhood]
        connections = { rate = "2000/s", burst = 9000 }
        [tier.unknown.neighbourhood.ipv6]
        connections = { rate = "20000/s", burst = 90000 }
        packets = { rate = "20000/s", burst = 90000 }
        [tier.shared-2.neighbourhood]
        connections = { rate = "3000/s", burst = 9000 }
        [tier.shared-2.neighbourhood.ipv6]
        connections = { rate = "30000/s", burst = 90000 }
        "#;
    let [v4, v6] = near(text, tier::ATTESTED);
    assert_eq!(v4.connections, rate(2_000, 9_000));
    assert_eq!(v6, v4, "a source that proved itself isn't bound by more");
    let [v4, v6] = near(text, "shared-8");
    assert_eq!(v4.connections, rate(3_000, 9_000));
    assert_eq!(v6, v4);
    assert_eq!(near(text, tier::FRAGMENTS), near(text, tier::UNKNOWN));
}

#[test]
fn keys_of_a_neighbourhood_are_looked_at() {
    for (wrong, says) in [
        (
            "[tier.a.neighbourhood]\nipv5 = {}",
            "line 2: unknown key `ipv5` in [tier.a.neighbourhood]; did you mean `ipv6`?",
        ),
        (
            "[tier.a.neighbourhood.ipv6]\nconection = 1",
            "line 2: unknown key `conection` in [tier.a.neighbourhood.ipv6]; did you mean `connections`?",
        ),
        (
            "[tier.a.neighbourhood.ipv6.ipv6]",
            "line 1: unknown key `ipv6` in [tier.a.neighbourhood.ipv6]; the keys here are `packets`, `bytes`, `connections`",
        ),
        (
            "[tier.a.neighbourhood]\nipv6 = 5",
            "line 2, `ipv6` in [tier.a.neighbourhood]: write [tier.a.neighbourhood.ipv6] in a line of its own, and its keys below it",
        ),
        (
            "[tier.a.neighbourhood.ipv6]\nconnections = { rate = \"0/s\", burst = 5 }",
            "line 2, `rate` in [tier.a.neighbourhood.ipv6.connections]: 0 would let nothing through",
        ),
    ] {
        let message = Config::parse(wrong).expect_err(wrong).to_string();
        assert!(message.starts_with(says), "{message}");
    }
}

#[test]
fn a_tier_whose_default_can_not_be_held_is_doubted() {
    let partner = |connections: &str| {
        let text = format!("{SMALL}\n[tier.partner]\nconnections = {connections}");
        parse(&text).warnings
    };
    let [warning] = &partner("{ rate = \"100000/s\", burst = 200000 }")[..] else {
        panic!("one warning")
    };
    let says =
        "tier partner: 50 times its new connections are more than can be held of an IPv6 /48";
    assert!(warning.starts_with(says), "{warning}");
    assert!(warning.ends_with("write [tier.partner.neighbourhood.ipv6]"));
    let said = "{ rate = \"100000/s\", burst = 200000 }\n[tier.partner.neighbourhood.ipv6]\nconnections = { rate = \"200000/s\", burst = 400000 }";
    assert_eq!(partner(said), [""; 0]);
    assert_eq!(partner("{ rate = \"10000/s\", burst = 50000 }"), [""; 0]);
}
