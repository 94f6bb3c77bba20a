//! The policy in the daemon: observations in, changes of its two feeds out, and
//! what must outlive a restart on disk.

use std::{
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};

use filter_common::settings::Mode;

use super::{Daemon, now};
use crate::{
    claim::{Change, Update, Verdict},
    config::{
        Config,
        feed::{ENFORCED, SHADOW},
    },
    control::protocol::{PolicyStatus, PolicyVerdicts, ShadowLine},
    feed::{FeedId, Refused},
    host::clock,
    observation::Observation,
    plan::Plan,
    policy::{Changes, Hits, Now, Policy, Rules, Then, Truth, Would},
    store::state_dir,
};

/// The policy, and what of it isn't kept yet.
pub(super) struct Policing {
    policy: Policy,
    /// The state folder.
    folder: PathBuf,
    /// Something changed since it was kept.
    unkept: bool,
    /// Not before this it is kept again.
    keep_from: Instant,
    keeping: Option<JoinHandle<()>>,
    /// Why it couldn't be kept.
    trouble: watch::Sender<Option<String>>,
}

impl Policing {
    /// The policy of a configuration, if it has one, with what was kept. What is
    /// wrong with that is told, and left.
    pub(super) fn start(config: &Config, plan: &Plan, troubles: &mut Vec<String>) -> Option<Self> {
        let rules = config.rules(plan)?;
        let folder = &config.daemon.state_dir;
        let policy = match recall(&rules, folder) {
            Ok(policy) => policy,
            Err(why) => {
                troubles.push(format!(
                    "what the policy knew before can't be read, and it begins anew: {why}"
                ));
                None
            }
        };
        Some(Self {
            policy: policy.unwrap_or_else(|| Policy::new(rules, seed(), moment())),
            folder: folder.clone(),
            unkept: false,
            keep_from: Instant::now(),
            keeping: None,
            trouble: watch::Sender::new(None),
        })
    }

    /// When it has something to do.
    pub(super) fn due(&self) -> Instant {
        let left = self.policy.due().saturating_sub(moment().ms);
        let due = Instant::now() + Duration::from_millis(left.min(FAR));
        if self.unkept {
            due.min(self.keep_from)
        } else {
            due
        }
    }

    pub(super) fn status(&self, config: &Config) -> PolicyStatus {
        let status = self.policy.status();
        let alarm = self.policy.alarm();
        let verdicts = |of: usize| PolicyVerdicts {
            raised: status.raised[of],
            limited: status.limited[of],
            blocked: status.blocked[of],
        };
        PolicyStatus {
            mode: mode_name(config.policy.mode == Some(Mode::Enforce)),
            alarm: alarm.map(|alarm| alarm.why.to_string()),
            alarm_since: alarm.map(|alarm| u64::from(alarm.since)),
            sources: status.sources as u64,
            forgotten: status.forgotten,
            ignored: status.ignored,
            enforced: verdicts(0),
            shadow: verdicts(1),
        }
    }

    /// What is wrong, in sentences.
    pub(super) fn problems(&self) -> Vec<String> {
        let alarm = self.policy.alarm().map(|alarm| {
            let ago = moment().unix.saturating_sub(alarm.since);
            format!(
                "the policy makes no verdicts, and its own are withdrawn, since {ago} s: {}",
                alarm.why
            )
        });
        let unkept = self.trouble.borrow();
        let unkept = unkept
            .as_ref()
            .map(|why| format!("what the policy knows can't be kept: {why}"));
        alarm.into_iter().chain(unkept).collect()
    }

