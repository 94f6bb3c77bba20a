//! The operator's orders about feeds, interfaces and sources: `weir feed`, `detach`,
//! `forgive`.

use filter_common::{cause::Cause, settings::Mode, source::Family};

use super::{Effect, Engine, File, Pending, RequestId, feed_state::FeedState, feeds, kept::Then};
use crate::{
    claim::Update,
    clock::Now,
    config::{
        Kind,
        feed::{ENFORCED, SHADOW},
    },
    datapath::Counts,
    feed::FeedId,
    prefix::{Prefix, Written},
    protocol::{
        Answer, DetachAnswer, DetachRequest, FeedAnswer, FeedDetails, FeedOrder, FeedRequest,
        FeedStatus, FeedsQuery, ForgiveAnswer, ForgiveRequest, LiftedVerdict, Refused,
    },
};

/// The traffic so far, as far as it tells who is in front of this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets to guarded ports.
    pub packets: u64,
    /// Lines of the table of buckets that hold something: while they are few, one a
    /// source, service and tier.
    pub sources: u64,
}

impl Traffic {
    /// The traffic of these counters.
    #[must_use]
    pub fn of(counts: &Counts) -> Self {
        let rated = Cause::ALL
            .into_iter()
            .filter(|cause| cause.is_over() || *cause == Cause::Conforming);
        Self {
            packets: rated
                .map(|cause| counts.causes[cause as usize].packets())
                .sum(),
            sources: counts.buckets.begun,
        }
    }
}

/// A sentence if few sources carry most of the traffic: then a CDN or a load balancer is
/// in front, and a source isn't one caller.
pub(super) fn few_sources(traffic: &Traffic) -> Option<String> {
    let Traffic { packets, sources } = *traffic;
    (packets >= MANY_PACKETS && sources <= FEW_SOURCES).then(|| {
        format!(
            "all {packets} packets to guarded ports came from {sources} sources, as if a CDN \
             or a load balancer were in front"
        )
    })
}

/// A feed that is enabled or disabled once that is kept.
#[derive(Debug)]
pub(super) struct FeedPending {
    id: RequestId,
    feed: FeedId,
    enable: bool,
}

impl Engine {
    /// `weir feed refresh`, `accept`, `enable`, `disable`.
    pub(super) fn steer(&mut self, id: RequestId, request: &FeedRequest, now: Now) {
        let feed = match self.configured_feed(&request.feed) {
            Ok(feed) => feed,
            Err(refused) => return self.answer(id, Err(refused)),
        };
        let enabled = self.feeds.get(feed).is_some_and(FeedState::is_enabled);
        let name = request.feed.clone();
        match request.order {
            FeedOrder::Refresh | FeedOrder::Accept if !enabled => {
                let sentence = format!("{name} is disabled: weir feed enable {name}");
                self.answer(id, Err(Refused::new(sentence)));
            }
            FeedOrder::Refresh | FeedOrder::Accept => {
                let accept = request.order == FeedOrder::Accept;
                self.effects.push_back(Effect::Fetch { feed, accept });
                self.await_word(id, feed, None, now);
            }
            FeedOrder::Enable | FeedOrder::Disable => {
                let enable = request.order == FeedOrder::Enable;
                let mut disabled = self.feeds.disabled.clone();
                if enable {
                    disabled.remove(&name);
                } else {
                    disabled.insert(name);
                }
                let names: Vec<_> = disabled.iter().map(String::as_str).collect();
                let content = (!names.is_empty()).then(|| names.join(" "));
                self.feeds.disabled = disabled;
                let pending = FeedPending { id, feed, enable };
                self.persist(File::DisabledFeeds, content, Some(Then::Feed(pending)), now);
            }
        }
    }

