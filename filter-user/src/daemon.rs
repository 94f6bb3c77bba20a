//! The daemon: one loop that carries out what the engine decides.
//!
//! The only room that spawns tasks, selects and reads clocks. Everything that happens is
//! an [`Input`] of the [`Engine`]; what it gives in return are [`Effect`]s, which are
//! carried out here, and what came of them is the next input.
//!
//! `start` builds what runs here, `load` reads the configuration and the host, `tasks`
//! runs the feeds' tasks, `requests` finds the client of each answer, `outside` looks at
//! what a status shows. The control API has a thread of its own, and the check endpoint,
//! which is `checks`; the store has one for the disk.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};
use filter_core::{
    clock::Now,
    datapath::Datapath,
    engine::{Effect, Engine, FeedState, Input, read_event},
};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    claim::{Change, Update},
    cli,
    config::OnStop,
    control::{Request, eventlog::EventLog},
    datapath::kernel::{Kernel, grace},
    feed::{Message, News},
    host::clock,
    log::Log,
    observation::Observation,
    pulse::Pulses,
    store::Store,
    worker_thread::WorkerThread,
};

mod allocator;
mod checks;
mod copy;
mod events;
mod list;
mod load;
mod outside;
mod readiness;
mod requests;
mod start;
mod tasks;

use checks::Checks;
use load::Loads;
use requests::Replies;
use tasks::Tasks;

/// Runs the daemon in the foreground until a signal ends it.
///
/// # Errors
/// If it can't start: the filter of an earlier daemon goes on then, as it was.
pub fn run(options: &cli::Run) -> Result<()> {
    let pulses = Pulses::default();
    let log = Log::to_stderr(pulses.register("log"));
    allocator::give_back();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("making the runtime")?;
    let ended = runtime.block_on(async {
        // From here on no signal ends the process by itself.
        let signals = Signals::new()?;
        let daemon = start::start(options, pulses, log).await?;
        daemon.run(signals).await
    });
    // A read that hangs must not keep the process.
    runtime.shutdown_background();
    ended
}

/// Everything that runs.
struct Daemon<D> {
    engine: Engine,
    datapath: D,
    loads: Loads,
    tasks: Tasks,
    store: Store,
    replies: Replies,
    events: EventLog,
    ring: Option<AsyncFd<RingBuf<MapData>>>,
    inputs: Inputs,
    /// For tasks that make a list, to ask for its pages.
    ask_page: mpsc::Sender<list::Asked>,
    /// The prefixes of changes on their way, where somebody wants them logged.
    arriving: Option<String>,
    /// The wait for programs that may still read what the tables gave up.
    grace: Option<JoinHandle<()>>,
    /// Ends what serves the sockets.
    stop: watch::Sender<bool>,
    pulses: Pulses,
    log: Log,
    /// Answers gateways. Dropped after `stop`, since it waits.
    checks: Option<Checks>,
    /// Serves the control socket. Dropped after `stop`, since it waits.
    _server: WorkerThread,
}

/// Where what happens comes from.
struct Inputs {
    messages: mpsc::Receiver<Message>,
    requests: mpsc::Receiver<Request>,
    pages: mpsc::Receiver<list::Asked>,
    observations: mpsc::Receiver<Observation>,
    /// Outcomes of the store.
    kept: mpsc::UnboundedReceiver<(u64, Result<(), String>)>,
    /// Outcomes of threads that read.
    read: mpsc::UnboundedReceiver<Input>,
}

