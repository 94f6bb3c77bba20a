//! The real daemon on an edge host of its own, driven by the real command line:
//! two namespaces with a wire between them, a state folder, a control socket and
//! a folder of pins that no other test has, and all of it gone on drop.
//!
//! [`process`] is the daemon, [`output`] a command's output, [`traffic`] the
//! frames sent at the host and those that get through, [`room`] a host with a service.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    bed::{Namespace, pair},
    world::{BLOCKED, BLOCKED6, FREE, FREE6, SERVER, SERVER6},
};

pub mod output;
pub mod process;
pub mod room;
pub mod traffic;

pub use output::CommandOutput;
pub use process::Daemon;
pub use room::Room;
pub use traffic::Traffic;

/// An edge host, and the net that it faces. Its interface is `eth0`, and so is
/// the net's end of the wire.
#[derive(Debug)]
pub struct Edge {
    /// The host that weir guards.
    pub host: Namespace,
    /// Everybody else.
    pub net: Namespace,
    folder: TempDir,
    pins: PathBuf,
}

/// The daemon's configuration as far as tests vary it; the paths are the edge's.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// `observe` or `enforce`.
    pub mode: &'a str,
    /// `native`, `generic` or `auto`.
    pub attach: &'a str,
    /// The interfaces to attach to.
    pub interfaces: &'a [&'a str],
    /// `keep` or `detach`.
    pub on_stop: &'a str,
    /// Prefixes of either family that there is room for.
    pub room: u32,
    /// Tables beside the service `api` and the feed `local`.
    pub more: &'a str,
}

impl Default for Configuration<'_> {
    fn default() -> Self {
        Self {
            mode: "enforce",
            attach: "native",
            interfaces: &["eth0"],
            on_stop: "keep",
            room: 20_000,
            more: "",
        }
    }
}

impl Edge {
    /// A host without a daemon yet: configured to enforce, the feed `local`
    /// blocks [`BLOCKED`] and [`BLOCKED6`].
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn new() -> Self {
        let (host, net) = pair();
        Self::between(host, net)
    }

