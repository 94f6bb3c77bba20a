//! The second act: nginx asks weir about each call, and weir's policy does the rest.
//!
//! It is played by a program of the tests' crate, which has the stage for it: an
//! edge host with Debian's nginx, and callers behind a carrier's NAT. An interrupt
//! reaches it as it does this one, and it takes away what it made.

use std::{
    io::{Write as _, stdout},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// Plays it, after the first.
pub(super) fn show() -> Result<ExitCode> {
    writeln!(
        stdout(),
        "\nThe second act, without a verification service.\n"
    )
    .context("writing to standard output")?;
    let status = Command::new(workspace::tool(PROGRAM))
        .env("WEIR_BIN", workspace::daemon())
        .env("WEIR_TOOLS", workspace::tools())
        .stdin(Stdio::null())
        .status()
        .context("starting the second act")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Its program.
pub(super) const PROGRAM: &str = "attestation-demo";
