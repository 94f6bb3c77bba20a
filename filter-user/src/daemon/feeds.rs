//! The feeds' tasks, and what is known of each feed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{Daemon, now, slot::Slot};
use crate::{
    claim::{Change, Update},
    config::{self, Config, Kind, tier::Tiers},
    feed::{self, FeedId, Message, News, Refused, Rules},
    ledger::{FeedRules, OPERATOR},
    store::state_dir,
};

/// Every feed at its number; the operator is the first.
pub(super) struct Feeds {
    slots: Vec<Option<Slot>>,
    /// The number of every feed there ever was: a name keeps it, and no other
    /// gets it, so that nothing of a feed that is gone is taken for another's.
    numbers: BTreeMap<String, usize>,
    /// Feeds that the operator has disabled, which is kept across restarts.
    disabled: BTreeSet<String>,
    news: feed::Sender,
}

impl Feeds {
    pub(super) fn new(news: feed::Sender, disabled: Option<&str>) -> Self {
        let disabled = disabled.unwrap_or_default().split_whitespace();
        Self {
            slots: Vec::new(),
            numbers: BTreeMap::new(),
            disabled: disabled.map(ToOwned::to_owned).collect(),
            news,
        }
    }

    pub(super) fn get(&self, feed: FeedId) -> Option<&Slot> {
        self.slots.get(usize::from(feed))?.as_ref()
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
    pub(super) fn configure(&mut self, config: &Config, tiers: &Tiers) {
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        let names = tier_numbers(tiers);
        let all = config.all_feeds();
        let wanted: BTreeSet<_> = all.iter().map(|feed| feed.name.as_str()).collect();
        for slot in self.slots.iter_mut().skip(1) {
            if slot
                .as_ref()
                .is_some_and(|slot| !wanted.contains(slot.name()))
            {
                *slot = None;
            }
        }
        for wanted in &all {
            let next = self.numbers.len() + 1;
            let place = *self.numbers.entry(wanted.name.clone()).or_insert(next);
            if place >= self.slots.len() {
                self.slots.resize_with(place + 1, || None);
            }
            let rules = rules(config, Some(wanted), tiers, &names);
            let slot = &mut self.slots[place];
            match slot {
                Some(slot) if slot.is_as(wanted, &rules) => {}
                _ => {
                    let mut fresh = Slot::new(
                        place as FeedId,
                        wanted,
                        rules,
                        &self.news,
                        &config.daemon.state_dir,
                    );
                    if !self.disabled.contains(&wanted.name) {
                        fresh.start();
                    }
                    *slot = Some(fresh);
                }
            }
        }
    }

    /// The rules of each, at its number.
    pub(super) fn rules(&self) -> Vec<Option<FeedRules>> {
        let operator = FeedRules {
            rank: 0,
            shadow: false,
        };
        let feeds = self.slots.iter().skip(1).map(|slot| {
            slot.as_ref().map(|slot| FeedRules {
                rank: u32::from(slot.config().rank),
                shadow: slot.config().observe,
            })
        });
        std::iter::once(Some(operator)).chain(feeds).collect()
    }

    /// Asks every feed to look again.
    pub(super) fn refresh(&self) {
        for (_, slot) in self.iter() {
            slot.refresh();
        }
    }

    /// Where all feeds come from.
    pub(super) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        let peers = self.iter().flat_map(|(_, slot)| slot.peers());
        peers.copied().filter(|address| !address.is_loopback())
    }

    /// Stops a feed's task, or starts it; and keeps that across restarts.
    pub(super) fn enable(&mut self, feed: FeedId, enabled: bool, folder: &Path) -> io::Result<()> {
        let Some(slot) = self.get_mut(feed) else {
            return Ok(());
        };
        let name = slot.name().to_owned();
        if enabled {
            slot.start();
            self.disabled.remove(&name);
        } else {
            slot.stop();
            self.disabled.insert(name);
        }
        let names: Vec<_> = self.disabled.iter().map(String::as_str).collect();
        if names.is_empty() {
            state_dir::remove(folder, DISABLED)
        } else {
            state_dir::write(folder, DISABLED, &names.join(" "))
        }
    }
}

