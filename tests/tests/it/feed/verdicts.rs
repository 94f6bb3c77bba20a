//! The stream of a verification service, from its answer to the packet: what it
//! says is in force, nothing of that is lost while it is away, and the operator
//! steers it.

use std::fs;

use serde_json::{Value, json};
use weir_tests::{
    bed::{Room, Traffic, until},
    service::{Options, Service, mischief::Mischief},
    world::{BLOCKED, FREE, FREE6},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_the_service_says_is_in_force_as_soon_as_it_says_it() {
    let room = Room::new(Options::default());
    room.service.block(&[BLOCKED]);
    let _daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    traffic.proves(FREE, BLOCKED, 20);
    let explained = room.edge.explain(BLOCKED);
    assert_eq!(explained["feed"], "verifier");
    assert_eq!(explained["reason"], "tok_badsig");
    assert_eq!(explained["evidence"], 3);

    room.service.block(&[FREE, FREE6]);
    until("what came later is blocked", || {
        !traffic.passes(FREE) && !traffic.passes(FREE6)
    });
    room.service.withdraw(BLOCKED);
    until("what was withdrawn passes", || traffic.passes(BLOCKED));
    traffic.proves(BLOCKED, FREE, 20);
    assert_eq!(room.feed()["claims"], 2);
    // It is one long poll after the other, not one a second.
    let stats = room.service.stats();
    assert_eq!(stats.wholes, 1);
    assert!(stats.changes <= 3, "{stats:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_service_that_dies_or_forgets_costs_no_claim() {
    let mut room = Room::new(Options::default());
    room.service.block(&[BLOCKED, "198.51.100.9"]);
    let daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    traffic.proves(FREE, BLOCKED, 20);

    room.service.kill();
    room.await_state("unreachable");
    let error = room.feed()["last_error"].to_string();
    assert!(error.contains("can't be reached"), "{error}");
    traffic.proves(FREE, BLOCKED, 20);

    // Neither does a restart meanwhile, however rude.
    daemon.kill();
    let daemon = room.edge.start();
    traffic.proves(FREE, BLOCKED, 20);
    assert_eq!(room.feed()["claims"], 2);

    // It comes back, and knows nothing any more.
    room.service.revive_empty();
    room.await_state("held");
    assert_eq!(room.feed()["claims"], 2);
    traffic.proves(FREE, BLOCKED, 20);
    // Changes from now on are applied.
    room.service.block(&[FREE]);
    until("what it learns is blocked", || !traffic.passes(FREE));
    assert!(!traffic.passes(BLOCKED));
    assert_eq!(room.feed()["claims"], 3);
    drop(daemon);

    let _daemon = room.edge.start();
    assert_eq!(room.feed()["claims"], 3);
    assert!(!traffic.passes(BLOCKED) && !traffic.passes(FREE));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_operator_steers_a_feed() {
    let mut room = Room::new(Options::default());
    room.service.block(&[BLOCKED]);
    let daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    let weir = |arguments: &[&str]| room.edge.weir(arguments);

    let listed = weir(&["feed", "list", "--json"]).done();
    let names: Vec<Value> = listed
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["name"].clone())
        .collect();
    assert_eq!(names, ["local", "verifier"]);
    let shown = weir(&["feed", "show", "verifier", "--json"]).done().json();
    assert_eq!(
        (&shown["state"], &shown["kind"]),
        (&json!("ok"), &json!("verdicts"))
    );
    assert_eq!(shown["source"], room.service.url());

    let _output = weir(&["feed", "disable", "verifier"]).done();
    until("nothing of a disabled feed holds", || {
        traffic.passes(BLOCKED)
    });
    assert_eq!(room.feed()["state"], "disabled");
    // That outlives a restart.
    daemon.kill();
    let _daemon = room.edge.start();
    assert_eq!(room.feed()["state"], "disabled");
    assert!(traffic.passes(BLOCKED));
    let _output = weir(&["feed", "enable", "verifier"]).done();
    until("an enabled feed holds again", || !traffic.passes(BLOCKED));
    let unknown = weir(&["feed", "show", "nobody"]).failed(1);
    assert!(
        unknown.err.contains("there is no feed \"nobody\""),
        "{}",
        unknown.err
    );

    // A whole word that is believed only when the operator says so.
    room.service.revive_empty();
    room.await_state("held");
    let shown = room.edge.weir(&["feed", "show", "verifier"]).done();
    assert!(
        shown.out.contains("weir feed accept verifier"),
        "{}",
        shown.out
    );
    let _output = room.edge.weir(&["feed", "accept", "verifier"]).done();
    until("what was held is gone", || traffic.passes(BLOCKED));
    room.await_state("ok");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_feed_can_be_tried_without_touching_what_is_in_force() {
    let room = Room::new(Options::default());
    room.service.block(&[BLOCKED, "198.51.100.9"]);
    let _daemon = room.edge.start();
    room.await_claims(2);
    let generation = room.edge.status()["generation"].clone();

    let other = Service::start_in(Some(&room.edge.host), Options::default());
    other.block(&[BLOCKED, FREE, "192.0.2.77"]);
    other.say(&[json!({"prefix": "0.0.0.0/0", "verdict": "block"})]);
    let config = room.edge.config();
    let config = config.to_str().expect("a path");
    let tried = room
        .edge
        .weir(&[
            "feed",
            "test",
            "--refused-ok",
            "50",
            &other.url(),
            "--as",
            "verifier",
            "--config",
            config,
            "--json",
        ])
        .done()
        .json();
    assert_eq!(tried["claims"], 4, "{tried}");
    assert_eq!(
        (&tried["added"], &tried["withdrawn"]),
        (&json!(2), &json!(1)),
        "{tried}"
    );
    assert_eq!(tried["refused"], 1, "{tried}");

    let list = room.edge.path("tried.txt");
    fs::write(&list, format!("{BLOCKED}\nno prefix\n")).expect("written");
    let list = list.to_str().expect("a path");
    let tried = room
        .edge
        .weir(&[
            "feed",
            "test",
            "--refused-ok",
            "50",
            list,
            "--config",
            config,
        ])
        .done();
    assert!(tried.out.contains("1 claim"), "{}", tried.out);
    assert!(tried.out.contains("no prefix"), "{}", tried.out);
    other.misbehave(Some(Mischief::Page));
    let broken = room
        .edge
        .weir(&["feed", "test", &other.url(), "--config", config])
        .failed(1);
    assert!(broken.err.contains("web page"), "{}", broken.err);
    assert_eq!(room.edge.status()["generation"], generation);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_feed_in_the_shadow_is_shown_beside_what_is_enforced_and_changes_nothing_of_it() {
    let room = Room::new(Options::default());
    room.edge.list(&[BLOCKED]);
    room.configure("mode = \"observe\"\n");
    room.service.block(&["100.64.0.0/10", BLOCKED]);
    let _daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    traffic.proves(FREE, BLOCKED, 20);
    let status = room.edge.status();
    assert_eq!(status["verdicts"]["blocked"], 1, "{status}");
    assert_eq!(status["shadow_verdicts"]["blocked"], 2, "{status}");
    let shadow = &status["shadow"]["blocked"];
    assert!(
        shadow["packets"].as_u64().expect("a count") >= 20,
        "{shadow}"
    );
    assert_eq!(status["causes"]["conforming"]["dropped_packets"], 0);

    let listed = room
        .edge
        .weir(&["list", "--feed", "verifier", "--json"])
        .done();
    let lines: Vec<Value> = listed
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let wide = lines.iter().find(|line| line["prefix"] == "100.64.0.0/10");
    let wide = wide.expect("it is listed");
    assert_eq!(
        (&wide["mode"], &wide["enforced"], &wide["shadow"]),
        (&json!("observe"), &Value::Null, &json!("block"))
    );

    room.configure("");
    let _output = room.edge.weir(&["reload"]).done();
    until("what was in the shadow is enforced", || {
        !traffic.passes(FREE)
    });
}
