//! A hundred readers of events, one of them stuck: how long it takes from a
//! packet to its line at each of the others, what the daemon needs for it, and
//! whether it is as quick as without them.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Figure,
    claims::{list, listed, unlisted},
    daemon::{Daemon, LIST},
    edge::Edge,
    latency::series,
    memory::resident,
    milliseconds,
    traffic::{Drip, Traffic, probe_from},
};
use anyhow::{Context as _, Result, ensure};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    edge.write(LIST, list(0, LISTED))?;
    edge.put(LIST)?;
    let daemon = Daemon::start_with(edge, 2 * LISTED, EVENTS)?;
    daemon.await_claims(LIST, LISTED)?;
    let traffic = Traffic::start()?;
    let _drip = Drip::start(listed(0))?;
    let before = resident(daemon.pid())?;

    let _stuck = follow(&daemon)?;
    let times = if quick { 300 } else { 3000 };
    let readers = (1..READERS).map(|_| follow(&daemon));
    let readers = readers.collect::<Result<Vec<_>>>()?;
    let told = counted(&daemon, "sent")?;
    let start = Instant::now();
    let (sent, seen) = thread::scope(|scope| -> Result<_> {
        let reading: Vec<_> = readers
            .into_iter()
            .map(|reader| scope.spawn(move || read(reader, times)))
            .collect();
        let mut sent = HashMap::new();
        for number in 0..times {
            let source = listed(PROBES + number);
            sent.insert(source, Instant::now());
            probe_from(source)?;
            thread::sleep(SPACING);
        }
        let seen = reading
            .into_iter()
            .map(|reader| reader.join().expect("reading doesn't panic"))
            .collect::<Result<Vec<_>>>()?;
        Ok((sent, seen))
    })?;
    let told = (counted(&daemon, "sent")? - told) / start.elapsed().as_secs_f64();

    let mut all = Vec::new();
    for (source, moment) in seen.iter().flatten() {
        let sent = sent.get(source).context("an event of a probe not sent")?;
        all.push(moment.duration_since(*sent));
    }
    ensure!(
        all.len() == times as usize * (READERS - 1),
        "each of the readers saw each of the events once"
    );
    all.sort_unstable();
    for (part, percent, target) in [
        ("p50", 50, None),
        ("p99", 99, Some(TARGET)),
        ("max", 100, Some(TARGET)),
    ] {
        let place = (all.len() * percent / 100).min(all.len() - 1);
        Figure {
            name: &format!("events, from a packet to its line at 99 readers: {part} of {times}"),
            value: milliseconds(all[place]),
            unit: "ms",
            target,
            ..Figure::default()
        }
        .tell()?;
    }

    let again = (1..READERS).map(|_| follow(&daemon));
    let again = again.collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let (ends, reading): (Vec<_>, Vec<_>) = again
            .into_iter()
            .map(|reader| {
                let end = reader.get_ref().try_clone();
                (end, scope.spawn(move || drain(reader)))
            })
            .unzip();
        let measured = series(
            "the control API with 100 readers of events",
            times / 10,
            |number| {
                let source = unlisted(40_000 + number);
                traffic.drop_after(source, || {
                    let moment = Instant::now();
                    daemon.block(source)?;
                    Ok(moment)
                })
            },
        );
        for end in ends {
            // It may have ended already.
            let _ended = end?.shutdown(std::net::Shutdown::Both);
        }
        for reader in reading {
            reader.join().expect("reading doesn't panic");
        }
        measured
    })?;

    for (name, value, unit, target) in [
        ("events, told a second meanwhile", told, "/s", None),
        (
            "events, what the stuck reader missed",
            counted(&daemon, "missed")?,
            "events",
            None,
        ),
        (
            "events, memory for 100 readers, one of them stuck",
            (resident(daemon.pid())? - before) / 1024.0,
            "MiB",
            Some(GROWTH),
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
    Ok(())
}

fn counted(daemon: &Daemon<'_>, what: &str) -> Result<f64> {
    let number = daemon.status()?["events"][what].as_f64();
    number.with_context(|| format!("no events.{what} in a status"))
}

/// A reader of the events to come, behind the head of the answer.
fn follow(daemon: &Daemon<'_>) -> Result<BufReader<UnixStream>> {
    let mut stream = daemon.connect()?;
    stream.write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: weir\r\n\r\n")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(reader)
}

/// When each of so many probes' events came.
fn read(mut reader: BufReader<UnixStream>, times: u32) -> Result<Vec<(Ipv4Addr, Instant)>> {
    let probes: HashSet<_> = (0..times).map(|number| listed(PROBES + number)).collect();
    let mut seen = Vec::new();
    let mut line = String::new();
    let end = Instant::now() + SPACING * times + PATIENCE;
    while seen.len() < times as usize {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the answer ended");
        ensure!(!line.contains("missed"), "a reader was too slow: {line}");
        ensure!(
            Instant::now() < end,
            "of {times} probes {} were told",
            seen.len()
        );
        // By hand: a hundred readers on the daemon's own two cores.
        let source = line.split("\"source\":\"").nth(1);
        let source = source.and_then(|rest| rest.split('"').next()?.parse().ok());
        if let Some(source) = source.filter(|source| probes.contains(source)) {
            seen.push((source, Instant::now()));
        }
    }
    Ok(seen)
}

/// Reads until the end.
fn drain(mut reader: BufReader<UnixStream>) {
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        line.clear();
    }
}

const EVENTS: &str = "[events]\nbudget_per_cpu = \"10000/s\"\nsample = 20\n\n";
const READERS: usize = 100;
/// Claims in force.
const LISTED: u32 = 100_000;
/// The first of the list that is a probe.
const PROBES: u32 = 10_000;
/// Between two probes.
const SPACING: Duration = Duration::from_millis(10);
/// Milliseconds from a packet to its line.
const TARGET: f64 = 100.0;
/// MiB that the daemon may grow by.
const GROWTH: f64 = 16.0;
const PATIENCE: Duration = Duration::from_secs(30);