impl Daemon {
    /// Takes what a feed says.
    pub(super) fn take(&mut self, message: Message) {
        let Message {
            feed,
            news,
            applied: taken,
        } = message;
        let Some(slot) = self.feeds.get_mut(feed) else {
            return;
        };
        if !slot.is_enabled() {
            // It was on its way when the operator disabled the feed.
            return;
        }
        let speaks = matches!(
            news,
            News::Failed { .. } | News::Update { .. } | News::Whole
        );
        match news {
            News::Failed { state, error } => {
                tracing::warn!(
                    feed = slot.name(),
                    error,
                    "the feed can't be read; its last claims stand"
                );
                let fallen_back = slot.failed(state, error);
                if let Some((update, refused)) = fallen_back {
                    let applied = self.ledger.apply(feed, update, now());
                    slot.left_out(refused, &applied);
                    tracing::warn!(added = applied.added, "its last good copy is in force");
                    self.carry_out(&applied.patch);
                }
            }
            News::Restored { claims, held } => {
                let changes = claims.into_iter().map(Change::Claim).collect();
                let applied = self.ledger.apply(feed, Update::Delta(changes), now());
                slot.restored(&applied);
                tracing::info!(
                    feed = slot.name(),
                    added = applied.added,
                    "what the feed said before is in force"
                );
                self.carry_out(&applied.patch);
                let held = self.ledger.apply(feed, Update::Hold(held), now());
                self.carry_out(&held.patch);
            }
            News::Update { update, refused } => self.take_update(feed, update, refused, taken),
            News::Whole => self.say_all(feed),
            News::Notes(notes) => {
                for note in &notes {
                    tracing::warn!(feed = slot.name(), note, "the feed is well, but");
                }
                slot.note(notes);
            }
            News::Peers(peers) => {
                slot.comes_from(peers);
                self.protect_sources();
            }
        }
        if speaks {
            self.heard(feed);
        }
    }

    fn take_update(
        &mut self,
        feed: FeedId,
        update: Update,
        refused: Refused,
        taken: Option<oneshot::Sender<u32>>,
    ) {
        let Some(slot) = self.feeds.get_mut(feed) else {
            return;
        };
        let whole = !matches!(update, Update::Delta(_));
        let was_well = slot.state() == "ok";
        let few = few_changes(&update);
        if let Some(prefixes) = &few {
            tracing::debug!(feed = slot.name(), prefixes, "changes arrive");
        }
        let applied = self.ledger.apply(feed, update, now());
        slot.took(whole, refused, &applied);
        // A stream brings changes thousands of times a second.
        if whole || taken.is_none() || !was_well {
            tracing::info!(
                feed = slot.name(),
                added = applied.added,
                changed = applied.changed,
                withdrawn = applied.withdrawn,
                held = applied.held,
                refused = slot.refused(),
                "took the feed's claims"
            );
        }
        self.carry_out(&applied.patch);
        if let Some(prefixes) = few {
            tracing::debug!(
                feed = self.feeds.name(feed),
                prefixes,
                "changes are in force"
            );
        }
        if let Some(taken) = taken {
            // The feed may have been stopped meanwhile.
            let _gone = taken.send(applied.held);
        }
    }

    /// Waits until every feed has spoken once, well or not, so that the filter
    /// begins with what they say.
    pub(super) async fn hear_all(&mut self) {
        let start = Instant::now();
        loop {
            let silent = self.feeds.iter().find(|(_, slot)| slot.is_awaited());
            let Some((_, slot)) = silent else {
                return;
            };
            let patience = match slot.config().kind {
                Kind::File { .. } | Kind::Policy => FIRST_WORD,
                Kind::Verdicts(_) => FIRST_ANSWER,
            };
            let name = slot.name().to_owned();
            match timeout_at(start + patience, self.news.recv()).await {
                Ok(Some(message)) => self.take(message),
                Ok(None) => return,
                Err(_late) => {
                    tracing::warn!(feed = name, "the filter starts without this feed");
                    if let Some(slot) = self
                        .feeds
                        .number(&name)
                        .and_then(|feed| self.feeds.get_mut(feed))
                    {
                        slot.go_on_without();
                    }
                }
            }
        }
    }
}

/// The prefixes of changes that are few enough to be logged one by one, where
/// somebody wants that.
fn few_changes(update: &Update) -> Option<String> {
    let Update::Delta(changes) = update else {
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

/// The channel that news travel by.
pub(super) fn channel() -> (feed::Sender, mpsc::Receiver<Message>) {
    mpsc::channel(16)
}

/// How claims are read: as those of a feed, or of one that isn't configured.
pub(crate) fn rules_of(config: &Config, feed: Option<&config::Feed>, tiers: &Tiers) -> Rules {
    rules(config, feed, tiers, &tier_numbers(tiers))
}

fn rules(
    config: &Config,
    feed: Option<&config::Feed>,
    tiers: &Tiers,
    names: &feed::Tiers,
) -> Rules {
    let verdict = match feed.map(|feed| &feed.kind) {
        Some(Kind::File { verdict, .. }) => verdict,
        // Neither has bare prefixes.
        Some(Kind::Verdicts(_) | Kind::Policy) | None => &config::Verdict::Block,
    };
    Rules {
        verdict: verdict
            .as_ref()
            .map(|tier| tiers.number(tier).expect("the configuration has the tier")),
        tiers: Arc::clone(names),
        widen_ipv6: feed.map_or(128, |feed| feed.widen_ipv6),
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

/// Changes that are logged one by one.
const FEW: usize = 64;

/// The file in the state folder that keeps which feeds are disabled.
pub(super) const DISABLED: &str = "disabled-feeds";

/// How long the start waits for the first word of a file.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// How long the start waits for the first word of a service, which may be away.
const FIRST_ANSWER: Duration = Duration::from_secs(5);
