//! The stream of a verification service, from its answer to the packet: what it
//! says is in force, and nothing of that is lost while it is away or lies.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};
use weir_tests::{
    daemon::{Configuration, Edge, Traffic, until},
    service::{
        Options, Service,
        authority::{Authority, Certificate},
        mischief::Mischief,
    },
    world::{BLOCKED, FREE, FREE6},
};

/// A host whose daemon follows a service, and nothing else.
struct Room {
    edge: Edge,
    service: Service,
}

impl Room {
    fn new(options: Options) -> Self {
        let edge = Edge::new();
        edge.list(&[""]);
        let service = Service::start_in(Some(&edge.host), options);
        let room = Self { edge, service };
        room.configure("");
        room
    }

    /// With these keys besides.
    fn configure(&self, more: &str) {
        let url = self.service.url();
        let feed = format!(
            "[[feed]]\nname = \"verifier\"\nkind = \"verdicts\"\nurl = {url:?}\nrank = 10\n{more}"
        );
        self.edge.configure(&Configuration {
            more: &feed,
            ..Configuration::default()
        });
    }

    fn feed(&self) -> Value {
        let status = self.edge.status();
        let feeds = status["feeds"].as_array().expect("a list of feeds");
        let verifier = feeds.iter().find(|feed| feed["name"] == "verifier");
        verifier.expect("the feed is there").clone()
    }

    fn await_state(&self, state: &str) {
        until(&format!("the feed is {state}: {}", self.feed()), || {
            self.feed()["state"] == state
        });
    }

    fn await_claims(&self, claims: u64) {
        until(&format!("there are {claims} claims"), || {
            self.feed()["claims"] == claims
        });
    }
}

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
    // What it learns from now on is taken.
    room.service.block(&[FREE]);
    until("what it learns is blocked", || !traffic.passes(FREE));
    assert!(!traffic.passes(BLOCKED));
    assert_eq!(room.feed()["claims"], 3);
    drop(daemon);

    let _daemon = room.edge.start();
    assert_eq!(room.feed()["claims"], 3);
    assert!(!traffic.passes(BLOCKED) && !traffic.passes(FREE));
}

