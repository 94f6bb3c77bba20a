//! What commands need of the other rooms: the daemon, the configuration and
//! the datapath. The one place where they are wired.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    cli,
    config::{Config, tier::Tiers},
    daemon,
    datapath::pins,
};

/// Runs the daemon until it is told to stop.
pub(crate) fn run(options: &cli::Run) -> anyhow::Result<()> {
    daemon::run(options)
}

/// Checks a configuration, and touches nothing. What is wrong is the error; a
/// good one may still have a sentence or two that its writer should know.
pub(crate) fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    let config = Config::read(path)?;
    config.plan(&Tiers::default())?;
    let mut notes = config.warnings.clone();
    if let Err(error) = config.with(Vec::new(), None) {
        notes.push(error.to_string());
    }
    Ok(notes)
}

/// Takes the filter off where no daemon runs; the interfaces it was taken off.
pub(crate) fn detach_offline(
    config: &Path,
    interface: Option<&str>,
) -> anyhow::Result<Vec<String>> {
    // The emergency exit mustn't depend on a good configuration: without one
    // the pins are where they are unless something else is said.
    let config = Config::read(config).unwrap_or_else(|_| Config::embedded());
    let pins = &config.daemon.pins;
    pins::detach(pins, interface)
        .with_context(|| format!("taking the filter off by its pins in {}", pins.display()))
}
