//! A configured feed: its task, and what is known of how it does.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::copy::{LastGood, stream_copy};
use crate::{
    claim::Update,
    config::{self, Kind},
    control::protocol::FeedDetails,
    feed::{self, FeedId, Refused, Rules, verdicts::Wishes},
    host::clock,
    ledger::Applied,
};

/// A configured feed.
pub(super) struct Slot {
    number: FeedId,
    config: config::Feed,
    rules: Rules,
    news: feed::Sender,
    /// The state folder.
    folder: PathBuf,
    /// `None`: the feed is disabled.
    task: Option<Task>,
    /// When it last said that it is well, and that in Unix seconds.
    well: Option<(Instant, u64)>,
    /// Somebody waits for its first word.
    awaited: bool,
    /// A word and a sentence.
    failed: Option<(&'static str, String)>,
    notes: Vec<String>,
    peers: Vec<IpAddr>,
    refused: Refused,
    /// What the ledger didn't take.
    left_out: (u64, Vec<String>),
    updates: Updates,
    /// Who waits for its next word.
    waiting: Vec<oneshot::Sender<FeedDetails>>,
}

/// How often the feed said something, and how much.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Updates {
    /// Its whole word.
    pub(super) wholes: u64,
    /// What has changed.
    pub(super) deltas: u64,
    /// Claims that were new by then, that said something else, and that were gone.
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) withdrawn: u64,
}

/// What runs for a feed; it ends when this is dropped.
struct Task {
    handle: JoinHandle<()>,
    wishes: Arc<Wishes>,
    /// A file's.
    last_good: Option<LastGood>,
}

impl Slot {
    /// A feed that is disabled.
    pub(super) fn new(
        number: FeedId,
        config: &config::Feed,
        rules: Rules,
        news: &feed::Sender,
        folder: &Path,
    ) -> Self {
        Self {
            number,
            config: config.clone(),
            rules,
            news: news.clone(),
            folder: folder.to_owned(),
            task: None,
            well: None,
            awaited: false,
            failed: None,
            notes: Vec::new(),
            peers: Vec::new(),
            refused: Refused::default(),
            left_out: (0, Vec::new()),
            updates: Updates::default(),
            waiting: Vec::new(),
        }
    }

    /// Starts its task, if it doesn't run.
    pub(super) fn start(&mut self) {
        if self.task.is_some() {
            return;
        }
        let wishes = Arc::new(Wishes::default());
        let (rules, news) = (self.rules.clone(), self.news.clone());
        let (handle, last_good) = match &self.config.kind {
            Kind::File { path, .. } => {
                let refresh: Arc<Notify> = Arc::clone(&wishes.refresh);
                let last_good = LastGood::new(&self.folder, &self.config.name, path, &rules);
                let watch = feed::file::watch(path.clone(), rules, self.number, news, refresh);
                (tokio::spawn(watch), Some(last_good))
            }
            Kind::Verdicts(stream) => {
                let copy = stream_copy(&self.folder, &self.config.name, stream);
                let follow = feed::verdicts::follow(
                    stream.clone(),
                    rules,
                    copy,
                    self.number,
                    news,
                    Arc::clone(&wishes),
                );
                (tokio::spawn(follow), None)
            }
            Kind::Policy => {
                let refresh = Arc::clone(&wishes.refresh);
                let follow = feed::policy::follow(self.number, news, refresh);
                (tokio::spawn(follow), None)
            }
        };
        self.awaited = true;
        self.task = Some(Task {
            handle,
            wishes,
            last_good,
        });
    }

    /// Ends its task. What it said is for others to withdraw.
    pub(super) fn stop(&mut self) {
        self.task = None;
        (self.well, self.awaited, self.failed) = (None, false, None);
        self.notes.clear();
        self.peers.clear();
        self.refused = Refused::default();
        self.left_out = (0, Vec::new());
    }

    /// Whether it is as a configuration wants it.
    pub(super) fn is_as(&self, wanted: &config::Feed, rules: &Rules) -> bool {
        self.config == *wanted && self.rules.tiers == rules.tiers
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) const fn config(&self) -> &config::Feed {
        &self.config
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.task.is_some()
    }

    /// Asks the feed to look again.
    pub(super) fn refresh(&self) {
        if let Some(task) = &self.task {
            task.wishes.refresh.notify_one();
        }
    }

    /// The same, and to believe its whole word also in what it leaves out.
    pub(super) fn accept(&self) {
        if let Some(task) = &self.task {
            task.wishes.accept.store(true, Ordering::Relaxed);
        }
        self.refresh();
    }

