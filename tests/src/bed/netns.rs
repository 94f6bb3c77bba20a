//! Network namespaces that are gone when a test is, also when it fails, and
//! pairs of virtual interfaces between them. Needs root and iproute2.

use std::{
    fs::File,
    io::Write as _,
    os::fd::AsFd as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, removed when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// An empty one, its loopback interface up.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self::named(format!("weir-test-{}-{number}", std::process::id()))
    }

    /// The same under this name, by which a later run finds what a killed one left.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn named(name: String) -> Self {
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Its name, as `ip netns` lists it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that runs in it. By `nsenter`: `ip netns exec` mounts another
    /// `/sys`, which hides the BPF file system.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs `ip` on it, and gives back what it wrote.
    ///
    /// # Panics
    /// If that fails.
    pub fn ip(&self, arguments: &[&str]) -> String {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments))
    }

    /// Runs many commands of `ip` on it, one a line.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn batch(&self, commands: &str) {
        batch(&self.name, commands).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Moves an interface of the namespace that this process is in over, under
    /// another name. A card goes back when the namespace is gone.
    ///
    /// # Panics
    /// If there is no such interface.
    pub fn adopt(&self, interface: &str, name: &str) {
        run(Command::new("ip").args([
            "link", "set", "dev", interface, "netns", &self.name, "name", name,
        ]));
    }

    /// Gives an interface an address such as `192.0.2.1/24`; an IPv6 one holds
    /// at once.
    ///
    /// # Panics
    /// If that fails.
    pub fn add_address(&self, interface: &str, address: &str) {
        let mut arguments = vec!["address", "add", address, "dev", interface];
        if address.contains(':') {
            arguments.push("nodad");
        }
        self.ip(&arguments);
    }

    /// Sets a variable of the kernel (under `/proc/sys`) in this namespace only.
    ///
    /// # Panics
    /// If there is no such variable of namespaces.
    pub fn set(&self, variable: &str, value: &str) {
        let path = PathBuf::from("/proc/sys").join(variable);
        self.enter(|| std::fs::write(path, value).expect("root may set it"));
    }

    /// The hardware address of an interface.
    ///
    /// # Panics
    /// If there is no such interface.
    #[must_use]
    pub fn hardware_address(&self, interface: &str) -> [u8; 6] {
        let shown = self.ip(&["-json", "link", "show", "dev", interface]);
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON from ip");
        let text = shown[0]["address"].as_str().expect("a hardware address");
        let mut bytes = text
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
        std::array::from_fn(|_| bytes.next().expect("six bytes"))
    }

    /// The index of an interface, within this namespace.
    ///
    /// # Panics
    /// If there is no such interface.
    #[must_use]
    pub fn index(&self, interface: &str) -> u32 {
        let shown = self.ip(&["-json", "link", "show", "dev", interface]);
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON from ip");
        shown[0]["ifindex"].as_u64().expect("an index") as u32
    }

    /// Runs `body` on a thread that is in the namespace: the sockets that it
    /// opens are, and stay.
    ///
    /// # Panics
    /// If the namespace can't be entered, or `body` panics.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            enter_by_name(&self.name);
            body()
        };
        thread::scope(|scope| {
            let joined = scope.spawn(inside).join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Without a panic: this may run while one is under way.
        let removed = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("the namespace {} couldn't be removed", self.name);
        }
    }
}

/// Two interfaces, what one sends the other receives; both up. Each is given by
/// its namespace and its name.
///
/// # Panics
/// If they can't be made.
pub fn veth(one: (&Namespace, &str), other: (&Namespace, &str)) {
    one.0.ip(&[
        "link",
        "add",
        one.1,
        "type",
        "veth",
        "peer",
        "name",
        other.1,
        "netns",
        &other.0.name,
    ]);
    for (namespace, interface) in [one, other] {
        namespace.ip(&["link", "set", interface, "up"]);
    }
}

/// Two namespaces whose `eth0`s are the ends of one cable.
///
/// # Panics
/// If they can't be made.
#[must_use]
pub fn pair() -> (Namespace, Namespace) {
    let (one, other) = (Namespace::new(), Namespace::new());
    veth((&one, "eth0"), (&other, "eth0"));
    (one, other)
}

/// Runs many commands of `ip`, one a line, in the namespace of this name.
///
/// # Errors
/// If `ip` can't be started, or one of them fails.
pub fn batch(namespace: &str, commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("starting ip")?;
    let mut input = child.stdin.take().context("its input is piped")?;
    input
        .write_all(commands.as_bytes())
        .context("writing to ip")?;
    drop(input);
    let status = child.wait().context("waiting for ip")?;
    ensure!(status.success(), "ip couldn't do all of:\n{commands}");
    Ok(())
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("iproute2 is installed");
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("ip writes UTF-8")
}

/// Moves this thread into the namespace of a name, for good.
///
/// # Panics
/// If there is none.
pub fn enter_by_name(name: &str) {
    let file = File::open(PathBuf::from("/run/netns").join(name)).expect("there is one");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("root may enter a namespace");
}
