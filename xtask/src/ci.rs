//! `cargo xtask test`, which is what `.ci/run` runs, and by its other name
//! `cargo xtask ci` what to run before a push.
//!
//! The checks first, for they are quick, then the tests, then what of them runs on
//! other kernels. A check that fails doesn't hide what comes after it: it counts as one
//! failed, and the last line is the plain `N passed, N failed`.

use std::process::ExitCode;

use anyhow::Result;

use crate::{setup, test, verify, vm, workspace};

/// A check: what it is, and how it is made.
type Check = (&'static str, fn() -> Result<()>);

/// Runs every check and every test.
pub(crate) fn run() -> Result<ExitCode> {
    setup::for_tests()?;
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        eprintln!("ci: {name}");
        if let Err(error) = check() {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
    }
    eprintln!("ci: tests");
    let mut tally = test::all(None)?;
    eprintln!("ci: other kernels");
    match vm::all(&[]) {
        Ok(kernels) => tally += kernels,
        Err(error) => {
            eprintln!("error: {error:#}");
            failed.push("other kernels");
        }
    }
    tally.failed += failed.len() as u64;
    for name in failed {
        eprintln!("ci: failed: {name} (its error is above)");
    }
    tally.report()
}

const CHECKS: [Check; 5] = [
    ("formatting", formatting),
    ("lints, host side", lints),
    ("lints, kernel side", lints_ebpf),
    ("docs", docs),
    ("the budget of the kernel side", verify::run),
];

fn formatting() -> Result<()> {
    workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))
}

fn lints() -> Result<()> {
    workspace::run(
        workspace::cargo()
            .args([
                "clippy",
                "--workspace",
                "--exclude",
                "filter-ebpf",
                "--exclude",
                "bench-ebpf",
                "--all-targets",
            ])
            .args(["--", "-Dwarnings"]),
    )
}

fn lints_ebpf() -> Result<()> {
    workspace::run(
        workspace::cargo_ebpf("clippy")
            .args(["--package", "filter-ebpf", "--package", "bench-ebpf"])
            .args(["--", "-Dwarnings"]),
    )
}

fn docs() -> Result<()> {
    workspace::run(
        workspace::cargo()
            .args([
                "doc",
                "--workspace",
                "--exclude",
                "filter-ebpf",
                "--exclude",
                "bench-ebpf",
                "--no-deps",
            ])
            .env("RUSTDOCFLAGS", "-Dwarnings"),
    )
}