/// A misbehaviour, the feed's state by it, and words of its sentence.
type Case = (Mischief, &'static str, &'static str);

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_service_that_misbehaves_is_told_apart_and_costs_no_claim() {
    let room = Room::new(Options::default());
    room.service.block(&[BLOCKED]);
    let _daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    let cases: Vec<Case> = vec![
        (Mischief::Cut(990), "unreachable", "broke"),
        (Mischief::More(3), "broken", "cut off"),
        (Mischief::Fewer(1), "broken", "goes on after"),
        (Mischief::Status(500), "failing", "answers 500"),
        (Mischief::Status(401), "unauthorized", "refuses the token"),
        (Mischief::Page, "broken", "web page"),
        (Mischief::Flood, "broken", "goes on after"),
        (Mischief::LongLine, "broken", "bytes"),
        (
            Mischief::Redirect("http://127.0.0.1:1/else".into()),
            "redirected",
            "127.0.0.1:1/else",
        ),
        (Mischief::Garbage, "broken", "line 2"),
        (Mischief::Binary, "broken", "binary"),
        (Mischief::Empty, "broken", "empty"),
        (Mischief::Close, "unreachable", "can't be reached"),
    ];
    for (mischief, state, words) in cases {
        let what = format!("{mischief:?}");
        room.service.misbehave(Some(mischief));
        until(&format!("{what} is told: {}", room.feed()), || {
            let feed = room.feed();
            feed["state"] == state && feed["last_error"].to_string().contains(words)
        });
        assert_eq!(room.feed()["claims"], 1, "{what}");
        traffic.proves(FREE, BLOCKED, 5);
        room.service.misbehave(None);
        let _done = room.edge.weir(&["feed", "refresh", "verifier"]).done();
        room.await_state("ok");
    }
    room.service.misbehave(Some(Mischief::Unacceptable));
    room.service.block(&[FREE]);
    until("the good claim among bad ones is in force", || {
        !traffic.passes(FREE)
    });
    let feed = room.feed();
    assert!(feed["refused"].as_u64().expect("a count") >= 5, "{feed}");
    room.service.misbehave(Some(Mischief::Clock(7200)));
    let _done = room.edge.weir(&["feed", "refresh", "verifier"]).done();
    until("a clock that is ahead is noted", || {
        let shown = room.edge.weir(&["feed", "show", "verifier"]).done();
        shown.out.contains("s ahead of this host's")
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn only_the_service_itself_is_believed() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let cases: [(Certificate, &Authority, &str, &str); 4] = [
        (authority.expired(), &authority, "untrusted", "has expired"),
        (
            authority.for_another(),
            &authority,
            "untrusted",
            "for another name",
        ),
        (stranger.good(), &authority, "untrusted", "isn't trusted"),
        (authority.good(), &authority, "ok", ""),
    ];
    for (certificate, trusted, state, words) in cases {
        let room = Room::new(Options {
            certificate: Some(certificate),
            token: Some("the-right-one".into()),
        });
        room.service.block(&[BLOCKED]);
        fs::write(room.edge.path("ca.pem"), trusted.pem()).expect("written");
        fs::write(room.edge.path("token"), "the-right-one\n").expect("written");
        room.configure(&format!(
            "ca_file = {:?}\ntoken_file = {:?}\n",
            room.edge.path("ca.pem"),
            room.edge.path("token")
        ));
        let daemon = room.edge.start();
        room.await_state(state);
        let error = room.feed()["last_error"].to_string();
        assert!(error.contains(words), "{error}");
        let claims = u64::from(state == "ok");
        assert_eq!(room.feed()["claims"], claims);
        if state != "ok" {
            assert_eq!(
                room.service.stats().tokens,
                0,
                "whoever isn't believed gets no token"
            );
        }
        assert!(!daemon.log().contains("the-right-one"));
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_token_is_read_again_when_it_changes() {
    let room = Room::new(Options {
        token: Some("second".into()),
        certificate: None,
    });
    room.service.block(&[BLOCKED]);
    let token = room.edge.path("token");
    room.configure(&format!("token_file = {token:?}\n"));
    let _daemon = room.edge.start();
    room.await_state("no_token");
    fs::write(&token, "").expect("written");
    until("an empty token is told", || {
        room.feed()["last_error"]
            .to_string()
            .contains("has no token in it")
    });
    fs::write(&token, "first\n").expect("written");
    room.await_state("unauthorized");
    fs::write(&token, "second\n").expect("written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("set");
    room.await_state("ok");
    room.await_claims(1);
    until("an open token file is noted", || {
        let shown = room.edge.weir(&["feed", "show", "verifier"]).done();
        shown.out.contains("chmod 600")
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_token_never_follows_a_redirect() {
    let room = Room::new(Options {
        token: Some("secret".into()),
        certificate: None,
    });
    let other = Service::start_in(Some(&room.edge.host), Options::default());
    let token = room.edge.path("token");
    fs::write(&token, "secret").expect("written");
    room.configure(&format!("token_file = {token:?}\n"));
    room.service
        .misbehave(Some(Mischief::Redirect(other.url())));
    let _daemon = room.edge.start();
    room.await_state("redirected");
    assert!(room.service.stats().tokens > 0);
    let stats = other.stats();
    assert_eq!((stats.tokens, stats.wholes, stats.changes), (0, 0, 0));
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

    let _said = weir(&["feed", "disable", "verifier"]).done();
    until("nothing of a disabled feed holds", || {
        traffic.passes(BLOCKED)
    });
    assert_eq!(room.feed()["state"], "disabled");
    // That outlives a restart.
    daemon.kill();
    let _daemon = room.edge.start();
    assert_eq!(room.feed()["state"], "disabled");
    assert!(traffic.passes(BLOCKED));
    let _said = weir(&["feed", "enable", "verifier"]).done();
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
    let _said = room.edge.weir(&["feed", "accept", "verifier"]).done();
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
        .weir(&["feed", "test", list, "--config", config])
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
    let _said = room.edge.weir(&["reload"]).done();
    until("what was in the shadow is enforced", || {
        !traffic.passes(FREE)
    });
}
