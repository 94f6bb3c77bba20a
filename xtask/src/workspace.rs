//! The folders of the workspace, and how cargo is called in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
        .to_path_buf()
}

/// The folder that cargo builds in; nothing is kept outside of it.
pub(crate) fn target() -> PathBuf {
    let root = root();
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// The daemon, as [`build_daemon`] leaves it.
pub(crate) fn daemon() -> PathBuf {
    target().join("release/weir")
}

/// The folder into which setup unpacks a Debian package.
pub(crate) fn unpacked(package: &str) -> PathBuf {
    target().join("tools").join(package)
}

/// Builds the daemon as operators get it.
pub(crate) fn build_daemon() -> Result<()> {
    run(cargo().args(["build", "--release", "--package", "filter-user"]))
}

/// A program of the tests' crate, as [`build_tool`] leaves it.
pub(crate) fn tool(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// Builds a program of the tests' crate: what needs the daemon's library, which
/// xtask can't depend on, since it must build where the kernel side doesn't.
pub(crate) fn build_tool(name: &str) -> Result<()> {
    run(cargo()
        .args(["build", "--release", "--package", "weir-tests"])
        .args(["--bin", name]))
}

/// A call of the cargo that runs this, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // `cargo run` tells a program about its own package. Handed on, that would
    // make other packages' build scripts stale.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    cargo
}

/// The bench's programs for the kernel, as [`build_bench_programs`] leaves them.
pub(crate) fn bench_programs() -> PathBuf {
    target().join("ebpf/bpfel-unknown-none/release/bench-ebpf")
}

/// Builds the bench's programs for the kernel. (weir's own are built with the
/// daemon, by its build script.)
pub(crate) fn build_bench_programs() -> Result<()> {
    let own = tools().join("bin/bpf-linker");
    let linker = if own.is_file() {
        own
    } else {
        PathBuf::from("bpf-linker")
    };
    let flags = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Ctarget-cpu=v3",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        &format!("-Clinker={}", linker.display()),
    ];
    run(cargo_ebpf("build")
        .args(["--package", "bench-ebpf", "--release"])
        .env_remove("RUSTFLAGS")
        // Spaces in a path would end a flag.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")))
}

/// The folder into which `cargo xtask setup` puts what the build needs.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// A call of cargo for the kernel side, by its own target and in a folder of
/// its own: on the host its panic handler would be defined twice.
pub(crate) fn cargo_ebpf(subcommand: &str) -> Command {
    let mut cargo = cargo();
    cargo
        .arg(subcommand)
        .args(["--target", "bpfel-unknown-none", "-Zbuild-std=core"])
        .arg("--target-dir")
        .arg(target().join("ebpf"))
        // One toolchain for everything, and it is a stable one.
        .env("RUSTC_BOOTSTRAP", "1")
        // v3 is what has compare-and-swap.
        .env(
            "RUSTFLAGS",
            "--cfg=bpf_target_arch=\"x86_64\" -Ctarget-cpu=v3",
        )
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// Runs a command to its end; its failure is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {}", spelled(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", spelled(command));
    }
    Ok(())
}

/// A command as one would type it.
pub(crate) fn spelled(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
