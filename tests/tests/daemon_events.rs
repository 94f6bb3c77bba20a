//! Events reach many readers at once; one that doesn't read holds up nobody, and
//! an event names the claim that judged, also if that is gone by now.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
};

use serde_json::Value;
use weir_tests::{
    daemon::{Configuration, Edge, PLENTY, Traffic, server, until},
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
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", daemon.pid()));
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
    for _ in 0..100 {
        let arrived = traffic.send(&[], &blocked);
        assert!(arrived.leaked.is_empty());
        // Each of those who read has all of them, before the next come.
        for reader in &mut readers {
            for _ in 0..50 {
                let event = next(reader);
                assert_eq!(
                    (&event["source"], &event["cause"]),
                    (&BLOCKED.into(), &"blocked".into())
                );
            }
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "the daemon has grown by {grown} bytes");
    assert_eq!(edge.status()["problems"], serde_json::json!([]));
    // Whoever slept gets what is still there, and is told what isn't.
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
