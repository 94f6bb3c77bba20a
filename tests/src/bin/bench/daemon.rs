//! The real daemon on the edge host, as its operator configures and asks it.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::edge::{self, Edge, INTERFACE};

/// The daemon while it runs; dropped, it is stopped.
pub(crate) struct Daemon<'a> {
    edge: &'a Edge,
    child: Child,
}

impl<'a> Daemon<'a> {
    /// Starts it afresh, enforcing, with the files [`LIST`] and [`SHORT_LIST`]
    /// as they are, and waits until it answers.
    pub(crate) fn start(edge: &'a Edge, room: u32) -> Result<Self> {
        Self::start_with(edge, room, "")
    }

    /// The same with more tables in its configuration.
    pub(crate) fn start_with(edge: &'a Edge, room: u32, more: &str) -> Result<Self> {
        let state = edge.file("state");
        if state.exists() {
            fs::remove_dir_all(&state).context("forgetting an earlier daemon's state")?;
        }
        let control = edge.file(SOCKET);
        let pins = edge::pins();
        let configuration = edge.file("weir.toml");
        let mut text = format!(
            "[daemon]\nstate_dir = {state:?}\ncontrol = {control:?}\npins = {pins:?}\n\n\
             [datapath]\ninterfaces = [{INTERFACE:?}]\nmode = \"enforce\"\non_stop = \"detach\"\n\n\
             [tables]\nipv4 = {room}\nipv6 = {room}\n\n\
             [[service]]\nname = \"api\"\nports = [\"udp/{PORT}\"]\n\n",
        );
        for list in [LIST, SHORT_LIST] {
            let path = edge.file(list);
            if !path.exists() {
                fs::write(&path, "").with_context(|| format!("making {list}"))?;
            }
            text += &format!("[[feed]]\nname = {list:?}\nkind = \"file\"\npath = {path:?}\n\n");
        }
        text += more;
        fs::write(&configuration, text).context("writing the configuration")?;
        let log = edge.file("weir.log");
        let child = edge
            .on_host(&edge.weir)
            .args(["run", "--config"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stderr(File::create(&log).context("making the daemon's log")?)
            .spawn()
            .context("starting the daemon")?;
        let mut daemon = Self { edge, child };
        let end = Instant::now() + PATIENCE;
        while daemon.status().is_err() {
            let ended = daemon.child.try_wait().context("looking for the daemon")?;
            if ended.is_some() || Instant::now() > end {
                let log = fs::read_to_string(&log).unwrap_or_default();
                bail!("the daemon doesn't answer; its log:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says of itself.
    pub(crate) fn status(&self) -> Result<Value> {
        self.ask("GET", "/v1/status", "")
    }

    /// Waits until a list's claims are so many and carried out: the daemon
    /// answers between one piece of news and the next. Gives the longest time
    /// that an answer took.
    pub(crate) fn await_claims(&self, list: &str, claims: u32) -> Result<Duration> {
        let end = Instant::now() + PATIENCE;
        let mut longest = Duration::ZERO;
        loop {
            let asked = Instant::now();
            let status = self.status()?;
            longest = longest.max(asked.elapsed());
            let feeds = status["feeds"].as_array().context("no feeds in a status")?;
            let feed = feeds.iter().find(|feed| feed["name"] == list);
            if feed.is_some_and(|feed| feed["claims"] == claims) {
                ensure!(
                    status["problems"] == json!([]),
                    "weir has problems: {}",
                    status["problems"]
                );
                return Ok(longest);
            }
            ensure!(
                Instant::now() < end,
                "the claims of {list} don't become {claims}, but: {feed:?}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has an address blocked by the control API.
    pub(crate) fn block(&self, address: Ipv4Addr) -> Result<()> {
        let request = json!({"prefixes": [address], "verdict": "block"});
        let answer = self.ask("POST", "/v1/verdicts", &request.to_string())?;
        ensure!(
            answer["prefixes"][0]["done"] == true,
            "{address} wasn't blocked: {answer}"
        );
        Ok(())
    }

    /// `weir block ADDRESS`.
    pub(crate) fn command_block(&self, address: Ipv4Addr) -> Result<()> {
        let status = Command::new(&self.edge.weir)
            .args(["block", &address.to_string()])
            .env("WEIR_SOCKET", self.edge.file(SOCKET))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("starting weir block")?;
        ensure!(status.success(), "weir block {address} failed");
        Ok(())
    }

    /// A connection to its control socket.
    pub(crate) fn connect(&self) -> Result<UnixStream> {
        UnixStream::connect(self.edge.file(SOCKET)).context("connecting to the daemon")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = self.connect()?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .context("asking the daemon")?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .context("reading the daemon's answer")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        serde_json::from_str(body).with_context(|| format!("reading the answer of {path}"))
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ended = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ended = self.child.wait();
    }
}

/// The feed with the many claims; feeds are named as their files are.
pub(crate) const LIST: &str = "list.txt";
/// A feed of few.
pub(crate) const SHORT_LIST: &str = "short.txt";
/// The guarded port.
pub(crate) const PORT: u16 = 443;
const SOCKET: &str = "control.sock";
const PATIENCE: Duration = Duration::from_secs(60);
