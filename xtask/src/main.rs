//! The one door for developers: `cargo xtask`.
//!
//! An enum, a dispatch, one file a command. Each command is described in its file.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

mod bench;
mod ci;
mod demo;
mod fuzz;
mod page;
mod setup;
mod sim;
mod svg;
mod test;
mod verify;
mod vm;
mod workspace;

/// The commands for developers and CI.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install what the build and the tests need, and say so.
    Setup,
    /// Everything that CI runs: formatting, lints, docs, the kernel side's
    /// budget, every test, those of the kernel too (needs root), and other kernels.
    Test {
        /// Only the tests whose name has this in it, and nothing else.
        filter: Option<String>,
    },
    /// Show weir keeping abusers out of an API, live, in a minute (needs root).
    Demo,
    /// Measure what weir promises, with the real daemon (needs root).
    Bench(bench::Options),
    /// Play days of an API in virtual time, with weir's policy and with bans by
    /// address.
    Sim(sim::Options),
    /// Look for inputs that break what reads bytes from elsewhere.
    Fuzz(fuzz::Options),
    /// Hold the kernel side to its budget of instructions.
    Verify,
    /// Run what a kernel may decide otherwise on other kernels, in virtual machines.
    Vm {
        /// Series of Debian's kernels such as `6.1`, or `newest`; nothing named:
        /// those that weir promises.
        versions: Vec<String>,
    },
    /// The same as `test`: what to run before a push.
    Ci,
}

fn main() -> ExitCode {
    dispatch(Command::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup => {
            setup::for_tests()?;
            vm::prepare().map(|()| ExitCode::SUCCESS)
        }
        Command::Test { filter: None } | Command::Ci => ci::run(),
        Command::Test { filter } => test::run(filter.as_deref()),
        Command::Demo => demo::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Verify => verify::run().map(|()| ExitCode::SUCCESS),
        Command::Vm { versions } => vm::run(&versions),
    }
}
