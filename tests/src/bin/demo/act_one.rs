//! The first act: a verification service learns who shows no genuine proof.
//!
//! An edge host and the net in front of it, each a network namespace. On the
//! host an API of a fixed capacity, the reference verification service, and the
//! real `weir`, which follows it. From the net come genuine clients, and abusers
//! who ask for several times what the API can give. The same flood meets weir
//! twice: in `observe`, before anybody looks at what the callers show to prove
//! themselves, and in `enforce`, where the API asks the verification service,
//! which learns whose proofs fail, and publishes that in its stream.
//!
//! [`cast`] lists the participants, [`stage`] builds the namespaces, [`server`] and
//! [`clients`] are the roles, [`daemon`] is weir, [`way`] follows each claim from
//! the service to the first packet, [`account`] keeps the figures and
//! [`verdict`] judges them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, Interval, interval, timeout_at},
};

use self::{
    account::{Account, Outcome, Span},
    daemon::Daemon,
    process::Role,
    stage::Stage,
    verdict::Figures,
    way::Ways,
};
use crate::{conclude, say};

mod account;
mod cast;
mod clients;
mod daemon;
mod process;
mod server;
mod stage;
mod verdict;
mod way;

pub(crate) use self::cast::Population;

/// Plays it, and takes away all that it made.
pub(crate) fn play() -> Result<()> {
    stage::sweep();
    runtime()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        // Whichever ends first, everything that the act made is dropped with it.
        tokio::select! {
            shown = show() => shown,
            _ = interrupt.recv() => bail!("interrupted; nothing was left behind"),
            _ = terminate.recv() => bail!("terminated; nothing was left behind"),
            _ = hangup.recv() => bail!("hung up on; nothing was left behind"),
        }
    })
}

/// The role of the API: serves until it is killed.
pub(crate) fn serve() -> Result<()> {
    runtime()?.block_on(server::run())
}

/// The role of all clients of one kind: asks until its standard input ends.
pub(crate) fn ask(population: Population, token: Option<String>) -> Result<()> {
    runtime()?.block_on(clients::run(population, token))
}

/// Prints a token of the verification service.
pub(crate) fn token() -> Result<()> {
    runtime()?.block_on(async { say(&server::token().await?) })
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

async fn show() -> Result<()> {
    say(&cast::introduction())?;
    let stage = Stage::build()?;
    // What is declared last is dropped first: the stage outlives everybody on it.
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut server = Role::start(stage.edge("server")?, "the API")?;
    server.ready().await?;
    let mut service = Role::start(daemon::service(&stage)?, "the verification service")?;
    service.ready().await?;
    let token = daemon::token(&stage).await?;
    let mut genuine = Role::start(
        stage.net("clients", &["genuine", &token])?,
        "the genuine clients",
    )?;
    genuine.ready().await?;
    genuine.report_to(sender.clone());
    let daemon = Daemon::start(&stage).await?;
    let mut events = Role::start(daemon.events(&stage), "weir events")?;
    let ways = Ways::follow(service.lines(), events.lines(), daemon.log());
    let mut show = Show::new(receiver, daemon, ways);

    say(verdict::HEAD)?;
    let calm = show.play("calm", CALM).await?;
    let mut abusers = Role::start(stage.net("clients", &["abusers"])?, "the abusers")?;
    abusers.report_to(sender);
    let observe = show.play("observe", OBSERVE).await?;
    let dropped_in_observe = show.daemon.status().await?.dropped;

    say("weir mode enforce, and from now on the API asks the verification service of each caller")?;
    show.daemon.enforce().await?;
    server.tell().await?;
    let learning = show.play("learning", LEARN).await?;
    show.daemon.holds(cast::ABUSERS.into()).await?;
    let before = show.daemon.status().await?;
    let enforce = show.play("enforce", ENFORCE).await?;
    let after = show.daemon.status().await?;

    // Each request that was begun is accounted for before anything is claimed.
    genuine.finish();
    abusers.finish();
    show.rest().await?;
    let figures = Figures {
        spans: [calm, observe, learning, enforce]
            .map(|(name, span)| (name, show.account.phase(span))),
        dropped_in_observe,
        dropped_in_enforce: after.dropped - before.dropped,
        status: after,
        explained: show.daemon.explain_cast().await?,
        ways: show.ways.complete(),
    };
    // It follows the daemon, which ends next.
    drop(events);
    say(&figures.table())?;
    conclude("the first act", &figures.claims())
}

/// The act's course: requests that end, and seconds that pass.
struct Show {
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    account: Account,
    daemon: Daemon,
    ways: Ways,
    seconds: Interval,
    began: u64,
}

impl Show {
    fn new(outcomes: mpsc::UnboundedReceiver<Outcome>, daemon: Daemon, ways: Ways) -> Self {
        Self {
            outcomes,
            account: Account::default(),
            daemon,
            ways,
            seconds: interval(Duration::from_secs(1)),
            began: account::now(),
        }
    }

    /// Keeps the account for so long, with a line each second.
    async fn play(&mut self, name: &'static str, length: Duration) -> Result<(&'static str, Span)> {
        let from = account::now();
        let end = Instant::now() + length;
        self.seconds.reset();
        loop {
            tokio::select! {
                outcome = self.outcomes.recv() => self.account.add(outcome.context("the clients are gone")?),
                _ = self.seconds.tick() => {
                    let now = account::now();
                    let second = self.account.ended(Span { from: now.saturating_sub(1_000_000), to: now });
                    let dropped = self.daemon.status().await?.dropped;
                    say(&verdict::line((now - self.began) / 1_000_000, name, &second, dropped))?;
                    for way in self.ways.news() {
                        say(&way.to_string())?;
                    }
                    if Instant::now() + Duration::from_millis(500) > end {
                        return Ok((name, Span { from, to: now }));
                    }
                }
            }
        }
    }

    /// Waits for the requests that are still on their way.
    async fn rest(&mut self) -> Result<()> {
        let end = Instant::now() + cast::PATIENCE * 2;
        loop {
            match timeout_at(end, self.outcomes.recv()).await {
                Ok(Some(outcome)) => self.account.add(outcome),
                Ok(None) => return Ok(()),
                Err(_) => bail!("the clients didn't end within {:?}", cast::PATIENCE * 2),
            }
        }
    }
}

/// The time that the API is shown without abusers.
const CALM: Duration = Duration::from_secs(3);
/// The time that the flood meets a weir that only counts.
const OBSERVE: Duration = Duration::from_secs(8);
/// The time that the service may take to learn, and that calls which the API had
/// already accepted may take to end.
const LEARN: Duration = Duration::from_secs(5);
/// The time that the flood meets a weir that drops.
const ENFORCE: Duration = Duration::from_secs(10);
