//! The stage: two network namespaces with a cable between them, a temporary
//! folder, a place for weir's pins; and how all of it goes away again.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::statfs,
    mount::{UnmountFlags, unmount},
};
use tempfile::TempDir;
use tokio::process::Command;
use weir_tests::bed::{Namespace, veth};

use super::cast::{self, Population};

/// The edge host and the net, while this lives.
pub(super) struct Stage {
    edge: Namespace,
    net: Namespace,
    folder: TempDir,
    /// Whether a BPF file system was there before; if not, weir mounts one.
    bpf_mounted: bool,
}

impl Stage {
    /// Makes the namespaces, the cable and everybody's addresses.
    pub(super) fn build() -> Result<Self> {
        let own = own(process::id());
        let stage = Self {
            bpf_mounted: bpf_mounted(),
            folder: TempDir::with_prefix(format!("{own}-")).context("making a temporary folder")?,
            edge: Namespace::named(format!("{own}-edge")),
            net: Namespace::named(format!("{own}-net")),
        };
        veth((&stage.edge, INTERFACE), (&stage.net, INTERFACE));
        let [(_, length4), (_, length6)] = cast::EDGE;
        let sources: BTreeSet<_> = [Population::Genuine, Population::Abusers]
            .into_iter()
            .flat_map(Population::sources)
            .map(|source| (source, if source.is_ipv4() { length4 } else { length6 }))
            .collect();
        stage.edge.batch(&addresses(cast::EDGE));
        stage.net.batch(&addresses(sources));
        Ok(stage)
    }

    /// A role of this very program, on the edge host.
    pub(super) fn edge(&self, role: &str) -> Result<Command> {
        let mut command = self.on_edge(env::current_exe().context("finding this program")?);
        command.arg(role);
        Ok(command)
    }

    /// A role of this very program, out in the net.
    pub(super) fn net(&self, role: &str, arguments: &[&str]) -> Result<Command> {
        let program = env::current_exe().context("finding this program")?;
        let mut command = inside(&self.net, program);
        command.arg(role).args(arguments);
        Ok(command)
    }

    /// A program on the edge host.
    pub(super) fn on_edge(&self, program: impl AsRef<OsStr>) -> Command {
        inside(&self.edge, program)
    }

    /// A file's path in the temporary folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder for weir's pins.
    pub(super) fn pins(&self) -> PathBuf {
        Path::new(BPF).join(own(process::id()))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The namespaces go by themselves; of the pins the daemon leaves none as a rule.
        let _ = fs::remove_dir_all(self.pins());
        if !self.bpf_mounted
            && bpf_mounted()
            && fs::read_dir(BPF).is_ok_and(|mut pins| pins.next().is_none())
        {
            // Busy or already gone: somebody else has found it useful.
            let _ = unmount(BPF, UnmountFlags::empty());
        }
    }
}

/// Takes away what a demo left that was killed before it could.
pub(super) fn sweep() {
    let left = [NAMESPACES.into(), BPF.into(), env::temp_dir()]
        .into_iter()
        .filter_map(|folder: PathBuf| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(PREFIX)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        })
        .filter(|pid| !is_demo(*pid))
        .collect::<BTreeSet<_>>();
    for pid in left {
        eprintln!("demo: taking away what the demo of process {pid} left behind");
        clear(pid);
        for entry in fs::read_dir(env::temp_dir())
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{PREFIX}{pid}-"))
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Commands that give an end of the cable its addresses.
fn addresses(addresses: impl IntoIterator<Item = (IpAddr, u8)>) -> String {
    let mut commands = String::new();
    for (address, length) in addresses {
        // Nobody else is on the cable: duplicates needn't be looked for.
        let nodad = if address.is_ipv6() { " nodad" } else { "" };
        commands += &format!("addr add {address}/{length} dev {INTERFACE}{nodad}\n");
    }
    commands
}

/// Whether a process runs, and is this program.
fn is_demo(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "demo")
}

/// Removes pins and namespaces that a demo left.
fn clear(pid: u32) {
    let own = own(pid);
    let _ = fs::remove_dir_all(Path::new(BPF).join(&own));
    for namespace in [format!("{own}-edge"), format!("{own}-net")] {
        if Path::new(NAMESPACES).join(&namespace).exists() {
            let removed = process::Command::new("ip")
                .args(["netns", "del", &namespace])
                .status();
            if !removed.is_ok_and(|status| status.success()) {
                eprintln!("demo: the namespace {namespace} couldn't be removed");
            }
        }
    }
}

/// The name that everything of a demo's begins with.
fn own(pid: u32) -> String {
    format!("{PREFIX}{pid}")
}

/// A program in a network namespace that dies with the demo, even a killed one.
fn inside(namespace: &Namespace, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::from(namespace.command("setpriv"));
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command
}

/// Whether a BPF file system is mounted where they are.
fn bpf_mounted() -> bool {
    statfs(BPF).is_ok_and(|found| found.f_type == BPF_MAGIC)
}

/// The interface's name, on both ends of the cable.
pub(super) const INTERFACE: &str = "edge0";
const PREFIX: &str = "weir-demo-";
const NAMESPACES: &str = "/run/netns";
const BPF: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_MAGIC: i64 = 0xcafe_4a11;
