//! From nothing to a running daemon, in the order in which it can fail without harm:
//! nothing is attached before everything else is in place.

use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    hash::{BuildHasher as _, RandomState},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya_log::EbpfLogger;
use filter_core::{
    engine::{Engine, File, Input, Recalled, Start, tier_numbers},
    feed,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    Daemon, Inputs, OnKernel, checks,
    load::{self, Loads},
    now, readiness,
    requests::Replies,
    root,
    tasks::Tasks,
};
use crate::{
    claim::Claim,
    cli,
    config::{Config, tier::Tiers},
    control::{eventlog::EventLog, peer, server, socket},
    datapath::{Datapath as _, Sizes, kernel::Kernel, pins::Pins},
    host,
    log::Log,
    pulse::Pulses,
    store::{Journal, Store, reader::detached, state_dir},
    worker_thread::WorkerThread,
};

/// Builds the daemon and attaches the filter.
pub(super) async fn start(options: &cli::Run, pulses: Pulses, log: Log) -> Result<OnKernel> {
    let loaded = apart("load", {
        let options = options.clone();
        move || {
            fit()?;
            load::load(&options)
        }
    })
    .await?;
    let config = &loaded.config;
    let folder = config.daemon.state_dir.clone();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("making daemon.state_dir, {}", folder.display()))?;
    // First of all what keeps two daemons apart.
    let pins = Pins::open(&config.daemon.pins)?;
    let control = socket::bind(&config.daemon.control)?;
    let rules = peer::Rules::of(&config.daemon.control).context("looking at the control socket")?;

    let kept = apart("recall", {
        let folder = folder.clone();
        let tiers = tier_numbers(&config.plan(&Tiers::default())?.tier_names);
        move || Kept::read(&folder, tiers)
    })
    .await?;
    let protected = config.protect.sources.len() + loaded.essential.len();
    let mut kernel = Kernel::load_pinned(
        &sizes(config, protected),
        Some(&folder.join("verifier.log")),
        Some(&pins.staging()?),
    )?;
    let ring = readiness::of(kernel.take_events()?).context("waiting for events")?;
    follow_kernel_log(&mut kernel);
    kernel.hold(pins);

    let (messages_sender, messages) = mpsc::channel(16);
    let (request_sender, requests) = mpsc::channel(64);
    let (ask_page, pages) = mpsc::channel(4);
    let (done, kept_outcomes) = mpsc::unbounded_channel();
    let (inputs, read) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let ended = end(stopped.clone());
    let server = server::serve(control, request_sender.clone(), rules, ended);
    // Threads that run wait for `stop`, so nothing may fail behind them without it being
    // sent; and what is likely to fail comes first.
    let (checks, observations) = checks::start(config, &stopped, &pulses).await?;
    let server = WorkerThread::run(pulses.register("control"), server).inspect_err(|_error| {
        let _ended = stop.send(true);
    })?;
    let metrics = config.metrics.listen;
    let Kept {
        journal,
        operator,
        files,
        troubles,
    } = kept;
    let start = Start {
        loaded,
        files,
        operator,
        troubles,
        seed: seed(),
    };
    let engine = Engine::new(start, now())?;
    let store = Store::start(folder.clone(), journal, done)
        .context("starting the thread that writes files")?;
    let mut daemon = Daemon {
        engine,
        datapath: kernel,
        loads: Loads::new(options.clone(), inputs),
        tasks: Tasks::new(messages_sender, folder),
        store,
        replies: Replies::default(),
        events: EventLog::default(),
        ring: Some(ring),
        inputs: Inputs {
            messages,
            requests,
            pages,
            observations,
            kept: kept_outcomes,
            read,
        },
        ask_page,
        arriving: None,
        grace: None,
        stop,
        pulses,
        log,
        checks,
        _server: server,
    };
    // What may still fail comes before anything is attached.
    for interface in &daemon.engine.config().datapath.interfaces {
        daemon.datapath.check(interface).await?;
    }
    let metrics = match metrics {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listening on metrics.listen, {address}"))?,
        ),
        None => None,
    };
    daemon.hear_all().await;
    daemon.engine.attach();
    daemon.carry_out().await;
    if let Some(why) = daemon.engine.attach_failure() {
        bail!("{why}");
    }
    daemon
        .datapath
        .settle(&daemon.engine.config().datapath.interfaces)?;

    for warning in &daemon.engine.config().warnings {
        tracing::warn!("{warning}");
    }
    for trouble in daemon.engine.start_troubles() {
        tracing::warn!("{trouble}");
    }
    if let Some(listener) = metrics {
        let ended = end(stopped);
        tokio::spawn(server::serve_metrics(listener, request_sender, ended));
    }
    Ok(daemon)
}

