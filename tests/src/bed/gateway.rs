//! A real gateway (Debian's nginx, Caddy or HAProxy) on an edge host, in that host's
//! namespace, before a real API; killed on drop, and with the test. Needs root.
//!
//! Its configuration for weir is the one that `docs/gateways` gives to operators.

use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::bed::{Edge, Namespace, PLENTY, until};

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway<'a> {
    edge: &'a Edge,
    child: Child,
    folder: TempDir,
}

/// A client's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The whole head, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl<'a> Gateway<'a> {
    /// nginx with these blocks of `http`, once it listens on [`PORT`].
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn nginx(edge: &'a Edge, http: &str) -> Self {
        let folder = TempDir::with_prefix("weir-test-").expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {};\n", at(what).display()))
            .concat();
        let text = format!(
            "user root;\nworker_processes 1;\ndaemon off;\npid {};\nerror_log stderr;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\nlog_format reasons '$status $weir_reason';\n\
             access_log {} reasons;\n\
             {temporary}{http}\n}}\n",
            at("pid").display(),
            at("access").display(),
        );
        let configuration = at("nginx.conf");
        fs::write(&configuration, text).expect("its configuration is written");
        let mut command = edge.host.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program("nginx", "usr/sbin/nginx"))
            .arg("-c")
            .arg(configuration);
        Self::start(edge, folder, command)
    }

    /// Caddy with this Caddyfile, once it listens on [`PORT`].
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn caddy(edge: &'a Edge, caddyfile: &str) -> Self {
        let folder = TempDir::with_prefix("weir-test-").expect("a folder");
        let configuration = folder.path().join("Caddyfile");
        let text = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{caddyfile}");
        fs::write(&configuration, text).expect("its configuration is written");
        let mut command = edge.host.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program("caddy", "usr/bin/caddy"))
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(configuration)
            .env("HOME", folder.path());
        Self::start(edge, folder, command)
    }

    /// HAProxy with this configuration and this script, once it listens on
    /// [`PORT`]. The configuration names the script `/etc/haproxy/weir.lua`.
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn haproxy(edge: &'a Edge, configuration: &str, script: &str) -> Self {
        let folder = TempDir::with_prefix("weir-test-").expect("a folder");
        let lua = folder.path().join("weir.lua");
        fs::write(&lua, script).expect("its script is written");
        let shown = lua.display().to_string();
        let text = configuration.replace("/etc/haproxy/weir.lua", &shown);
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, text).expect("its configuration is written");
        let libraries = HAPROXY_LIBRARIES.map(|package| {
            let library = format!("{package}/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
            tools().join(library)
        });
        let mut command = edge.host.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program("haproxy", "usr/sbin/haproxy"))
            .arg("-f")
            .arg(file)
            .env(
                "LD_LIBRARY_PATH",
                std::env::join_paths(libraries).expect("paths"),
            );
        Self::start(edge, folder, command)
    }

    fn start(edge: &'a Edge, folder: TempDir, mut command: Command) -> Self {
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nsenter is installed");
        let this = Self {
            edge,
            child,
            folder,
        };
        until("the gateway listens", || {
            let connect = || TcpStream::connect(("127.0.0.1", PORT)).is_ok();
            this.edge.host.enter(connect)
        });
        this
    }

    /// Sends a request with these headers to a path, and gives the answer.
    ///
    /// # Panics
    /// If it isn't answered.
    #[must_use]
    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_from(&self.edge.net, path, headers)
    }

    /// The same from any namespace.
    ///
    /// # Panics
    /// If it isn't answered.
    #[must_use]
    pub fn ask_from(&self, net: &Namespace, path: &str, headers: &[(&str, &str)]) -> Answer {
        let connect = || TcpStream::connect(("192.0.2.1", PORT)).expect("the gateway listens");
        let mut stream = net.enter(connect);
        stream.set_read_timeout(Some(PLENTY)).expect("a timeout");
        let mut question = format!("GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n");
        for (name, value) in headers {
            question += &format!("{name}: {value}\r\n");
        }
        question += "\r\n";
        stream.write_all(question.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        Answer {
            status: head[9..12].parse().expect("a status"),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Its log of calls.
    ///
    /// # Panics
    /// If it keeps no log of them.
    #[must_use]
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("access")).expect("it logs calls")
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        // nginx has workers, which go with it when it is asked to.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ended = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("the gateway's log:\n{}", log.unwrap_or_default());
        }
    }
}

/// The first block of code in this language on a page of `docs/gateways`.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn documented(page: &str, language: &str, number: usize) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gateways");
    let text = fs::read_to_string(Path::new(path).join(page)).expect("the page is there");
    let fence = format!("```{language}\n");
    let mut blocks = text.split(&fence).skip(1);
    let block = blocks.nth(number).expect("the page has that block");
    let (block, _) = block.split_once("```").expect("the block ends");
    block.to_owned()
}

/// A program of a Debian package: as setup unpacked it, else on the path.
#[must_use]
pub fn program(package: &str, path: &str) -> OsString {
    let unpacked = tools().join(package).join(path);
    if unpacked.is_file() {
        unpacked.into()
    } else {
        package.into()
    }
}

/// The folder into which setup unpacks packages.
#[must_use]
pub fn tools() -> PathBuf {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools");
    let folder = std::env::var_os("WEIR_TOOLS").unwrap_or_else(|| built.into());
    folder.into()
}

/// Packages of the libraries that HAProxy needs and few machines have.
const HAPROXY_LIBRARIES: [&str; 3] = [
    "liblua5.3-0",
    "libopentracing-c-wrapper0",
    "libopentracing1",
];

/// The port on which the gateway listens.
pub const PORT: u16 = 8000;