impl<D: Datapath> Daemon<D> {
    async fn run(mut self, mut signals: Signals) -> Result<()> {
        let mut look_around = interval(LOOK_AROUND);
        look_around.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // After a wake-up the ring is read again and again until it is empty: the kernel
        // wakes once, not for each event.
        let mut drain_at: Option<Instant> = None;
        let mut seen = Vec::with_capacity(AT_ONCE);
        tracing::info!(mode = self.engine.mode().name(), "weir runs");

        loop {
            self.carry_out().await;
            let due = self.due();
            tokio::select! {
                Some(message) = self.inputs.messages.recv() => self.take(message),
                Some(request) = self.inputs.requests.recv() => self.answer(request).await,
                Some(asked) = self.inputs.pages.recv() => self.page(asked),
                1.. = self.inputs.observations.recv_many(&mut seen, AT_ONCE) => {
                    let seen = std::mem::replace(&mut seen, Vec::with_capacity(AT_ONCE));
                    self.handle(Input::Observations(seen));
                }
                Some((ticket, result)) = self.inputs.kept.recv() => {
                    self.handle(Input::Kept { ticket, result });
                }
                Some(input) = self.inputs.read.recv() => self.handle(input),
                () = readable(&mut self.ring) => {
                    let again = self.read_events().unwrap_or(DRAIN_AGAIN);
                    drain_at = Some(Instant::now() + again);
                }
                () = until(drain_at) => {
                    drain_at = self.read_events().map(|again| Instant::now() + again);
                }
                () = until(Some(due)) => self.handle(Input::Tick),
                () = ended(&mut self.grace) => self.release(),
                _ = look_around.tick() => self.loads.look_at_peers(self.engine.config()),
                () = received(&mut signals.hang_up) => self.handle(Input::HangUp),
                () = received(&mut signals.terminate) => break,
                () = received(&mut signals.interrupt) => break,
            }
        }
        self.finish().await
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(input, now());
    }

    /// When the engine wants to be asked again, on the runtime's clock.
    fn due(&self) -> Instant {
        let now = now();
        let left = self.engine.poll_timeout(now).saturating_sub(now.boot_ms);
        Instant::now() + Duration::from_millis(left)
    }

    /// Takes what a feed's task sent.
    fn take(&mut self, message: Message) {
        let Message {
            feed,
            news,
            applied,
        } = message;
        self.tasks.awaits(feed, applied);
        self.arriving = few_changes(&news);
        if let Some(prefixes) = &self.arriving {
            let feed = self.engine.feed(feed).map(FeedState::name);
            tracing::debug!(feed, prefixes, "changes arrive");
        }
        self.handle(Input::News { feed, news });
    }

