//! The engine: all that the daemon decides, and nothing that it does.
//!
//! [`Engine::handle`] receives an [`Input`] and the time; [`Engine::poll_effect`] gives
//! what is to be done outside, in order; what came of an effect is the next input.
//! [`Engine::poll_timeout`] says when to hand in [`Input::Tick`] if nothing else comes.
//!
//! Whatever changes something goes the same way: validate, persist, apply, answer. So
//! an answer never promises what a crash could take, and nothing is in force that was
//! refused.
//!
//! `operator` are the operator's claims, `mode` and `attack` what they set, `feeds` and
//! `feed_state` what feeds send, `policing` what follows from observations, `reload`
//! another configuration, `tables` the way of patches, `kept` the small files. What is
//! shown and changes nothing: `status`, `list`, `explain`, `event`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use filter_common::settings::{Mode, Settings};

use crate::{
    claim::Change,
    clock::{Now, Step, Steps},
    config::{self, Config},
    datapath::Attached,
    feed::{FeedId, News, Rules},
    ledger::Ledger,
    observation::Observation,
    patch::Patch,
    plan::{Plan, Scope},
    policy::Truth,
    prefix::Prefix,
    protocol::{Answer, Command, Refused},
    under_attack::UnderAttack,
};

mod attack;
mod event;
mod explain;
mod feed_state;
mod feeds;
mod kept;
mod list;
mod mode;
mod operator;
mod policing;
mod reload;
mod start;
mod status;
mod steer;
mod tables;

#[cfg(all(test, feature = "model"))]
mod model;

use self::{
    attack::AttackPending,
    feeds::{Feeds, Waiting},
    kept::Writing,
    mode::{ModeEnd, ModePending},
    operator::{Timed, VerdictPending},
    policing::Policing,
    reload::ReloadPending,
    tables::Troubles,
};
pub use self::{
    event::read_event,
    feed_state::FeedState,
    feeds::{Awaited, OPERATOR_NAME, rules_of, tier_numbers},
    kept::File,
    list::{Page, PageQuery},
    mode::ModeFrom,
    reload::Loaded,
    start::{Recalled, Start},
    status::{Looked, Outside},
    steer::Traffic,
};

/// Names a question of a client, until it is answered.
pub type RequestId = u64;

/// Names an effect whose outcome is awaited.
pub type Ticket = u64;

