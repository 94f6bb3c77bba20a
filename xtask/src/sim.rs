//! `cargo xtask sim`: days of an API in virtual time, with weir's policy and with
//! a ban by address.
//!
//! The playing is done by `sim` of the tests' crate; what it plays is in
//! `tests/scenarios`. Here its figures are shown beside their targets, and written
//! into the documentation if that is asked for ([`page`], [`plot`]).

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _, stdout},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use self::figure::Figure;
use crate::workspace;

mod figure;
mod page;
mod plot;

/// The options of a simulation.
#[derive(Args)]
pub(crate) struct Options {
    /// Names of scenarios in tests/scenarios; nothing named: all of them.
    scenarios: Vec<String>,
    /// A fiftieth of everyone: seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    /// Print the figures as JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Write what came of it into docs/simulation.md and docs/simulation.svg.
    #[arg(long, conflicts_with_all = ["quick", "scenarios"])]
    doc: bool,
}

/// Plays, and tells.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let files = files(&options.scenarios)?;
    workspace::build_tool("sim")?;
    let mut sim = Command::new(workspace::tool("sim"))
        .args(options.quick.then_some("--quick"))
        .args(files)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the simulation")?;
    let output = sim.stdout.take().context("it was asked for")?;
    let mut figures = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading a figure")?;
        let value: Value = serde_json::from_str(&line).context("reading a figure")?;
        let figure = Figure::read(&value)?;
        if options.json {
            writeln!(stdout(), "{line}").context("writing a figure")?;
        } else {
            writeln!(stdout(), "{figure}").context("writing a figure")?;
        }
        figures.push(figure);
    }
    let status = sim.wait().context("waiting for the simulation")?;
    if !status.success() {
        bail!("the simulation failed ({status})");
    }
    if options.doc {
        page::write(&figures)?;
    }
    let missed = figures.iter().filter(|figure| figure.is_missed()).count();
    if !options.json {
        let last = if missed > 0 {
            format!("{missed} of the targets missed")
        } else {
            "all targets met".to_owned()
        };
        writeln!(stdout(), "{last}").context("writing the last line")?;
    }
    Ok(if missed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The files of the named scenarios, or of all: `day` first, the others by name.
fn files(names: &[String]) -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("tests/scenarios");
    if !names.is_empty() {
        let file = |name: &String| {
            let file = folder.join(format!("{name}.toml"));
            if !file.exists() {
                bail!("there is no scenario {name}: write {}", file.display());
            }
            Ok(file)
        };
        return names.iter().map(file).collect();
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).context("reading tests/scenarios")? {
        let path = entry.context("reading tests/scenarios")?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort_by_key(|path| {
        (
            path.file_stem().is_none_or(|name| name != DAY),
            path.clone(),
        )
    });
    Ok(files)
}

/// The scenario that the targets are about.
const DAY: &str = "day";