    /// Writes what must outlive a restart, beside the loop; the next time not
    /// before that has paid for itself a hundred times.
    fn keep(&mut self) {
        if !self.unkept || Instant::now() < self.keep_from {
            return;
        }
        if self
            .keeping
            .as_ref()
            .is_some_and(|task| !task.is_finished())
        {
            self.keep_from = Instant::now() + KEEP_EVERY;
            return;
        }
        let began = Instant::now();
        let text = self.policy.snapshot(moment());
        self.unkept = false;
        self.keep_from = Instant::now() + KEEP_EVERY.max(began.elapsed() * 100);
        let (folder, trouble) = (self.folder.clone(), self.trouble.clone());
        self.keeping = Some(spawn_blocking(move || write(&folder, &text, &trouble)));
    }

    /// The same at the end, and waits until it is on disk.
    pub(super) async fn keep_all(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            // It can't panic, and nobody aborts it.
            let _done = keeping.await;
        }
        write(&self.folder, &self.policy.snapshot(moment()), &self.trouble);
    }
}

impl Daemon {
    /// Takes what verifiers saw, and carries out what follows. Empties `seen`.
    pub(super) fn observe(&mut self, seen: &mut Vec<Observation>) {
        self.hold_against(seen);
        let Some(policing) = &mut self.policing else {
            seen.clear();
            return;
        };
        let now = moment();
        let mut all = Changes::default();
        for observation in seen.drain(..) {
            let changes = policing.policy.observe(&observation, now);
            all.enforced.extend(changes.enforced);
            all.shadow.extend(changes.shadow);
        }
        self.follow_policy(all);
    }

    /// Counts what feeds in observe would have done to these sources.
    fn hold_against(&mut self, seen: &[Observation]) {
        let observes = self.mode() == Mode::Observe;
        let any = observes || self.ledger.counts_in(true).claims() > 0;
        let own = [ENFORCED, SHADOW].map(|name| self.feeds.number(name));
        let now = moment();
        for one in seen {
            let would = any.then(|| {
                let (enforced, all) = self.ledger.holders(&one.source);
                let claim = all
                    .filter(|claim| claim.shadow)
                    .or_else(|| enforced.filter(|_| observes))?;
                // The policy knows more of its own.
                let counts = claim.verdict != Verdict::Allow && !own.contains(&Some(claim.feed));
                counts.then(|| Would {
                    feed: claim.feed,
                    verdict: claim.verdict,
                    reason: claim.reason.unwrap_or("-"),
                })
            });
            self.truth.see(one, would.flatten(), now);
        }
    }

    /// What is in observe, or was, and what it hit within the last day.
    pub(super) fn shadow_lines(&self) -> Vec<ShadowLine> {
        let tier = |tier: u8| {
            let name = self.plan.tier_names.name(tier);
            name.unwrap_or("?").to_owned()
        };
        let line = |hits: Hits, enforced: bool| ShadowLine {
            mode: mode_name(enforced),
            sources: hits.sources,
            attested_sources: hits.attested_sources,
            spared_sources: hits.spared_sources,
            calls: hits.calls,
            attested_calls: hits.attested_calls,
            ..ShadowLine::default()
        };
        let of_feeds = self.truth.found().into_iter().map(|found| ShadowLine {
            feed: self.feeds.name(found.feed).to_owned(),
            verdict: match found.verdict {
                Verdict::Limit(number) => tier(number),
                other => other.name().to_owned(),
            },
            reason: found.reason.to_string(),
            ..line(found.hits, false)
        });
        let rows = self.policing.iter().flat_map(|one| one.policy.shadow());
        let of_policy = rows.map(|row| {
            let enforced = row.mode == Mode::Enforce;
            ShadowLine {
                feed: if enforced { ENFORCED } else { SHADOW }.to_owned(),
                rule: Some(row.rule),
                step: Some(row.step as u64 + 1),
                verdict: match row.then {
                    Then::Limit { tier: number, .. } => tier(number),
                    Then::Block => Verdict::<u8>::Block.name().to_owned(),
                },
                reason: row.reason.to_string(),
                ..line(row.hits, enforced)
            }
        });
        of_feeds.chain(of_policy).collect()
    }

