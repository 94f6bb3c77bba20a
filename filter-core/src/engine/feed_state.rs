//! A configured feed: what is known of how it does.

use std::net::IpAddr;

use crate::{
    clock::Now,
    config::{self, Kind},
    feed::{FeedId, Refused, Rules},
    ledger::Applied,
};

/// A configured feed.
#[derive(Debug)]
pub struct FeedState {
    number: FeedId,
    config: config::Feed,
    rules: Rules,
    enabled: bool,
    /// When it last reported that it is well.
    well: Option<Now>,
    /// The start waits for its first word.
    awaited: bool,
    /// A word and a sentence.
    failed: Option<(&'static str, String)>,
    notes: Vec<String>,
    peers: Vec<IpAddr>,
    refused: Refused,
    /// What the ledger refused.
    left_out: (u64, Vec<String>),
    updates: Updates,
}

/// How often the feed sent something, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Updates {
    pub(super) snapshots: u64,
    pub(super) deltas: u64,
    /// Claims that were new, that changed, and that were withdrawn.
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) withdrawn: u64,
}

/// How a feed does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Disabled,
    Starting,
    Well,
    /// The word of the kind of failure: `failed`, `unreachable`…
    Failing(&'static str),
}

impl Health {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Starting => "starting",
            Self::Well => "ok",
            Self::Failing(state) => state,
        }
    }
}

impl FeedState {
    pub(super) fn new(number: FeedId, config: &config::Feed, rules: Rules, enabled: bool) -> Self {
        Self {
            number,
            config: config.clone(),
            rules,
            enabled,
            well: None,
            awaited: enabled,
            failed: None,
            notes: Vec::new(),
            peers: Vec::new(),
            refused: Refused::default(),
            left_out: (0, Vec::new()),
            updates: Updates::default(),
        }
    }

    pub(super) const fn enable(&mut self) {
        self.enabled = true;
    }

    /// Forgets how it does: its task has ended.
    pub(super) fn disable(&mut self) {
        self.enabled = false;
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

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> FeedId {
        self.number
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What is configured of it.
    #[must_use]
    pub const fn config(&self) -> &config::Feed {
        &self.config
    }

    /// How its claims are read.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether its task runs.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether it has reported that it is well since its task runs.
    pub(super) const fn has_spoken(&self) -> bool {
        self.well.is_some()
    }

    pub(super) const fn is_awaited(&self) -> bool {
        self.awaited
    }

    pub(super) const fn go_on_without(&mut self) {
        self.awaited = false;
    }

    /// The feed can't be read. Whether that is its first word, and its kind keeps a
    /// last good copy.
    pub(super) fn fail(&mut self, state: &'static str, error: String) -> bool {
        let first_word = self.well.is_none() && self.failed.is_none();
        self.failed = Some((state, error));
        let has_copy = matches!(self.config.kind, Kind::File { .. });
        // The start goes on when the copy was looked for.
        self.awaited &= first_word && has_copy;
        first_word && has_copy
    }

    /// Claims of before are in force again; itself it hasn't reported yet.
    pub(super) fn restored(&mut self, refused: Refused, applied: &Applied) {
        self.awaited = false;
        self.left_out(refused, applied);
    }

    pub(super) fn took(&mut self, whole: bool, refused: Refused, applied: &Applied, now: Now) {
        self.awaited = false;
        self.well = Some(now);
        self.failed = None;
        self.updates.added += u64::from(applied.added);
        self.updates.changed += u64::from(applied.changed);
        self.updates.withdrawn += u64::from(applied.withdrawn);
        let is_file = matches!(self.config.kind, Kind::File { .. });
        if whole || is_file {
            // A file reports with each change what of its whole is refused.
            self.updates.snapshots += u64::from(whole);
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
        let room = SHOWN.saturating_sub(self.refused.first.len());
        self.refused.first.extend(fresh.into_iter().take(room));
    }

    fn left_out(&mut self, refused: Refused, applied: &Applied) {
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

    pub(super) fn peers(&self) -> &[IpAddr] {
        &self.peers
    }

    pub(super) const fn health(&self) -> Health {
        match (self.enabled, &self.failed, self.well) {
            (false, _, _) => Health::Disabled,
            (_, Some((state, _)), _) => Health::Failing(state),
            (_, None, None) => Health::Starting,
            (_, None, Some(_)) => Health::Well,
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

    /// Seconds since it reported that it is well.
    pub(super) fn age_seconds(&self, now: Now) -> Option<u64> {
        self.well
            .map(|well| now.boot_ms.saturating_sub(well.boot_ms) / 1_000)
    }

    /// When it last reported that it is well, in Unix seconds.
    pub(super) fn heard_at(&self) -> Option<u64> {
        self.well.map(|well| u64::from(well.unix))
    }

    pub(super) const fn updates(&self) -> Updates {
        self.updates
    }

    /// How many of its claims were refused.
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

/// Refusals that are shown one by one.
const SHOWN: usize = 10;
