//! `weir under-attack`: the plan is another one until it ends.

use std::time::Duration;

use filter_common::settings::Mode;

use super::{AfterConfigure, Engine, File, RequestId, kept::Then};
use crate::{
    clock::Now,
    config::{
        Config,
        tier::{Tiers, TooManyTiers},
    },
    plan::Plan,
    protocol::{Answer, Refused, UnderAttackAnswer, UnderAttackRequest, UnderAttackStatus},
    under_attack::UnderAttack,
};

/// A change on its way: to the disk, then to the tables.
#[derive(Debug)]
pub(super) struct AttackPending {
    /// `None`: its time is over.
    id: Option<RequestId>,
    attack: Option<UnderAttack>,
    was: Option<UnderAttack>,
    notes: Vec<String>,
}

impl Engine {
    pub(super) fn change_attack(&mut self, id: RequestId, request: UnderAttackRequest, now: Now) {
        let lasts = match request.for_s.map(i64::try_from) {
            Some(Ok(lasts)) if lasts <= LONGEST_SECONDS => Some(lasts),
            None => None,
            Some(_) => {
                let sentence = "that is longer than weir can count: leave out the duration";
                return self.answer(id, Err(Refused::new(sentence)));
            }
        };
        if !request.on && lasts.is_some() {
            let sentence = "what is off has no end: leave out the duration";
            return self.answer(id, Err(Refused::new(sentence)));
        }
        let was = self.attack;
        let attack = request.on.then(|| {
            was.map_or_else(
                || UnderAttack::new(now, lasts),
                |was| was.lasting(now, lasts),
            )
        });
        let pending = AttackPending {
            id: Some(id),
            attack,
            was,
            notes: Vec::new(),
        };
        self.keep_attack(attack, Some(Then::Attack(pending)), now);
    }

    fn keep_attack(&mut self, attack: Option<UnderAttack>, then: Option<Then>, now: Now) {
        let content = attack.map(|attack| attack.kept(now));
        self.persist(File::UnderAttack, content, then, now);
    }

    /// It is kept, or can't be: it takes effect.
    pub(super) fn attack_kept(
        &mut self,
        mut pending: AttackPending,
        unkept: Option<String>,
        now: Now,
    ) {
        if let Some(why) = unkept {
            pending.notes.push(format!(
                "it is so now, but a restart would forget it until it is kept: {why}"
            ));
        }
        let same = pending.attack.is_some() == self.attack.is_some();
        self.attack = pending.attack;
        if same {
            return self.attack_configured(pending, Ok(()), now);
        }
        self.plan_again();
        self.configure(AfterConfigure::Attack(pending));
    }

    /// It is in force, or the kernel refused it.
    pub(super) fn attack_configured(
        &mut self,
        pending: AttackPending,
        result: Result<(), String>,
        now: Now,
    ) {
        if let Err(why) = result {
            self.attack = pending.was;
            self.plan_again();
            self.configure(AfterConfigure::Nothing);
            self.keep_attack(pending.was, None, now);
            if let Some(id) = pending.id {
                let sentence = format!("the kernel refused it: {why}");
                self.answer(id, Err(Refused::new(sentence)));
            }
            return;
        }
        let mut notes = pending.notes;
        if self.attack.is_some() {
            tracing::warn!("the operator says: under attack");
            notes.extend(self.attack_notes());
        } else {
            tracing::warn!("the host isn't under attack any more");
        }
        if let Some(id) = pending.id {
            let answer = UnderAttackAnswer {
                on: self.attack.is_some(),
                was: pending.was.is_some(),
                under_attack: self.attack_status(now),
                notes,
            };
            self.answer(id, Ok(Answer::UnderAttack(answer)));
        }
    }

    /// Ends it when its time has come.
    pub(super) fn pass_attack(&mut self, now: Now) {
        let over = self.attack.is_some_and(|attack| attack.is_over(now));
        if !over {
            return;
        }
        let was = self.attack.take();
        self.plan_again();
        self.configure(AfterConfigure::Nothing);
        self.keep_attack(None, None, now);
        debug_assert!(was.is_some());
        tracing::warn!("no longer under attack: its time is over");
    }

    /// Keeps its end anew after a step of the wall clock.
    pub(super) fn keep_attack_anew(&mut self, now: Now) {
        let kept = self
            .attack
            .as_mut()
            .and_then(|attack| attack.kept_anew(now));
        if kept.is_some() {
            self.persist(File::UnderAttack, kept, None, now);
        }
    }

    pub(super) fn attack_status(&self, now: Now) -> Option<UnderAttackStatus> {
        let attack = self.attack?;
        Some(UnderAttackStatus {
            since: shown(attack.since(now)),
            until: attack.until(now).map(shown),
        })
    }

    fn plan_again(&mut self) {
        let attack = self.attack.is_some();
        // The tiers have their numbers already.
        if let Ok(plan) = plan(&self.config, &self.plan.tier_names, attack) {
            self.plan = plan;
        }
    }

    /// What keeps it from doing what its name says.
    fn attack_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.mode() == Mode::Observe {
            notes.push(
                "the mode is observe: nothing is dropped, only counted; weir mode enforce changes that"
                    .to_owned(),
            );
        }
        if self.config.services.is_empty() {
            notes.push("there is no [[service]]: no source is held to anything".to_owned());
        }
        for service in self.config.services.iter().filter(|one| one.observe) {
            notes.push(format!(
                "service {} is in observe: nothing is dropped there",
                service.name
            ));
        }
        let asked = !self.config.attestations.is_empty() || self.config.check.token_file.is_some();
        let nobody = match self.config.policy.mode {
            None => "[policy] is off",
            Some(Mode::Observe) => "[policy] is in observe",
            Some(Mode::Enforce) if !asked => "there is no [check]",
            Some(Mode::Enforce) => return notes,
        };
        notes.push(format!(
            "{nobody}, so that no source becomes attested by its calls: all are unknown but those that a feed or the operator holds to tier attested"
        ));
        notes
    }
}

/// The plan of a configuration, or the one under attack.
pub(super) fn plan(config: &Config, before: &Tiers, attack: bool) -> Result<Plan, TooManyTiers> {
    let plan = config.plan(before)?;
    Ok(if attack {
        plan.under_attack(config)
    } else {
        plan
    })
}

fn shown(unix: i64) -> String {
    let seconds = u64::try_from(unix).unwrap_or(0).min(u64::from(u32::MAX));
    let moment = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(moment).to_string()
}

/// A hundred years, in seconds.
const LONGEST_SECONDS: i64 = 100 * 365 * 86_400;
