//! What the operator asks of feeds, and does about one.

use tokio::{
    sync::oneshot,
    time::{Duration, timeout},
};

use super::{Daemon, answer::send, feeds::Feeds, now, slot::Slot};
use crate::{
    claim::Update,
    config::Kind,
    control::{
        Reply,
        protocol::{
            FeedAnswer, FeedDetails, FeedOrder, FeedRequest, FeedStatus, FeedsQuery, Refused,
        },
    },
    feed::FeedId,
};

impl Daemon {
    /// What is known of the configured feeds.
    pub(super) fn feeds(&self, query: &FeedsQuery) -> Result<Vec<FeedDetails>, Refused> {
        match &query.feed {
            None => Ok(self
                .feeds
                .iter()
                .map(|(feed, slot)| self.details(feed, slot))
                .collect()),
            Some(name) => {
                let feed = self.configured(name)?;
                let slot = self.feeds.get(feed).expect("it is configured");
                Ok(vec![self.details(feed, slot)])
            }
        }
    }

    /// Does something about a feed, and answers when the feed has spoken, or
    /// doesn't for a while.
    pub(super) fn steer(&mut self, request: &FeedRequest, reply: Reply<FeedAnswer>) {
        let feed = match self.configured(&request.feed) {
            Ok(feed) => feed,
            Err(refused) => return send(reply, Err(refused)),
        };
        let folder = self.config.daemon.state_dir.clone();
        let kept = match request.order {
            FeedOrder::Enable => self.feeds.enable(feed, true, &folder),
            FeedOrder::Disable => self.feeds.enable(feed, false, &folder),
            FeedOrder::Refresh | FeedOrder::Accept => Ok(()),
        };
        let note = kept
            .err()
            .map(|error| format!("so it is now, but it would be forgotten at a restart: {error}"));
        if request.order == FeedOrder::Disable {
            let applied = self.ledger.apply(feed, Update::Snapshot(Vec::new()), now());
            self.carry_out(&applied.patch);
            self.protect_sources();
            tracing::warn!(
                feed = request.feed,
                withdrawn = applied.withdrawn,
                "the operator disabled the feed"
            );
        }
        let slot = self.feeds.get_mut(feed).expect("it is configured");
        match request.order {
            FeedOrder::Refresh | FeedOrder::Accept if !slot.is_enabled() => {
                let sentence = format!("{0} is disabled: weir feed enable {0}", request.feed);
                return send(reply, Err(Refused::new(sentence)));
            }
            FeedOrder::Refresh => slot.refresh(),
            FeedOrder::Accept => slot.accept(),
            FeedOrder::Enable | FeedOrder::Disable => {}
        }
        if request.order == FeedOrder::Disable {
            let answer = FeedAnswer {
                feed: self.details_of(feed),
                heard: true,
                note,
            };
            return send(reply, Ok(answer));
        }
        let (word, heard) = oneshot::channel();
        slot.await_word(word);
        let before = self.details_of(feed);
        tokio::spawn(async move {
            let heard = timeout(PATIENCE, heard).await.ok().and_then(Result::ok);
            let answer = FeedAnswer {
                heard: heard.is_some(),
                feed: heard.unwrap_or(before),
                note,
            };
            send(reply, Ok(answer));
        });
    }

    /// Tells whoever waits for a feed's word that it has come.
    pub(super) fn heard(&mut self, feed: FeedId) {
        let Some(slot) = self.feeds.get_mut(feed) else {
            return;
        };
        let waiting = slot.waiting();
        if waiting.is_empty() {
            return;
        }
        let details = self.details_of(feed);
        for waiting in waiting {
            // Whoever asked may be gone.
            let _gone = waiting.send(details.clone());
        }
    }

    /// A feed as the status has it.
    pub(super) fn feed_status(&self, feed: FeedId, slot: &Slot) -> FeedStatus {
        let counts = self.ledger.counts_of(feed);
        let state = match slot.state() {
            "ok" if counts.held > 0 => "held",
            state => state,
        };
        FeedStatus {
            name: slot.name().to_owned(),
            kind: slot.config().kind.name().to_owned(),
            mode: if slot.config().observe {
                "observe"
            } else {
                "inherit"
            }
            .to_owned(),
            state: state.to_owned(),
            claims: u64::from(counts.claims()),
            refused: slot.refused(),
            refusals: slot.refusals(),
            age_s: slot.age().map(|age| age.as_secs()),
            last_error: slot.error().cloned(),
        }
    }

    /// What is held of a feed, and what to do, in a sentence.
    pub(super) fn held(&self, feed: FeedId, slot: &Slot) -> Option<String> {
        let held = self.ledger.counts_of(feed).held;
        let name = slot.name();
        (held > 0).then(|| {
            format!(
                "its whole word left out {held} claims that were in force, more than half of them: they hold until they end; if it is right, weir feed accept {name}"
            )
        })
    }

    fn details_of(&self, feed: FeedId) -> FeedDetails {
        let slot = self.feeds.get(feed);
        slot.map(|slot| self.details(feed, slot))
            .unwrap_or_default()
    }

    /// All that is known of a feed.
    pub(super) fn details(&self, feed: FeedId, slot: &Slot) -> FeedDetails {
        let counts = self.ledger.counts_of(feed);
        let status = self.feed_status(feed, slot);
        let updates = slot.updates();
        FeedDetails {
            sentence: self.sentence(feed, slot, &status),
            source: match &slot.config().kind {
                Kind::File { path, .. } => path.display().to_string(),
                Kind::Verdicts(stream) => stream.shown(),
                Kind::Policy => "observations".to_owned(),
            },
            rank: slot.config().rank,
            widen_ipv6: slot.config().widen_ipv6,
            blocked: u64::from(counts.blocked),
            limited: u64::from(counts.limited),
            allowed: u64::from(counts.allowed),
            held: u64::from(counts.held),
            snapshots: updates.wholes,
            deltas: updates.deltas,
            added: updates.added,
            changed: updates.changed,
            withdrawn: updates.withdrawn,
            heard_at: slot.heard_at(),
            peers: slot.peers().iter().map(ToString::to_string).collect(),
            notes: slot.notes().to_vec(),
            status,
        }
    }

    fn sentence(&self, feed: FeedId, slot: &Slot, status: &FeedStatus) -> String {
        if let Some(error) = &status.last_error {
            return error.clone();
        }
        if let Some(held) = self.held(feed, slot) {
            return held;
        }
        match slot.state() {
            "disabled" => format!("the operator disabled it: weir feed enable {}", slot.name()),
            "starting" => "it hasn't been heard yet".to_owned(),
            _ if status.refused > 0 => {
                format!(
                    "it is up to date, but {} of its claims were refused",
                    status.refused
                )
            }
            _ => "it is up to date".to_owned(),
        }
    }

    fn configured(&self, name: &str) -> Result<FeedId, Refused> {
        let found = self.feeds.iter().find(|(_, slot)| slot.name() == name);
        found
            .map(|(feed, _)| feed)
            .ok_or_else(|| unknown(&self.feeds, name))
    }
}

fn unknown(feeds: &Feeds, name: &str) -> Refused {
    let known: Vec<_> = feeds.iter().map(|(_, slot)| slot.name()).collect();
    Refused::new(match &known[..] {
        [] => format!("there is no feed {name:?}: none is configured"),
        known => format!("there is no feed {name:?}: there are {}", known.join(", ")),
    })
}

/// How long a feed may take until its word is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(8);
