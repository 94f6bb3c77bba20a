//! The daemon's filter on real packets: nothing of a blocked source
//! gets through, everybody else is left alone.

use std::{thread, time::Duration};

use filter_common::cause::Cause;
use serde_json::Value;
use weir_tests::{
    bed::{
        Configuration, Edge, PLENTY, Traffic,
        daemon::traffic::{call, listen, say_hello},
        until,
    },
    case::{CASES, Case},
    world::{BLOCKED, BLOCKED6, FREE, FREE6},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn native_nothing_of_a_blocked_source_gets_through_once_weir_enforces() {
    no_way_around("native");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn generic_nothing_of_a_blocked_source_gets_through_once_weir_enforces() {
    no_way_around("generic");
}

/// From the first start in observe: everything passes and is counted; after
/// `weir mode enforce` no frame of a blocked source does, whatever it looks like.
fn no_way_around(attach: &str) {
    let edge = Edge::new();
    edge.configure(&Configuration {
        mode: "observe",
        attach,
        ..Configuration::default()
    });
    let traffic = Traffic::open(&edge);
    let (blocked, free) = frames();
    let all: Vec<_> = blocked.iter().chain(&free).cloned().collect();
    let daemon = edge.start();

    let status = edge.status();
    assert_eq!(status["interfaces"][0]["attach"], attach);
    assert_eq!(
        status["interfaces"][0]["program_id"],
        edge.program("eth0").expect("one")
    );
    assert_eq!(status["mode"], "observe");
    assert_eq!(
        traffic.send(&all, &[]).wanted,
        all.len(),
        "in observe all passes"
    );
    let counted = &edge.status()["causes"]["blocked"];
    assert_eq!(counted["packets"], blocked.len());
    assert_eq!(counted["dropped_packets"], 0);

    let _output = edge.weir(&["mode", "enforce"]).done();
    let arrived = traffic.send(&free, &blocked);
    let leaked: Vec<_> = arrived.leaked.iter().map(|place| name(*place)).collect();
    assert_eq!(leaked, Vec::<&str>::new(), "leaked");
    assert_eq!(arrived.wanted, free.len(), "free twins that arrived");
    let counted = &edge.status()["causes"]["blocked"];
    assert_eq!(counted["packets"], 2 * blocked.len());
    assert_eq!(counted["dropped_packets"], blocked.len());
    let bytes: usize = blocked.iter().map(Vec::len).sum();
    assert_eq!(counted["dropped_bytes"], bytes);
    daemon.stop();
}

/// Frames of a blocked source in every way that is known, and the same from a free
/// one.
fn frames() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut blocked, mut free) = (Vec::new(), Vec::new());
    for case in ways() {
        assert_eq!(case.cause, Cause::Blocked, "{}", case.name);
        blocked.push(case.frame.clone());
        free.extend(case.twin.clone());
    }
    assert!(blocked.len() > 200, "only {} ways", blocked.len());
    assert!(
        free.len() > 180,
        "only {} have a twin that gets in",
        free.len()
    );
    (blocked, free)
}

fn name(place: usize) -> &'static str {
    &ways().nth(place).expect("it was sent").name
}

