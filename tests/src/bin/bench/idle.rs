//! The CPU that the daemon takes when nothing happens.

use std::{collections::HashMap, fs, thread, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    Figure,
    claims::list,
    daemon::{Daemon, LIST},
    edge::Edge,
    milliseconds,
};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    edge.write(LIST, list(0, LISTED))?;
    edge.put(LIST)?;
    let daemon = Daemon::start(edge, LISTED * 2)?;
    daemon.await_claims(LIST, LISTED)?;
    thread::sleep(SETTLE);
    let seconds = if quick { 10 } else { 60 };
    let before = spent(daemon.pid())?;
    thread::sleep(Duration::from_secs(seconds));
    let spent: Duration = spent(daemon.pid())?
        .into_iter()
        .map(|(thread, after)| after - before.get(&thread).copied().unwrap_or_default())
        .sum();
    Figure {
        name: &format!("idle, CPU in {seconds} s with {LISTED} claims"),
        value: milliseconds(spent),
        unit: "ms",
        target: Some(TARGET * seconds as f64 / 60.0),
        ..Figure::default()
    }
    .tell()
}

/// What each thread has run on a CPU so far, exact where `stat` has ticks of 10 ms.
fn spent(pid: u32) -> Result<HashMap<String, Duration>> {
    let mut spent = HashMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("is the daemon gone?")? {
        let thread = thread?;
        // A thread that has just ended has nothing more to tell.
        let Ok(told) = fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        let nanoseconds = told.split(' ').next().context("an empty schedstat")?;
        spent.insert(
            thread.file_name().to_string_lossy().into_owned(),
            Duration::from_nanos(nanoseconds.parse()?),
        );
    }
    Ok(spent)
}

/// Milliseconds of CPU a minute.
const TARGET: f64 = 20.0;
const LISTED: u32 = 100_000;
/// What the start leaves to be done.
const SETTLE: Duration = Duration::from_secs(2);