/// Everything that can happen.
#[derive(Debug)]
pub enum Input {
    /// An operator wants something changed.
    Command {
        /// By which the answer is addressed.
        id: RequestId,
        /// The command.
        command: Command,
        /// The traffic so far, where the command needs it.
        traffic: Option<Traffic>,
    },
    /// The operator's signal to read the configuration again.
    HangUp,
    /// A feed's task sends this.
    News {
        /// Which feed.
        feed: FeedId,
        /// What is new.
        news: News,
    },
    /// What verifiers saw of calls.
    Observations(Vec<Observation>),
    /// Time has passed, or something outside may have changed without telling.
    Tick,
    /// The peers of the operator's SSH sessions, as they are now.
    Peers(Vec<filter_common::source::Address>),
    /// Every event was read that was sent before this second since boot.
    EventsRead {
        /// The second.
        boot: u32,
    },
    /// What came of [`Effect::Apply`]: the prefixes that the tables refused, and why.
    Applied(Vec<(Prefix, String)>),
    /// What came of [`Effect::Configure`].
    Configured(Result<(), String>),
    /// What came of [`Effect::Set`].
    SettingsPut(Result<(), String>),
    /// What came of [`Effect::Journal`] or [`Effect::Persist`].
    Kept {
        /// Of which.
        ticket: Ticket,
        /// Whether it is on the disk, or why not.
        result: Result<(), String>,
    },
    /// What came of [`Effect::Load`].
    Loaded {
        /// Of which.
        ticket: Ticket,
        /// The configuration, or a sentence that says what is wrong with it.
        result: Result<Box<Loaded>, String>,
    },
    /// What came of [`Effect::Attach`].
    Attached {
        /// Of which.
        ticket: Ticket,
        /// All that the filter is on now of those that were asked for, or why none is.
        result: Result<Vec<Attached>, String>,
    },
    /// What came of [`Effect::Detach`].
    Detached {
        /// Of which.
        ticket: Ticket,
        /// The interfaces that the filter is off.
        off: Vec<String>,
        /// Why it isn't off all of them.
        failed: Option<String>,
    },
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Carry out a patch on the tables; [`Input::Applied`] follows at once.
    Apply(Patch),
    /// Write a plan to the tables; [`Input::Configured`] follows at once.
    Configure(Box<Plan>),
    /// Put settings in force; [`Input::SettingsPut`] follows at once.
    Set(Settings),
    /// Write the operator's changes to the journal, in order; [`Input::Kept`] follows.
    Journal {
        /// Names it.
        ticket: Ticket,
        /// What changes.
        changes: Vec<Change>,
        /// The tiers that claims may name.
        tiers: crate::feed::Tiers,
    },
    /// Write a small file, or remove it; [`Input::Kept`] follows.
    Persist {
        /// Names it.
        ticket: Ticket,
        /// Which file.
        file: File,
        /// Its content; `None`: it is to be removed.
        content: Option<String>,
    },
    /// Read the configuration; [`Input::Loaded`] follows.
    Load {
        /// Names it.
        ticket: Ticket,
    },
    /// Start a feed's task.
    Start {
        /// Its number.
        feed: FeedId,
        /// What is configured of it.
        config: Box<config::Feed>,
        /// How its claims are read.
        rules: Box<Rules>,
    },
    /// End a feed's task.
    Stop {
        /// Its number.
        feed: FeedId,
    },
    /// Have a feed's task read all of it anew.
    Fetch {
        /// Its number.
        feed: FeedId,
        /// Believe its whole word also in what it leaves out.
        accept: bool,
    },
    /// Have the last good copy of a feed's file read: [`News::Recalled`] follows, or
    /// nothing.
    Recall {
        /// Its number.
        feed: FeedId,
    },
    /// Keep a copy of the feed's file: it was good.
    KeepCopy {
        /// Its number.
        feed: FeedId,
    },
    /// A feed's update is in force: its task may go on.
    Applied {
        /// Its number.
        feed: FeedId,
        /// Claims that its whole word left out and that stand all the same.
        held: u32,
    },
    /// Put the filter on interfaces, on all or on none; [`Input::Attached`] follows.
    Attach {
        /// Names it.
        ticket: Ticket,
        /// Their names.
        interfaces: Vec<String>,
        /// How.
        wish: config::Attach,
    },
    /// Take the filter off interfaces; [`Input::Detached`] follows.
    Detach {
        /// Names it.
        ticket: Ticket,
        /// Where.
        attached: Vec<Attached>,
    },
    /// Read every event that waits; [`Input::EventsRead`] follows.
    ReadEvents,
    /// Begin to count the hits of these claims' numbers anew.
    ForgetHits(Vec<u32>),
    /// Answer a client.
    Answer {
        /// Which question.
        id: RequestId,
        /// The answer, or why there is none.
        answer: Box<Result<Answer, Refused>>,
    },
}

