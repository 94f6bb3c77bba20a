//! From an observation to sanctions; how these are issued and end is in
//! `judge/sanctions.rs`.

mod forgive;
mod sanctions;

use super::{
    Alarm, Changes, Mode, Now, Rules, Then,
    active::{Active, Kind, OF_ATTESTED, Sanction, Texts},
    breaker::{Breaker, Seen, Turn},
    clock::{Clock, DAY, HOUR, MINUTE},
    device_sources::DeviceSources,
    recidivism::{Offender, Recidivism},
    record::Record,
    rules::{Index, Step},
    shadow_stats::{Cause, Hit, ShadowStats},
    table::{Kept, mix},
};
use crate::{
    claim::Verdict,
    observation::{Observation, Outcome, Reason},
};

/// All of the policy but the records.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) rules: Rules,
    index: Index,
    pub(super) clock: Clock,
    device_sources: DeviceSources,
    pub(super) active: Active,
    pub(super) recidivism: Recidivism,
    pub(super) texts: Texts,
    pub(super) breaker: Breaker,
    alarm: Option<Alarm>,
    /// Failures from before count nothing.
    amnesty: u32,
    shadow_stats: ShadowStats,
}

impl Judge {
    pub(super) fn new(rules: Rules, seed: u64, now: Now) -> Self {
        let clock = Clock::new(now);
        let at = clock.seconds();
        Self {
            index: Index::new(&rules.rules),
            device_sources: DeviceSources::new(rules.devices, mix(seed ^ 1)),
            active: Active::new(mix(seed ^ 2)),
            recidivism: Recidivism::new(rules.sources / 4, mix(seed ^ 3)),
            texts: Texts::default(),
            breaker: Breaker::new(at),
            alarm: None,
            amnesty: 0,
            shadow_stats: ShadowStats::new(rules.sources / 16, mix(seed ^ 4), at),
            clock,
            rules,
        }
    }

    /// Takes the time.
    pub(super) fn advance(&mut self, now: Now, changes: &mut Changes) -> u32 {
        let at = self.clock.advance(now);
        self.shadow_stats.advance(at);
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
        let mut said = self.active.of(source).into_iter().flatten();
        let call = Seen {
            known,
            sanctioned: said.any(|sanction| sanction.is_step()),
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
        self.active.contains(record.key())
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
        self.shadow_stats.attest(source);
        let devices = record.devices();
        for mode in [Mode::Enforce, Mode::Observe] {
            let Some(sanction) = self.active.get(source, mode) else {
                continue;
            };
            match sanction.kind {
                // It is genuine after all.
                Kind::Blocked | Kind::Bootstrap => self.take(source, mode, changes),
                Kind::Limited | Kind::Held => {
                    let tier = self.rules.tiers.held(devices);
                    if sanction.kind == Kind::Limited || sanction.tier != tier {
                        let sanction = Sanction {
                            kind: Kind::Held,
                            tier,
                            ..sanction
                        };
                        self.say(source, mode, sanction, now, changes);
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
        match self.active.get(source, mode) {
            Some(sanction) if sanction.kind != Kind::Raised => {}
            Some(sanction) if sanction.tier == tier => {
                self.active.prolong(source, mode, until, evidence)
            }
            // Room is kept for what holds somebody back.
            None if self.active.len() >= self.rules.sources / 8 * 7 => {}
            before => {
                let sanction = Sanction {
                    until: before.map_or(until, |sanction| sanction.until.max(until)),
                    said: 0,
                    evidence,
                    reason: OF_ATTESTED,
                    step: NO_STEP,
                    kind: Kind::Raised,
                    tier,
                };
                self.say(source, mode, sanction, now, changes);
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
        let before = self.active.get(source, mode);
        let blocked = before.is_some_and(|sanction| sanction.kind == Kind::Blocked);
        // Nothing is held against anybody while it may be our own fault, nor
        // what wouldn't have come if a block had been carried out.
        if self.breaker.is_open() || blocked {
            return;
        }
        record.fail(number, weight);
        let blocks = self
            .recidivism
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
        let sanction = Sanction {
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
                until: sanction.until,
            };
            let within = self.rules.repeats_for;
            self.recidivism.block(source, mode, offender, within, at);
        }
        match before {
            Some(old) if old.outweighs(&sanction) => {
                if (old.kind, old.tier) == (kind, tier) {
                    let evidence = sanction.evidence;
                    self.active.prolong(source, mode, sanction.until, evidence);
                }
            }
            None if self.active.len() >= self.rules.sources => {}
            _ => {
                let hit = Hit {
                    lately: lately(record, at),
                    attested: false,
                    spared: matches!(kind, Kind::Held | Kind::Bootstrap),
                };
                self.shadow_stats.hit(source, sanction.cause(), weight, hit);
                self.say(source, mode, sanction, now, changes);
            }
        }
    }

    /// The effect of a step on this source: its genuine devices speak for it.
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
        let mut speaks = |what: u64| self.device_sources.speaks_for(what, source, time, at);
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
        for sanction in self.active.of(source).into_iter().flatten() {
            if sanction.is_step() {
                let hit = Hit {
                    lately: lately(record, at),
                    attested,
                    spared: sanction.kind == Kind::Held,
                };
                self.shadow_stats.hit(source, sanction.cause(), calls, hit);
            }
        }
    }
}

impl Sanction {
    /// A step led to it, not genuine devices alone.
    pub(super) const fn is_step(&self) -> bool {
        !matches!(self.kind, Kind::Raised)
    }

    /// The verdict that it asks for.
    pub(super) const fn verdict(&self) -> Verdict {
        match self.kind {
            Kind::Blocked => Verdict::Block,
            _ => Verdict::Limit(self.tier),
        }
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