    /// It is kept, or can't be: it takes effect.
    pub(super) fn feed_order_kept(
        &mut self,
        pending: FeedPending,
        unkept: Option<String>,
        now: Now,
    ) {
        let FeedPending { id, feed, enable } = pending;
        let note = unkept.map(|why| {
            format!("it is so now, but a restart would forget it until it is kept: {why}")
        });
        let Some(slot) = self.feeds.get_mut(feed) else {
            let sentence = "the feed is gone: the configuration was read again meanwhile";
            return self.answer(id, Err(Refused::new(sentence)));
        };
        if enable {
            if slot.is_enabled() {
                self.effects.push_back(Effect::Fetch {
                    feed,
                    accept: false,
                });
            } else {
                slot.enable();
                let start = feeds::start(slot);
                self.effects.push_back(start);
            }
            return self.await_word(id, feed, note, now);
        }
        slot.disable();
        self.effects.push_back(Effect::Stop { feed });
        let update = Update::Snapshot(Vec::new());
        let applied = self.ledger.apply(feed, update, now);
        tracing::warn!(
            feed = self.feeds.name(feed),
            withdrawn = applied.withdrawn,
            "the operator disabled the feed"
        );
        self.apply(applied.patch, None, now);
        self.protect_sources(now);
        let answer = FeedAnswer {
            feed: self.details_of(feed, now),
            heard: true,
            note,
        };
        self.answer(id, Ok(Answer::Feed(answer)));
    }

    fn await_word(&mut self, id: RequestId, feed: FeedId, note: Option<String>, now: Now) {
        self.waiting.push(feeds::Waiting {
            id,
            feed,
            until: now.boot_ms + WORD_TIMEOUT_MS,
            note,
        });
    }

    /// `weir detach`.
    pub(super) fn detach(&mut self, id: RequestId, request: &DetachRequest) {
        let wanted = request.interface.as_ref();
        let going: Vec<_> = self
            .attached
            .iter()
            .filter(|attached| wanted.is_none_or(|wanted| *wanted == attached.interface))
            .cloned()
            .collect();
        if let Some(wanted) = wanted
            && going.is_empty()
        {
            let sentence = format!("the filter isn't on {wanted}");
            return self.answer(id, Err(Refused::new(sentence)));
        }
        let ticket = self.ticket();
        self.pending.insert(ticket, Pending::Detach(id));
        self.effects.push_back(Effect::Detach {
            ticket,
            attached: going,
        });
    }

    /// The operator took the filter off.
    pub(super) fn operator_detached(
        &mut self,
        id: RequestId,
        off: Vec<String>,
        failed: Option<String>,
    ) {
        for interface in &off {
            tracing::warn!(
                interface,
                "the operator took the filter off; weir reload puts it back"
            );
        }
        let answer = match failed {
            None => Ok(Answer::Detach(DetachAnswer { interfaces: off })),
            Some(why) if off.is_empty() => Err(Refused::new(why)),
            Some(why) => {
                let sentence = format!(
                    "it is off {}, but not off the others: {why}",
                    off.join(", ")
                );
                Err(Refused::new(sentence))
            }
        };
        self.answer(id, answer);
    }

    /// `weir forgive`.
    pub(super) fn forgive(&mut self, id: RequestId, request: &ForgiveRequest, now: Now) {
        let written: Written = match request.address.parse() {
            Ok(written) => written,
            Err(error) => return self.answer(id, Err(Refused::new(error.to_string()))),
        };
        let Some(policing) = &mut self.policing else {
            let sentence =
                "there is no policy: [policy] mode is off, so it holds nothing against anybody";
            return self.answer(id, Err(Refused::new(sentence)));
        };
        let address = written.prefix.address();
        let whole = match address.family {
            Family::V4 => Prefix::of(address),
            Family::V6 => Prefix::of(address).widened(64),
        };
        let (changes, forgiven) = policing.forgive(&whole, now);
        let Some(source) = forgiven.source else {
            let sentence = format!("{} isn't a source that the policy judges", written.prefix);
            return self.answer(id, Err(Refused::new(sentence)));
        };
        let own = self.policys_feeds();
        self.follow_policy(changes, now);
        let lifted = forgiven.lifted.into_iter().map(|lifted| LiftedVerdict {
            feed: match lifted.mode {
                Mode::Enforce => ENFORCED,
                Mode::Observe => SHADOW,
            }
            .to_owned(),
            verdict: self.spelled(lifted.verdict),
            reason: Some(lifted.reason.to_string()),
        });
        let lifted = lifted.collect();
        let covering = self.ledger.covering(address);
        let others = covering
            .iter()
            .filter(|claim| !claim.shadow && !own.contains(&Some(claim.feed)));
        let notes = others.map(|claim| {
            format!(
                "{} says {} on {}",
                self.feeds.name(claim.feed),
                claim.verdict.name(),
                claim.prefix
            )
        });
        let answer = ForgiveAnswer {
            source: source.to_string(),
            lifted,
            notes: notes.collect(),
        };
        self.answer(id, Ok(Answer::Forgive(answer)));
    }

