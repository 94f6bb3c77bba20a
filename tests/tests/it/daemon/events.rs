//! Events reach many readers at once; one that doesn't read holds up nobody, and
//! an event names the claim that judged, also if that is gone by now.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use weir::control::eventlog::FOLLOWERS;
use weir_tests::{
    bed::{Configuration, Edge, PLENTY, Traffic, daemon::server, until},
    frame::frame,
    service::{Options, Service},
    world::{BLOCKED, FREE},
};

/// A reader of the events to come, behind the head of the answer.
fn follow(edge: &Edge) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(edge.path("control.sock")).expect("the daemon listens");
    stream
        .write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: weir\r\n\r\n")
        .expect("it takes the question");
    stream.set_read_timeout(Some(PLENTY)).expect("it is set");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).expect("a head") > 2 {
        line.clear();
    }
    reader
}

/// The next line that is an event's or tells what was missed.
fn next(reader: &mut BufReader<UnixStream>) -> Value {
    loop {
        let mut line = String::new();
        assert!(
            reader.read_line(&mut line).expect("a line") > 0,
            "the answer ended"
        );
        if line.starts_with('{') {
            return serde_json::from_str(&line).expect("JSON");
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_hundred_readers_see_every_drop_while_one_of_them_sleeps() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        more: "[events]\nbudget_per_cpu = \"20000/s\"\nsample = 1\n",
        ..Configuration::default()
    });
    edge.list(&[BLOCKED]);
    let daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let sleeper = follow(&edge);
    let mut readers: Vec<_> = (0..99).map(|_| follow(&edge)).collect();
    let resident = || {
        let statm = fs::read_to_string(format!("/proc/{}/statm", daemon.pid()));
        let statm = statm.expect("the daemon runs");
        let pages: u64 = statm
            .split(' ')
            .nth(1)
            .expect("pages")
            .parse()
            .expect("a number");
        pages * 4096
    };
    let before = resident();
    let blocked: Vec<_> = (0..50)
        .map(|_| {
            frame()
                .ip(BLOCKED, server(BLOCKED))
                .udp(40_000, 443)
                .build()
        })
        .collect();
    let mut spent = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        let arrived = traffic.send(&[], &blocked);
        assert!(arrived.leaked.is_empty());
        // Each of those who read has all of them, before the next come, and
        // all have the same.
        let mut told: Option<Vec<Value>> = None;
        for reader in &mut readers {
            let events: Vec<_> = (0..50).map(|_| next(reader)).collect();
            for event in &events {
                assert_eq!(
                    (&event["source"], &event["cause"]),
                    (&BLOCKED.into(), &"blocked".into())
                );
            }
            assert_eq!(told.get_or_insert_with(|| events.clone()), &events);
        }
        spent.push(start.elapsed());
    }
    spent.sort_unstable();
    // The bench measures it; here nobody may be in another's way.
    assert!(spent[50] < Duration::from_millis(500), "{:?}", spent[50]);
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "the daemon has grown by {grown} bytes");
    assert_eq!(edge.status()["problems"], serde_json::json!([]));
    let counted = |what: &str| edge.status()["events"][what].as_u64().expect("a count");
    assert_eq!((counted("sent"), counted("readers")), (5000, 100));
    let lost = counted("missed");
    // A late follower receives the events still kept, and how many are lost.
    let mut sleeper = sleeper;
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < 5000 {
        let line = next(&mut sleeper);
        match line["missed"].as_u64() {
            Some(number) => missed += number,
            None => seen += 1,
        }
    }
    assert_eq!(seen + missed, 5000);
    assert_eq!((missed, counted("missed")), (lost, lost));
    drop((sleeper, readers));
    until("nobody follows", || counted("readers") == 0);
    assert_eq!(counted("missed"), lost);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn more_readers_than_may_follow_are_refused_and_told_why() {
    let edge = Edge::new();
    let _daemon = edge.start();
    let mut readers: Vec<_> = (0..FOLLOWERS).map(|_| follow(&edge)).collect();
    let said = edge.weir(&["events", "--follow"]).failed(1);
    let _output = said.says("follow the events already");
    // Events that one follower received are kept for every other, and so is the rest.
    let _output = edge.weir(&["events"]).done();
    readers.pop();
    let follows = || edge.status()["events"]["readers"] == FOLLOWERS as u64;
    until("one has left", || !follows());
    readers.push(follow(&edge));
    assert!(follows());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_event_names_its_claim_also_if_that_was_withdrawn_at_once() {
    let edge = Edge::new();
    edge.list(&[""]);
    let service = Service::start_in(Some(&edge.host), Options::default());
    let url = service.url();
    let feed = format!("[[feed]]\nname = \"verifier\"\nkind = \"verdicts\"\nurl = {url:?}\n");
    edge.configure(&Configuration {
        more: &feed,
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let mut reader = follow(&edge);
    service.block(&[FREE]);
    until("it is blocked", || !traffic.passes(FREE));
    service.withdraw(FREE);
    until("it is withdrawn", || traffic.passes(FREE));
    let event = next(&mut reader);
    assert_eq!(event["prefix"], format!("{FREE}/32"));
    assert_eq!(
        (&event["feed"], &event["reason"]),
        (&"verifier".into(), &"tok_badsig".into())
    );
}

/// `weir events --follow --json`, ended with the test.
struct Follower(Child);

impl Follower {
    fn start(edge: &Edge) -> Self {
        let mut command = edge.command(&["events", "--follow", "--json"]);
        let child = command.stdout(Stdio::piped()).spawn();
        let follower = Self(child.expect("it starts"));
        until("it follows", || edge.status()["events"]["readers"] == 1);
        follower
    }

    /// So many events.
    fn events(&mut self, number: u64) -> Vec<Value> {
        let output = self.0.stdout.take().expect("it was asked for");
        let lines = BufReader::new(output).lines().take(number as usize);
        lines
            .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
            .collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_true_totals_are_recovered_from_sampled_events() {
    let edge = Edge::new();
    let other = edge.path("other.txt");
    fs::write(&other, "203.0.113.0/24\n").expect("a list");
    edge.list(&[BLOCKED]);
    let more = format!(
        "[events]\nbudget_per_cpu = \"100000/s\"\nsample = 20\n\
         [tier.unknown]\npackets = {{ rate = \"1/s\", burst = 2 }}\n\
         [[feed]]\nname = \"other\"\nkind = \"file\"\npath = {other:?}\n"
    );
    edge.configure(&Configuration {
        more: &more,
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let _output = edge.weir(&["block", "198.18.7.0/24"]).done();
    let traffic = Traffic::open(&edge);
    let mut follower = Follower::start(&edge);

    let from = |source: &str| frame().ip(source, server(source)).udp(40_000, 443).build();
    // In turn, as nobody's dice would have it: of each twenty ten are of the list,
    // six of the other feed's forty sources, one is the operator's, and three
    // are over a rate.
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for round in 0..600_u32 {
        let mut frames = Vec::new();
        for place in 0..20 {
            let (name, source) = match place {
                0..10 => ("local", BLOCKED.to_owned()),
                10..16 => ("other", format!("203.0.113.{}", (round * 6 + place) % 40)),
                16 => ("operator", format!("198.18.7.{}", round % 200)),
                _ => ("", FREE.to_owned()),
            };
            *sent.entry(name).or_default() += 1;
            frames.push(from(&source));
        }
        // The rate's burst gets through, and what a second lets.
        let _leaked = traffic.send(&[], &frames);
    }

    let status = edge.status();
    let dropped = |cause: &str| {
        let packets = &status["causes"][cause]["dropped_packets"];
        packets.as_u64().expect("a count")
    };
    let over = dropped("over_packets");
    assert_eq!(dropped("blocked"), 600 * 17);
    sent.insert("", over);
    let counted = |what: &str| status["events"][what].as_u64().expect("a count");
    assert_eq!((counted("lost"), counted("missed")), (0, 0));
    let events = follower.events(counted("sent"));

    let weight = |event: &Value| event["weight"].as_u64().expect("a weight");
    let total: u64 = events.iter().map(weight).sum();
    assert_eq!(
        total + counted("untold"),
        600 * 17 + over,
        "the total is exact"
    );
    let shown: u64 = events
        .iter()
        .map(|event| 1 + event["suppressed_before"].as_u64().expect("a count"))
        .sum();
    assert!(shown <= 600 * 17 + over);
    for (feed, drops) in sent {
        let mine = events
            .iter()
            .filter(|event| event["feed"].as_str().unwrap_or_default() == feed);
        let weights: Vec<_> = mine.map(|event| weight(event) as f64).collect();
        let sum: f64 = weights.iter().sum();
        let error = weights
            .iter()
            .map(|weight| weight * weight)
            .sum::<f64>()
            .sqrt();
        // Five errors: by chance, once in two million times.
        let off = (sum - drops as f64).abs();
        assert!(
            off <= 5.0 * error + 2.0 * counted("untold") as f64,
            "{feed:?}: {drops} were dropped, {sum} recovered, with an error of {error}"
        );
    }
    let cause = |event: &&Value| event["cause"] == "over_packets";
    assert!(
        events
            .iter()
            .filter(cause)
            .all(|event| event["feed"].is_null())
    );
}
