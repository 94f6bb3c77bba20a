//! The edge host and the net, two network namespaces with a cable between them;
//! a folder for files and one for pins. All of it goes when this is dropped.

use std::{
    fs::{self, File},
    io::Write as _,
    net::Ipv4Addr,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

pub(crate) struct Edge {
    /// The daemon's binary.
    pub(crate) weir: PathBuf,
    folder: TempDir,
}

/// Which end of the cable.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// The host that weir guards.
    Host,
    /// Everybody else.
    Net,
}

impl Edge {
    pub(crate) fn build(weir: PathBuf) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}-", own("")))
            .tempdir()
            .context("making a folder")?;
        // From here on, dropping takes away whatever was made.
        let edge = Self { weir, folder };
        let (host, net) = (End::Host.name(), End::Net.name());
        ip(
            None,
            &format!(
                "netns add {host}\nnetns add {net}\n\
                 link add {INTERFACE} netns {host} type veth peer name {INTERFACE} netns {net}\n"
            ),
        )?;
        let up = format!("link set lo up\nlink set {INTERFACE} up\n");
        let (mut to_host, mut to_net) = (String::new(), String::new());
        for sources in SOURCES {
            to_host += &format!("route add {sources} dev {INTERFACE}\n");
            // Every one of them is the net's own: it may send from any.
            to_net += &format!("route add local {sources} dev lo\n");
        }
        ip(
            Some(End::Host),
            &format!("address add {HOST}/30 dev {INTERFACE}\n{up}{to_host}"),
        )?;
        ip(
            Some(End::Net),
            &format!("address add {NET}/30 dev {INTERFACE}\n{up}{to_net}"),
        )?;
        Ok(edge)
    }

    /// A file's path in the temporary folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file next to its place, whole; [`put`](Self::put) puts it there.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        fs::write(self.file(name).with_extension("new"), content)
            .with_context(|| format!("writing {name}"))
    }

    /// Renames what was written to its place.
    pub(crate) fn put(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        fs::rename(path.with_extension("new"), path)
            .with_context(|| format!("putting {name} in its place"))
    }

    /// A program in the host's namespace, that dies with this process. By
    /// nsenter: `ip netns exec` would hide the BPF file system.
    pub(crate) fn on_host(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", End::Host.path().display()))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(program);
        command
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Fails where the daemon has taken them away itself.
        let _gone = fs::remove_dir_all(pins());
        for end in [End::Host, End::Net] {
            if end.path().exists()
                && let Err(error) = ip(None, &format!("netns del {}\n", end.name()))
            {
                eprintln!("bench: {error:#}");
            }
        }
    }
}

impl End {
    /// Runs `body` on a thread in the namespace: sockets that it opens stay there.
    pub(crate) fn enter<T: Send>(self, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = File::open(self.path()).context("opening a namespace")?;
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("entering a namespace")?;
                body()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn name(self) -> String {
        own(match self {
            Self::Host => "-edge",
            Self::Net => "-net",
        })
    }

    pub(crate) fn path(self) -> PathBuf {
        Path::new(NAMESPACES).join(self.name())
    }
}

/// The folder of weir's pins.
pub(crate) fn pins() -> PathBuf {
    Path::new(BPF).join(own(""))
}

/// What xtask knows this process's things by.
fn own(what: &str) -> String {
    format!("weir-bench-{}{what}", process::id())
}

/// Tells `ip` what to do, on one end or on neither.
pub(crate) fn ip(on: Option<End>, commands: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    if let Some(end) = on {
        ip.args(["-n", &end.name()]);
    }
    let mut child = ip
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("starting ip")?;
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

/// The interface's name, on both ends.
pub(crate) const INTERFACE: &str = "edge0";
/// The host's address.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// An address of the net that nobody has anything against.
pub(crate) const NET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Where the listed sources are, and the others.
const SOURCES: [&str; 2] = ["10.0.0.0/8", "198.18.0.0/15"];
const NAMESPACES: &str = "/run/netns";
const BPF: &str = "/sys/fs/bpf";
