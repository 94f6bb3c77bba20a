//! From nothing to a running daemon, in the order in which it can fail without
//! harm: nothing is attached before everything else is in place.

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use aya_log::EbpfLogger;
use filter_common::settings::Mode;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

use super::{
    Daemon, ModeFrom, Troubles, attack, checks,
    feeds::{self, Feeds, tier_numbers},
    keeper::Keeper,
    now,
    policing::{self, Policing},
    readiness,
};
use crate::{
    claim::{Change, Update},
    cli,
    config::{self, Config, tier::Tiers},
    config_file,
    control::{eventlog::EventLog, peer, server, socket},
    datapath::{
        Datapath as _, Sizes,
        attach::{attach, check},
        kernel::Kernel,
        pins::Pins,
    },
    host,
    ledger::{Capacity, Ledger, OPERATOR, Rules},
    plan::Plan,
    prefix::Prefix,
    pulse::Pulses,
    store::{Journal, state_dir},
    worker_thread::WorkerThread,
};

/// Builds the daemon and attaches the filter.
pub(super) async fn start(options: &cli::Run, pulses: &Pulses) -> Result<Daemon> {
    let config = read(options)?;
    fit(&config)?;
    let folder = &config.daemon.state_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making daemon.state_dir, {}", folder.display()))?;
    // First of all what keeps two daemons apart.
    let pins = Pins::open(&config.daemon.pins)?;
    let control = socket::bind(&config.daemon.control)?;
    let rules = peer::Rules::of(&config.daemon.control).context("looking at the control socket")?;

    let mut troubles = Troubles::default();
    let attack = attack::recall(folder, &mut troubles.start)?;
    let plan = attack::plan(&config, &Tiers::default(), attack.as_ref())?;
    let mut settings = plan.settings;
    let (mode, mode_from) = mode(options, &config)?;
    settings.mode = mode as u8;

    let protected = protected(&config);
    let mut kernel = Kernel::load_pinned(
        &sizes(&config, &protected),
        Some(&folder.join("verifier.log")),
        Some(&pins.staging()?),
    )?;
    kernel.configure(&plan)?;
    let ring = readiness::of(kernel.take_events()?).context("waiting for events")?;
    follow_kernel_log(&mut kernel);

    let (journal, said, warnings) =
        Journal::open(folder, tier_numbers(&plan.tier_names), now().unix)
            .context("opening what the operator said before")?;
    troubles.start.extend(warnings);
    let (news_sender, news) = feeds::channel();
    let disabled =
        state_dir::read(folder, feeds::DISABLED).context("reading which feeds are disabled")?;
    let mut feeds = Feeds::new(news_sender, disabled.as_deref());
    feeds.configure(&config, &plan.tier_names);
    let mut ledger = Ledger::new(Capacity {
        ipv4: config.tables.ipv4,
        ipv6: config.tables.ipv6,
    });
    let begun = ledger.configure(self::rules(feeds.rules(), protected, &plan), now());
    let changes = said.into_iter().map(Change::Claim).collect();
    let kept = ledger.apply(OPERATOR, Update::Delta(changes), now());
    for refusal in &kept.refused.first {
        troubles
            .start
            .push(format!("of what the operator said before, {refusal}"));
    }

    let policing = Policing::start(&config, &plan, &mut troubles.start);
    let (request_sender, requests) = mpsc::channel(64);
    let (ask_page, pages) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    let ended = end(stopped.clone());
    let server = server::serve(control, request_sender.clone(), rules, ended);
    // Threads that run wait for `stop`, so nothing may fail behind them without
    // a word to them; and what is likely to fail comes first.
    let (checks, observations) = checks::start(&config, &stopped, pulses).await?;
    let server = WorkerThread::run(pulses.register("control"), server).inspect_err(|_error| {
        let _ended = stop.send(true);
    })?;
    let mut daemon = Daemon {
        options: options.clone(),
        peers: Vec::new(),
        attack,
        ledger,
        kernel,
        settings,
        mode_from,
        pins,
        attached: Vec::new(),
        feeds,
        keeper: Keeper::new(folder.clone(), journal)?,
        events: EventLog::default(),
        wall_ahead: i64::from(now().unix) - i64::from(now().boot),
        troubles,
        news,
        requests,
        pages,
        observations,
        policing,
        truth: policing::truth(),
        ask_page,
        ring,
        grace: None,
        stop,
        checks,
        _server: server,
        plan,
        config,
    };
    // What may still fail comes before anything is attached.
    for interface in &daemon.config.datapath.interfaces {
        check(&daemon.pins, interface).await?;
    }
    let metrics = match daemon.config.metrics.listen {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listening on metrics.listen, {address}"))?,
        ),
        None => None,
    };
    daemon.put_settings();
    daemon.carry_out(&begun.patch);
    daemon.carry_out(&kept.patch);
    daemon.hear_all().await;
    daemon.protect_peers();
    daemon.attach_all_or_nothing().await?;

    for warning in daemon.config.warnings.iter().chain(&daemon.troubles.start) {
        tracing::warn!("{warning}");
    }
    if let Some(listener) = metrics {
        let ended = end(stopped);
        tokio::spawn(server::serve_metrics(listener, request_sender, ended));
    }
    Ok(daemon)
}

