//! What follows from an observation.

use std::sync::Arc;

use super::{
    Alarm, Changes, Mode, Now, Row, Rules, Then, Word,
    breaker::{Breaker, Seen, Turn, Why},
    carriers::Carriers,
    clock::{Clock, DAY, HOUR, MINUTE},
    offenders::{Offender, Offenders},
    record::Record,
    rules::{Index, Step},
    source,
    standing::{Held, Kind, OF_ATTESTED, Standing, Texts},
    table::{Kept, mix},
    trial::{Cause, Hit, Hits, Trial},
};
use crate::{
    claim::{Change, Claim, Verdict},
    observation::{Observation, Outcome, Reason},
};

/// All of the policy but the records.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) rules: Rules,
    index: Index,
    pub(super) clock: Clock,
    carriers: Carriers,
    pub(super) standing: Standing,
    pub(super) offenders: Offenders,
    pub(super) texts: Texts,
    pub(super) breaker: Breaker,
    alarm: Option<Alarm>,
    /// Failures from before count nothing.
    amnesty: u32,
    trial: Trial,
}

impl Judge {
    pub(super) fn new(rules: Rules, seed: u64, now: Now) -> Self {
        let clock = Clock::new(now);
        let at = clock.seconds();
        Self {
            index: Index::new(&rules.rules),
            carriers: Carriers::new(rules.devices, mix(seed ^ 1)),
            standing: Standing::new(mix(seed ^ 2)),
            offenders: Offenders::new(rules.sources / 4, mix(seed ^ 3)),
            texts: Texts::default(),
            breaker: Breaker::new(at),
            alarm: None,
            amnesty: 0,
            trial: Trial::new(rules.sources / 16, mix(seed ^ 4), at),
            clock,
            rules,
        }
    }

    /// Takes the time.
    pub(super) fn advance(&mut self, now: Now, changes: &mut Changes) -> u32 {
        let at = self.clock.advance(now);
        self.trial.advance(at);
        match self.breaker.turn(at, self.rules.silent_for) {
            Some(Turn::Opened(why)) => self.open(why, now, changes),
            Some(Turn::Closed) => {
                self.alarm = None;
                self.amnesty = at;
            }
            None => {}
        }
        at
    }

    pub(super) fn observe(
        &mut self,
        record: &mut Record,
        source: u64,
        seen: &Observation,
        now: Now,
        changes: &mut Changes,
    ) {
        let at = self.clock.seconds();
        record.touch(at, self.amnesty);
        let genuine = seen.outcome == Outcome::Attested && !seen.elsewhere;
        self.settle(source, at, now, changes);
        let known = record.attested_within(self.rules.protected_for, at);
        let mut said = self.standing.of(source).into_iter().flatten();
        let call = Seen {
            known,
            held: said.any(|held| held.is_step()),
            attested: seen.outcome == Outcome::Attested,
        };
        self.breaker.observe(source, call, at);
        self.tell_of_call(record, source, genuine, seen.weight, at);
        match &seen.outcome {
            Outcome::Attested if seen.elsewhere => {}
            Outcome::Attested => match self.carried(seen, source, at) {
                Carried::Here => self.attest(record, source, seen, now, changes),
                Carried::TooWide => {}
                Carried::Replayed => {
                    self.fail(
                        record,
                        source,
                        &Reason::new(REPLAY),
                        seen.weight,
                        now,
                        changes,
                    );
                }
            },
            Outcome::Failed(reason) => self.fail(record, source, reason, seen.weight, now, changes),
        }
    }

    /// Whether the record's source should be remembered if others needn't.
    pub(super) fn speaks_of(&self, record: &Record) -> bool {
        self.standing.contains(record.key())
    }

    fn attest(
        &mut self,
        record: &mut Record,
        source: u64,
        seen: &Observation,
        now: Now,
        changes: &mut Changes,
    ) {
        let at = self.clock.seconds();
        let device = seen.device.or(seen.token).map(mix);
        record.attest(device, seen.weight, at);
        self.trial.attest(source);
        let devices = record.devices();
        for mode in [Mode::Enforce, Mode::Observe] {
            let Some(held) = self.standing.get(source, mode) else {
                continue;
            };
            match held.kind {
                // It is genuine after all.
                Kind::Blocked | Kind::Bootstrap => self.take(source, mode, changes),
                Kind::Limited | Kind::Held => {
                    let tier = self.rules.tiers.held(devices);
                    if held.kind == Kind::Limited || held.tier != tier {
                        let held = Held {
                            kind: Kind::Held,
                            tier,
                            ..held
                        };
                        self.say(source, mode, held, now, changes);
                    }
                }
                Kind::Raised => {}
            }
        }
        self.raise(source, devices, seen.ends, now, changes);
    }

