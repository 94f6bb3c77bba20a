//! Priority tags: VLAN 0, which Linux takes off however many there are.

use aya::programs::XdpMode;
use filter_common::settings::Mode;
use weir_tests::bed::{Host, to_host};

weir_tests::in_both_modes! {
    a_blocked_source_is_found_behind_eight_tags_and_nobody_gets_through_with_nine: super::enforced;
    in_observe_all_of_them_get_through: super::observed;
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_filter_connections_behind_any_number_of_tags_are_answered() {
    let host = Host::new();
    let _listener = host.listen(443);
    for tags in TAGS {
        for source in [BLOCKED, BLOCKED6] {
            assert_eq!(
                answered(&host, source, tags),
                TRIES,
                "{source}, {tags} tags"
            );
        }
    }
}

fn enforced(mode: XdpMode) {
    let host = Host::behind(mode, CONFIGURATION, &CLAIMS);
    let _listener = host.listen(443);
    for tags in TAGS {
        for source in [BLOCKED, BLOCKED6] {
            assert_eq!(answered(&host, source, tags), 0, "{source}, {tags} tags");
        }
        for source in [FREE, FREE6] {
            let expected = if tags > 8 { 0 } else { TRIES };
            assert_eq!(
                answered(&host, source, tags),
                expected,
                "{source}, {tags} tags"
            );
        }
    }
}

fn observed(mode: XdpMode) {
    let mut host = Host::behind(mode, CONFIGURATION, &CLAIMS);
    host.set_mode(Mode::Observe);
    let _listener = host.listen(443);
    for tags in TAGS {
        for source in [BLOCKED, BLOCKED6, FREE, FREE6] {
            assert_eq!(
                answered(&host, source, tags),
                TRIES,
                "{source}, {tags} tags"
            );
        }
    }
}

/// Counts the answered connections that a source begins behind tags of
/// either kind.
fn answered(host: &Host, source: &str, tags: u16) -> u16 {
    let begin = |number: u16| {
        let mut frame = to_host(source).tcp(1_000 + tags * 100 + number, 443).syn();
        for tag in 0..tags {
            // IEEE 802.1Q and 802.1ad, one inside the other.
            let mixed = number.is_multiple_of(2) && tag.is_multiple_of(2);
            frame = frame.priority_tag(if mixed { 0x88a8 } else { 0x8100 });
        }
        frame.build()
    };
    let frames: Vec<_> = (0..TRIES).map(begin).collect();
    host.answered(&frames).len() as u16
}

const TAGS: [u16; 8] = [0, 1, 4, 5, 8, 9, 12, 16];
const TRIES: u16 = 10;

const BLOCKED: &str = "198.51.100.7";
const BLOCKED6: &str = "2001:db8:bad::7";
const FREE: &str = "100.64.0.200";
const FREE6: &str = "2001:db8:f::200";
const CLAIMS: [(&str, &str); 2] = [(BLOCKED, "block"), (BLOCKED6, "block")];

const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["tcp/443"]
"#;
