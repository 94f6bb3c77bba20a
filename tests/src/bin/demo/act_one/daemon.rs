//! The real `weir` on the edge host, steered as its operator would.

use std::{
    env,
    fs::{self, File},
    net::IpAddr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};
use weir_tests::bed::daemon::binary;

use super::{
    cast::{self, Population},
    process::Role,
    stage::{INTERFACE, Stage},
};

/// The daemon while it runs; dropped, it is stopped.
pub(super) struct Daemon {
    role: Role,
    socket: PathBuf,
    log: PathBuf,
}

/// The part of `weir status --json` that the demo reads.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) mode: String,
    pub(super) blocked_prefixes: u64,
    /// Packets whose cause was `blocked`, dropped or (in observe) not.
    pub(super) blocked_packets: u64,
    /// Packets dropped, for whatever cause.
    pub(super) dropped: u64,
}

/// The part of `weir explain ADDRESS --json` that the demo reads.
#[derive(Debug)]
pub(super) struct Explained {
    pub(super) population: Population,
    pub(super) address: IpAddr,
    pub(super) cause: String,
    pub(super) action: String,
    pub(super) feed: Option<String>,
}

impl Daemon {
    /// Starts it in `observe` with an empty feed, and waits until it answers.
    pub(super) async fn start(stage: &Stage) -> Result<Self> {
        let (socket, log) = (stage.file("control.sock"), stage.file("weir.log"));
        let configuration = stage.file("weir.toml");
        fs::write(
            &configuration,
            format!(
                "[daemon]\nstate_dir = {state:?}\ncontrol = {socket:?}\npins = {pins:?}\n\n\
                 [datapath]\ninterfaces = [{INTERFACE:?}]\nmode = \"observe\"\non_stop = \"detach\"\n\n\
                 [[service]]\nname = \"api\"\nports = [\"tcp/{port}\"]\n\n\
                 [[feed]]\nname = \"verifier\"\nkind = \"verdicts\"\nurl = \"http://{service}/v1/verdicts\"\n",
                service = cast::SERVICE,
                state = stage.file("state"),
                pins = stage.pins(),
                port = cast::PORT,
            ),
        )
        .context("writing weir's configuration")?;
        let mut command = stage.on_edge(binary());
        command
            .args(["run", "--config"])
            .arg(&configuration)
            // At this level it logs when changes arrive, and when they are in force.
            .env("WEIR_LOG", "info,weir=debug")
            .stderr(Stdio::from(
                File::create(&log).context("making weir's log")?,
            ));
        let mut daemon = Self {
            role: Role::start(command, "weir")?,
            socket,
            log,
        };
        daemon.until("it answers", |_| true).await?;
        Ok(daemon)
    }

    /// Its status.
    pub(super) async fn status(&self) -> Result<Status> {
        let status = self.ask(&["status", "--json"]).await?;
        let of = |value: &Value, name: &str| {
            value[name]
                .as_u64()
                .with_context(|| format!("weir status has no number {name:?} where it should"))
        };
        let causes = status["causes"]
            .as_object()
            .context("weir status has no causes")?;
        Ok(Status {
            mode: status["mode"]
                .as_str()
                .context("weir status has no mode")?
                .to_owned(),
            blocked_prefixes: of(&status["verdicts"], "blocked")?,
            blocked_packets: causes
                .get("blocked")
                .map_or(Ok(0), |cause| of(cause, "packets"))?,
            dropped: causes
                .values()
                .map(|cause| of(cause, "dropped_packets"))
                .sum::<Result<_>>()?,
        })
    }

    /// Waits until so many prefixes are blocked.
    pub(super) async fn holds(&mut self, prefixes: u64) -> Result<()> {
        self.until("the service's claims hold", |status| {
            status.blocked_prefixes == prefixes
        })
        .await
    }

    /// `weir events --follow`.
    pub(super) fn events(&self, stage: &Stage) -> Command {
        let mut command = stage.on_edge(binary());
        command
            .args(["events", "--follow", "--json"])
            .env("WEIR_SOCKET", &self.socket);
        command
    }

    /// The path of its log.
    pub(super) fn log(&self) -> PathBuf {
        self.log.clone()
    }

    /// `weir mode enforce`.
    pub(super) async fn enforce(&mut self) -> Result<()> {
        self.cli(&["mode", "enforce"]).await?;
        self.until("its mode is enforce", |status| status.mode == "enforce")
            .await
    }

    /// `weir explain` of two abusers and two genuine clients, IPv4 and IPv6.
    pub(super) async fn explain_cast(&self) -> Result<Vec<Explained>> {
        let mut explained = Vec::new();
        for population in [Population::Abusers, Population::Genuine] {
            for address in population.sources().into_iter().take(2) {
                let answer = self
                    .ask(&["explain", &address.to_string(), "--json"])
                    .await?;
                let word = |name: &str| answer[name].as_str().map(str::to_lowercase);
                explained.push(Explained {
                    population,
                    address,
                    cause: word("cause").context("weir explain names no cause")?,
                    action: word("action").context("weir explain names no action")?,
                    feed: word("feed"),
                });
            }
        }
        Ok(explained)
    }

    /// Asks again until its status is as wanted.
    async fn until(&mut self, wanted: &str, is: impl Fn(&Status) -> bool) -> Result<()> {
        let end = Instant::now() + ANSWER;
        loop {
            let status = self.status().await;
            if status.as_ref().is_ok_and(&is) {
                return Ok(());
            }
            self.role.check().with_context(|| self.last_lines())?;
            if Instant::now() > end {
                return Err(status.map_or_else(
                    |error| error,
                    |status| anyhow::anyhow!("it says {status:?}"),
                ))
                .with_context(|| {
                    format!("waited {ANSWER:?} until {wanted}\n{}", self.last_lines())
                });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let answer = self.cli(arguments).await?;
        serde_json::from_slice(&answer)
            .with_context(|| format!("weir {} answered no JSON", arguments.join(" ")))
    }

    /// The command line, as the operator uses it.
    async fn cli(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let spelled = || format!("weir {}", arguments.join(" "));
        let output = Command::new(binary())
            .args(arguments)
            .env("WEIR_SOCKET", &self.socket)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(ANSWER, output)
            .await
            .with_context(spelled)?
            .with_context(spelled)?;
        if !output.status.success() {
            bail!(
                "{}: {}",
                spelled(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    }

    /// The end of its log, for an error.
    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let end = lines.len().saturating_sub(12);
        format!("the end of weir's log:\n{}", lines[end..].join("\n"))
    }
}

/// The verification service: three failures of a source within ten seconds are
/// enough for it.
pub(super) fn service(stage: &Stage) -> Result<Command> {
    let program = env::current_exe().context("finding this program")?;
    let mut command = stage.on_edge(program.with_file_name("verification-service"));
    command.args(["--listen", cast::SERVICE, "--failures", "3"]);
    Ok(command)
}

/// A token of the verification service.
pub(super) async fn token(stage: &Stage) -> Result<String> {
    let mut asking = stage.edge("token")?;
    let output = timeout(ANSWER, asking.stdin(Stdio::null()).output());
    let output = output.await.context("waiting for a token")?;
    let output = output.context("asking for a token")?;
    ensure!(
        output.status.success(),
        "the verification service gave no token: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The time that weir may take to carry a command out.
const ANSWER: Duration = Duration::from_secs(15);