    fn raise(
        &mut self,
        source: u64,
        devices: u32,
        ends: Option<u32>,
        now: Now,
        changes: &mut Changes,
    ) {
        let mode = self.rules.raise;
        let lifetime = ends.map_or(self.rules.raised_for, |ends| ends.saturating_sub(now.unix));
        let until = self.clock.seconds() + lifetime.clamp(MINUTE, DAY);
        let evidence = u16::try_from(devices).unwrap_or(u16::MAX);
        let tier = self.rules.tiers.raised(devices);
        match self.standing.get(source, mode) {
            Some(held) if held.kind != Kind::Raised => {}
            Some(held) if held.tier == tier => self.standing.prolong(source, mode, until, evidence),
            // Room is kept for what holds somebody back.
            None if self.standing.len() >= self.rules.sources / 8 * 7 => {}
            before => {
                let held = Held {
                    until: before.map_or(until, |held| held.until.max(until)),
                    said: 0,
                    evidence,
                    reason: OF_ATTESTED,
                    step: NO_STEP,
                    kind: Kind::Raised,
                    tier,
                };
                self.say(source, mode, held, now, changes);
            }
        }
    }

    fn fail(
        &mut self,
        record: &mut Record,
        source: u64,
        reason: &Reason,
        weight: u32,
        now: Now,
        changes: &mut Changes,
    ) {
        let Some(number) = self.index.rule(reason) else {
            return;
        };
        let at = self.clock.seconds();
        let rule = &self.rules.rules[number];
        let mode = rule.mode;
        let before = self.standing.get(source, mode);
        let blocked = before.is_some_and(|held| held.kind == Kind::Blocked);
        // Nothing is held against anybody while it may be our own fault, nor
        // what wouldn't have come if a block had been carried out.
        if self.breaker.is_open() || blocked {
            return;
        }
        record.fail(number, weight);
        let blocks = self
            .offenders
            .blocks(source, mode, self.rules.repeats_for, at);
        let evidence = record.evidence(number);
        let share = record.share();
        let follows = |step: &Step| evidence >= step.needed(blocks) && share >= step.share;
        let Some(place) = rule.steps.iter().rposition(follows) else {
            return;
        };
        let step = rule.steps[place];
        let (kind, tier) = self.verdict(record, step.then, at);
        let lifetime = match (kind, step.then) {
            (Kind::Blocked, _) => step.block(blocks, self.rules.longest_block),
            (_, Then::Block) => step.lifetime.max(PROBATION),
            (_, Then::Limit { .. }) => step.lifetime,
        };
        let held = Held {
            until: at + lifetime,
            said: 0,
            evidence: u16::try_from(evidence).unwrap_or(u16::MAX),
            reason: self.texts.number(&reason.text()),
            step: (number as u8, place as u8),
            kind,
            tier,
        };
        if kind == Kind::Blocked {
            record.spend(number);
            let offender = Offender {
                blocks: blocks.saturating_add(1),
                until: held.until,
            };
            let within = self.rules.repeats_for;
            self.offenders.block(source, mode, offender, within, at);
        }
        match before {
            Some(old) if old.outweighs(&held) => {
                if (old.kind, old.tier) == (kind, tier) {
                    let evidence = held.evidence;
                    self.standing.prolong(source, mode, held.until, evidence);
                }
            }
            None if self.standing.len() >= self.rules.sources => {}
            _ => {
                let hit = Hit {
                    lately: lately(record, at),
                    attested: false,
                    spared: matches!(kind, Kind::Held | Kind::Bootstrap),
                };
                self.trial.hit(source, held.cause(), weight, hit);
                self.say(source, mode, held, now, changes);
            }
        }
    }

    /// What a step means for this source: its genuine devices speak for it.
    fn verdict(&self, record: &Record, then: Then, at: u32) -> (Kind, u8) {
        let tiers = &self.rules.tiers;
        let devices = record.devices();
        if devices > 0 {
            return (Kind::Held, tiers.held(devices));
        }
        let known = record.attested_within(self.rules.protected_for, at);
        match then {
            Then::Block if known => (Kind::Bootstrap, tiers.bootstrap),
            Then::Block => (Kind::Blocked, 0),
            Then::Limit {
                below_bootstrap: true,
                ..
            } if known => (Kind::Bootstrap, tiers.bootstrap),
            Then::Limit { tier, .. } => (Kind::Limited, tier),
        }
    }