impl Daemon {
    /// Attaches to every interface; where one refuses, to none that the filter
    /// wasn't on before.
    async fn attach_all_or_nothing(&mut self) -> Result<()> {
        let before = self.pins.interfaces()?;
        let attached = self.attach_all().await;
        if attached.is_err() {
            let interfaces = &self.config.datapath.interfaces;
            for interface in interfaces.iter().filter(|one| !before.contains(one)) {
                self.pins.detach(interface)?;
            }
        }
        attached
    }

    /// Attaches to every interface of the configuration. Interfaces that a
    /// former configuration had are let go.
    async fn attach_all(&mut self) -> Result<()> {
        for layout in self.pins.other_layouts()? {
            tracing::info!(
                layout,
                "another version of weir left its filter in force: it is taken over"
            );
        }
        self.attached.clear();
        for interface in &self.config.datapath.interfaces {
            let wish = self.config.datapath.attach;
            let attached = attach(&mut self.kernel, &self.pins, interface, wish).await?;
            tracing::info!(
                interface,
                attach = attached.attach.name(),
                program = attached.program,
                "the filter is attached"
            );
            self.attached.push(attached);
        }
        for interface in self.pins.interfaces()? {
            if !self.config.datapath.interfaces.contains(&interface) {
                self.pins.detach(&interface)?;
                tracing::info!(
                    interface,
                    "the filter is off: the configuration doesn't name it"
                );
            }
        }
        self.pins.settle(&mut self.kernel)
    }
}

/// The configuration with what the command line says.
pub(super) fn read(options: &cli::Run) -> Result<Config> {
    let path = &options.config;
    let read = match config_file::read(path) {
        Err(config::Error::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::NotFound
                && path == Path::new(cli::DEFAULT_CONFIG)
                && !options.interfaces.is_empty() =>
        {
            tracing::info!("there is no {}: the built-in defaults hold", path.display());
            Config::embedded()
        }
        read => read.with_context(|| format!("in {}", path.display()))?,
    };
    read.with(options.interfaces.clone(), options.mode)
        .with_context(|| format!("in {}", path.display()))
}

/// Whether this process on this host can filter at all.
fn fit(config: &Config) -> Result<()> {
    let root = Path::new("/");
    host::fitness::supported(&host::fitness::release())?;
    host::fitness::capabilities(root).context("reading the capabilities")??;
    let present = host::interface::interfaces(root).context("listing the interfaces")?;
    ensure!(!present.is_empty(), "this host has no interfaces");
    for interface in &config.datapath.interfaces {
        host::interface::exists(interface, &present)?;
    }
    Ok(())
}

/// What was said last counts: the command line of this start, else `weir mode`,
/// which is kept, else the configuration.
fn mode(options: &cli::Run, config: &Config) -> Result<(Mode, ModeFrom)> {
    if let Some(mode) = options.mode {
        return Ok((mode, ModeFrom::CommandLine));
    }
    let kept = state_dir::read(&config.daemon.state_dir, MODE).context("reading the kept mode")?;
    Ok(match kept.as_deref() {
        Some("enforce") => (Mode::Enforce, ModeFrom::WeirMode),
        Some("observe") => (Mode::Observe, ModeFrom::WeirMode),
        _ => (config.datapath.mode, ModeFrom::Configuration),
    })
}

/// Room for claims, and beyond it for what is protected, now and after a reload.
fn sizes(config: &Config, protected: &[Prefix]) -> Sizes {
    let beyond = u32::try_from(protected.len())
        .unwrap_or(u32::MAX)
        .saturating_add(RESERVE);
    Sizes {
        ipv4: config.tables.ipv4.saturating_add(beyond),
        ipv6: config.tables.ipv6.saturating_add(beyond),
        buckets: config.tables.buckets,
    }
}

/// What the ledger settles claims by.
pub(super) fn rules(
    feeds: Vec<Option<crate::ledger::FeedRules>>,
    protected: Vec<Prefix>,
    plan: &Plan,
) -> Rules {
    Rules {
        feeds,
        protected,
        strictness: plan.strictness(),
    }
}

/// The operator's networks, and what the host itself can't do without.
pub(super) fn protected(config: &Config) -> Vec<Prefix> {
    let root = Path::new("/");
    let mut protected = config.protect.sources.clone();
    for (what, found) in [
        ("resolvers", host::route::resolvers(root)),
        ("gateways", host::route::gateways(root)),
    ] {
        match found {
            Ok(addresses) => protected.extend(addresses.into_iter().map(Prefix::of)),
            Err(error) => {
                tracing::warn!(%error, "can't see the host's {what}, so they aren't protected")
            }
        }
    }
    protected.sort();
    protected.dedup();
    protected
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

/// The file in the state folder that keeps the mode.
pub(super) const MODE: &str = "mode";
