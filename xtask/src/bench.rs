//! `cargo xtask bench`: what weir promises, measured.
//!
//! The measuring is done by `bench` of the tests' crate, with the real daemon in
//! network namespaces of its own. Here it is started, its figures are shown
//! beside their targets, written into the documentation if that is asked for
//! ([`page`], [`plot`]), and what a killed run left is removed ([`sweep`]).

use std::{
    io::{Write as _, stdout},
    process::{ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use rustix::process::geteuid;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use self::figure::Figure;
use crate::{setup, workspace};

mod figure;
mod page;
mod plot;
mod sweep;

/// The options of a measurement.
#[derive(Args)]
pub(crate) struct Options {
    /// The measurements; nothing named: all of them.
    measurements: Vec<Measurement>,
    /// A few minutes for all: fewer times, short lists, and no targets for packets.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Fail if a target is missed. (A busy machine misses some.)
    #[arg(long)]
    strict: bool,
    /// Write what was measured into docs/performance.md and docs/performance.svg.
    #[arg(long, conflicts_with = "quick")]
    doc: bool,
}

/// The measurements.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// From a word against a source to its first dropped packet.
    Latency,
    /// The verification service's stream: latency, a whole word, endless changes.
    Feed,
    /// A hundred readers of events, one of them stuck: how late the others are.
    Events,
    /// From a list in place to its last prefix in force.
    Load,
    /// The daemon's CPU when nothing happens.
    Idle,
    /// The daemon's memory.
    Memory,
    /// The cost of a packet: weir's parts and the whole of it, and what a user
    /// would pick instead, as ratios to a program that only drops.
    Packets,
    /// The growth of a packet's cost with the list.
    Sizes,
    /// The time until changes are in force; the tables' memory.
    Updates,
    /// Whether the rates hold in a flood of ten million sources.
    Accuracy,
    /// From the failing call that is one too many to its source's first dropped
    /// packet.
    Attest,
    /// The check endpoint: checks a second, how long one takes, what it adds to nginx.
    Check,
}

/// Builds what is measured, measures, and tells.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if !geteuid().is_root() {
        bail!("needs root: it makes network namespaces and loads a program into the kernel");
    }
    setup::run()?;
    setup::gateways()?;
    sweep::left();
    eprintln!("bench: building weir (a few minutes the first time)");
    workspace::build_daemon()?;
    workspace::build_tool("bench")?;
    workspace::build_bench_programs()?;
    let figures = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(measure(options))?;
    if options.doc {
        page::write(&figures)?;
    }
    let missed = figures.iter().filter(|figure| figure.is_missed()).count();
    if options.json {
        let figures: Vec<_> = figures.iter().map(Figure::json).collect();
        let answer = json!({"figures": figures, "missed": missed});
        writeln!(stdout(), "{answer}").context("writing the figures")?;
    } else if missed > 0 {
        writeln!(stdout(), "{missed} of the targets missed").context("writing the last line")?;
    } else {
        writeln!(stdout(), "all targets met").context("writing the last line")?;
    }
    Ok(if options.strict && missed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn measure(options: &Options) -> Result<Vec<Figure>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut command = Command::new(workspace::tool("bench"));
    command
        .env("WEIR_BIN", workspace::daemon())
        .env("WEIR_TOOLS", workspace::tools())
        .env("WEIR_BENCH_PROGRAMS", workspace::bench_programs());
    if options.quick {
        command.arg("--quick");
    }
    for measurement in Measurement::value_variants() {
        let named = options.measurements.is_empty() || options.measurements.contains(measurement);
        let value = measurement.to_possible_value();
        command.args(
            value
                .filter(|_| named)
                .map(|value| value.get_name().to_owned()),
        );
    }
    let mut bench = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting the bench")?;
    let pid = bench.id().context("it has just begun")?;
    let measured = tokio::select! {
        figures = read(&mut bench, options.json) => figures,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
    };
    if measured.is_err() {
        bench.kill().await.context("ending the bench")?;
    }
    let status = bench.wait().await.context("waiting for the bench")?;
    // It takes its things away itself, unless it was killed.
    sweep::of(pid);
    let figures = measured?;
    if !status.success() {
        bail!("the bench failed ({status})");
    }
    Ok(figures)
}

/// Reads figures as they come, and shows them.
async fn read(bench: &mut Child, quiet: bool) -> Result<Vec<Figure>> {
    let output = bench.stdout.take().context("it was asked for")?;
    let mut lines = BufReader::new(output).lines();
    let mut figures = Vec::new();
    while let Some(line) = lines.next_line().await.context("reading a figure")? {
        let figure: Value = serde_json::from_str(&line).context("reading a figure")?;
        let figure = Figure::read(&figure)?;
        if !quiet {
            writeln!(stdout(), "{figure}").context("writing a figure")?;
        }
        figures.push(figure);
    }
    Ok(figures)
}