impl OnKernel {
    /// Waits until every feed has sent its first word, so that the filter begins with
    /// what they say; for none of them longer than its kind may take.
    async fn hear_all(&mut self) {
        let start = Instant::now();
        loop {
            self.carry_out().await;
            let Some(awaited) = self.engine.awaited().into_iter().next() else {
                return;
            };
            let until = start + Duration::from_millis(awaited.patience_ms);
            let heard = timeout_at(until, async {
                tokio::select! {
                    message = self.inputs.messages.recv() => Heard::Message(message),
                    input = self.inputs.read.recv() => Heard::Input(input),
                    kept = self.inputs.kept.recv() => Heard::Kept(kept),
                }
            });
            match heard.await {
                Ok(Heard::Message(Some(message))) => self.take(message),
                Ok(Heard::Input(Some(input))) => self.handle(input),
                Ok(Heard::Kept(Some((ticket, result)))) => {
                    self.handle(Input::Kept { ticket, result });
                }
                Ok(_ended) => return,
                Err(_late) => {
                    tracing::warn!(feed = awaited.name, "the filter starts without this feed");
                    self.engine.go_on_without(awaited.feed);
                }
            }
        }
    }
}

/// What may come while the feeds' first words are awaited.
enum Heard {
    Message(Option<crate::feed::Message>),
    Input(Option<Input>),
    Kept(Option<(u64, Result<(), String>)>),
}

/// What was kept in the state folder.
struct Kept {
    journal: Journal,
    operator: Vec<Claim>,
    files: BTreeMap<File, Recalled>,
    troubles: Vec<String>,
}

impl Kept {
    fn read(folder: &Path, tiers: feed::Tiers) -> Result<Self> {
        let (journal, operator, troubles) = Journal::open(folder, tiers, now().unix)
            .context("opening the journal of the operator's claims")?;
        let mut files = BTreeMap::new();
        for file in File::ALL {
            let recalled = match state_dir::read(folder, file.name()) {
                Ok(None) => continue,
                Ok(Some(content)) => Recalled::Content(content),
                Err(error) => Recalled::Damaged(error.to_string()),
            };
            files.insert(file, recalled);
        }
        Ok(Self {
            journal,
            operator,
            files,
            troubles,
        })
    }
}

/// Does something that may hang in a thread that nobody waits for once a signal ends the
/// start.
async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let outcome = detached(name, work).context("starting a thread")?;
    tokio::select! {
        outcome = outcome => outcome.context("a thread of the start panicked")?,
        _ = terminate.recv() => bail!("a signal ended the start while it read files ({name})"),
        _ = interrupt.recv() => bail!("a signal ended the start while it read files ({name})"),
    }
}

/// Whether this process on this host can filter at all.
fn fit() -> Result<()> {
    host::fitness::supported(&host::fitness::release())?;
    host::fitness::capabilities(root()).context("reading the capabilities")??;
    host::fitness::same_clock(root())?;
    let present = host::interface::interfaces(root()).context("listing the interfaces")?;
    ensure!(!present.is_empty(), "this host has no interfaces");
    Ok(())
}

/// Room for claims, and beyond it for what is protected, now and after a reload.
fn sizes(config: &Config, protected: usize) -> Sizes {
    let beyond = u32::try_from(protected)
        .unwrap_or(u32::MAX)
        .saturating_add(RESERVE);
    Sizes {
        ipv4: config.tables.ipv4.saturating_add(beyond),
        ipv6: config.tables.ipv6.saturating_add(beyond),
        buckets: config.tables.buckets,
    }
}

/// A number that callers don't know: what a new hasher of the standard library makes of
/// nothing.
fn seed() -> u64 {
    RandomState::new().hash_one(())
}

/// Passes on the few words of the kernel's side.
fn follow_kernel_log(kernel: &mut Kernel) {
    let logger = match EbpfLogger::init(kernel.object()) {
        Ok(logger) => logger,
        Err(error) => {
            tracing::warn!(%error, "the kernel side's log can't be read");
            return;
        }
    };
    let Ok(mut logger) = readiness::of(logger) else {
        return;
    };
    tokio::spawn(async move {
        while let Ok(mut ready) = logger.readable_mut().await {
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    });
}

/// Ends when the daemon does.
pub(super) async fn end(mut stopped: watch::Receiver<bool>) {
    // If the daemon is gone without a word, that is an end too.
    let _gone = stopped.wait_for(|stopped| *stopped).await;
}

/// Room in the tables for prefixes that a reload protects.
const RESERVE: u32 = 4096;