    /// Carries out everything that the engine wants done.
    async fn carry_out(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Apply(patch) => {
                    let refused = self.datapath.apply(&patch);
                    self.let_go();
                    self.handle(Input::Applied(refused));
                }
                Effect::Configure(plan) => {
                    let result = self.datapath.configure(&plan);
                    self.handle(Input::Configured(sentence(result)));
                }
                Effect::Set(settings) => {
                    let result = self.datapath.set(&settings);
                    self.handle(Input::SettingsPut(sentence(result)));
                }
                Effect::Journal {
                    ticket,
                    changes,
                    tiers,
                } => self.store.journal(ticket, changes, tiers),
                Effect::Persist {
                    ticket,
                    file,
                    content,
                } => self.store.persist(ticket, file.name().to_owned(), content),
                Effect::Load { ticket } => self.loads.configuration(ticket),
                Effect::Start {
                    feed,
                    config,
                    rules,
                } => self.tasks.start(feed, &config, &rules),
                Effect::Stop { feed } => self.tasks.stop(feed),
                Effect::Fetch { feed, accept } => self.tasks.fetch(feed, accept),
                Effect::Recall { feed } => self.tasks.recall(feed, &self.loads),
                Effect::KeepCopy { feed } => self.tasks.keep_copy(feed),
                Effect::Applied { feed, held } => {
                    if let Some(prefixes) = self.arriving.take() {
                        let feed = self.engine.feed(feed).map(FeedState::name);
                        tracing::debug!(feed, prefixes, "changes are in force");
                    }
                    self.tasks.applied(feed, held);
                }
                Effect::Attach {
                    ticket,
                    interfaces,
                    wish,
                } => {
                    let result = sentence(self.datapath.attach(&interfaces, wish).await);
                    self.handle(Input::Attached { ticket, result });
                }
                Effect::Detach { ticket, attached } => {
                    let (mut off, mut failed) = (Vec::new(), None);
                    for one in attached {
                        match self.datapath.detach(&one).await {
                            Ok(()) => off.push(one.interface),
                            Err(error) => failed = Some(format!("{error:#}")),
                        }
                    }
                    self.handle(Input::Detached {
                        ticket,
                        off,
                        failed,
                    });
                }
                Effect::ReadEvents => {
                    self.read_events();
                }
                Effect::ForgetHits(claims) => {
                    for claim in claims {
                        self.datapath.forget_hits(claim);
                    }
                }
                Effect::Answer { id, answer } => self.replies.answer(id, *answer),
            }
        }
    }

    /// Waits, beside the loop, until nobody reads what the tables have given up.
    fn let_go(&mut self) {
        if self.grace.is_none() && self.datapath.seal() {
            self.grace = Some(spawn_blocking(grace));
        }
    }

    fn release(&mut self) {
        self.grace = None;
        self.datapath.release();
        self.let_go();
    }

    async fn finish(mut self) -> Result<()> {
        // Nobody listens any more if it is already gone.
        let _ended = self.stop.send(true);
        self.engine.finish(now());
        self.carry_out().await;
        if !self.store.flush_within(LAST_WRITES) {
            tracing::error!("the disk hasn't taken everything: what the policy knew last is lost");
        }
        match self.engine.config().datapath.on_stop {
            OnStop::Keep => {
                tracing::info!("weir stops; the filter stays in force (on_stop = keep)");
            }
            OnStop::Detach => {
                for attached in self.engine.interfaces().to_vec() {
                    self.datapath.detach(&attached).await?;
                }
                tracing::info!("weir stops; the filter is off (on_stop = detach)");
            }
        }
        Ok(())
    }
}

/// The signals that the daemon acts on.
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

/// The prefixes of changes that are few enough to be logged one by one, where somebody
/// wants that.
fn few_changes(news: &News) -> Option<String> {
    let News::Update {
        update: Update::Delta(changes),
        ..
    } = news
    else {
        return None;
    };
    if changes.is_empty() || changes.len() > FEW || !tracing::enabled!(tracing::Level::DEBUG) {
        return None;
    }
    let prefixes = changes.iter().map(|change| match change {
        Change::Claim(claim) => claim.prefix.to_string(),
        Change::Withdraw(prefix) => prefix.to_string(),
    });
    Some(prefixes.collect::<Vec<_>>().join(" "))
}

/// This moment, on the clocks that the engine goes by.
fn now() -> Now {
    Now {
        unix: u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX),
        boot_ms: clock::boot_milliseconds(),
    }
}

fn sentence<T>(result: Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{error:#}"))
}

async fn readable(ring: &mut Option<AsyncFd<RingBuf<MapData>>>) {
    match ring {
        Some(ring) => match ring.readable_mut().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(error) => {
                tracing::error!(%error, "can't wait for events");
                std::future::pending().await
            }
        },
        None => std::future::pending().await,
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

/// The daemon of an edge host.
type OnKernel = Daemon<Kernel>;

/// The root of the file system that the host's facts are read from.
const ROOT: &str = "/";

fn root() -> &'static Path {
    Path::new(ROOT)
}

/// Changes that are logged one by one.
const FEW: usize = 64;

/// Observations that are taken before anything else gets a turn.
const AT_ONCE: usize = 256;

/// How often the daemon looks who is logged in.
const LOOK_AROUND: Duration = Duration::from_secs(10);

/// A little more than the kernel's time between two wake-ups.
const DRAIN_AGAIN: Duration = Duration::from_millis(25);

/// How long the end waits for the disk.
const LAST_WRITES: Duration = Duration::from_millis(500);