    /// The tier of a verdict, if the rules have its step.
    pub(super) fn tier(&self, kind: Kind, step: (u8, u8), devices: u32) -> Option<u8> {
        let tiers = &self.rules.tiers;
        if kind == Kind::Raised {
            return Some(tiers.raised(devices));
        }
        let rule = self.rules.rules.get(usize::from(step.0))?;
        let then = rule.steps.get(usize::from(step.1))?.then;
        match (kind, then) {
            (Kind::Held, _) => Some(tiers.held(devices)),
            (Kind::Bootstrap, _) => Some(tiers.bootstrap),
            (Kind::Limited, Then::Limit { tier, .. }) => Some(tier),
            (Kind::Blocked, Then::Block) => Some(0),
            _ => None,
        }
    }

    /// Whether what proves the call speaks for its source.
    fn carried(&mut self, seen: &Observation, source: u64, at: u32) -> Carried {
        let time = self.rules.protected_for;
        let mut speaks = |what: u64| self.carriers.speaks_for(what, source, time, at);
        if seen.token.is_some_and(|token| !speaks(mix(token))) {
            Carried::Replayed
        } else if seen.device.is_some_and(|device| !speaks(device)) {
            Carried::TooWide
        } else {
            Carried::Here
        }
    }

    /// Counts a call that came while a step holds, or would.
    fn tell_of_call(&mut self, record: &Record, source: u64, attested: bool, calls: u32, at: u32) {
        for held in self.standing.of(source).into_iter().flatten() {
            if held.is_step() {
                let hit = Hit {
                    lately: lately(record, at),
                    attested,
                    spared: held.kind == Kind::Held,
                };
                self.trial.hit(source, held.cause(), calls, hit);
            }
        }
    }

    /// The breaker opened: what the policy said against anybody lapses.
    fn open(&mut self, why: Why, now: Now, changes: &mut Changes) {
        self.alarm = Some(Alarm {
            why,
            since: now.unix,
        });
        let all: Vec<_> = self
            .standing
            .iter()
            .filter(|(.., held)| held.is_step())
            .collect();
        for (source, mode, held) in all {
            self.breaker.explain(source);
            if held.kind == Kind::Held && mode == self.rules.raise {
                let raised = Held {
                    reason: OF_ATTESTED,
                    step: NO_STEP,
                    kind: Kind::Raised,
                    tier: self.rules.tiers.raised_from(held.tier),
                    ..held
                };
                self.say(source, mode, raised, now, changes);
            } else {
                self.take(source, mode, changes);
            }
            if held.kind == Kind::Blocked {
                self.offenders.pardon(source, mode);
            }
        }
    }

    pub(super) fn tick(&mut self, now: Now, changes: &mut Changes) {
        let at = self.advance(now, changes);
        if self.clock.was_set(now) {
            let all: Vec<_> = self.standing.iter().collect();
            for (source, mode, held) in all {
                if held.until > at {
                    self.say(source, mode, held, now, changes);
                }
            }
        }
        while let Some(source) = self.standing.ended(at) {
            self.settle(source, at, now, changes);
        }
    }

    /// Ends what has ended of what is said of a source; a block gives way to the
    /// bootstrap tier. Says again what was prolonged.
    fn settle(&mut self, source: u64, at: u32, now: Now, changes: &mut Changes) {
        for mode in [Mode::Enforce, Mode::Observe] {
            match self.standing.get(source, mode) {
                Some(held) if held.until <= at && held.kind == Kind::Blocked => {
                    let reopened = Held {
                        until: at + PROBATION,
                        kind: Kind::Bootstrap,
                        tier: self.rules.tiers.bootstrap,
                        ..held
                    };
                    self.say(source, mode, reopened, now, changes);
                }
                Some(held) if held.until <= at => self.take(source, mode, changes),
                Some(held) if held.said <= at => self.say(source, mode, held, now, changes),
                _ => {}
            }
        }
    }

    pub(super) fn configure(&mut self, rules: Rules, now: Now, changes: &mut Changes) {
        let at = self.advance(now, changes);
        let names = |rules: &Rules| -> Vec<_> {
            let names = rules.rules.iter().map(|rule| rule.name.clone());
            names.collect()
        };
        if names(&rules) != names(&self.rules) {
            // The counts were of other rules.
            self.amnesty = at + 1;
            self.trial.clear();
        }
        let before = std::mem::replace(&mut self.rules, rules);
        self.index = Index::new(&self.rules.rules);
        let all: Vec<_> = self.standing.iter().collect();
        for (source, mode, held) in all {
            if self.wanted(&before, mode, &held) {
                self.say(source, mode, held, now, changes);
            } else {
                self.take(source, mode, changes);
            }
        }
    }

