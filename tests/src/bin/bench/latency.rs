//! From a word against a source to its first packet that is dropped, with a
//! list in force and under a flood.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    Figure,
    claims::{list, unlisted},
    daemon::{Daemon, LIST, SHORT_LIST},
    edge::Edge,
    milliseconds,
    traffic::{Dropped, Flood, Traffic},
};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    let times = if quick { 100 } else { 1000 };
    let mut large = list(0, LISTED);
    edge.write(LIST, &large)?;
    edge.put(LIST)?;
    edge.write(SHORT_LIST, "")?;
    edge.put(SHORT_LIST)?;
    let daemon = Daemon::start(edge, LISTED * 2)?;
    daemon.await_claims(LIST, LISTED)?;
    let traffic = Traffic::start()?;
    let _flood = Flood::start()?;
    let start = Instant::now();

    series("weir block", times, |number| {
        let source = unlisted(number);
        traffic.drop_after(source, || {
            let moment = Instant::now();
            daemon.command_block(source)?;
            Ok(moment)
        })
    })?;
    series("the control API", times, |number| {
        let source = unlisted(10_000 + number);
        traffic.drop_after(source, || {
            let moment = Instant::now();
            daemon.block(source)?;
            Ok(moment)
        })
    })?;
    series("a short list", times, |number| {
        let source = unlisted(20_000 + number);
        edge.write(SHORT_LIST, format!("{source}\n"))?;
        traffic.drop_after(source, || {
            let moment = Instant::now();
            edge.put(SHORT_LIST)?;
            Ok(moment)
        })
    })?;
    series("a line more in a list of 100,000", times, |number| {
        let source = unlisted(30_000 + number);
        // Anywhere in it.
        let middle = (number as usize).wrapping_mul(7919 * 15) % large.len();
        let line = large[..middle].rfind('\n').map_or(0, |end| end + 1);
        large.insert_str(line, &format!("{source}\n"));
        edge.write(LIST, &large)?;
        // weir rests after reading, for four times as long as that took.
        thread::sleep(REST);
        traffic.drop_after(source, || {
            let moment = Instant::now();
            edge.put(LIST)?;
            Ok(moment)
        })
    })?;
    // Without it the figures would be of a host at rest.
    let dropped = daemon.status()?["causes"]["blocked"]["dropped_packets"]
        .as_f64()
        .context("no dropped packets in a status")?;
    Figure {
        name: "latency, packets of the flood dropped a second meanwhile",
        value: dropped / start.elapsed().as_secs_f64(),
        unit: "/s",
        target: None,
        ..Figure::default()
    }
    .tell()
}

pub(crate) fn series(
    what: &str,
    times: u32,
    once: impl FnMut(u32) -> Result<Dropped>,
) -> Result<()> {
    judged(&format!("latency, {what}"), times, TARGET, once)
}

/// Does it so many times, and tells how long it took, of which 99 in a hundred are
/// to be within so many milliseconds.
pub(crate) fn judged(
    what: &str,
    times: u32,
    target: f64,
    mut once: impl FnMut(u32) -> Result<Dropped>,
) -> Result<()> {
    let mut all = Vec::new();
    let mut lost = 0;
    for number in 0..times {
        let dropped = once(number)?;
        all.push(dropped.after);
        lost += dropped.lost;
    }
    all.sort_unstable();
    let at = |percent: usize| milliseconds(all[(all.len() * percent / 100).min(all.len() - 1)]);
    for (part, percent, target) in [
        ("p50", 50, None),
        ("p99", 99, Some(target)),
        ("max", 100, None),
    ] {
        Figure {
            name: &format!("{what}: {part} of {times}"),
            value: at(percent),
            unit: "ms",
            target,
            ..Figure::default()
        }
        .tell()?;
    }
    if lost > 0 {
        eprintln!("bench: of the probes of {what}, {lost} were lost before they were dropped");
    }
    Ok(())
}

/// Milliseconds from the word to the drop.
const TARGET: f64 = 10.0;
/// Claims in force.
const LISTED: u32 = 100_000;
const REST: Duration = Duration::from_millis(25);
