//! `cargo xtask verify`: the kernel side keeps to its budget.

use anyhow::Result;

use crate::{setup, workspace};

/// Builds the kernel side by itself, for its own target.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    workspace::run(workspace::cargo_ebpf("check").arg("--release"))
}