    /// Whether a verdict is one that the rules would make, as far as it can be
    /// told without the calls that led to it.
    fn wanted(&self, before: &Rules, mode: Mode, held: &Held) -> bool {
        if !held.is_step() {
            return mode == self.rules.raise && before.tiers == self.rules.tiers;
        }
        let (rule, step) = (usize::from(held.step.0), usize::from(held.step.1));
        let step = |rules: &Rules| {
            let rule = rules.rules.get(rule)?;
            Some((rule.name.clone(), rule.mode, *rule.steps.get(step)?))
        };
        let now = step(&self.rules);
        now.as_ref().is_some_and(|(_, of, _)| *of == mode)
            && now == step(before)
            && before.tiers == self.rules.tiers
    }

    fn say(&mut self, source: u64, mode: Mode, held: Held, now: Now, changes: &mut Changes) {
        self.standing.say(source, mode, held);
        let claim = self.claim(source, &held, now);
        changes.of(mode).push(Change::Claim(claim));
    }

    fn take(&mut self, source: u64, mode: Mode, changes: &mut Changes) {
        if self.standing.take(source, mode).is_some() {
            let gone = Change::Withdraw(source::prefix(source));
            changes.of(mode).push(gone);
        }
    }

    fn claim(&self, source: u64, held: &Held, now: Now) -> Claim {
        let left = held.until.saturating_sub(self.clock.seconds());
        Claim {
            prefix: source::prefix(source),
            verdict: match held.kind {
                Kind::Blocked => Verdict::Block,
                _ => Verdict::Limit(held.tier),
            },
            reason: Some(self.texts.text(held.reason)),
            evidence: u32::from(held.evidence),
            // A second more, so that what follows it is there before it ends.
            expires: Some(now.unix.saturating_add(left).saturating_add(1)),
            id: None,
        }
    }

    pub(super) fn word(&self, now: Now) -> Word {
        let mut word = Word::default();
        for (source, mode, held) in self.standing.iter() {
            let claims = match mode {
                Mode::Enforce => &mut word.enforced,
                Mode::Observe => &mut word.shadow,
            };
            claims.push(self.claim(source, &held, now));
        }
        word
    }

    pub(super) fn due(&self) -> u64 {
        let breaker = self.breaker.due();
        let next = self.standing.due().map_or(breaker, |due| due.min(breaker));
        self.clock.ms(next)
    }

    pub(super) const fn alarm(&self) -> Option<&Alarm> {
        self.alarm.as_ref()
    }

    pub(super) const fn bootstrap(&self) -> u8 {
        self.rules.tiers.bootstrap
    }

    pub(super) fn standing(&self) -> impl Iterator<Item = (u64, Mode, Held)> {
        self.standing.iter()
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self
            .trial
            .hits()
            .into_iter()
            .filter_map(|(cause, hits)| self.row(cause, hits))
            .collect();
        rows.sort_by(|one, other| {
            let key = |row: &Row| (row.rule.clone(), row.step, Arc::clone(&row.reason));
            key(one).cmp(&key(other))
        });
        rows
    }

    fn row(&self, cause: Cause, hits: Hits) -> Option<Row> {
        let rule = self.rules.rules.get(usize::from(cause.step.0))?;
        let step = usize::from(cause.step.1);
        Some(Row {
            rule: rule.name.clone(),
            step,
            then: rule.steps.get(step)?.then,
            reason: self.texts.text(cause.reason),
            mode: rule.mode,
            hits,
        })
    }
}

impl Held {
    /// A step led to it, not genuine devices alone.
    pub(super) const fn is_step(&self) -> bool {
        !matches!(self.kind, Kind::Raised)
    }

    const fn cause(&self) -> Cause {
        Cause {
            step: self.step,
            reason: self.reason,
        }
    }

    /// Whether it stands although `next` would follow too. What two rules say
    /// of one source mustn't change with each call.
    fn outweighs(&self, next: &Self) -> bool {
        let same = (self.kind, self.tier) == (next.kind, next.tier);
        let others = self.step.0 != next.step.0;
        same || match (self.kind, next.kind) {
            (Kind::Blocked, _) => true,
            (Kind::Limited | Kind::Bootstrap, Kind::Limited) => others,
            _ => false,
        }
    }
}

/// Whether its source was attested in this hour.
fn lately(record: &Record, at: u32) -> bool {
    let attested = record.attested_at();
    attested.is_some_and(|attested| attested / HOUR == at / HOUR)
}

/// Whose call it is that was attested.
enum Carried {
    /// Of a device that speaks for this source.
    Here,
    /// Of a device that speaks for others, as of a telephone on its way.
    TooWide,
    /// Of a token that was shown at too many sources.
    Replayed,
}

/// The reason of a token that was shown at too many sources.
const REPLAY: &str = "replay";

/// The step of what no step led to.
pub(super) const NO_STEP: (u8, u8) = (u8::MAX, 0);

/// So long a source that was blocked is in the bootstrap tier, in seconds.
const PROBATION: u32 = 10 * MINUTE;
