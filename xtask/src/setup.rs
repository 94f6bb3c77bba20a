//! `cargo xtask setup`: what the build and the tests need and this machine lacks.
//!
//! Every other command begins with it, so it looks before it does anything, and
//! is done in a blink where nothing is missing. Whatever it installs, it says.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

use crate::workspace;

/// Installs what is missing.
pub(crate) fn run() -> Result<()> {
    components()?;
    linker()?;
    packages()
}

/// The toolchain's parts that `rust-toolchain.toml` names.
fn components() -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(workspace::root())
        .output()
        .context("asking rustc for its folder")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let missing: Vec<_> = COMPONENTS
        .iter()
        .filter(|(_, file)| !sysroot.join(file).exists())
        .map(|(component, _)| *component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!(
        "installing the toolchain's {}",
        missing.join(", ")
    ));
    workspace::run(
        Command::new("rustup")
            .args(["component", "add"])
            .args(&missing)
            .current_dir(workspace::root()),
    )
    .with_context(|| format!("without rustup, install {} by hand", missing.join(", ")))
}

/// The linker of the kernel side: our own in the target folder, or one on the path.
fn linker() -> Result<()> {
    let tools = workspace::tools();
    let own = tools.join("bin/bpf-linker");
    if fits(&own) || on_path("bpf-linker").is_some_and(|linker| fits(&linker)) {
        return Ok(());
    }
    say(&format!(
        "installing bpf-linker {LINKER} into the target folder (some minutes, once)"
    ));
    // Kept until it is installed, so that an interrupted build goes on.
    let build = tools.join("build");
    workspace::run(
        workspace::cargo()
            .args(["install", "bpf-linker", "--version", LINKER, "--locked"])
            .args(["--force", "--no-track", "--quiet", "--root"])
            .arg(&tools)
            .arg("--target-dir")
            .arg(&build),
    )?;
    fs::remove_dir_all(&build).with_context(|| format!("removing {}", build.display()))
}

/// Whether this is a bpf-linker that goes with the toolchain's LLVM.
fn fits(linker: &Path) -> bool {
    let series = LINKER.rsplit_once('.').map_or(LINKER, |(series, _)| series);
    Command::new(linker)
        .arg("--version")
        .output()
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).starts_with(&format!("bpf-linker {series}."))
        })
}

/// The Debian packages whose commands the tests, the demo and the bench call.
fn packages() -> Result<()> {
    let mut missing: Vec<_> = PACKAGES
        .iter()
        .filter(|(command, _)| on_path(command).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    if on_path("apt-get").is_none() {
        bail!("this machine lacks {missing}, and has no apt-get: install them its own way");
    }
    if !geteuid().is_root() {
        bail!(
            "this machine lacks {missing}: run `sudo apt-get install {missing}`, or this as root"
        );
    }
    say(&format!("installing the Debian packages {missing}"));
    workspace::run(apt().arg("update"))?;
    workspace::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(missing.split(' ')),
    )
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// Where a command lies, if anywhere on the path.
fn on_path(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(command))
        .find(|file| file.is_file())
}

fn say(what: &str) {
    eprintln!("setup: {what}");
}

/// A component of the toolchain, and what it brings.
const COMPONENTS: [(&str, &str); 3] = [
    ("rust-src", "lib/rustlib/src/rust/library/core"),
    ("rustfmt", "bin/rustfmt"),
    ("clippy", "bin/cargo-clippy"),
];
/// The last series that links through rustc's own LLVM; later ones need a system's.
const LINKER: &str = "0.10.4";
/// A command, and the package that brings it.
const PACKAGES: [(&str, &str); 4] = [
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];
