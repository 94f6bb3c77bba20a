//! The feed's file changes under a running daemon, or breaks: what is in force
//! follows what is good, and keeps what was.

use std::{fs, path::Path};

use weir_tests::{
    bed::{Configuration, Edge, Traffic, until},
    world::{BLOCKED, BLOCKED6, FREE, FREE6},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_list_is_followed_whether_it_is_written_over_or_moved_into_place() {
    let edge = Edge::new();
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);
    traffic.proves(FREE, BLOCKED, 10);
    assert_eq!(edge.feed()["claims"], 2);

    fs::write(
        edge.path("list.txt"),
        format!("{FREE}\n{FREE6} # both\n\n{FREE}\n"),
    )
    .expect("the list is written over");
    until("the free source is blocked", || !traffic.passes(FREE));
    traffic.proves(BLOCKED, FREE, 50);
    traffic.proves(BLOCKED6, FREE6, 50);
    assert_eq!(edge.feed()["claims"], 2);

    edge.list(&["198.51.100.0/24", "2001:db8:bad::/48", "192.0.2.128/25"]);
    until("the blocked source is blocked", || !traffic.passes(BLOCKED));
    traffic.proves(FREE, BLOCKED, 50);
    traffic.proves(FREE6, BLOCKED6, 50);
    let explained = edge.explain(BLOCKED);
    assert_eq!(explained["prefix"], "198.51.100.0/24");
    assert_eq!(explained["feed"], "local");
    assert_eq!(edge.feed()["claims"], 3);

    edge.list(&[""]);
    until("an empty list blocks nobody", || traffic.passes(BLOCKED));
    assert_eq!(edge.feed()["state"], "ok");
}

/// A way to break a list, and words of the sentence that tells of it.
type Break = (&'static str, fn(&Path), &'static str);

