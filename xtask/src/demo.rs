//! `cargo xtask demo`: installs and builds what both acts need, then becomes the
//! program that plays them (`tests/src/bin/demo`).

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

use crate::{setup, workspace};

/// Returns only if the demo can't be started: from then on this process is the
/// demo's, so that a signal reaches what cleans up after it.
pub(crate) fn run() -> Result<ExitCode> {
    if !geteuid().is_root() {
        bail!("needs root: it makes network namespaces and loads a program into the kernel");
    }
    setup::run()?;
    setup::nginx()?;
    eprintln!("demo: building weir (a few minutes the first time)");
    workspace::build_daemon()?;
    workspace::build_tool(SERVICE)?;
    workspace::build_tool(PROGRAM)?;
    let error = Command::new(workspace::tool(PROGRAM))
        .env("WEIR_BIN", workspace::daemon())
        .env("WEIR_TOOLS", workspace::tools())
        .exec();
    Err(error).context("starting the demo")
}

/// The program that plays both acts.
const PROGRAM: &str = "demo";
/// The verification service, which the demo looks for beside its own program.
const SERVICE: &str = "verification-service";
