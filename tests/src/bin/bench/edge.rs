//! The edge host and the net, two network namespaces with a cable between them;
//! a folder for files and one for pins. All of it goes when this is dropped.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use weir_tests::bed::{Namespace, netns::enter_by_name, veth};

pub(crate) struct Edge {
    /// The daemon's binary.
    pub(crate) weir: PathBuf,
    host: Namespace,
    _net: Namespace,
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
        let folder = TempDir::with_prefix(format!("{}-", own(""))).context("making a folder")?;
        let [host, net] = [End::Host, End::Net].map(|end| Namespace::named(end.name()));
        veth((&host, INTERFACE), (&net, INTERFACE));
        let (mut to_host, mut to_net) = (String::new(), String::new());
        for sources in SOURCES {
            to_host += &format!("route add {sources} dev {INTERFACE}\n");
            // Every one of them is the net's own: it may send from any.
            to_net += &format!("route add local {sources} dev lo\n");
        }
        host.batch(&format!("address add {HOST}/30 dev {INTERFACE}\n{to_host}"));
        net.batch(&format!("address add {NET}/30 dev {INTERFACE}\n{to_net}"));
        Ok(Self {
            weir,
            host,
            _net: net,
            folder,
        })
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

    /// A program in the host's namespace, that dies with this process.
    pub(crate) fn on_host(&self, program: &Path) -> Command {
        let mut command = self.host.command("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Fails where the daemon has taken them away itself.
        let _gone = fs::remove_dir_all(pins());
    }
}

impl End {
    /// Runs `body` on a thread in the namespace: sockets that it opens stay there.
    pub(crate) fn enter<T: Send>(self, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter_by_name(&self.name());
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

/// The name that everything of this process's begins with: xtask finds by it what
/// a killed bench left.
fn own(what: &str) -> String {
    format!("weir-bench-{}{what}", process::id())
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
