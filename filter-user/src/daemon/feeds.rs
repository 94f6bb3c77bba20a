//! The feeds' tasks, and what is known of each feed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{Daemon, copy::LastGood};
use crate::{
    claim::{Update, Verdict},
    config::{self, Config, Kind, tier::Tiers},
    feed::{self, FeedId, News, Refused, Rules},
    ledger::{Applied, FeedRules, OPERATOR},
};

/// Every feed at its number; the operator is the first.
pub(super) struct Feeds {
    slots: Vec<Option<Slot>>,
    /// The number of every feed there ever was: a name keeps it, and no other
    /// gets it, so that nothing of a feed that is gone is taken for another's.
    numbers: BTreeMap<String, usize>,
    news: feed::Sender,
}

/// A configured feed.
pub(super) struct Slot {
    config: config::Feed,
    /// The tiers that its claims may name.
    tiers: feed::Tiers,
    task: JoinHandle<()>,
    refresh: Arc<Notify>,
    /// When it last said that it is well.
    well: Option<Instant>,
    error: Option<String>,
    last_good: LastGood,
    refused: Refused,
    /// What the ledger didn't take.
    left_out: (u64, Vec<String>),
}

impl Feeds {
    pub(super) const fn new(news: feed::Sender) -> Self {
        Self {
            slots: Vec::new(),
            numbers: BTreeMap::new(),
            news,
        }
    }

    pub(super) fn get_mut(&mut self, feed: FeedId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(feed))?.as_mut()
    }

    /// Every configured feed with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FeedId, &Slot)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(feed, slot)| Some((feed, slot.as_ref()?)))
    }

    /// The number of a feed.
    pub(super) fn number(&self, name: &str) -> Option<FeedId> {
        if name == OPERATOR_NAME {
            return Some(OPERATOR);
        }
        self.iter()
            .find(|(_, slot)| slot.name() == name)
            .map(|(feed, _)| feed)
    }

    /// The name of a feed.
    pub(super) fn name(&self, feed: FeedId) -> &str {
        if feed == OPERATOR {
            return OPERATOR_NAME;
        }
        let slot = self.slots.get(usize::from(feed)).and_then(Option::as_ref);
        slot.map_or("?", Slot::name)
    }

    /// Brings the tasks in line with a configuration: a feed keeps its number
    /// and, if nothing about it changed and there are the same tiers, its task.
    /// Gives the rules of each.
    pub(super) fn configure(&mut self, config: &Config, tiers: &Tiers) -> Vec<Option<FeedRules>> {
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        let names = tier_numbers(tiers);
        let wanted: BTreeSet<_> = config.feeds.iter().map(|feed| feed.name.as_str()).collect();
        for slot in self.slots.iter_mut().skip(1) {
            if slot
                .as_ref()
                .is_some_and(|slot| !wanted.contains(slot.name()))
            {
                *slot = None;
            }
        }
        for wanted in &config.feeds {
            let next = self.numbers.len() + 1;
            let place = *self.numbers.entry(wanted.name.clone()).or_insert(next);
            if place >= self.slots.len() {
                self.slots.resize_with(place + 1, || None);
            }
            let rules = rules(config, wanted, tiers, &names);
            let slot = &mut self.slots[place];
            match slot {
                Some(slot) if slot.config == *wanted && slot.tiers == rules.tiers => {}
                _ => {
                    *slot = Some(Slot::start(
                        place as FeedId,
                        wanted,
                        rules,
                        &self.news,
                        &config.daemon.state_dir,
                    ))
                }
            }
        }
        let operator = FeedRules {
            rank: 0,
            shadow: false,
        };
        let feeds = self.slots.iter().skip(1).map(|slot| {
            slot.as_ref().map(|slot| FeedRules {
                rank: u32::from(slot.config.rank),
                shadow: slot.config.observe,
            })
        });
        std::iter::once(Some(operator)).chain(feeds).collect()
    }

    /// Asks every feed to look again.
    pub(super) fn refresh(&self) {
        for (_, slot) in self.iter() {
            slot.refresh.notify_one();
        }
    }
}

