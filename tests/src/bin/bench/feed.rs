//! The stream of a verification service: from its word to the first packet that
//! is dropped, a whole word of many claims, and changes without end.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weir_tests::service::{Options, Service, block, server::monotonic};

use crate::{
    Figure,
    claims::{listed, unlisted},
    daemon::Daemon,
    edge::{Edge, End},
    latency::series,
    milliseconds,
    traffic::{Flood, Traffic},
};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    let service = Service::start_named(Some(&End::Host.name()), Options::default());
    let url = service.url();
    let more = format!("[[feed]]\nname = {FEED:?}\nkind = \"verdicts\"\nurl = {url:?}\n");
    let daemon = Daemon::start_with(edge, 2 * LISTED, &more)?;
    let traffic = Traffic::start()?;

    whole(&service, &daemon)?;
    let flood = Flood::start()?;
    let times = if quick { 100 } else { 1000 };
    series("the verification service's stream", times, |number| {
        let claim = block(&unlisted(number).to_string());
        traffic.drop_after(unlisted(number), || {
            let moment = Instant::now();
            service.say(&[claim]);
            Ok(moment)
        })
    })?;
    drop(flood);
    changes(&service, &daemon, if quick { 3 } else { 30 })
}

/// From the head of the answer, which comes before its last byte.
fn whole(service: &Service, daemon: &Daemon<'_>) -> Result<()> {
    let lines: Vec<Value> = (0..LISTED)
        .map(|one| block(&listed(one).to_string()))
        .collect();
    service.begin_anew(&lines);
    daemon.await_claims(FEED, LISTED)?;
    let now = monotonic();
    let stats = service.stats();
    let answered = stats
        .answered
        .iter()
        .find(|(number, _)| *number >= u64::from(LISTED));
    let (_, answered) = answered.context("it wasn't asked")?;
    Figure {
        name: &format!("feed, a whole word of {LISTED} claims in force"),
        value: milliseconds(Duration::from_nanos(now - answered)),
        unit: "ms",
        target: Some(1000.0),
        ..Figure::default()
    }
    .tell()
}

/// Single changes at a fixed pace: what hasn't been answered yet is the lag.
fn changes(service: &Service, daemon: &Daemon<'_>, seconds: u64) -> Result<()> {
    let first = service.number();
    let start = Instant::now();
    let mut lags = Vec::new();
    for number in 0..seconds * PACE {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / PACE);
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            thread::sleep(wait);
        }
        let source = unlisted(50_000 + (number / 2 % 5_000) as u32).to_string();
        if number % 2 == 0 {
            service.say(&[block(&source)]);
        } else {
            service.say(&[json!({"prefix": source, "withdrawn": true})]);
        }
        if number % (PACE / 10) == PACE / 10 - 1 {
            lags.push(service.number() - service.last_answered());
        }
    }
    let took = start.elapsed();
    let end = service.number();
    ensure!(
        end - first == seconds * PACE,
        "{} changes were said",
        end - first
    );
    let (one, other) = lags.split_at(lags.len() / 2);
    let most =
        |lags: &[u64]| *lags.iter().max().expect("there are some") as f64 / PACE as f64 * 1e3;
    let pace = (end - first) as f64 / took.as_secs_f64();
    for (name, value, unit, target) in [
        ("feed, single changes a second", pace, "/s", None),
        ("feed, longest lag in the first half", most(one), "ms", None),
        (
            "feed, longest lag in the second half",
            most(other),
            "ms",
            Some(250.0),
        ),
    ] {
        Figure {
            name,
            value,
            unit,
            target,
            ..Figure::default()
        }
        .tell()?;
    }
    let stopped = Instant::now();
    service.await_answered(end, Duration::from_secs(10));
    // It answers between one piece of news and the next.
    daemon.status()?;
    let wholes = service.stats().wholes;
    ensure!(wholes <= 2, "the whole word was asked for {wholes} times");
    Figure {
        name: "feed, until the last change is in force",
        value: milliseconds(stopped.elapsed()),
        unit: "ms",
        target: Some(250.0),
        ..Figure::default()
    }
    .tell()
}

const FEED: &str = "verifier";
/// Claims in force.
const LISTED: u32 = 100_000;
/// Changes a second.
const PACE: u64 = 10_000;