    /// Lets the policy find out what time alone brings.
    pub(super) fn let_policy_pass(&mut self) {
        let Some(policing) = &mut self.policing else {
            return;
        };
        let changes = policing.policy.tick(moment());
        self.follow_policy(changes);
    }

    /// The policy's whole word, of one of its feeds.
    pub(super) fn say_all(&mut self, feed: FeedId) {
        let Some(policing) = &self.policing else {
            return;
        };
        let word = policing.policy.word(moment());
        let claims = if self.feeds.name(feed) == SHADOW {
            word.shadow
        } else {
            word.enforced
        };
        let applied = self.ledger.apply(feed, Update::Snapshot(claims), now());
        if let Some(slot) = self.feeds.get_mut(feed) {
            slot.took(true, Refused::default(), &applied);
        }
        self.carry_out(&applied.patch);
    }

    /// Begins, ends or changes the policy after a reload.
    pub(super) fn configure_policy(&mut self) {
        match (self.config.rules(&self.plan), &mut self.policing) {
            (None, _) => self.policing = None,
            (Some(rules), Some(policing)) => {
                let changes = policing.policy.configure(rules, moment());
                self.follow_policy(changes);
            }
            (Some(_), None) => {
                let troubles = &mut self.troubles.start;
                self.policing = Policing::start(&self.config, &self.plan, troubles);
            }
        }
    }

    fn follow_policy(&mut self, changes: Changes) {
        if let Some(policing) = &mut self.policing {
            policing.unkept |= !changes.is_empty();
            policing.keep();
        }
        self.follow(ENFORCED, changes.enforced);
        self.follow(SHADOW, changes.shadow);
    }

    fn follow(&mut self, name: &str, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let Some(feed) = self.feeds.number(name) else {
            return;
        };
        if !self
            .feeds
            .get(feed)
            .is_some_and(super::slot::Slot::is_enabled)
        {
            return;
        }
        let applied = self.ledger.apply(feed, Update::Delta(changes), now());
        if let Some(slot) = self.feeds.get_mut(feed) {
            slot.took(false, Refused::default(), &applied);
        }
        self.carry_out(&applied.patch);
    }
}

/// A policy that goes on where the last one left off; `None`: there was none.
fn recall(rules: &Rules, folder: &Path) -> Result<Option<Policy>, String> {
    let kept = state_dir::read(folder, KEPT).map_err(|error| error.to_string())?;
    let Some(text) = kept else {
        return Ok(None);
    };
    let (policy, restored) = Policy::restore(rules.clone(), seed(), &text, moment())
        .map_err(|error| error.to_string())?;
    tracing::info!(
        sources = restored.sources,
        unreadable = restored.unreadable,
        "the policy goes on where it was"
    );
    Ok(Some(policy))
}

/// Nothing is known yet.
pub(super) fn truth() -> Truth {
    Truth::new(SOURCES, seed(), moment())
}

fn mode_name(enforced: bool) -> String {
    if enforced { "enforce" } else { "observe" }.to_owned()
}

fn write(folder: &Path, text: &str, trouble: &watch::Sender<Option<String>>) {
    let written = state_dir::write(folder, KEPT, text);
    if let Err(error) = &written {
        tracing::error!(%error, "what the policy knows can't be kept");
    }
    trouble.send_replace(written.err().map(|error| error.to_string()));
}

/// This moment, as the policy wants it.
fn moment() -> Now {
    Now {
        ms: clock::monotonic_nanoseconds() / 1_000_000,
        unix: now().unix,
    }
}

/// A number that callers don't know: what a new hasher of the standard library
/// makes of nothing.
fn seed() -> u64 {
    RandomState::new().hash_one(())
}

/// The file in the state folder.
const KEPT: &str = "policy";

/// Sources of which is known, for an hour, what feeds in observe would have done.
const SOURCES: usize = 65_536;

/// How often what must outlive a restart is written, at most.
const KEEP_EVERY: Duration = Duration::from_millis(500);

/// A day in milliseconds: as good as never.
const FAR: u64 = 86_400_000;