impl Slot {
    fn start(
        number: FeedId,
        config: &config::Feed,
        rules: Rules,
        news: &feed::Sender,
        folder: &Path,
    ) -> Self {
        let refresh = Arc::new(Notify::new());
        let Kind::File { path, .. } = &config.kind;
        let last_good = LastGood::new(folder, &config.name, path, &rules);
        let tiers = Arc::clone(&rules.tiers);
        let task = tokio::spawn(feed::file::watch(
            path.clone(),
            rules,
            number,
            news.clone(),
            Arc::clone(&refresh),
        ));
        Self {
            config: config.clone(),
            tiers,
            task,
            refresh,
            well: None,
            error: None,
            last_good,
            refused: Refused::default(),
            left_out: (0, Vec::new()),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) const fn config(&self) -> &config::Feed {
        &self.config
    }

    /// The feed can't be read. If it couldn't be even once, its last good copy is
    /// what holds.
    pub(super) fn failed(&mut self, error: String) -> Option<(Update, Refused)> {
        let first_word = self.state() == "starting";
        self.error = Some(error);
        first_word.then(|| self.last_good.read()).flatten()
    }

    pub(super) fn took(&mut self, refused: Refused, applied: &Applied) {
        self.well = Some(Instant::now());
        self.error = None;
        self.last_good.changed();
        self.left_out(refused, applied);
    }

    /// What of its claims wasn't taken.
    pub(super) fn left_out(&mut self, refused: Refused, applied: &Applied) {
        self.refused = refused;
        self.left_out = (
            u64::from(applied.refused.count),
            applied
                .refused
                .first
                .iter()
                .map(ToString::to_string)
                .collect(),
        );
    }

    /// `starting`, `ok` or `failed`.
    pub(super) const fn state(&self) -> &'static str {
        match (&self.error, self.well) {
            (Some(_), _) => "failed",
            (None, None) => "starting",
            (None, Some(_)) => "ok",
        }
    }

    pub(super) const fn error(&self) -> Option<&String> {
        self.error.as_ref()
    }

    pub(super) fn age(&self) -> Option<Duration> {
        self.well.map(|well| well.elapsed())
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

impl Drop for Slot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Daemon {
    /// Waits until every feed has spoken once, well or not, so that the filter
    /// begins with what they say.
    pub(super) async fn hear_all(&mut self) {
        let deadline = Instant::now() + FIRST_WORD;
        loop {
            let silent = self
                .feeds
                .iter()
                .find(|(_, slot)| slot.state() == "starting");
            let Some(name) = silent.map(|(_, slot)| slot.name().to_owned()) else {
                return;
            };
            match timeout_at(deadline, self.news.recv()).await {
                Ok(Some((feed, news))) => self.take(feed, news),
                Ok(None) | Err(_) => {
                    tracing::warn!(feed = name, "the filter starts without this feed");
                    return;
                }
            }
        }
    }
}

/// The channel that news travel by.
pub(super) fn channel() -> (feed::Sender, mpsc::Receiver<(FeedId, News)>) {
    mpsc::channel(16)
}

fn rules(config: &Config, feed: &config::Feed, tiers: &Tiers, names: &feed::Tiers) -> Rules {
    let Kind::File { verdict, .. } = &feed.kind;
    Rules {
        verdict: match verdict {
            config::Verdict::Allow => Verdict::Allow,
            config::Verdict::Block => Verdict::Block,
            config::Verdict::Limit(tier) => {
                Verdict::Limit(tiers.number(tier).expect("the configuration has the tier"))
            }
        },
        tiers: Arc::clone(names),
        widen_ipv6: feed.widen_ipv6,
        max_claims: config.tables.ipv4 as usize + config.tables.ipv6 as usize,
    }
}

/// The tiers that a claim may name.
pub(super) fn tier_numbers(tiers: &Tiers) -> feed::Tiers {
    let numbers: BTreeMap<_, _> = tiers
        .names()
        .filter_map(|name| Some((name.to_owned(), tiers.number(name)?)))
        .collect();
    Arc::new(numbers)
}

/// The name of feed 0.
pub(super) const OPERATOR_NAME: &str = "operator";

/// How long the start waits for the feeds' first word.
const FIRST_WORD: Duration = Duration::from_secs(30);
