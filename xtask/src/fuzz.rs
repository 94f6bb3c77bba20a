//! `cargo xtask fuzz`: looks for inputs that break an invariant, beyond those
//! that every test run tries. The looking is done by `fuzz` of the tests' crate.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{setup, workspace};

/// The fuzzed readers, and the time for each.
#[derive(Args)]
pub(crate) struct Options {
    /// What to fuzz: list, line, prefix, stream, config, control, token, keys,
    /// observations. Nothing named: everything, one after the other.
    targets: Vec<String>,
    /// Seconds for each.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Leads to the same inputs again; not given: the clock's.
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the search as it is quickest, and lets it run.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    setup::run()?;
    workspace::build_tool("fuzz")?;
    let mut fuzz = Command::new(workspace::tool("fuzz"));
    fuzz.args(["--seconds", &options.seconds.to_string()]);
    if let Some(seed) = options.seed {
        fuzz.args(["--seed", &seed.to_string()]);
    }
    fuzz.arg("--").args(&options.targets);
    let status = fuzz.status().context("starting the search")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
