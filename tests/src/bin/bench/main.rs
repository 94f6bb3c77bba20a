//! What `cargo xtask bench` measures: the real daemon and the real command line
//! in network namespaces of their own.
//!
//! Each figure is a line of JSON on standard output, as soon as it is known;
//! xtask shows and judges them, and takes away what a killed run left. [`edge`]
//! is the host and the net, [`daemon`] weir on it, [`claims`] what it is given,
//! [`traffic`] what is sent and seen; the rest is one file a measurement.

use std::{
    env,
    io::{Write as _, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use self::edge::Edge;

mod claims;
mod daemon;
mod edge;
mod events;
mod feed;
mod idle;
mod latency;
mod load;
mod memory;
mod traffic;

fn main() -> Result<()> {
    let weir =
        env::var_os("WEIR_BIN").context("WEIR_BIN names no daemon: run cargo xtask bench")?;
    let edge = Edge::build(PathBuf::from(weir))?;
    let arguments: Vec<_> = env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    for argument in arguments {
        match argument.as_str() {
            "--quick" => {}
            "latency" => latency::measure(&edge, quick)?,
            "feed" => feed::measure(&edge, quick)?,
            "events" => events::measure(&edge, quick)?,
            "load" => load::measure(&edge, quick)?,
            "idle" => idle::measure(&edge, quick)?,
            "memory" => memory::measure(&edge, quick)?,
            other => bail!("there is no measurement {other:?}"),
        }
    }
    Ok(())
}

/// Something measured.
struct Figure<'a> {
    name: &'a str,
    value: f64,
    unit: &'a str,
    /// What it must stay below; `None`: it is only shown.
    target: Option<f64>,
}

impl Figure<'_> {
    fn tell(&self) -> Result<()> {
        let Self {
            name,
            value,
            unit,
            target,
        } = self;
        let line = json!({"name": name, "value": value, "unit": unit, "target": target});
        writeln!(stdout(), "{line}").context("telling a figure")
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
