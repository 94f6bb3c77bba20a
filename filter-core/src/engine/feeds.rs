//! The feeds: what they send, and what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    Effect, Engine, RequestId,
    feed_state::{FeedState, Health},
};
use crate::{
    claim::{Change, Update, Verdict},
    clock::Now,
    config::{
        self, Config, Kind,
        feed::{ENFORCED, SHADOW},
        tier::Tiers,
    },
    feed::{self, FeedId, News, Refused, Rules},
    ledger::{FeedRules, OPERATOR},
    protocol::{Answer, FeedAnswer},
};

/// Every feed at its number; the operator is the first.
#[derive(Debug)]
pub(super) struct Feeds {
    slots: Vec<Option<FeedState>>,
    /// The number of every feed there ever was: a name keeps it, and no other gets it,
    /// so that nothing of a feed that is gone is taken for another's.
    numbers: BTreeMap<String, FeedId>,
    /// Feeds that the operator has disabled, which is kept across restarts.
    pub(super) disabled: BTreeSet<String>,
}

/// A feed whose first word the start waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Its number.
    pub feed: FeedId,
    /// Its name.
    pub name: String,
    /// How long the start waits, in milliseconds.
    pub patience_ms: u64,
}

/// A client that waits for a feed's next word.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: RequestId,
    pub(super) feed: FeedId,
    /// When it is answered without it, in milliseconds since boot.
    pub(super) until: u64,
    pub(super) note: Option<String>,
}

impl Feeds {
    pub(super) fn new(disabled: impl IntoIterator<Item = String>) -> Self {
        Self {
            slots: vec![None],
            numbers: BTreeMap::new(),
            disabled: disabled.into_iter().collect(),
        }
    }

    pub(super) fn get(&self, feed: FeedId) -> Option<&FeedState> {
        self.slots.get(usize::from(feed))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, feed: FeedId) -> Option<&mut FeedState> {
        self.slots.get_mut(usize::from(feed))?.as_mut()
    }

    /// Every configured feed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FeedState> {
        self.slots.iter().flatten()
    }

    /// The numbers of the feeds whose tasks run.
    pub(super) fn enabled(&self) -> Vec<FeedId> {
        let running = self.iter().filter(|feed| feed.is_enabled());
        running.map(FeedState::number).collect()
    }

    /// The number of a feed.
    pub(super) fn number(&self, name: &str) -> Option<FeedId> {
        if name == OPERATOR_NAME {
            return Some(OPERATOR);
        }
        let mut feeds = self.iter();
        feeds
            .find(|feed| feed.name() == name)
            .map(FeedState::number)
    }

    /// The name of a feed.
    pub(super) fn name(&self, feed: FeedId) -> &str {
        if feed == OPERATOR {
            return OPERATOR_NAME;
        }
        self.get(feed).map_or("?", FeedState::name)
    }

    pub(super) fn is_policys(&self, feed: FeedId) -> bool {
        self.get(feed)
            .is_some_and(|feed| feed.config().kind == Kind::Policy)
    }

    /// Brings the feeds in line with a configuration: a feed keeps its number and, if
    /// nothing about it changed and there are the same tiers, its task.
    pub(super) fn configure(&mut self, config: &Config, tiers: &Tiers) -> Vec<Effect> {
        let mut effects = Vec::new();
        let names = tier_numbers(tiers);
        let all = config.all_feeds();
        let wanted: BTreeSet<_> = all.iter().map(|feed| feed.name.as_str()).collect();
        for slot in &mut self.slots {
            if let Some(gone) = slot.take_if(|slot| !wanted.contains(slot.name()))
                && gone.is_enabled()
            {
                effects.push(Effect::Stop {
                    feed: gone.number(),
                });
            }
        }
        for wanted in &all {
            let next = self.numbers.len() as FeedId + 1;
            let number = *self.numbers.entry(wanted.name.clone()).or_insert(next);
            let place = usize::from(number);
            if place >= self.slots.len() {
                self.slots.resize_with(place + 1, || None);
            }
            let rules = rules(config, Some(wanted), tiers, &names);
            let slot = &mut self.slots[place];
            match slot {
                Some(slot) if slot.is_as(wanted, &rules) => {}
                _ => {
                    if slot.as_ref().is_some_and(FeedState::is_enabled) {
                        effects.push(Effect::Stop { feed: number });
                    }
                    let enabled = !self.disabled.contains(&wanted.name);
                    let fresh = FeedState::new(number, wanted, rules, enabled);
                    if enabled {
                        effects.push(start(&fresh));
                    }
                    *slot = Some(fresh);
                }
            }
        }
        effects
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

    /// Where all feeds come from.
    pub(super) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        let peers = self.iter().flat_map(FeedState::peers);
        peers.copied().filter(|address| !address.is_loopback())
    }
}

pub(super) fn start(feed: &FeedState) -> Effect {
    Effect::Start {
        feed: feed.number(),
        config: Box::new(feed.config().clone()),
        rules: Box::new(feed.rules().clone()),
    }
}