/// All that the daemon knows, and all that it decides by.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    plan: Plan,
    /// Prefixes that this host can't do without: its resolvers and gateways.
    essential: Vec<Prefix>,
    /// The protection of the operator's SSH sessions, beside the plan.
    peers: Vec<Scope>,
    attack: Option<UnderAttack>,
    ledger: Ledger,
    settings: Settings,
    mode_from: ModeFrom,
    /// The end of a mode that holds for a time.
    mode_ends: Option<ModeEnd>,
    feeds: Feeds,
    /// Prefixes of which the journal doesn't say what the ledger does.
    unjournaled: BTreeSet<Prefix>,
    /// The operator's claims that end.
    timed: BTreeMap<Prefix, Timed>,
    policing: Option<Policing>,
    /// Counts of what feeds in observe would do to genuine sources.
    truth: Truth,
    /// Mixed into the policy's hashes; callers must not know it.
    seed: u64,
    attached: Vec<Attached>,
    troubles: Troubles,
    steps: Steps,
    /// When the tables and the disk are tried again, in milliseconds since boot.
    retry_at: u64,
    reading_events: bool,
    next_ticket: Ticket,
    /// Small files whose latest content isn't on the disk yet.
    writing: BTreeMap<File, Writing>,
    pending: BTreeMap<Ticket, Pending>,
    reload: Option<ReloadPending>,
    reload_again: bool,
    /// Clients that wait for a feed's next word.
    waiting: Vec<Waiting>,
    /// For each patch that is being carried out: what follows.
    applying: VecDeque<Option<VerdictPending>>,
    /// For each plan that is being written: what follows.
    configuring: VecDeque<AfterConfigure>,
    /// For each settings that are being put in force: what follows.
    setting: VecDeque<Option<ModePending>>,
    effects: VecDeque<Effect>,
}

/// What an outcome that is awaited belongs to.
#[derive(Debug)]
enum Pending {
    /// The operator's claims, once they are in the journal.
    Verdict(VerdictPending),
    /// The journal is brought in line with the operator's claims on these prefixes.
    Undo(Vec<Prefix>),
    /// A configuration that is being read, and who asked for it.
    Load(Option<RequestId>),
    /// The filter goes on interfaces, at the start.
    AttachFirst,
    /// The filter goes on interfaces, for the reload under way.
    AttachNew,
    /// The filter goes off interfaces, for the reload under way.
    DetachOld,
    /// The operator takes the filter off.
    Detach(RequestId),
}

/// What follows when a plan is written.
#[derive(Debug)]
enum AfterConfigure {
    Nothing,
    Attack(AttackPending),
    Reload,
}

impl Engine {
    /// Takes what happened, at this moment. What follows is for
    /// [`poll_effect`](Self::poll_effect).
    pub fn handle(&mut self, input: Input, now: Now) {
        self.pass(now);
        match input {
            Input::Command {
                id,
                command,
                traffic,
            } => self.command(id, command, traffic, now),
            Input::HangUp => self.load(None),
            Input::News { feed, news } => self.news(feed, news, now),
            Input::Observations(seen) => self.observe(seen, now),
            Input::Tick => {}
            Input::Peers(peers) => self.protect_peers(&peers),
            Input::EventsRead { boot } => self.events_read(boot),
            Input::Applied(refused) => self.applied(refused, now),
            Input::Configured(result) => self.configured(result, now),
            Input::SettingsPut(result) => self.settings_put(result, now),
            Input::Kept { ticket, result } => self.kept(ticket, result, now),
            Input::Loaded { ticket, result } => self.loaded(ticket, result, now),
            Input::Attached { ticket, result } => self.attached(ticket, result, now),
            Input::Detached {
                ticket,
                off,
                failed,
            } => self.detached(ticket, &off, failed),
        }
    }

    /// The next thing to be done outside; `None`: nothing is, until the next input.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The moment, in milliseconds since boot, at which [`Input::Tick`] is due if
    /// nothing else comes before.
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> u64 {
        let expiry = self.ledger.next_expiry().map(|unix| now.boot_ms_at(unix));
        let numbers = self.ledger.next_free().map(|boot| u64::from(boot) * 1_000);
        let numbers = numbers.filter(|_| !self.reading_events);
        let attack = self.attack.and_then(|attack| attack.left(now));
        let attack = attack.map(|left| (u64::from(now.boot()) + left) * 1_000);
        let mode = self.mode_ends.as_ref().map(|ends| ends.at);
        let policy = self.policing.as_ref().map(Policing::due);
        let waiting = self.waiting.iter().map(|one| one.until).min();
        let writing = self.writing.values().filter_map(Writing::due).min();
        let verdicts = self.pending.values().filter_map(|pending| match pending {
            Pending::Verdict(verdict) => verdict.due(),
            _ => None,
        });
        let verdicts = verdicts.min();
        [
            expiry, numbers, attack, mode, policy, waiting, writing, verdicts,
        ]
        .into_iter()
        .flatten()
        .fold(self.retry_at, u64::min)
        .max(now.boot_ms)
    }

