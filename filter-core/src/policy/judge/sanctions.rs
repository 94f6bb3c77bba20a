//! Active sanctions: how they are issued, when they end, and what takes them back.

use std::sync::Arc;

use super::{
    super::{
        Alarm, Changes, Mode, Now, Row, Rules, Word,
        active::{Kind, OF_ATTESTED, Sanction},
        breaker::Why,
        rules::Index,
        shadow_stats::{Cause, Hits},
        source,
    },
    Judge, NO_STEP, PROBATION,
};
use crate::claim::{Change, Claim};

impl Judge {
    /// Opens the breaker: every sanction of the policy lapses.
    pub(super) fn open(&mut self, why: Why, now: Now, changes: &mut Changes) {
        self.alarm = Some(Alarm {
            why,
            since: now.unix,
        });
        let all: Vec<_> = self
            .active
            .iter()
            .filter(|(.., sanction)| sanction.is_step())
            .collect();
        for (source, mode, sanction) in all {
            self.breaker.explain(source);
            if sanction.kind == Kind::Held && mode == self.rules.raise {
                let raised = Sanction {
                    reason: OF_ATTESTED,
                    step: NO_STEP,
                    kind: Kind::Raised,
                    tier: self.rules.tiers.raised_from(sanction.tier),
                    ..sanction
                };
                self.say(source, mode, raised, now, changes);
            } else {
                self.take(source, mode, changes);
            }
            if sanction.kind == Kind::Blocked {
                self.recidivism.pardon(source, mode);
            }
        }
    }

    pub(in crate::policy) fn tick(&mut self, now: Now, changes: &mut Changes) {
        let at = self.advance(now, changes);
        if self.clock.was_set(now) {
            let all: Vec<_> = self.active.iter().collect();
            for (source, mode, sanction) in all {
                if sanction.until > at {
                    self.say(source, mode, sanction, now, changes);
                }
            }
        }
        while let Some(source) = self.active.ended(at) {
            self.settle(source, at, now, changes);
        }
    }

    /// Ends the sanctions on a source that have ended; a block gives way to the
    /// bootstrap tier. Says again what was prolonged.
    pub(super) fn settle(&mut self, source: u64, at: u32, now: Now, changes: &mut Changes) {
        for mode in [Mode::Enforce, Mode::Observe] {
            match self.active.get(source, mode) {
                Some(sanction) if sanction.until <= at && sanction.kind == Kind::Blocked => {
                    let reopened = Sanction {
                        until: at + PROBATION,
                        kind: Kind::Bootstrap,
                        tier: self.rules.tiers.bootstrap,
                        ..sanction
                    };
                    self.say(source, mode, reopened, now, changes);
                }
                Some(sanction) if sanction.until <= at => self.take(source, mode, changes),
                Some(sanction) if sanction.said <= at => {
                    self.say(source, mode, sanction, now, changes)
                }
                _ => {}
            }
        }
    }

    pub(in crate::policy) fn configure(&mut self, rules: Rules, now: Now, changes: &mut Changes) {
        let at = self.advance(now, changes);
        let names = |rules: &Rules| -> Vec<_> {
            let names = rules.rules.iter().map(|rule| rule.name.clone());
            names.collect()
        };
        if names(&rules) != names(&self.rules) {
            // The counts were of other rules.
            self.amnesty = at + 1;
            self.shadow_stats.clear();
        }
        let before = std::mem::replace(&mut self.rules, rules);
        self.index = Index::new(&self.rules.rules);
        let all: Vec<_> = self.active.iter().collect();
        for (source, mode, sanction) in all {
            if self.wanted(&before, mode, &sanction) {
                self.say(source, mode, sanction, now, changes);
            } else {
                self.take(source, mode, changes);
            }
        }
    }

    /// Whether a verdict is one that the rules would make, as far as it can be
    /// told without the calls that led to it.
    fn wanted(&self, before: &Rules, mode: Mode, sanction: &Sanction) -> bool {
        if !sanction.is_step() {
            return mode == self.rules.raise && before.tiers == self.rules.tiers;
        }
        let (rule, step) = (usize::from(sanction.step.0), usize::from(sanction.step.1));
        let step = |rules: &Rules| {
            let rule = rules.rules.get(rule)?;
            Some((rule.name.clone(), rule.mode, *rule.steps.get(step)?))
        };
        let now = step(&self.rules);
        now.as_ref().is_some_and(|(_, of, _)| *of == mode)
            && now == step(before)
            && before.tiers == self.rules.tiers
    }

    pub(super) fn say(
        &mut self,
        source: u64,
        mode: Mode,
        sanction: Sanction,
        now: Now,
        changes: &mut Changes,
    ) {
        self.active.say(source, mode, sanction);
        let claim = self.claim(source, &sanction, now);
        changes.of(mode).push(Change::Claim(claim));
    }

    pub(super) fn take(&mut self, source: u64, mode: Mode, changes: &mut Changes) {
        if self.active.take(source, mode).is_some() {
            let gone = Change::Withdraw(source::prefix(source));
            changes.of(mode).push(gone);
        }
    }

    fn claim(&self, source: u64, sanction: &Sanction, now: Now) -> Claim {
        let left = sanction.until.saturating_sub(self.clock.seconds());
        Claim {
            prefix: source::prefix(source),
            verdict: sanction.verdict(),
            reason: Some(self.texts.text(sanction.reason)),
            evidence: u32::from(sanction.evidence),
            // A second more, so that what follows it is there before it ends.
            expires: Some(now.unix.saturating_add(left).saturating_add(1)),
            id: None,
        }
    }

    pub(in crate::policy) fn word(&self, now: Now) -> Word {
        let mut word = Word::default();
        for (source, mode, sanction) in self.active.iter() {
            let claims = match mode {
                Mode::Enforce => &mut word.enforced,
                Mode::Observe => &mut word.shadow,
            };
            claims.push(self.claim(source, &sanction, now));
        }
        word
    }

    pub(in crate::policy) fn due(&self) -> u64 {
        let breaker = self.breaker.due();
        let next = self.active.due().map_or(breaker, |due| due.min(breaker));
        self.clock.ms(next)
    }

    pub(in crate::policy) const fn alarm(&self) -> Option<&Alarm> {
        self.alarm.as_ref()
    }

    pub(in crate::policy) const fn bootstrap(&self) -> u8 {
        self.rules.tiers.bootstrap
    }

    pub(in crate::policy) fn active(&self) -> impl Iterator<Item = (u64, Mode, Sanction)> {
        self.active.iter()
    }

    pub(in crate::policy) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<_> = self
            .shadow_stats
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
