//! A status on a terminal of 80 columns, whatever is in it.

use proptest::{collection::vec, prelude::*};

use super::{tests::observing, *};
use crate::{
    command::output::tests::kept_within,
    control::protocol::{CauseCount, FeedStatus, ServiceStatus},
};

fn shown(status: &Status, width: Option<usize>) -> String {
    let (mut output, answer, _) = kept_within(width, false);
    show(status, &mut output).expect("kept");
    answer.text()
}

fn feed(name: &str, state: &str) -> FeedStatus {
    FeedStatus {
        name: name.into(),
        kind: "file".into(),
        mode: "inherit".into(),
        state: state.into(),
        claims: 10,
        ..FeedStatus::default()
    }
}

prop_compose! {
    fn any_feed()(
        name in "[a-z-]{1,40}",
        kind in "file|verdicts|operator|policy",
        mode in "inherit|observe",
        state in "ok|ok|ok|stale|failed|starting|disabled",
        claims: u64,
        refused in prop_oneof![Just(0), any::<u64>()],
        refusals in vec(".{0,200}", 0..2),
        age_s: Option<u64>,
        last_error in proptest::option::of("[ -~]{0,300}"),
    ) -> FeedStatus {
        FeedStatus { name, kind, mode, state, claims: claims >> 8, refused, refusals, age_s, last_error }
    }
}

prop_compose! {
    fn any_status()(
        feeds in vec(any_feed(), 0..20),
        services in vec(("[a-z]{1,30}", vec("(tcp|udp)/[0-9]{1,5}", 1..20), "[a-z-]{1,30}"), 0..3),
        problems in vec("[ -~]{1,300}", 0..4),
        mode_from in "[ -~]{0,60}",
        enforce: bool,
        counts in vec(any::<u64>(), 8),
        interfaces in vec("[a-z0-9.]{1,15}", 0..8),
    ) -> Status {
        let mut status = observing();
        status.mode = if enforce { Mode::Enforce } else { Mode::Observe };
        status.mode_from = mode_from;
        status.feeds = feeds;
        status.problems = problems;
        status.services = services.into_iter().map(|(name, ports, default_tier)| ServiceStatus {
            name,
            ports,
            default_tier,
            mode: "inherit".into(),
        }).collect();
        let one = status.interfaces[0].clone();
        status.interfaces = interfaces.into_iter().map(|name| {
            let mut interface = one.clone();
            interface.name = name;
            interface
        }).collect();
        status.events.sent = counts[0];
        status.events.missed = counts[1];
        status.buckets.used = counts[2];
        status.buckets.saturated = counts[3];
        status.verdicts.ipv4 = counts[4];
        for (cause, number) in filter_common::cause::Cause::ALL.into_iter().zip(&counts) {
            status.causes[cause] = CauseCount {
                packets: number >> 4,
                bytes: *number,
                ..CauseCount::default()
            };
        }
        status
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_line_is_longer_than_the_terminal(status in any_status(), width in 80_usize..140) {
        for width in [80, width] {
            for line in shown(&status, Some(width)).lines() {
                prop_assert!(line.chars().count() <= width, "{}: {line:?}", width);
            }
        }
        // All of it where it goes elsewhere.
        let text = shown(&status, None);
        for feed in &status.feeds {
            prop_assert!(text.contains(&feed.name));
        }
    }
}

#[test]
fn problems_come_first_and_well_feeds_are_one_line() {
    let mut status = observing();
    status.feeds = (0..30)
        .map(|number| feed(&format!("list-{number}"), "ok"))
        .collect();
    status.feeds[7] = feed("broken", "failed");
    let text = shown(&status, Some(80));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("weir 0.1.0, pid 812, generation 42"));
    assert!(
        lines
            .next()
            .expect("a line")
            .starts_with("problem: feed verifier"),
        "{text}"
    );
    assert!(
        text.contains("29 feeds are well, 290 claims: list-0, list-1,"),
        "{text}"
    );
    assert!(text.contains("\nbroken  file  inherit  failed"), "{text}");
    assert!(!text.contains("\nlist-3"), "{text}");
    status.feeds.truncate(8);
    let text = shown(&status, Some(80));
    assert!(
        !text.contains("are well") && text.contains("\nlist-3"),
        "{text}"
    );
    // What is equal in all rows tells nothing.
    assert!(
        !text.contains("KIND") && !text.contains("REFUSED"),
        "{text}"
    );
    assert!(text.contains("STATE"), "{text}");
}