    /// Tells this one when the feed has spoken next.
    pub(super) fn await_word(&mut self, waiting: oneshot::Sender<FeedDetails>) {
        self.waiting.push(waiting);
    }

    /// Who waits, for whom the word has come.
    pub(super) fn waiting(&mut self) -> Vec<oneshot::Sender<FeedDetails>> {
        std::mem::take(&mut self.waiting)
    }

    /// Whether the feed hasn't spoken yet.
    pub(super) const fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// Nobody waits for its first word any more.
    pub(super) const fn go_on_without(&mut self) {
        self.awaited = false;
    }

    /// The feed can't be read. If it couldn't be even once, its last good copy is
    /// what holds.
    pub(super) fn failed(
        &mut self,
        state: &'static str,
        error: String,
    ) -> Option<(Update, Refused)> {
        let first_word = self.well.is_none() && self.failed.is_none();
        self.awaited = false;
        self.failed = Some((state, error));
        let last_good = self.task.as_ref()?.last_good.as_ref()?;
        first_word.then(|| last_good.read()).flatten()
    }

    /// What the feed said before is in force again; itself it hasn't spoken yet.
    pub(super) fn restored(&mut self, applied: &Applied) {
        self.awaited = false;
        self.left_out(Refused::default(), applied);
    }

    pub(super) fn took(&mut self, whole: bool, refused: Refused, applied: &Applied) {
        self.awaited = false;
        self.well = Some((Instant::now(), clock::unix_seconds()));
        self.failed = None;
        self.updates.added += u64::from(applied.added);
        self.updates.changed += u64::from(applied.changed);
        self.updates.withdrawn += u64::from(applied.withdrawn);
        if let Some(Task {
            last_good: Some(last_good),
            ..
        }) = &self.task
        {
            last_good.changed();
        }
        let is_file = matches!(self.config.kind, Kind::File { .. });
        if whole || is_file {
            // A file says with each change what of its whole isn't taken.
            self.updates.wholes += u64::from(whole);
            self.updates.deltas += u64::from(!whole);
            self.left_out(refused, applied);
            return;
        }
        self.updates.deltas += 1;
        // What a stream's changes bring comes on top of its whole word's.
        let mut fresh = refused.first;
        fresh.extend(applied.refused.first.iter().map(ToString::to_string));
        self.refused.count += refused.count;
        self.refused.masked += refused.masked;
        self.left_out.0 += u64::from(applied.refused.count);
        let room = TOLD.saturating_sub(self.refused.first.len());
        self.refused.first.extend(fresh.into_iter().take(room));
    }

    /// What of its claims wasn't taken.
    pub(super) fn left_out(&mut self, refused: Refused, applied: &Applied) {
        self.refused = refused;
        let first = applied.refused.first.iter();
        self.left_out = (
            u64::from(applied.refused.count),
            first.map(ToString::to_string).collect(),
        );
    }

    pub(super) fn note(&mut self, notes: Vec<String>) {
        self.notes = notes;
    }

    pub(super) fn comes_from(&mut self, peers: Vec<IpAddr>) {
        self.peers = peers;
    }

    /// Where it comes from.
    pub(super) fn peers(&self) -> &[IpAddr] {
        &self.peers
    }

    /// `disabled`, `starting`, `ok`, or what is wrong in a word: `failed` with a
    /// file, and what [`Trouble`](feed::verdicts::Trouble) calls it with a
    /// service.
    pub(super) const fn state(&self) -> &'static str {
        match (&self.task, &self.failed, self.well) {
            (None, _, _) => "disabled",
            (_, Some((state, _)), _) => state,
            (_, None, None) => "starting",
            (_, None, Some(_)) => "ok",
        }
    }

    /// What is wrong, in a sentence.
    pub(super) fn error(&self) -> Option<&String> {
        self.failed.as_ref().map(|(_state, error)| error)
    }

    /// What is doubtful though it works.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn age(&self) -> Option<Duration> {
        self.well.map(|(well, _)| well.elapsed())
    }

    /// When it last said that it is well, in Unix seconds.
    pub(super) fn heard_at(&self) -> Option<u64> {
        self.well.map(|(_, unix)| unix)
    }

    pub(super) const fn updates(&self) -> Updates {
        self.updates
    }

    /// How many of its claims weren't taken.
    pub(super) const fn refused(&self) -> u64 {
        self.refused.count + self.left_out.0
    }

    /// Why, for the first of them.
    pub(super) fn refusals(&self) -> Vec<String> {
        self.refused
            .first
            .iter()
            .chain(&self.left_out.1)
            .cloned()
            .collect()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Refusals that are told one by one.
const TOLD: usize = 10;