fn ways() -> impl Iterator<Item = &'static Case> {
    let cases = CASES.iter();
    cases.filter(|case| case.name.starts_with("blocked ") && case.name.contains(": "))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_blocked_source_still_reaches_a_protected_port_and_no_other() {
    let edge = Edge::new();
    let _daemon = edge.start();
    for source in [BLOCKED, BLOCKED6] {
        let ssh = listen(&edge, source, 22);
        let api = listen(&edge, source, 443);
        let caller = call(&edge, source, 22, PLENTY).expect("tcp/22 is protected");
        say_hello(&ssh, caller);
        assert!(
            call(&edge, source, 443, A_MOMENT).is_none(),
            "{source} got in"
        );
        drop(api);
    }
    for source in [FREE, FREE6] {
        let api = listen(&edge, source, 443);
        let caller = call(&edge, source, 443, PLENTY).expect("nothing is said of it");
        say_hello(&api, caller);
    }
    let causes = &edge.status()["causes"];
    assert!(number(&causes["protected"]["packets"]) >= 6, "{causes}");
    assert_eq!(causes["protected"]["dropped_packets"], 0);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn who_opens_too_many_connections_is_held_and_a_client_beside_is_not() {
    for (greedy, modest, subnet) in [("203.0.113.10", FREE, 32), ("2001:db8:c:10::1", FREE6, 128)] {
        let edge = Edge::new();
        edge.net.add_address("eth0", &format!("{greedy}/{subnet}"));
        edge.configure(&Configuration {
            more: SHOP,
            ..Configuration::default()
        });
        let _daemon = edge.start();
        let _listener = listen(&edge, greedy, 8443);
        // One after the other, so that each finds its neighbour in the tables.
        assert!(call(&edge, modest, 8443, PLENTY).is_some());
        let established: usize = thread::scope(|scope| {
            let calls: Vec<_> = (0..GREED)
                .map(|_| scope.spawn(|| call(&edge, greedy, 8443, A_MOMENT).is_some()))
                .collect();
            // Well within its own burst.
            for _ in 0..3 {
                let patient = call(&edge, modest, 8443, A_MOMENT);
                assert!(patient.is_some(), "a conforming client was held");
            }
            calls
                .into_iter()
                .map(|call| usize::from(call.join().expect("it called")))
                .sum()
        });
        // The burst, and one for each second that may have passed meanwhile.
        assert!((5..=8).contains(&established), "{established} of {GREED}");
        let causes = &edge.status()["causes"];
        let over = &causes["over_connections"];
        assert!(
            number(&over["dropped_packets"]) >= (GREED - established) as u64,
            "{causes}"
        );
        let events = || edge.weir(&["events", "--json"]).done().json_lines();
        until("the drops are told", || !events().is_empty());
        for event in events() {
            assert_eq!(event["source"], greedy, "{event}");
            assert_eq!(event["cause"], "over_connections", "{event}");
        }
    }
}

/// A service with a tier of few connections.
const SHOP: &str = r#"
[[service]]
name = "shop"
ports = ["tcp/8443"]
default_tier = "small"

[tier.small]
connections = { rate = "1/s", burst = 5 }
"#;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn enforce_is_refused_without_force_where_few_sources_carry_all_the_traffic() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        mode: "observe",
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);
    traffic.proves(FREE, "203.0.113.99", 0);
    let arrived = traffic.send(
        &weir_tests::bed::daemon::traffic::datagrams(FREE, 10_500),
        &[],
    );
    assert_eq!(arrived.wanted, 10_500);
    let refused = edge.weir(&["mode", "enforce"]).failed(1);
    let _output = refused.says("--force");
    assert_eq!(edge.status()["mode"], "observe");
    let _output = edge.weir(&["mode", "enforce", "--force"]).done();
    assert_eq!(edge.status()["mode"], "enforce");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_shadow_feed_is_only_counted_while_weir_enforces() {
    let edge = Edge::new();
    let shadow = edge.path("shadow.txt");
    std::fs::write(&shadow, format!("{FREE}\n{BLOCKED}\n")).expect("written");
    edge.configure(&Configuration {
        more: &format!(
            "[[feed]]\nname = \"trial\"\nkind = \"file\"\npath = {shadow:?}\nmode = \"observe\"\n"
        ),
        ..Configuration::default()
    });
    let _daemon = edge.start();
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);
    let status = edge.status();
    assert_eq!(status["shadow"]["blocked"]["dropped_packets"], 20);
    assert_eq!(status["causes"]["blocked"]["dropped_packets"], 20);
    until("the status has the feed", || {
        let status = edge.status();
        let feeds = status["feeds"].as_array().expect("feeds");
        feeds
            .iter()
            .any(|feed| feed["name"] == "trial" && feed["mode"] == "observe")
    });
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Less than TCP waits before it tries again.
const A_MOMENT: Duration = Duration::from_millis(800);

const GREED: usize = 40;