    /// Lets the time pass: whatever ends by now has ended when the input is looked at.
    fn pass(&mut self, now: Now) {
        if let Some(step) = self.steps.observe(now) {
            self.stepped(step, now);
        }
        if self
            .ledger
            .next_expiry()
            .is_some_and(|unix| unix <= now.unix)
        {
            self.expire(now);
        }
        self.pass_attack(now);
        self.pass_mode(now);
        self.pass_policy(now);
        self.pass_waiting(now);
        self.pass_writing(now);
        self.pass_verdicts(now);
        if self.ledger.next_free().is_some_and(|due| due <= now.boot()) && !self.reading_events {
            self.reading_events = true;
            self.effects.push_back(Effect::ReadEvents);
        }
        if self.retry_at <= now.boot_ms {
            self.retry_at = now.boot_ms + RETRY_EVERY_MS;
            self.retry(now);
        }
    }

    /// The wall clock was set: everything that is dated by it is dated anew.
    fn stepped(&mut self, step: Step, now: Now) {
        tracing::info!(?step, "the wall clock was set");
        // Also what moves the end of every stage in the tables.
        self.expire(now);
        self.redate(now);
        self.keep_attack_anew(now);
        self.keep_mode_anew(now);
        if step == Step::Back {
            // Claims that ended by the wrong time haven't by the right one.
            for feed in self.feeds.enabled() {
                self.effects.push_back(Effect::Fetch {
                    feed,
                    accept: false,
                });
            }
        }
    }

    fn expire(&mut self, now: Now) {
        let patch = self.ledger.expire(now);
        self.apply(patch, None, now);
    }

    fn command(&mut self, id: RequestId, command: Command, traffic: Option<Traffic>, now: Now) {
        match command {
            Command::Verdict(request) => self.verdict(id, &request, now),
            Command::Mode(request) => self.change_mode(id, request, traffic, now),
            Command::UnderAttack(request) => self.change_attack(id, request, now),
            Command::Feed(request) => self.steer(id, &request, now),
            Command::Reload(_) => self.load(Some(id)),
            Command::Detach(request) => self.detach(id, &request),
            Command::Forgive(request) => self.forgive(id, &request, now),
        }
    }

    fn answer(&mut self, id: RequestId, answer: Result<Answer, Refused>) {
        self.effects.push_back(Effect::Answer {
            id,
            answer: Box::new(answer),
        });
    }

    const fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// An outcome of the disk.
    fn kept(&mut self, ticket: Ticket, result: Result<(), String>, now: Now) {
        match self.pending.remove(&ticket) {
            Some(Pending::Verdict(verdict)) => self.journaled(verdict, result, now),
            Some(Pending::Undo(prefixes)) => self.undone(prefixes, result),
            Some(other) => {
                self.pending.insert(ticket, other);
            }
            None => self.written(ticket, result, now),
        }
    }

    /// The mode in force.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.settings.enforces() {
            Mode::Enforce
        } else {
            Mode::Observe
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// All claims, and what follows from them.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The interfaces that the filter is on.
    #[must_use]
    pub fn interfaces(&self) -> &[Attached] {
        &self.attached
    }

    /// What was wrong at the start: a sentence each.
    pub fn start_troubles(&self) -> impl Iterator<Item = &str> {
        self.troubles.start.iter().map(String::as_str)
    }
}

/// How often what was refused is tried again.
pub const RETRY_EVERY_MS: u64 = 10_000;