    /// The same of two namespaces whose `eth0` are the ends of a wire.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn between(host: Namespace, net: Namespace) -> Self {
        for (namespace, addresses) in [
            (&host, &["192.0.2.1/24", "2001:db8:1::1/64"][..]),
            (&net, &["192.0.2.2/24", "2001:db8:1::2/64"]),
        ] {
            // Longer frames than usual are among the cases.
            namespace.ip(&["link", "set", "eth0", "mtu", "3100"]);
            for address in addresses {
                namespace.add_address("eth0", address);
            }
        }
        for source in [BLOCKED, FREE] {
            net.add_address("eth0", &format!("{source}/32"));
        }
        for source in [BLOCKED6, FREE6] {
            net.add_address("eth0", &format!("{source}/128"));
        }
        // By the interface: a gateway would be protected.
        for family in ["-4", "-6"] {
            host.ip(&[family, "route", "add", "default", "dev", "eth0"]);
        }
        let edge = Self {
            pins: Path::new("/sys/fs/bpf").join(host.name()),
            folder: TempDir::with_prefix("weir-test-").expect("a folder"),
            host,
            net,
        };
        edge.list(&[BLOCKED, BLOCKED6]);
        edge.configure(&Configuration::default());
        edge
    }

    /// Writes the configuration; a daemon takes it when it starts or reloads.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn configure(&self, configuration: &Configuration<'_>) {
        let Configuration {
            mode,
            attach,
            interfaces,
            on_stop,
            room,
            more,
        } = configuration;
        let text = format!(
            r#"
[daemon]
state_dir = {state:?}
control = {control:?}
pins = {pins:?}

[datapath]
interfaces = {interfaces:?}
mode = {mode:?}
attach = {attach:?}
on_stop = {on_stop:?}

[tables]
ipv4 = {room}
ipv6 = {room}
buckets = 4096

[[service]]
name = "api"
ports = ["tcp/443", "udp/443"]

[[feed]]
name = "local"
kind = "file"
path = {list:?}

{more}
"#,
            state = self.path("state"),
            control = self.path("control.sock"),
            pins = self.pins,
            list = self.path("list.txt"),
        );
        fs::write(self.config(), text).expect("the configuration is written");
    }

    /// Puts a list into the feed `local`, as its writer should: by a rename.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn list(&self, prefixes: &[impl AsRef<str>]) {
        let lines: String = prefixes
            .iter()
            .map(|prefix| format!("{}\n", prefix.as_ref()))
            .collect();
        let whole = self.path("list.new");
        fs::write(&whole, lines).expect("the list is written");
        fs::rename(whole, self.path("list.txt")).expect("the list is moved into place");
    }

    /// A path in the test's own folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the daemon in the test's own folder.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn own_binary(&self) -> PathBuf {
        let own = self.path("weir");
        // Not by this process: a test beside this one may start a child meanwhile,
        // which holds the copy open for writing, and such a file can't be executed.
        let mut command = Command::new("cp");
        let _copied = CommandOutput::by(command.arg(binary()).arg(&own)).done();
        own
    }

    /// The configuration's path.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("weir.toml")
    }

    /// The folder of the pins.
    #[must_use]
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// Starts the daemon and waits until it runs.
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn start_with(&self, arguments: &[&str]) -> Daemon {
        let mut command = self.host.command(&binary());
        command.args(["run", "--config"]).arg(self.config());
        let daemon = Daemon::spawn(command.args(arguments));
        daemon.await_log("weir runs");
        daemon
    }

    /// Starts the daemon where it must refuse, and gives its output.
    ///
    /// # Panics
    /// If it starts, or ends otherwise than by failing.
    pub fn refuses_to_start(&self) -> CommandOutput {
        let mut command = self.host.command(&binary());
        let daemon = Daemon::spawn(command.args(["run", "--config"]).arg(self.config()));
        daemon.await_end().failed(1)
    }

    /// A command of the CLI, in the host's namespace.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.command(&binary());
        command
            .env("WEIR_SOCKET", self.path("control.sock"))
            .args(arguments);
        command
    }

    /// Runs a command of the CLI to its end, whatever that is.
    #[must_use]
    pub fn weir(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::by(&mut self.command(arguments))
    }

    /// `weir status --json`.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn status(&self) -> Value {
        self.weir(&["status", "--json"]).done().json()
    }

    /// `weir explain --json` of a source.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn explain(&self, source: &str) -> Value {
        self.weir(&["explain", source, "--json"]).done().json()
    }

    /// The feed `local` as the status has it.
    ///
    /// # Panics
    /// If it isn't there.
    #[must_use]
    pub fn feed(&self) -> Value {
        let status = self.status();
        let feeds = status["feeds"].as_array().expect("a list of feeds");
        let local = feeds.iter().find(|feed| feed["name"] == "local");
        local.expect("the feed is there").clone()
    }

    /// The kernel's number of the XDP program on an interface of the host, by
    /// another witness than weir.
    ///
    /// # Panics
    /// If there is no such interface.
    #[must_use]
    pub fn program(&self, interface: &str) -> Option<u64> {
        let shown = self
            .host
            .ip(&["-json", "-details", "link", "show", "dev", interface]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON from ip");
        shown[0]["xdp"]["prog"]["id"].as_u64()
    }
}

impl Default for Edge {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Without a panic: this may run while one is under way.
        if self.pins.exists()
            && let Err(error) = fs::remove_dir_all(&self.pins)
        {
            eprintln!("{} couldn't be removed: {error}", self.pins.display());
        }
    }
}

/// Asks again until it is so. For what tells nobody when it happens.
///
/// # Panics
/// If it isn't so in time.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PLENTY;
    while !is_so() {
        assert!(Instant::now() < end, "it never came true that {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The server's address of a source's family.
#[must_use]
pub fn server(source: &str) -> &'static str {
    if source.contains(':') {
        SERVER6
    } else {
        SERVER
    }
}

/// The daemon under test.
///
/// # Panics
/// If it isn't built.
#[must_use]
pub fn binary() -> String {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/weir");
    let path = std::env::var("WEIR_BIN").unwrap_or_else(|_| built.to_owned());
    assert!(
        Path::new(&path).exists(),
        "there is no {path}: run cargo xtask test, or name the daemon in WEIR_BIN"
    );
    path
}

/// Longer than any machine takes that isn't broken.
pub const PLENTY: Duration = Duration::from_secs(30);
