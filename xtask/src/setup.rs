//! `cargo xtask setup`: what the build and the tests need and this machine lacks.
//!
//! Every other command begins with it (but what only the tests need is theirs), so
//! it looks before it does anything, and is done in a blink where nothing is
//! missing. Whatever it installs, it says.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

use crate::workspace;

mod python;

/// Installs what every command needs and is missing.
pub(crate) fn run() -> Result<()> {
    components()?;
    linker()?;
    packages(&PACKAGES)
}

/// The same with what only the tests need.
pub(crate) fn for_tests() -> Result<()> {
    run()?;
    prometheus()?;
    gateways()?;
    geoip()?;
    captures()?;
    python::aioquic()
}

/// The same with what only virtual machines need, but for what is
/// [unpacked](crate::vm::prepare).
pub(crate) fn for_vm() -> Result<()> {
    run()?;
    packages(&VM_PACKAGES)
}

/// The gateways that ask weir: on the path, or Debian's packages unpacked.
/// Installed, they would start services. The bench asks nginx, too.
pub(crate) fn gateways() -> Result<()> {
    for (package, file, size) in GATEWAYS {
        if on_path(package).is_none() {
            unpacked(package, &[file.to_owned()], size)?;
        }
    }
    if on_path("haproxy").is_none() {
        for (package, library) in HAPROXY_LIBRARIES {
            let file = format!("usr/lib/{}-linux-gnu/{library}", env::consts::ARCH);
            unpacked(package, &[file], "1 MB unpacked")?;
        }
    }
    Ok(())
}

/// nginx alone, as the demo needs it.
pub(crate) fn nginx() -> Result<()> {
    for (package, file, size) in GATEWAYS {
        if package == "nginx" && on_path(package).is_none() {
            unpacked(package, &[file.to_owned()], size)?;
        }
    }
    Ok(())
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

/// Debian packages whose commands are called.
fn packages(packages: &[(&str, &'static str)]) -> Result<()> {
    let mut missing: Vec<_> = packages
        .iter()
        .filter(|(command, _)| on_path(command).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    installed(&missing)
}

/// Installs Debian packages that this machine lacks.
fn installed(missing: &[&str]) -> Result<()> {
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

/// Prometheus and its promtool: on the path, or Debian's package unpacked.
/// Installed, it would start a service, and bring some twenty other packages that
/// only its web pages need.
fn prometheus() -> Result<()> {
    if PROMETHEUS.iter().all(|one| on_path(one).is_some()) {
        return Ok(());
    }
    let files = PROMETHEUS.map(|command| format!("usr/bin/{command}"));
    unpacked("prometheus", &files, "20 MB, 95 unpacked")
}

/// Which addresses lie in which country, for real prefixes: Debian's package
/// tor-geoipdb unpacked.
fn geoip() -> Result<()> {
    let files = ["usr/share/tor/geoip", "usr/share/tor/geoip6"].map(String::from);
    unpacked("tor-geoipdb", &files, "3 MB, 25 unpacked")
}

/// Captures of real traffic: those that a Debian package brings for its own tests,
/// unpacked.
fn captures() -> Result<()> {
    let file = "usr/share/gocode/src/github.com/google/gopacket/pcap/test_dns.pcap";
    let package = "golang-github-google-gopacket-dev";
    unpacked(package, &[file.to_owned()], "1 MB, 5 unpacked")
}

/// Unpacks a Debian package into the target folder, if these files of it aren't
/// there yet. Nothing is installed.
fn unpacked(package: &str, files: &[String], size: &str) -> Result<()> {
    let own = workspace::unpacked(package);
    if files.iter().all(|file| own.join(file).is_file()) {
        return Ok(());
    }
    if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
        bail!("this machine lacks {package}, and has no apt-get: install it its own way");
    }
    say(&format!(
        "unpacking the Debian package {package} into the target folder ({size})"
    ));
    let folder = own.with_extension("new");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    let made = fs::create_dir_all(&folder);
    made.with_context(|| format!("making {}", folder.display()))?;
    // apt's own user may not write here, and it would say so.
    let user = ["-o", "APT::Sandbox::User=root"];
    let download = || {
        let mut apt = apt();
        let download = apt.args(user).args(["download", package]);
        workspace::run(download.current_dir(&folder))
    };
    if let Err(error) = download() {
        if !geteuid().is_root() {
            return Err(error.context("if apt's lists are missing, run `sudo apt-get update`"));
        }
        workspace::run(apt().arg("update"))?;
        download()?;
    }
    let file = fs::read_dir(&folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|file| file.extension().is_some_and(|end| end == "deb"))
        .context("apt-get downloaded nothing")?;
    workspace::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&folder))?;
    fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
    // What was interrupted before has another name.
    if own.exists() {
        fs::remove_dir_all(&own).with_context(|| format!("removing {}", own.display()))?;
    }
    fs::rename(&folder, &own).with_context(|| format!("making {}", own.display()))
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// The path of a command, if it is anywhere on `PATH`.
pub(crate) fn on_path(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(command))
        .find(|file| file.is_file())
}

pub(crate) fn say(what: &str) {
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
/// A gateway's package and command, its program, and its size.
const GATEWAYS: [(&str, &str, &str); 3] = [
    ("haproxy", "usr/sbin/haproxy", "2 MB, 5 unpacked"),
    ("nginx", "usr/sbin/nginx", "1 MB, 2 unpacked"),
    ("caddy", "usr/bin/caddy", "9 MB, 36 unpacked"),
];
/// The packages that HAProxy needs and few machines have.
const HAPROXY_LIBRARIES: [(&str, &str); 3] = [
    ("liblua5.3-0", "liblua5.3.so.0"),
    ("libopentracing-c-wrapper0", "libopentracing-c-wrapper.so.0"),
    ("libopentracing1", "libopentracing.so.1"),
];
/// The programs of the package prometheus that the tests call.
const PROMETHEUS: [&str; 2] = ["prometheus", "promtool"];
/// A command that the tests, the demo and the bench call, and the package that
/// brings it.
const PACKAGES: [(&str, &str); 5] = [
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];
/// The same for what builds virtual machines.
const VM_PACKAGES: [(&str, &str); 2] = [("strip", "binutils"), ("xz", "xz-utils")];
