//! Failures of a verification service, of the way to it, or of a
//! clock: each a state and a sentence in `weir feed show`, and no claim is lost.

use std::{fs, os::unix::fs::PermissionsExt as _, thread, time::Instant};

use weir_tests::{
    bed::{PLENTY, Room, Traffic, until},
    service::{
        Options, Service,
        authority::{Authority, Certificate},
        block,
        mischief::Mischief,
    },
    world::{BLOCKED, FREE},
};

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
        (Mischief::Status(204), "failing", "answers 204"),
        (Mischief::Status(410), "failing", "answers 410"),
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
        (Mischief::OtherAfter, "broken", "not the cursor"),
        (Mischief::Close, "unreachable", "can't be reached"),
    ];
    for (mischief, state, words) in cases {
        let what = format!("{mischief:?}");
        room.service.misbehave(Some(mischief));
        room.await_shown(state, words);
        assert_eq!(room.feed()["claims"], 1, "{what}");
        traffic.proves(FREE, BLOCKED, 5);
        room.service.misbehave(None);
        let _done = room.edge.weir(&["feed", "refresh", "verifier"]).done();
        room.await_state("ok");
    }
    // That one shows only where the whole word is asked for.
    room.service.misbehave(Some(Mischief::Changes));
    room.refresh();
    room.await_shown("broken", "changes where the whole word was asked for");
    traffic.proves(FREE, BLOCKED, 5);
    room.service.misbehave(Some(Mischief::Unacceptable));
    room.service.block(&[FREE]);
    room.refresh();
    until("the good claim among bad ones is in force", || {
        !traffic.passes(FREE)
    });
    let feed = room.feed();
    assert!(feed["refused"].as_u64().expect("a count") >= 5, "{feed}");
    let shown = room.shown();
    assert!(shown.contains("refused   "), "{shown}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_no_lie_is_taken_however_odd_it_is() {
    let room = Room::new(Options::default());
    room.service.block(&[BLOCKED]);
    let _daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    for mischief in [Mischief::SameCursor, Mischief::Whole, Mischief::Slow(300)] {
        room.service.misbehave(Some(mischief.clone()));
        room.service.block(&[FREE]);
        until(&format!("{mischief:?}: what is said is blocked"), || {
            !traffic.passes(FREE)
        });
        room.service.withdraw(FREE);
        until(&format!("{mischief:?}: what is withdrawn passes"), || {
            traffic.passes(FREE)
        });
        room.await_shown("ok", "");
        assert!(!traffic.passes(BLOCKED), "{mischief:?}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_service_that_always_forgets_is_told_and_costs_no_claim() {
    let room = Room::new(Options::default());
    room.service.block(&[BLOCKED]);
    let _daemon = room.edge.start();
    let traffic = Traffic::open(&room.edge);
    let end = Instant::now() + PLENTY;
    while !room.shown().starts_with("verifier: resync: ") {
        assert!(Instant::now() < end, "{}", room.shown());
        room.service.begin_anew(&[block(BLOCKED)]);
    }
    traffic.proves(FREE, BLOCKED, 5);
    room.await_shown("ok", "");
    assert_eq!(room.feed()["claims"], 1);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_service_that_keeps_everybody_waiting_is_slow_and_costs_no_claim() {
    let rooms = [
        (Mischief::Slow(60_000), "the service's answer took longer"),
        (Mischief::Stall, "a piece of the service's answer took"),
    ];
    let rooms = rooms.map(|(mischief, words)| {
        let room = Room::new(Options::default());
        room.service.block(&[BLOCKED]);
        let daemon = room.edge.start();
        room.service.misbehave(Some(mischief));
        (daemon, room, words)
    });
    // Both wait at the same time.
    thread::scope(|scope| {
        for (_daemon, room, _words) in &rooms {
            scope.spawn(|| room.refresh());
        }
    });
    for (_daemon, room, words) in &rooms {
        room.await_shown("slow", words);
        assert_eq!(room.feed()["claims"], 1);
        Traffic::open(&room.edge).proves(FREE, BLOCKED, 5);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clocks_that_differ_are_noted_whichever_is_ahead() {
    let room = Room::new(Options::default());
    room.service.block(&[BLOCKED]);
    let _daemon = room.edge.start();
    for (ahead, words) in [
        (7_200, "s ahead of this host's"),
        (-7_200, "s behind this host's"),
        // And steps back to where it should be.
        (0, ""),
    ] {
        room.service.misbehave(Some(Mischief::Clock(ahead)));
        until(
            &format!("a clock {ahead} s ahead is noted: {words}"),
            || {
                let shown = room.shown();
                match words {
                    "" => !shown.contains("clock"),
                    words => shown.contains(words) && shown.starts_with("verifier: ok: "),
                }
            },
        );
        assert_eq!(room.feed()["claims"], 1);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn only_the_service_itself_is_believed() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let cases: [(Certificate, &Authority, &str, &str); 5] = [
        (authority.expired(), &authority, "untrusted", "has expired"),
        (
            authority.not_yet_good(),
            &authority,
            "untrusted",
            "isn't valid yet",
        ),
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
        room.await_shown(state, words);
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
fn an_authority_that_is_missing_is_told_and_read_when_it_is_there() {
    let authority = Authority::new();
    let room = Room::new(Options {
        certificate: Some(authority.good()),
        token: None,
    });
    room.service.block(&[BLOCKED]);
    let pem = room.edge.path("ca.pem");
    room.configure(&format!("ca_file = {pem:?}\n"));
    let _daemon = room.edge.start();
    room.await_shown("no_authority", "there is nothing readable");
    fs::write(&pem, "").expect("written");
    room.refresh();
    room.await_shown("no_authority", "there is no certificate");
    fs::write(&pem, authority.pem()).expect("written");
    room.refresh();
    room.await_shown("ok", "");
    room.await_claims(1);
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
    room.await_shown("no_token", "can't be read from");
    fs::write(&token, "").expect("written");
    room.await_shown("no_token", "has no token in it");
    fs::write(&token, "first\n").expect("written");
    room.await_shown("unauthorized", "refuses the token");
    fs::write(&token, "second\n").expect("written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("set");
    room.await_shown("ok", "");
    room.await_claims(1);
    until("an open token file is noted", || {
        room.shown().contains("chmod 600")
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
    room.await_shown("redirected", &other.url());
    assert!(room.service.stats().tokens > 0);
    let stats = other.stats();
    assert_eq!((stats.tokens, stats.wholes, stats.changes), (0, 0, 0));
}
