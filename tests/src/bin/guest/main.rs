//! The first process of a virtual machine that `cargo xtask vm` boots: mounts
//! what the tests need, loads the kernel's modules, runs the steps of
//! [`STEPS`], and switches the machine off.
//!
//! It reports on the second serial port, where no message of the kernel comes
//! in between: `@begin NAME`, what the step writes, `@end CODE MILLISECONDS`,
//! and at last `@over`. A step's exit code is -1 where a signal ended it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    io::Errno,
    mount::{MountFlags, mount},
    process::getpid,
    system::{RebootCommand, init_module, reboot},
};
use serde::Deserialize;

fn main() -> Result<()> {
    ensure!(
        getpid().is_init(),
        "it switches its machine off: only `cargo xtask vm` starts it, in a virtual one"
    );
    if let Err(error) = live() {
        // On the console, whose end xtask shows.
        eprintln!("guest: {error:#}");
    }
    reboot(RebootCommand::PowerOff).context("switching the machine off")
}

fn live() -> Result<()> {
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place).with_context(|| format!("making {place}"))?;
        mount(kind, place, kind, MountFlags::empty(), None)
            .with_context(|| format!("mounting {place}"))?;
    }
    let steps = fs::read(STEPS).with_context(|| format!("reading {STEPS}"))?;
    let Steps {
        modules,
        variables,
        steps,
    } = serde_json::from_slice(&steps).with_context(|| format!("understanding {STEPS}"))?;
    for module in &modules {
        let image = fs::read(module).with_context(|| format!("reading {module}"))?;
        match init_module(&image, c"") {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("loading {module}")),
        }
    }
    let mut report = OpenOptions::new()
        .write(true)
        .open(REPORT)
        .with_context(|| format!("opening {REPORT}"))?;
    for Step {
        name,
        command,
        needed,
    } in &steps
    {
        writeln!(report, "@begin {name}").context("reporting")?;
        let begun = Instant::now();
        let code = run(command, &variables, &report);
        let code = code.with_context(|| format!("starting {command:?}"))?;
        let took = begun.elapsed().as_millis();
        writeln!(report, "@end {code} {took}").context("reporting")?;
        if *needed && code != 0 {
            break;
        }
    }
    writeln!(report, "@over").context("reporting")
}

fn run(command: &[String], variables: &BTreeMap<String, String>, report: &File) -> Result<i32> {
    let (program, arguments) = command.split_first().context("it names no program")?;
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(report.try_clone()?)
        .stderr(report.try_clone()?)
        .status()?;
    Ok(status.code().unwrap_or(-1))
}

/// What is to be done, as `xtask/src/vm/steps.rs` writes it.
#[derive(Deserialize)]
struct Steps {
    /// The kernel's modules, each after those that it needs.
    modules: Vec<String>,
    /// The environment of every step.
    variables: BTreeMap<String, String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    command: Vec<String>,
    /// Nothing that comes after it can succeed where it fails.
    needed: bool,
}

/// Kinds of file systems, and where they belong.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
    ("bpf", "/sys/fs/bpf"),
];

const STEPS: &str = "/steps.json";

/// The second serial port.
const REPORT: &str = "/dev/ttyS1";
