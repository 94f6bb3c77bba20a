//! A role's process: it ends with the demo, whichever way that ends.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc::UnboundedSender,
    time::timeout,
};

use super::account::Outcome;

/// The line that a role writes once it is ready.
pub(super) const READY: &str = "ready";

/// A role on the stage. Dropped, it is asked to end and then made to.
pub(super) struct Role {
    name: &'static str,
    process: Child,
    input: Option<ChildStdin>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Role {
    /// Starts a process of its own group: a Ctrl-C is for the demo alone, which
    /// then ends its roles in order.
    pub(super) fn start(mut command: Command, name: &'static str) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name,
            input: process.stdin.take(),
            lines: process
                .stdout
                .take()
                .map(|output| BufReader::new(output).lines()),
            process,
        })
    }

    /// Waits until it says that it is ready.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let lines = self
            .lines
            .as_mut()
            .context("nobody else reads its lines yet")?;
        match timeout(READINESS, lines.next_line()).await {
            Ok(Ok(Some(line))) if line == READY => Ok(()),
            Ok(_) => bail!(
                "{} ended before it was ready; its error is above",
                self.name
            ),
            Err(_) => bail!("{} wasn't ready within {READINESS:?}", self.name),
        }
    }

    /// Lets it begin with what it waits for.
    pub(super) async fn tell(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("its input is open")?;
        input
            .write_all(b"\n")
            .await
            .with_context(|| format!("telling {}", self.name))
    }

    /// The lines that it writes, for somebody else to read.
    pub(super) const fn lines(&mut self) -> Option<Lines<BufReader<ChildStdout>>> {
        self.lines.take()
    }

    /// From now on, each line it writes is an outcome for the account.
    pub(super) fn report_to(&mut self, account: UnboundedSender<Outcome>) {
        let lines = self.lines.take();
        tokio::spawn(async move {
            let mut lines = lines?;
            while let Ok(Some(line)) = lines.next_line().await {
                account.send(line.parse().ok()?).ok()?;
            }
            Some(())
        });
    }

    /// Lets it end by itself: its standard input ends.
    pub(super) fn finish(&mut self) {
        self.input = None;
    }

    /// Whether it runs, or how it ended.
    pub(super) fn check(&mut self) -> Result<()> {
        match self
            .process
            .try_wait()
            .with_context(|| format!("looking after {}", self.name))?
        {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status})", self.name),
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let pid = self
            .process
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // It may have ended in between; then there is nothing to signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + GRACE;
        while let Ok(None) = self.process.try_wait() {
            if Instant::now() > end {
                let _ = self.process.start_kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The time that a role may take to be ready.
const READINESS: Duration = Duration::from_secs(20);
/// The time that a role may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(3);
