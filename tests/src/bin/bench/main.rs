//! What `cargo xtask bench` measures: the real daemon and the real command line
//! in network namespaces of their own.
//!
//! Each figure is a line of JSON on standard output, as soon as it is known;
//! xtask shows and judges them, and takes away what a killed run left. [`edge`]
//! is the host and the net, [`daemon`] weir on it, [`claims`] what it is given,
//! [`traffic`] what is sent and seen. What a packet costs is measured without the
//! daemon: [`filled`] are weir's tables, [`programs`] what stands on them, [`peer`]
//! what a user would pick instead, each on a [`lane`] that [`flood`] fills. The
//! rest is one file a measurement.

use std::{env, path::PathBuf, time::Duration};

use self::{edge::Edge, figure::Figure};
use anyhow::{Context as _, Result, bail};

mod accuracy;
mod attest;
mod check;
mod claims;
mod daemon;
mod edge;
mod events;
mod feed;
mod figure;
mod filled;
mod flood;
mod idle;
mod lane;
mod latency;
mod load;
mod memory;
mod packets;
mod peer;
mod programs;
mod rounds;
mod sizes;
mod traffic;
mod updates;

fn main() -> Result<()> {
    let weir =
        env::var_os("WEIR_BIN").context("WEIR_BIN names no daemon: run cargo xtask bench")?;
    let edge = Edge::build(PathBuf::from(weir))?;
    let arguments: Vec<_> = env::args().skip(1).collect();
    let object = env::var_os("WEIR_BENCH_PROGRAMS").map(PathBuf::from);
    let object = || {
        let object = object.as_deref();
        object.context("WEIR_BENCH_PROGRAMS names no object: run cargo xtask bench")
    };
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
            "packets" => packets::measure(object()?, quick)?,
            "sizes" => sizes::measure(object()?, quick)?,
            "updates" => updates::measure(quick)?,
            "attest" => attest::measure(&edge, quick)?,
            "check" => check::measure(&edge, quick)?,
            "accuracy" => accuracy::measure(object()?, quick)?,
            other => bail!("there is no measurement {other:?}"),
        }
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A number as people write it.
fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let mut written = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}
