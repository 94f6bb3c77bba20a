//! The stage: two network namespaces with a cable between them, a temporary
//! folder, a place for weir's pins; and how all of it goes away again.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{self, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    fs::statfs,
    mount::{UnmountFlags, unmount},
};
use tempfile::TempDir;
use tokio::process::Command;

use super::cast::{self, Population};

/// The edge host and the net, while this lives.
pub(super) struct Stage {
    pid: u32,
    folder: TempDir,
    /// Whether a BPF file system was there before; if not, weir mounts one.
    bpf_mounted: bool,
}

impl Stage {
    /// Makes the namespaces, the cable and everybody's addresses.
    pub(super) fn build() -> Result<Self> {
        let pid = process::id();
        // From here on, dropping takes away whatever was made.
        let stage = Self {
            pid,
            folder: tempfile::Builder::new()
                .prefix(&format!("{PREFIX}{pid}-"))
                .tempdir()
                .context("making a temporary folder")?,
            bpf_mounted: bpf_mounted(),
        };
        let (edge, net) = (edge(pid), net(pid));
        ip(&format!(
            "netns add {edge}\nnetns add {net}\n\
             link add {INTERFACE} netns {edge} type veth peer name {INTERFACE} netns {net}\n"
        ))?;
        let [(_, length4), (_, length6)] = cast::EDGE;
        let sources: BTreeSet<_> = [Population::Genuine, Population::Abusers]
            .into_iter()
            .flat_map(Population::sources)
            .map(|source| (source, if source.is_ipv4() { length4 } else { length6 }))
            .collect();
        ip_in(&edge, &addresses(cast::EDGE))?;
        ip_in(&net, &addresses(sources))?;
        Ok(stage)
    }

    /// A role of this very program, on the edge host.
    pub(super) fn edge(&self, role: &str) -> Result<Command> {
        let mut command = self.on_edge(&env::current_exe().context("finding this program")?);
        command.arg(role);
        Ok(command)
    }

    /// A role of this very program, out in the net.
    pub(super) fn net(&self, role: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = inside(
            &net(self.pid),
            &env::current_exe().context("finding this program")?,
        );
        command.arg(role).args(arguments);
        Ok(command)
    }

    /// A program on the edge host.
    pub(super) fn on_edge(&self, program: &Path) -> Command {
        inside(&edge(self.pid), program)
    }

    /// A file's path in the temporary folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder for weir's pins.
    pub(super) fn pins(&self) -> PathBuf {
        Path::new(BPF).join(format!("{PREFIX}{}", self.pid))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        clear(self.pid);
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

/// Commands that give an end of the cable its addresses and set it up.
fn addresses(addresses: impl IntoIterator<Item = (IpAddr, u8)>) -> String {
    let mut commands = String::new();
    for (address, length) in addresses {
        // Nobody else is on the cable: duplicates needn't be looked for.
        let nodad = if address.is_ipv6() { " nodad" } else { "" };
        commands += &format!("addr add {address}/{length} dev {INTERFACE}{nodad}\n");
    }
    commands + &format!("link set lo up\nlink set {INTERFACE} up\n")
}

/// Whether a process runs, and is this program.
fn is_demo(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "xtask")
}

/// Removes pins and namespaces of a demo; what isn't there needs no removing.
fn clear(pid: u32) {
    let _ = fs::remove_dir_all(Path::new(BPF).join(format!("{PREFIX}{pid}")));
    for namespace in [edge(pid), net(pid)] {
        if Path::new(NAMESPACES).join(&namespace).exists()
            && let Err(error) = ip(&format!("netns del {namespace}\n"))
        {
            eprintln!("demo: {error:#}");
        }
    }
}

fn edge(pid: u32) -> String {
    format!("{PREFIX}{pid}-edge")
}

fn net(pid: u32) -> String {
    format!("{PREFIX}{pid}-net")
}

/// A program in a network namespace that dies with the demo, even a killed one.
///
/// Not by `ip netns exec`: that mounts /sys anew, and hides the BPF file system.
fn inside(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={NAMESPACES}/{namespace}"))
        .args(["setpriv", "--pdeathsig", "TERM"])
        .arg(program);
    command
}

fn ip(commands: &str) -> Result<()> {
    batch(process::Command::new("ip").args(["-batch", "-"]), commands)
}

fn ip_in(namespace: &str, commands: &str) -> Result<()> {
    batch(
        process::Command::new("ip").args(["-n", namespace, "-batch", "-"]),
        commands,
    )
}

fn batch(ip: &mut process::Command, commands: &str) -> Result<()> {
    let mut child = ip.stdin(Stdio::piped()).spawn().context("starting ip")?;
    let mut input = child.stdin.take().expect("it was asked for");
    input
        .write_all(commands.as_bytes())
        .context("telling ip what to do")?;
    drop(input);
    if !child.wait().context("waiting for ip")?.success() {
        bail!("ip couldn't do all of:\n{commands}");
    }
    Ok(())
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