    /// All that is known of the configured feeds.
    ///
    /// # Errors
    /// If one is asked for that there isn't.
    pub fn feed_details(&self, query: &FeedsQuery, now: Now) -> Result<Vec<FeedDetails>, Refused> {
        match &query.feed {
            None => Ok(self
                .feeds
                .iter()
                .map(|feed| self.details(feed, now))
                .collect()),
            Some(name) => {
                let feed = self.configured_feed(name)?;
                Ok(vec![self.details_of(feed, now)])
            }
        }
    }

    /// A feed as the status shows it.
    pub(super) fn feed_status(&self, feed: &FeedState, now: Now) -> FeedStatus {
        let counts = self.ledger.counts_of(feed.number());
        let state = match feed.health() {
            super::feed_state::Health::Well if counts.held > 0 => "held",
            health => health.name(),
        };
        FeedStatus {
            name: feed.name().to_owned(),
            kind: feed.config().kind.name().to_owned(),
            mode: if feed.config().observe {
                "observe"
            } else {
                "inherit"
            }
            .to_owned(),
            state: state.to_owned(),
            claims: u64::from(counts.claims()),
            refused: feed.refused(),
            refusals: feed.refusals(),
            age_s: feed.age_seconds(now),
            last_error: feed.error().cloned(),
        }
    }

    /// What is held of a feed, and what to do, in a sentence.
    pub(super) fn held(&self, feed: &FeedState) -> Option<String> {
        let held = self.ledger.counts_of(feed.number()).held;
        let name = feed.name();
        (held > 0).then(|| {
            format!(
                "its whole word left out {held} claims that were in force, more than half of them: they hold until they end; if it is right, weir feed accept {name}"
            )
        })
    }

    pub(super) fn details_of(&self, feed: FeedId, now: Now) -> FeedDetails {
        let slot = self.feeds.get(feed);
        slot.map(|feed| self.details(feed, now)).unwrap_or_default()
    }

    pub(super) fn details(&self, feed: &FeedState, now: Now) -> FeedDetails {
        let counts = self.ledger.counts_of(feed.number());
        let status = self.feed_status(feed, now);
        let updates = feed.updates();
        FeedDetails {
            sentence: self.sentence(feed, &status),
            source: match &feed.config().kind {
                Kind::File { path, .. } => path.display().to_string(),
                Kind::Verdicts(stream) => stream.shown(),
                Kind::Policy => "observations".to_owned(),
            },
            rank: feed.config().rank,
            widen_ipv6: feed.config().widen_ipv6,
            blocked: u64::from(counts.blocked),
            limited: u64::from(counts.limited),
            allowed: u64::from(counts.allowed),
            held: u64::from(counts.held),
            snapshots: updates.snapshots,
            deltas: updates.deltas,
            added: updates.added,
            changed: updates.changed,
            withdrawn: updates.withdrawn,
            heard_at: feed.heard_at(),
            peers: feed.peers().iter().map(ToString::to_string).collect(),
            notes: feed.notes().to_vec(),
            status,
        }
    }

    fn sentence(&self, feed: &FeedState, status: &FeedStatus) -> String {
        if let Some(error) = &status.last_error {
            return error.clone();
        }
        if let Some(held) = self.held(feed) {
            return held;
        }
        match feed.health() {
            super::feed_state::Health::Disabled => {
                format!("the operator disabled it: weir feed enable {}", feed.name())
            }
            super::feed_state::Health::Starting => "it hasn't been heard yet".to_owned(),
            _ if status.refused > 0 => {
                format!(
                    "it is up to date, but {} of its claims were refused",
                    status.refused
                )
            }
            _ => "it is up to date".to_owned(),
        }
    }

    fn configured_feed(&self, name: &str) -> Result<FeedId, Refused> {
        let found = self.feeds.iter().find(|feed| feed.name() == name);
        found.map(FeedState::number).ok_or_else(|| {
            let known: Vec<_> = self.feeds.iter().map(FeedState::name).collect();
            Refused::new(match &known[..] {
                [] => format!("there is no feed {name:?}: none is configured"),
                known => format!("there is no feed {name:?}: there are {}", known.join(", ")),
            })
        })
    }
}

/// Milliseconds that a client waits for a feed's word.
const WORD_TIMEOUT_MS: u64 = 4_000;

/// Fewer packets say nothing about who is in front.
const MANY_PACKETS: u64 = 10_000;

/// A CDN or a load balancer comes from so few sources.
const FEW_SOURCES: u64 = 4;
