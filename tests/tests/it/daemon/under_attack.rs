//! `weir under-attack`: unknown sources fall to the bootstrap lane, attested
//! ones keep theirs, all unattested ones share a ceiling, and it ends by itself.

use serde_json::Value;
use weir_tests::{
    bed::{Configuration, Edge, Traffic, until},
    frame::frame,
    world::FREE,
};

/// A ceiling whose burst is used up in a test, and comes back slower than one.
const MORE: &str = "
[under_attack]
connections = { rate = \"1/m\", burst = 30 }

[[feed]]
name = \"verifier\"
kind = \"file\"
path = \"CLAIMS\"
";

const ATTESTED: &str = "198.51.100.201";
const VOUCHED: &str = "198.51.100.202";

/// A host in force, whose feed vouches for one source, and its operator for another.
fn edge() -> Edge {
    let edge = Edge::new();
    let claims = edge.path("claims.ndjson");
    let claim = format!(
        "{{\"prefix\": \"{ATTESTED}/32\", \"verdict\": {{\"limit\": \"attested\"}}, \"expires\": null}}\n"
    );
    std::fs::write(&claims, claim).expect("the claim is written");
    edge.configure(&Configuration {
        more: &MORE.replace("CLAIMS", claims.to_str().expect("a path")),
        ..Configuration::default()
    });
    edge
}

fn attack(edge: &Edge, arguments: &[&str]) -> Value {
    let said = edge.weir(&[&["--json", "under-attack"], arguments].concat());
    said.done().json()
}

/// New connections of a source, each from a port of its own.
fn connections(source: &str, from: u16, number: u16) -> Vec<Vec<u8>> {
    let open = |port| {
        let frame = frame().ip(source, "192.0.2.1");
        frame.tcp(port, 443).syn().build()
    };
    (from..from + number).map(open).collect()
}

/// Counts those that get through.
fn admitted(traffic: &Traffic, frames: &[Vec<u8>]) -> usize {
    traffic.send(&[], frames).leaked.len()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unknown_sources_fall_to_the_lane_and_attested_ones_keep_theirs() {
    let edge = edge();
    let traffic = Traffic::open(&edge);
    let daemon = edge.start();
    let _output = edge.weir(&["limit", VOUCHED, "--tier", "attested"]).done();
    assert_eq!(edge.status()["under_attack"], Value::Null);
    assert_eq!(admitted(&traffic, &connections(FREE, 1000, 40)), 40);

    let answer = attack(&edge, &["on"]);
    assert_eq!(
        (&answer["on"], &answer["was"]),
        (&true.into(), &false.into())
    );
    let notes = answer["notes"].to_string();
    assert!(notes.contains("[policy] is off"), "{notes}");
    let status = edge.status();
    assert!(status["under_attack"]["since"].is_string(), "{status}");
    assert_eq!(status["under_attack"]["until"], Value::Null);
    assert_eq!(status["services"][0]["default_tier"], "bootstrap");
    let shown = edge.weir(&["status"]).done().out;
    let loud = shown.lines().nth(1).unwrap_or_default();
    assert!(loud.starts_with("UNDER ATTACK since "), "{shown}");
    assert_eq!(edge.explain(FREE)["tier"], "bootstrap");

    // One at once, since it falls without a burst, and two a second.
    let held = admitted(&traffic, &connections(FREE, 2000, 40));
    assert!((1..=10).contains(&held), "{held} of 40");
    for source in [ATTESTED, VOUCHED] {
        assert_eq!(edge.explain(source)["tier"], "attested");
        assert_eq!(admitted(&traffic, &connections(source, 3000, 60)), 60);
    }

    // Sources that are new each have their own lane, and share the ceiling.
    let crowd: Vec<_> = (1..=200)
        .flat_map(|host| connections(&format!("198.18.0.{host}"), 4000, 1))
        .collect();
    let together = admitted(&traffic, &crowd);
    assert!(
        (30 - held..=33 - held).contains(&together),
        "{together} and {held}"
    );
    let crowded = edge.explain("198.18.1.1");
    assert_eq!(crowded["cause"], "over_connections");
    let rates = crowded["bucket"].as_array().expect("rates");
    let shared = rates.iter().find(|rate| rate["level"] == "together");
    assert_eq!(shared.expect("it is told")["left"], 0);
    for source in [ATTESTED, VOUCHED] {
        assert_eq!(admitted(&traffic, &connections(source, 5000, 60)), 60);
    }

    // A reload keeps it, and so does a restart; the same command again changes nothing.
    let _output = edge.weir(&["reload"]).done();
    assert_eq!(edge.explain(FREE)["tier"], "bootstrap");
    daemon.stop();
    let _daemon = edge.start();
    // Its end is kept by one clock and reported by another, in whole seconds of each.
    let [before, after] = [status, edge.status()].map(|status| {
        let since = status["under_attack"]["since"]
            .as_str()
            .expect("it is on")
            .to_owned();
        humantime::parse_rfc3339(&since).expect("a moment")
    });
    let apart = after
        .duration_since(before)
        .unwrap_or_else(|earlier| earlier.duration());
    assert!(apart.as_secs() <= 1, "{apart:?}");
    assert_eq!(edge.explain(FREE)["tier"], "bootstrap");
    assert_eq!(attack(&edge, &["on"])["was"], true);

    let answer = attack(&edge, &["off"]);
    assert_eq!(
        (&answer["on"], &answer["was"]),
        (&false.into(), &true.into())
    );
    assert_eq!(edge.status()["under_attack"], Value::Null);
    assert_eq!(admitted(&traffic, &connections(FREE, 6000, 40)), 40);
    assert_eq!(attack(&edge, &["off"])["was"], false);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn it_ends_by_itself_and_a_restart_behind_its_end_does_not_bring_it_back() {
    let edge = edge();
    let daemon = edge.start();
    let answer = attack(&edge, &["on", "--for", "2s"]);
    assert!(answer["under_attack"]["until"].is_string(), "{answer}");
    assert_eq!(edge.explain(FREE)["tier"], "bootstrap");
    until("the attack is over", || {
        edge.status()["under_attack"].is_null()
    });
    assert_eq!(edge.explain(FREE)["tier"], "unknown");
    daemon.stop();
    let daemon = edge.start();
    assert_eq!(edge.explain(FREE)["tier"], "unknown");

    // Its end comes while no daemon runs.
    let _answer = attack(&edge, &["on", "--for", "1h"]);
    daemon.kill();
    let file = edge.path("state").join("under-attack");
    let kept = std::fs::read_to_string(&file).expect("it is kept");
    let (since, end) = kept.trim().split_once(' ').expect("since and until");
    let [since, end] = [since, end].map(|moment| moment.parse::<u64>().expect("seconds"));
    assert_eq!(end - since, 3600);
    std::fs::write(&file, format!("{} {}\n", since - 60, since - 1)).expect("written");
    let _daemon = edge.start();
    assert_eq!(edge.status()["under_attack"], Value::Null);
    assert_eq!(edge.explain(FREE)["tier"], "unknown");
}
