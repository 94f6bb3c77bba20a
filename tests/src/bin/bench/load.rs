//! From a list moved into place to its last prefix in force.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{
    Figure,
    claims::{list, listed},
    daemon::{Daemon, LIST},
    edge::Edge,
    milliseconds,
    traffic::Traffic,
};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    load(edge, 100_000, Some(1000.0))?;
    if !quick {
        load(edge, 1_000_000, None)?;
    }
    Ok(())
}

fn load(edge: &Edge, many: u32, target: Option<f64>) -> Result<()> {
    edge.write(LIST, "")?;
    edge.put(LIST)?;
    let daemon = Daemon::start(edge, many + 1000)?;
    let traffic = Traffic::start()?;
    let sample = || (0..many).step_by(many as usize / SAMPLE).chain([many - 1]);
    let before = traffic.passing(sample().map(listed))?;
    ensure!(
        before as usize == sample().count(),
        "packets are lost before anything is blocked: {before} arrived"
    );

    edge.write(LIST, list(0, many))?;
    let moment = Instant::now();
    edge.put(LIST)?;
    let silent = daemon.await_claims(LIST, many)?;
    let loaded = moment.elapsed();
    let passing = traffic.passing(sample().map(listed))?;
    ensure!(passing == 0, "{passing} listed sources still pass");
    Figure {
        name: &format!("load, {many} claims in force"),
        value: milliseconds(loaded),
        unit: "ms",
        target,
        ..Figure::default()
    }
    .tell()?;
    Figure {
        name: &format!("load, {many} claims: longest wait for the control API meanwhile"),
        value: milliseconds(silent),
        unit: "ms",
        target: None,
        ..Figure::default()
    }
    .tell()
}

/// Listed sources that are tried, about.
const SAMPLE: usize = 500;
