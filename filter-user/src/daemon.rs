//! The daemon: one loop that wires feeds, ledger, datapath and control.
//!
//! The only room that spawns tasks, selects and reads clocks. A verdict's way:
//! a feed's [`News`] or an operator's request → [`Ledger`] → patch → datapath.
//! `start` builds what runs here, `feeds` runs the feeds' tasks, `keeper` sends
//! the operator's claims to the store. The control API has a thread of its own, and the check endpoint, which is `checks`. `answer`, `status` and
//! `explain` answer requests, `tell` makes lines of events.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};
use filter_common::settings::{Mode, Settings};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    cli,
    config::{Config, OnStop},
    control::{Request, eventlog::EventLog},
    datapath::{
        Datapath as _,
        attach::{Attached, off},
        kernel::{Kernel, grace},
        pins::Pins,
    },
    feed::Message,
    host::clock,
    ledger::{Ledger, Now},
    log::Log,
    observation::Observation,
    patch::Patch,
    plan::{Plan, Scope},
    policy::Truth,
    prefix::Prefix,
    pulse::Pulses,
    under_attack::UnderAttack,
    worker_thread::WorkerThread,
};

mod allocator;
mod answer;
mod attack;
mod checks;
mod copy;
mod explain;
mod feeds;
mod keeper;
mod list;
mod policing;
mod readiness;
mod reload;
mod slot;
mod start;
mod status;
mod steer;
mod tell;

use checks::Checks;
use feeds::Feeds;
pub(crate) use feeds::rules_of;
use keeper::Keeper;
use policing::Policing;

/// Runs the daemon in the foreground until it is told to stop.
///
/// # Errors
/// If it can't start: nothing is attached then, and what an earlier daemon left
/// in force goes on.
pub fn run(options: &cli::Run) -> Result<()> {
    let pulses = Pulses::default();
    let _log = Log::to_stderr(pulses.register("log"));
    allocator::give_back();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("making the runtime")?
        .block_on(async {
            // From here on no signal ends the process by itself.
            let signals = Signals::new()?;
            let daemon = start::start(options, &pulses).await?;
            daemon.run(signals).await
        })
}

/// Everything that runs.
struct Daemon {
    options: cli::Run,
    config: Config,
    plan: Plan,
    /// What protects the operator's SSH sessions, besides the plan.
    peers: Vec<Scope>,
    /// Whether the host is under attack; the plan is made for it.
    attack: Option<UnderAttack>,
    ledger: Ledger,
    kernel: Kernel,
    settings: Settings,
    mode_from: ModeFrom,
    pins: Pins,
    attached: Vec<Attached>,
    feeds: Feeds,
    keeper: Keeper,
    events: EventLog,
    /// Seconds that the wall clock is ahead of the time since boot.
    wall_ahead: i64,
    /// Sentences about what went wrong and still matters.
    troubles: Troubles,
    news: mpsc::Receiver<Message>,
    requests: mpsc::Receiver<Request>,
    pages: mpsc::Receiver<list::Page>,
    observations: mpsc::Receiver<Observation>,
    /// What follows from them, if there is a policy.
    policing: Option<Policing>,
    /// What feeds in observe would do to genuine sources.
    truth: Truth,
    /// For tasks that make a list, to ask for its pages.
    ask_page: mpsc::Sender<list::Page>,
    ring: AsyncFd<RingBuf<MapData>>,
    /// The wait for programs that may still read what the tables gave up.
    grace: Option<JoinHandle<()>>,
    /// Ends what serves the sockets.
    stop: watch::Sender<bool>,
    /// Answers gateways. Dropped after `stop`, since it waits.
    checks: Option<Checks>,
    /// Serves the control socket. Dropped after `stop`, since it waits.
    _server: WorkerThread,
}

/// Where the mode comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModeFrom {
    Configuration,
    CommandLine,
    WeirMode,
}

impl ModeFrom {
    const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::CommandLine => "command line",
            Self::WeirMode => "weir mode",
        }
    }
}

/// What went wrong and still matters.
#[derive(Debug, Default)]
struct Troubles {
    /// The tables refused part of a patch.
    tables: Option<String>,
    /// The prefixes whose entries may be old ones.
    refused: BTreeSet<Prefix>,
    /// Something at the start that needs the operator.
    start: Vec<String>,
}

