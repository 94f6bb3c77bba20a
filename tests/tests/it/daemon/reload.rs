//! Another configuration while the filter runs: a good one is applied, of a bad
//! one nothing is.

use std::fs;

use rustix::process::Signal;
use weir_tests::{
    bed::{
        Configuration, Edge, Traffic,
        daemon::traffic::{call, listen},
        until, veth,
    },
    world::{BLOCKED, FREE},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_new_tier_service_feed_and_interface_are_taken() {
    let edge = Edge::new();
    veth((&edge.host, "eth1"), (&edge.net, "eth1"));
    let daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let _listener = listen(&edge, FREE, 8443);
    let opened = |number: usize| {
        let calls = (0..number).map(|_| call(&edge, FREE, 8443, A_MOMENT));
        calls.filter(Option::is_some).count()
    };
    assert_eq!(opened(6), 6, "the port isn't guarded yet");
    assert_eq!(edge.program("eth1"), None);
    let more = edge.path("more.txt");
    fs::write(&more, "203.0.113.0/24\n").expect("written");
    // What names a tier that isn't there yet.
    edge.list(&[
        format!(r#"{{"prefix": "{BLOCKED}", "verdict": "block"}}"#),
        r#"{"prefix": "203.0.114.9", "verdict": {"limit": "few"}}"#.to_owned(),
    ]);
    until("that line is refused", || edge.feed()["refused"] == 1);

    edge.configure(&Configuration {
        interfaces: &["eth0", "eth1"],
        more: &format!(
            r#"
[[service]]
name = "shop"
ports = ["tcp/8443"]
default_tier = "few"

[tier.few]
connections = {{ rate = "1/m", burst = 2 }}

[[feed]]
name = "more"
kind = "file"
path = {more:?}
"#
        ),
        ..Configuration::default()
    });
    let answer = edge.weir(&["reload", "--json"]).done().json();
    for words in ["service.shop", "tier.few", "feed.more"] {
        assert!(answer["changes"].to_string().contains(words), "{answer}");
    }
    until("the new feed's claim holds", || {
        !traffic.passes("203.0.113.50")
    });
    traffic.proves(FREE, BLOCKED, 20);
    assert_eq!(opened(4), 2, "the burst of the new tier");
    assert_eq!(edge.program("eth1"), edge.program("eth0"));
    assert_eq!(edge.explain(FREE)["service"], "api");
    let status = edge.status();
    assert_eq!(status["interfaces"].as_array().map(Vec::len), Some(2));
    let _output = edge.weir(&["limit", "203.0.115.9", "--tier", "few"]).done();
    assert_eq!(edge.explain("203.0.115.9")["tier"], "few");
    until("the feed's claims may name it", || {
        edge.feed()["refused"] == 0
    });
    assert_eq!(edge.explain("203.0.114.9")["tier"], "few");
    daemon.kill();
    let daemon = edge.start();
    assert_eq!(edge.explain("203.0.115.9")["tier"], "few", "it was kept");
    traffic.proves(FREE, BLOCKED, 20);

    // And back again, this time by the signal.
    edge.configure(&Configuration::default());
    daemon.signal(Signal::HUP);
    until("the feed's claim is gone", || {
        traffic.passes("203.0.113.50")
    });
    until("the interface is let go", || edge.program("eth1").is_none());
    assert_eq!(opened(6), 6, "the port isn't guarded any more");
    traffic.proves(FREE, BLOCKED, 20);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_bad_configuration_is_refused_and_the_old_one_goes_on() {
    let edge = Edge::new();
    let daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let generation = edge.status()["generation"].clone();
    let program = edge.program("eth0");
    for (more, words) in [
        ("[proteckt]\n", "did you mean `protect`?"),
        ("[tier.x]\npackets = 7\n", "line"),
        ("[[service]]\nname = \"api\"\nports = [\"tcp/80\"]\n", "api"),
        ("[[", "line"),
    ] {
        edge.configure(&Configuration {
            mode: "observe",
            more,
            ..Configuration::default()
        });
        let _output = edge.weir(&["reload"]).failed(1).says(words);
    }
    fs::remove_file(edge.config()).expect("it was there");
    let _output = edge.weir(&["reload"]).failed(1).says("can't read");
    daemon.signal(Signal::HUP);
    daemon.await_log("the configuration is refused");

    let status = edge.status();
    assert_eq!(status["mode"], "enforce");
    assert_eq!(status["generation"], generation);
    assert_eq!(edge.program("eth0"), program);
    traffic.proves(FREE, BLOCKED, 20);
    // A problem until it is mended.
    let check = edge.weir(&["status", "--check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.out.contains("was refused"), "{check:?}");
    edge.configure(&Configuration::default());
    let _output = edge.weir(&["reload"]).done();
    let _output = edge.weir(&["status", "--check"]).done();
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_reload_with_an_interface_that_is_missing_is_refused_as_a_whole() {
    let edge = Edge::new();
    let _daemon = edge.start();
    edge.configure(&Configuration {
        interfaces: &["eth0", "eth9"],
        ..Configuration::default()
    });
    let _output = edge.weir(&["reload"]).failed(1).says("eth9");
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);
    let check = edge.weir(&["status", "--check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.out.contains("eth9"), "{check:?}");
    edge.configure(&Configuration::default());
    let _output = edge.weir(&["reload"]).done();
    let _check = edge.weir(&["status", "--check"]).done();
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_takes_a_restart_is_told() {
    let edge = Edge::new();
    let _daemon = edge.start();
    edge.configure(&Configuration {
        room: 30_000,
        ..Configuration::default()
    });
    let answer = edge.weir(&["reload", "--json"]).done().json();
    assert!(
        answer["notes"]
            .to_string()
            .contains("takes a restart of weir"),
        "{answer}"
    );
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);
}

/// Less than TCP waits before it tries again.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(500);
