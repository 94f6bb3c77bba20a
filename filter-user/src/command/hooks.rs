//! What commands need of the other rooms: the daemon, the configuration and
//! the datapath. The one place where they are wired.

use std::path::Path;

use anyhow::bail;

use crate::cli;

/// Runs the daemon until it is told to stop.
pub(crate) fn run(options: cli::Run) -> anyhow::Result<()> {
    bail!("not wired yet: crate::daemon::run({options:?})")
}

/// Checks a configuration. What is wrong is the error; a good one may still
/// have a sentence or two that its writer should know.
pub(crate) fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    bail!("not wired yet: crate::config::check({})", path.display())
}

/// Takes the filter off where no daemon runs; the interfaces it was taken off.
pub(crate) fn detach_offline(interface: Option<&str>) -> anyhow::Result<Vec<String>> {
    bail!("not wired yet: crate::datapath::detach_offline({interface:?})")
}