impl Daemon {
    async fn run(mut self, mut signals: Signals) -> Result<()> {
        let mut look_around = interval(LOOK_AROUND);
        look_around.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // After a wake-up the ring is read again and again until it is empty:
        // the kernel wakes once, not for each event.
        let mut drain_at: Option<Instant> = None;
        let mut seen = Vec::with_capacity(AT_ONCE);
        tracing::info!(mode = self.mode().name(), "weir runs");

        loop {
            self.free_numbers();
            let expiry = self.next_expiry();
            let attack = self.attack_end();
            let policy = self.policing.as_ref().map(Policing::due);
            tokio::select! {
                Some(message) = self.news.recv() => self.take(message),
                Some(request) = self.requests.recv() => self.answer(request).await,
                Some(page) = self.pages.recv() => self.page(page),
                1.. = self.observations.recv_many(&mut seen, AT_ONCE) => self.observe(&mut seen),
                () = until(policy) => self.let_policy_pass(),
                ready = self.ring.readable_mut() => {
                    ready.context("waiting for events")?.clear_ready();
                    let again = self.tell().unwrap_or(DRAIN_AGAIN);
                    drain_at = Some(Instant::now() + again);
                }
                () = until(drain_at) => {
                    drain_at = self.tell().map(|again| Instant::now() + again);
                }
                () = until(expiry) => self.expire(),
                () = until(attack) => self.let_attack_pass(),
                () = ended(&mut self.grace) => self.release(),
                _ = look_around.tick() => self.look_around(),
                () = received(&mut signals.hang_up) => {
                    if let Err(refused) = self.reload().await {
                        tracing::error!(why = refused.error, "the configuration wasn't taken");
                    }
                }
                () = received(&mut signals.terminate) => break,
                () = received(&mut signals.interrupt) => break,
            }
        }
        self.finish().await
    }

    /// Removes claims that have ended. What the kernel enforces doesn't change
    /// by it: its timelines have ended by themselves.
    fn expire(&mut self) {
        let patch = self.ledger.expire(now());
        self.carry_out(&patch);
    }

    /// What changes outside without telling: the clock, and who is logged in.
    fn look_around(&mut self) {
        if self.troubles.tables.is_some() {
            self.mend_tables();
        }
        let now = now();
        let ahead = i64::from(now.unix) - i64::from(now.boot);
        if std::mem::replace(&mut self.wall_ahead, ahead) - ahead > STEP_BACK {
            // What has ended by the wrong time hasn't by the right one.
            tracing::info!("the clock was set back: every feed is read again");
            self.feeds.refresh();
        }
        // Also what moves every end if the wall clock was set.
        self.expire();
        self.let_attack_pass();
        self.protect_peers();
    }

    /// Claim numbers that have rested enough are free once the ring was read.
    fn free_numbers(&mut self) {
        let due = self.ledger.next_free();
        if due.is_some_and(|due| due <= clock::boot_seconds()) {
            self.tell();
        }
    }

    fn protect_peers(&mut self) {
        let ports = self.config.ssh_ports();
        if ports.is_empty() && self.peers.is_empty() {
            return;
        }
        match crate::host::ssh_peers(Path::new("/"), &ports) {
            Ok(peers) => {
                let scopes = self.config.ssh_peers(&peers);
                if scopes != self.peers {
                    tracing::info!(peers = peers.len(), "other SSH sessions are protected now");
                    self.peers = scopes;
                    let configured = self.kernel.configure(&self.whole_plan());
                    self.note_tables(configured.err().map(|error| format!("{error:#}")));
                }
            }
            Err(error) => tracing::warn!(%error, "can't see the SSH sessions"),
        }
    }

    /// The plan with what protects the operator's sessions.
    fn whole_plan(&self) -> Plan {
        let mut plan = self.plan.clone();
        plan.scopes.extend(&self.peers);
        plan
    }

