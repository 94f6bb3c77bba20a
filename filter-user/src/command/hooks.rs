//! What commands need of the other rooms: the daemon, the configuration and
//! the datapath. The one place where they are wired.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{
    claim::{self, Claim, Update},
    cli,
    config::{self, Config, Kind, Stream, tier::Tiers},
    config_file,
    control::protocol::Verdict,
    daemon,
    datapath::pins,
    feed::{Refused, file, verdicts},
    ledger,
    prefix::Prefix,
};

/// Runs the daemon until it is told to stop.
pub(crate) fn run(options: &cli::Run) -> anyhow::Result<()> {
    daemon::run(options)
}

/// Checks a configuration, and touches nothing. What is wrong is the error; a
/// good one may still have a sentence or two that its writer should know.
pub(crate) fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    let config = config_file::read(path)?;
    config.plan(&Tiers::default())?;
    let mut notes = config.warnings.clone();
    if let Err(error) = config.with(Vec::new(), None) {
        notes.push(error.to_string());
    }
    Ok(notes)
}

/// Takes the filter off where no daemon runs; the interfaces it was taken off.
pub(crate) fn detach_offline(
    config: &Path,
    interface: Option<&str>,
) -> anyhow::Result<Vec<String>> {
    let pins = pins_of(config);
    pins::detach(&pins, interface)
        .with_context(|| format!("taking the filter off by its pins in {}", pins.display()))
}

/// Where the pins are. The emergency exit mustn't depend on a good configuration, nor
/// on one that can be read at all: without it they are at their usual place.
pub(crate) fn pins_of(config: &Path) -> PathBuf {
    let (found, read) = mpsc::channel();
    let config = config.to_owned();
    // A pipe or a hung file system keeps its reader for ever: it is left behind.
    thread::spawn(move || {
        let config = config_file::read(&config).map(|config| config.daemon.pins);
        // The wait for it may be over.
        let _late = found.send(config);
    });
    let config = read.recv_timeout(CONFIG_TIMEOUT);
    config
        .ok()
        .and_then(Result::ok)
        .unwrap_or_else(|| Config::embedded().daemon.pins)
}

/// For reading the configuration before the filter is taken off without a daemon.
const CONFIG_TIMEOUT: Duration = Duration::from_secs(1);

/// What a feed says, and what it would be judged by.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// The configured feed that it was read as.
    pub(crate) feed: Option<String>,
    /// It is a service's stream.
    pub(crate) is_stream: bool,
    pub(crate) claims: Vec<Claim>,
    pub(crate) refused: Refused,
    pub(crate) notes: Vec<String>,
    /// What the configuration protects.
    pub(crate) protected: Vec<Prefix>,
    pub(crate) tiers: Tiers,
}

impl Tried {
    /// Why the ledger wouldn't take a claim on this prefix.
    pub(crate) fn not_taken(&self, prefix: &Prefix) -> Option<String> {
        ledger::never_taken(prefix, &self.protected).map(|fault| {
            ledger::Refusal {
                prefix: *prefix,
                fault,
            }
            .to_string()
        })
    }

    pub(crate) fn spelled(&self, verdict: claim::Verdict) -> Verdict {
        verdict.map(|tier| {
            let name = self.tiers.name(tier);
            name.map_or_else(|| tier.to_string(), ToOwned::to_owned)
        })
    }
}

/// Fetches and reads what would be a feed. Nothing live is touched.
pub(crate) async fn try_feed(test: &cli::FeedTest) -> anyhow::Result<Tried> {
    let mut notes = Vec::new();
    let config = match config_file::read(&test.config) {
        Err(config::Error::Unreadable { .. }) if test.config == Path::new(cli::DEFAULT_CONFIG) => {
            notes.push("there is no configuration: the built-in tiers hold".to_owned());
            Config::embedded()
        }
        read => read.with_context(|| format!("in {}", test.config.display()))?,
    };
    let tiers = config.plan(&Tiers::default())?.tier_names;
    let source = test.source.as_str();
    let is_stream = source.starts_with("https://") || source.starts_with("http://");
    let known = config
        .feeds
        .iter()
        .find(|feed| match (&test.feed, &feed.kind) {
            (Some(name), _) => feed.name == *name,
            (None, Kind::Policy) => false,
            (None, Kind::Verdicts(stream)) => stream.url.as_str() == source,
            (None, Kind::File { path, .. }) => path == Path::new(source),
        });
    if let (Some(name), None) = (&test.feed, known) {
        bail!("there is no feed {name:?} in {}", test.config.display());
    }
    let rules = filter_core::engine::rules_of(&config, known, &tiers);
    let mut tried = Tried {
        feed: known.map(|feed| feed.name.clone()),
        is_stream,
        protected: config.protect.sources.clone(),
        tiers,
        ..Tried::default()
    };
    let (update, refused) = if is_stream {
        let configured = match known.map(|feed| &feed.kind) {
            Some(Kind::Verdicts(stream)) => Some(stream),
            _ => None,
        };
        // A token goes nowhere but where it is configured for, or said.
        let same_place = configured.filter(|stream| stream.url.as_str() == source);
        let stream = Stream::checked(
            source,
            test.token_file
                .clone()
                .or_else(|| same_place?.token_file.clone()),
            test.ca_file.clone().or_else(|| configured?.ca_file.clone()),
        )?;
        let (update, refused, more) = verdicts::ask_once(stream, &rules).await?;
        notes.extend(more);
        (update, refused)
    } else {
        file::read_once(Path::new(source), &rules)?
    };
    if let Update::Snapshot(claims) = update {
        tried.claims = claims;
    }
    tried.refused = refused;
    tried.notes = notes;
    Ok(tried)
}
