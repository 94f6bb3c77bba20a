//! The real daemon's policy: from observations to dropped packets.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use serde_json::Value;
use weir_tests::{
    bed::{Configuration, Edge, daemon::traffic::Traffic, until},
    world::FREE,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn who_only_fails_is_blocked_within_a_moment_and_after_a_crash() {
    let edge = edge("enforce");
    let traffic = Traffic::open(&edge);
    let daemon = edge.start();
    assert!(traffic.passes(FREE));
    observe(&edge, "failed", "tok_badsig", 1);
    assert_eq!(claims(&edge, "attestation"), 0, "one changes nothing");
    assert!(traffic.passes(FREE));

    observe(&edge, "failed", "tok_badsig", 100);
    until("the source is blocked", || !traffic.passes(FREE));
    let explained = edge.explain(FREE);
    assert_eq!(explained["feed"], "attestation", "{explained}");
    assert_eq!(explained["reason"], "tok_badsig", "{explained}");
    assert_eq!(explained["cause"], "blocked");
    assert!(
        explained["expires_in_s"]
            .as_u64()
            .is_some_and(|left| left <= 61)
    );

    until("it is kept", || {
        let kept = fs::read_to_string(edge.path("state/policy")).unwrap_or_default();
        kept.contains(FREE)
    });
    daemon.kill();
    let daemon = edge.start();
    assert!(!traffic.passes(FREE), "what was in force is");
    assert_eq!(edge.explain(FREE)["feed"], "attestation");
    daemon.stop();
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_attested_source_is_raised_and_not_blocked_for_its_neighbours_failures() {
    let edge = edge("enforce");
    let traffic = Traffic::open(&edge);
    let _daemon = edge.start();
    observe(&edge, "attested", "", 50);
    until("it is raised", || {
        edge.explain(FREE)["verdict"] == serde_json::json!({ "limit": "attested" })
    });
    observe(&edge, "failed", "tok_badsig", 1_000);
    until("it is held", || {
        edge.explain(FREE)["tier"]
            .as_str()
            .is_some_and(|tier| tier.starts_with("shared-"))
    });
    assert!(traffic.passes(FREE));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_observe_it_is_only_counted_and_a_reload_enforces_it() {
    let edge = edge("observe");
    let traffic = Traffic::open(&edge);
    let _daemon = edge.start();
    observe(&edge, "failed", "tok_badsig", 100);
    until("it is counted", || claims(&edge, "attestation-shadow") == 1);
    assert_eq!(claims(&edge, "attestation"), 0);
    assert!(traffic.passes(FREE));
    let blocked = |line: &Value| line["verdict"] == "block" && line["reason"] == "tok_badsig";
    let line = shadow(&edge).into_iter().find(blocked).expect("it is told");
    assert_eq!(line["feed"], "attestation-shadow", "{line}");
    assert_eq!(
        (&line["mode"], &line["sources"]),
        (&"observe".into(), &1.into())
    );
    assert_eq!(line["attested_sources"], 0);

    configure(&edge, "enforce");
    let _output = edge.weir(&["reload"]).done();
    observe(&edge, "failed", "tok_badsig", 100);
    until("the source is blocked", || !traffic.passes(FREE));
    let _output = edge.weir(&["feed", "disable", "attestation"]).done();
    assert!(traffic.passes(FREE), "the operator has the last word");
    let _output = edge.weir(&["feed", "enable", "attestation"]).done();
    until("the source is blocked again", || !traffic.passes(FREE));

    configure(&edge, "off");
    let _output = edge.weir(&["reload"]).done();
    until("nothing is left of it", || traffic.passes(FREE));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_list_in_observe_would_have_cost_genuine_users_is_told() {
    let edge = Edge::new();
    fs::write(edge.path("token"), "a secret").expect("written");
    edge.list(&[FREE]);
    edge.configure(&Configuration {
        mode: "observe",
        more: &check(&edge),
        ..Configuration::default()
    });
    let _daemon = edge.start();
    observe(&edge, "failed", "tok_missing", 2);
    let told = |attested: u64| {
        let lines = shadow(&edge);
        lines.len() == 1
            && lines[0]["feed"] == "local"
            && lines[0]["verdict"] == "block"
            && (&lines[0]["sources"], &lines[0]["attested_sources"])
                == (&1.into(), &attested.into())
    };
    until("the list would have hit one source", || told(0));
    observe(&edge, "attested", "", 1);
    until("it was a genuine one", || told(1));
    let said = edge.weir(&["shadow"]).done();
    assert!(said.out.contains("1 (100.00 %)"), "{}", said.out);
}

fn shadow(edge: &Edge) -> Vec<Value> {
    edge.weir(&["shadow", "--json"]).done().json_lines()
}

fn check(edge: &Edge) -> String {
    format!(
        "[check]\nsocket = {:?}\ntoken_file = {:?}\n",
        edge.path("check.sock"),
        edge.path("token")
    )
}

fn edge(mode: &str) -> Edge {
    let edge = Edge::new();
    fs::write(edge.path("token"), "a secret").expect("written");
    configure(&edge, mode);
    edge
}

fn configure(edge: &Edge, mode: &str) {
    edge.configure(&Configuration {
        mode: "enforce",
        more: &format!("{}\n[policy]\nmode = {mode:?}\n", check(edge)),
        ..Configuration::default()
    });
}

fn claims(edge: &Edge, feed: &str) -> usize {
    edge.weir(&["list", "--feed", feed, "--json"])
        .done()
        .json_lines()
        .len()
}

/// Tells the daemon of so many calls of [`FREE`].
fn observe(edge: &Edge, outcome: &str, reason: &str, calls: u32) {
    let mut line = serde_json::json!({ "source": FREE, "outcome": outcome, "weight": calls });
    if outcome == "failed" {
        line["reason"] = reason.into();
    } else {
        line["device"] = "a device".into();
    }
    let body = format!("{line}\n");
    let mut socket = UnixStream::connect(edge.path("check.sock")).expect("it listens");
    write!(
        socket,
        "POST /v1/observations HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\
         Authorization: Bearer a secret\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\"taken\":1"), "{answer}");
}