    /// Carries out a patch, and counts it. The prefixes that the tables refused,
    /// with the reason: they are written again with the next look around.
    fn carry_out(&mut self, patch: &Patch) -> Vec<(Prefix, String)> {
        let mut refused = Vec::new();
        if !patch.is_empty() {
            refused = self.kernel.apply(patch);
            self.let_go();
            self.note_tables(refused.first().map(|(prefix, why)| {
                format!(
                    "the tables refused {} prefixes, the first {prefix}: {why}",
                    refused.len()
                )
            }));
            let prefixes = refused.iter().map(|(prefix, _why)| *prefix);
            self.troubles.refused.extend(prefixes);
            self.settings.generation += 1;
            self.put_settings();
        }
        // What the tables refused may still name claims that are gone.
        if self.troubles.refused.is_empty() && self.ledger.awaits_force() {
            self.ledger.in_force(clock::boot_seconds());
        }
        refused
    }

    /// Waits, beside the loop, until nobody reads what the tables have given up.
    fn let_go(&mut self) {
        if self.grace.is_none() && self.kernel.seal() {
            self.grace = Some(spawn_blocking(grace));
        }
    }

    fn release(&mut self) {
        self.grace = None;
        self.kernel.release();
        self.let_go();
    }

    /// Puts the settings in force; `false` if the kernel refuses.
    fn put_settings(&mut self) -> bool {
        let put = self.kernel.set(&self.settings);
        let done = put.is_ok();
        self.note_tables(put.err().map(|error| format!("{error:#}")));
        done
    }

    /// Writes everything once more after the tables have refused something.
    fn mend_tables(&mut self) {
        self.troubles.tables = None;
        let configured = self.kernel.configure(&self.whole_plan());
        self.note_tables(configured.err().map(|error| format!("{error:#}")));
        let mut whole = self.ledger.table();
        // Some were to leave the tables, and aren't in the whole.
        let mut leave = std::mem::take(&mut self.troubles.refused);
        for (prefix, _entry) in whole.iter() {
            leave.remove(&prefix);
        }
        for prefix in leave {
            whole.push(prefix, &[], &[]);
        }
        self.carry_out(&whole);
        if self.troubles.tables.is_none() {
            tracing::info!("the tables are as they should be again");
        }
    }

    fn note_tables(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble {
            tracing::error!(trouble, "the tables aren't as they should be");
            self.troubles.tables = Some(trouble);
        }
    }

    /// When the next claim ends, on the runtime's clock.
    fn next_expiry(&self) -> Option<Instant> {
        let expires = self.ledger.next_expiry()?;
        let left = u64::from(expires).saturating_sub(clock::unix_seconds());
        Some(Instant::now() + Duration::from_secs(left))
    }

    const fn mode(&self) -> Mode {
        if self.settings.enforces() {
            Mode::Enforce
        } else {
            Mode::Observe
        }
    }

    async fn finish(mut self) -> Result<()> {
        if let Some(policing) = &mut self.policing {
            policing.keep_all().await;
        }
        // Nobody listens any more if it is already gone.
        let _ended = self.stop.send(true);
        match self.config.datapath.on_stop {
            OnStop::Keep => {
                tracing::info!("weir stops; the filter stays in force (on_stop = keep)")
            }
            OnStop::Detach => {
                for attached in &self.attached {
                    self.pins.detach(&attached.interface)?;
                    off(&attached.interface, attached.program).await?;
                }
                tracing::info!("weir stops; the filter is off (on_stop = detach)");
            }
        }
        Ok(())
    }
}

/// What the daemon is told by signals.
struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }
}

/// This moment, as the ledger wants it.
fn now() -> Now {
    Now {
        unix: u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX),
        boot: clock::boot_seconds(),
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn ended(task: &mut Option<JoinHandle<()>>) {
    match task {
        // It can't panic, and nobody aborts it.
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Seconds by which the wall clock may be corrected without being set back.
const STEP_BACK: i64 = 5;

/// Observations that are taken before anything else gets a turn.
const AT_ONCE: usize = 256;

/// How often the daemon looks at what doesn't tell.
const LOOK_AROUND: Duration = Duration::from_secs(10);

/// A little more than the kernel's time between two wake-ups.
const DRAIN_AGAIN: Duration = Duration::from_millis(25);