const BREAKS: &[Break] = &[
    ("it vanishes", |path| remove(path), "isn't there"),
    (
        "it becomes a directory",
        |path| {
            remove(path);
            fs::create_dir(path).expect("a folder");
        },
        "no regular file",
    ),
    (
        "it becomes binary",
        |path| replace(path, b"198.51.100.9\n\x7fELF\x02\x01\x01\0\0\0"),
        "binary",
    ),
    (
        "it becomes another encoding",
        |path| replace(path, b"198.51.100.9\n# caf\xe9\n"),
        "UTF-8",
    ),
    (
        "it becomes a web page",
        |path| replace(path, b"<!DOCTYPE html>\n<html><body>Log in</body></html>\n"),
        "web page",
    ),
    (
        "it has more lines than there is room",
        |path| replace(path, numbered(5_000).as_bytes()),
        "more than 2000 claims",
    ),
    (
        "it has three million lines",
        |path| replace(path, numbered(3_000_000).as_bytes()),
        "bytes",
    ),
    (
        "it is half a line",
        |path| replace(path, b"198.51."),
        "198.51.",
    ),
    (
        "it is a table of something else",
        |path| replace(path, b"name,address\nweb,one\n"),
        "none of its 2 lines",
    ),
];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_broken_list_is_told_and_what_it_said_last_stays_in_force() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        room: 1_000,
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let path = edge.path("list.txt");
    for (what, break_it, words) in BREAKS {
        break_it(&path);
        until(&format!("it is told with {words:?}: {what}"), || {
            let told = &edge.feed()["last_error"];
            told.as_str().is_some_and(|told| told.contains(words))
        });
        let feed = edge.feed();
        assert_eq!(feed["state"], "failed", "{what}");
        let told = feed["last_error"].as_str().expect("a sentence");
        assert!(told.contains("list.txt"), "{what}: whose it is: {told:?}");
        assert_eq!(feed["claims"], 2, "{what}");
        let check = edge.weir(&["status", "--check"]);
        assert_eq!(check.code, Some(1), "{what}");
        assert!(check.out.contains("feed local"), "{what}: {check:?}");
        traffic.proves(FREE, BLOCKED, 20);
        traffic.proves(FREE6, BLOCKED6, 20);

        if path.is_dir() {
            fs::remove_dir(&path).expect("it is empty");
        }
        edge.list(&[BLOCKED, BLOCKED6]);
        until(&format!("the feed is well again, after {what}"), || {
            edge.feed()["state"] == "ok"
        });
        assert_eq!(edge.feed()["last_error"], serde_json::Value::Null, "{what}");
        let _output = edge.weir(&["status", "--check"]).done();
        traffic.proves(FREE, BLOCKED, 20);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn bad_lines_are_refused_singly_and_told() {
    let edge = Edge::new();
    edge.list(&[
        BLOCKED,
        "0.0.0.0/0",
        "nonsense",
        "198.51.100.300",
        BLOCKED6,
        "192.0.2.0",
    ]);
    edge.configure(&Configuration {
        more: "[protect]\nsources = [\"192.0.2.0/30\"]\n",
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let feed = edge.feed();
    assert_eq!(feed["state"], "ok");
    assert_eq!(feed["claims"], 2);
    assert_eq!(feed["refused"], 4);
    let told = feed["refusals"].to_string();
    for words in ["line 3", "nonsense", "line 4", "too wide", "protected"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    assert_eq!(edge.weir(&["status", "--check"]).code, Some(1));
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_daemon_starts_without_its_list_and_takes_it_when_it_comes() {
    let edge = Edge::new();
    remove(&edge.path("list.txt"));
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);
    assert_eq!(edge.feed()["state"], "failed");
    assert!(traffic.passes(BLOCKED));
    edge.list(&[BLOCKED]);
    until("the blocked source is blocked", || !traffic.passes(BLOCKED));
    assert_eq!(edge.feed()["state"], "ok");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_restart_with_a_broken_list_goes_on_with_its_last_good_copy() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        room: 1_000,
        ..Configuration::default()
    });
    let mut daemon = edge.start();
    let copies = edge.path("state/feeds");
    let is_copied = || {
        let mut copies = fs::read_dir(&copies).into_iter().flatten().flatten();
        copies.any(|copy| {
            let good = copy.path().extension().is_some_and(|end| end == "last");
            good && fs::read_to_string(copy.path()).is_ok_and(|text| text.contains(BLOCKED))
        })
    };
    let traffic = Traffic::open(&edge);
    for (what, break_it, _) in BREAKS {
        until("there is a copy", is_copied);
        daemon.stop();
        break_it(&edge.path("list.txt"));
        daemon = edge.start();
        assert_eq!(edge.feed()["state"], "failed", "{what}");
        assert_eq!(edge.feed()["claims"], 2, "{what}");
        traffic.proves(FREE, BLOCKED, 20);
        if edge.path("list.txt").is_dir() {
            fs::remove_dir(edge.path("list.txt")).expect("it is empty");
        }
        edge.list(&[BLOCKED, BLOCKED6]);
        until("the feed is well again", || edge.feed()["state"] == "ok");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_large_list_is_in_force_as_a_whole() {
    let edge = Edge::new();
    let mut lines: Vec<String> = numbered(19_000).lines().map(str::to_owned).collect();
    lines.push(BLOCKED.to_owned());
    edge.list(&lines);
    let _daemon = edge.start();
    let status = edge.status();
    assert_eq!(status["verdicts"]["blocked"], 19_001);
    let listed = edge.weir(&["list", "--feed", "local", "--json"]).done();
    assert_eq!(listed.json_lines().len(), 19_001);
    let traffic = Traffic::open(&edge);
    for source in [BLOCKED, "10.0.0.0", "10.0.74.55"] {
        traffic.proves(FREE, source, 5);
    }
    // One line goes, and only its claim with it.
    lines.retain(|line| line != "10.0.74.55");
    edge.list(&lines);
    until("that source is free", || traffic.passes("10.0.74.55"));
    traffic.proves("10.0.74.55", "10.0.74.54", 5);
}

/// So many lines, each another address.
fn numbered(number: u32) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for number in 0..number {
        let [_, b, c, d] = number.to_be_bytes();
        writeln!(text, "10.{b}.{c}.{d}").expect("text grows");
    }
    text
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("it was there");
}

fn replace(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
}