impl Engine {
    /// Takes what a feed's task sends.
    pub(super) fn news(&mut self, feed: FeedId, news: News, now: Now) {
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
                if slot.fail(state, error) {
                    self.effects.push_back(Effect::Recall { feed });
                }
            }
            News::Recalled(None) => slot.go_on_without(),
            // The feed may have spoken while its copy was read.
            News::Recalled(Some(_)) if slot.has_spoken() => {}
            News::Recalled(Some((update, refused))) => {
                let applied = self.ledger.apply(feed, update, now);
                slot.restored(refused, &applied);
                tracing::warn!(added = applied.added, "its last good copy is in force");
                self.apply(applied.patch, None, now);
            }
            News::Restored { claims, held } => {
                let changes = claims.into_iter().map(Change::Claim).collect();
                let applied = self.ledger.apply(feed, Update::Delta(changes), now);
                slot.restored(Refused::default(), &applied);
                tracing::info!(
                    feed = slot.name(),
                    added = applied.added,
                    "the feed's claims of before are in force"
                );
                self.apply(applied.patch, None, now);
                let held = self.ledger.apply(feed, Update::Hold(held), now);
                self.apply(held.patch, None, now);
            }
            News::Update { update, refused } => self.update(feed, update, refused, now),
            News::Whole => self.say_all(feed, now),
            News::Notes(notes) => {
                for note in &notes {
                    tracing::warn!(feed = slot.name(), note, "the feed is well, but");
                }
                slot.note(notes);
            }
            News::Peers(peers) => {
                slot.comes_from(peers);
                self.protect_sources(now);
            }
        }
        if speaks {
            self.heard(feed, now);
        }
    }

    fn update(&mut self, feed: FeedId, update: Update, refused: Refused, now: Now) {
        let Some(slot) = self.feeds.get_mut(feed) else {
            return;
        };
        let whole = !matches!(update, Update::Delta(_));
        let was_well = slot.health() == Health::Well;
        let applied = self.ledger.apply(feed, update, now);
        slot.took(whole, refused, &applied, now);
        // A stream brings changes thousands of times a second.
        if whole || !was_well {
            tracing::info!(
                feed = slot.name(),
                added = applied.added,
                changed = applied.changed,
                withdrawn = applied.withdrawn,
                held = applied.held,
                refused = slot.refused(),
                "the feed's claims are applied"
            );
        }
        if matches!(slot.config().kind, Kind::File { .. }) {
            self.effects.push_back(Effect::KeepCopy { feed });
        }
        let held = applied.held;
        self.apply(applied.patch, None, now);
        // The task may keep it, and ask for more.
        self.effects.push_back(Effect::Applied { feed, held });
    }

    /// Protects where the feeds come from, as far as that isn't so yet.
    pub(super) fn protect_sources(&mut self, now: Now) {
        let rules = self.ledger_rules();
        let applied = self.ledger.configure(rules, now);
        self.apply(applied.patch, None, now);
    }

    /// Answers the clients that wait for a feed's word.
    fn heard(&mut self, feed: FeedId, now: Now) {
        let (come, wait) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one: &Waiting| one.feed == feed);
        self.waiting = wait;
        self.answer_waiting(come, true, now);
    }

    /// Answers the clients whose feed takes too long.
    pub(super) fn pass_waiting(&mut self, now: Now) {
        if self.waiting.iter().all(|one| one.until > now.boot_ms) {
            return;
        }
        let (late, wait) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one: &Waiting| one.until <= now.boot_ms);
        self.waiting = wait;
        self.answer_waiting(late, false, now);
    }

    fn answer_waiting(&mut self, waiting: Vec<Waiting>, heard: bool, now: Now) {
        for one in waiting {
            let answer = FeedAnswer {
                feed: self.details_of(one.feed, now),
                heard,
                note: one.note,
            };
            self.answer(one.id, Ok(Answer::Feed(answer)));
        }
    }

    /// The feeds whose first word the start still waits for.
    #[must_use]
    pub fn awaited(&self) -> Vec<Awaited> {
        let awaited = self.feeds.iter().filter(|feed| feed.is_awaited());
        awaited
            .map(|feed| Awaited {
                feed: feed.number(),
                name: feed.name().to_owned(),
                patience_ms: match feed.config().kind {
                    Kind::File { .. } | Kind::Policy => FIRST_WORD_TIMEOUT_MS,
                    Kind::Verdicts(_) => FIRST_ANSWER_TIMEOUT_MS,
                },
            })
            .collect()
    }

    /// The start doesn't wait for this feed any more.
    pub fn go_on_without(&mut self, feed: FeedId) {
        if let Some(slot) = self.feeds.get_mut(feed) {
            slot.go_on_without();
        }
    }

    /// A feed by its number.
    #[must_use]
    pub fn feed(&self, feed: FeedId) -> Option<&FeedState> {
        self.feeds.get(feed)
    }

    pub(super) fn policys_feeds(&self) -> [Option<FeedId>; 2] {
        [ENFORCED, SHADOW].map(|name| self.feeds.number(name))
    }
}

/// How claims are read: as those of a feed, or of one that isn't configured.
#[must_use]
pub fn rules_of(config: &Config, feed: Option<&config::Feed>, tiers: &Tiers) -> Rules {
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
        verdict: match verdict {
            config::Verdict::Allow => Verdict::Allow,
            config::Verdict::Block => Verdict::Block,
            config::Verdict::Limit(tier) => {
                Verdict::Limit(tiers.number(tier).expect("the configuration has the tier"))
            }
        },
        tiers: Arc::clone(names),
        widen_ipv6: feed.map_or(128, |feed| feed.widen_ipv6),
        max_claims: config.tables.ipv4 as usize + config.tables.ipv6 as usize,
    }
}

/// The tiers that a claim may name.
#[must_use]
pub fn tier_numbers(tiers: &Tiers) -> feed::Tiers {
    let numbers: BTreeMap<_, _> = tiers
        .names()
        .filter_map(|name| Some((name.to_owned(), tiers.number(name)?)))
        .collect();
    Arc::new(numbers)
}

/// The name of feed 0.
pub const OPERATOR_NAME: &str = "operator";

/// Milliseconds that the start waits for the first word of a file.
const FIRST_WORD_TIMEOUT_MS: u64 = 30_000;

/// Milliseconds that the start waits for the first word of a service, which may be away.
const FIRST_ANSWER_TIMEOUT_MS: u64 = 5_000;
