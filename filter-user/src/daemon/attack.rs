//! `weir under-attack`: the plan is another one until it ends.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use filter_common::settings::Mode;
use tokio::time::Instant;

use super::{Daemon, now};
use crate::{
    config::{Config, tier::Tiers},
    control::protocol::{Refused, UnderAttackAnswer, UnderAttackRequest, UnderAttackStatus},
    datapath::Datapath as _,
    plan::Plan,
    store::state_dir,
    under_attack::{Moment, UnderAttack},
};

impl Daemon {
    pub(super) fn change_attack(
        &mut self,
        request: UnderAttackRequest,
    ) -> Result<UnderAttackAnswer, Refused> {
        let now = moment();
        let was = self.attack;
        let lasts = match request.for_s.map(i64::try_from) {
            Some(Ok(lasts)) if lasts <= LONGEST => Some(lasts),
            None => None,
            Some(_) => {
                let sentence = "that is longer than weir can count: leave out the duration";
                return Err(Refused::new(sentence));
            }
        };
        if !request.on && lasts.is_some() {
            return Err(Refused::new(
                "what is off has no end: leave out the duration",
            ));
        }
        self.attack = request.on.then(|| {
            was.map_or_else(
                || UnderAttack::new(now, lasts),
                |was| was.lasting(now, lasts),
            )
        });
        if self.attack.is_some() != was.is_some()
            && let Err(why) = self.plan_again()
        {
            self.attack = was;
            let back = self.plan_again().err().map(|error| format!("{error:#}"));
            self.note_tables(back);
            return Err(Refused::new(format!("the kernel refused it: {why:#}")));
        }
        let mut notes = Vec::new();
        if let Err(error) = self.keep_attack() {
            notes.push(format!(
                "in force now, but a restart would forget it: {error}"
            ));
        }
        if self.attack.is_some() {
            tracing::warn!(for_s = lasts, "the operator says: under attack");
            notes.extend(self.attack_notes());
        } else {
            tracing::info!("the operator says: not under attack");
        }
        Ok(UnderAttackAnswer {
            on: self.attack.is_some(),
            was: was.is_some(),
            under_attack: self.attack_status(),
            notes,
        })
    }

    /// Ends it when its time has come; keeps it anew when the clock was set.
    pub(super) fn let_attack_pass(&mut self) {
        let now = moment();
        let Some(attack) = &mut self.attack else {
            return;
        };
        let folder = &self.config.daemon.state_dir;
        if let Some(kept) = attack.kept_anew(now)
            && let Err(error) = state_dir::write(folder, UNDER_ATTACK, &kept)
        {
            tracing::warn!(%error, "the end of the attack can't be kept");
        }
        if !attack.is_over(now) {
            return;
        }
        self.attack = None;
        let planned = self.plan_again();
        self.note_tables(planned.err().map(|error| format!("{error:#}")));
        if let Err(error) = self.keep_attack() {
            tracing::warn!(%error, "that the attack is over can't be kept");
        }
        tracing::warn!("no longer under attack: its time is over");
    }

    /// When it ends, on the runtime's clock.
    pub(super) fn attack_end(&self) -> Option<Instant> {
        let left = self.attack?.left(moment())?;
        // A second is counted from its beginning, and what is a little early
        // comes again at once.
        Some(Instant::now() + Duration::from_secs(left.min(FAR)).max(A_LITTLE))
    }

    pub(super) fn attack_status(&self) -> Option<UnderAttackStatus> {
        let (attack, now) = (self.attack?, moment());
        Some(UnderAttackStatus {
            since: shown(attack.since(now)),
            until: attack.until(now).map(shown),
        })
    }

    /// Makes the plan anew, and writes it.
    fn plan_again(&mut self) -> Result<()> {
        self.plan = plan(&self.config, &self.plan.tier_names, self.attack.as_ref())?;
        self.kernel.configure(&self.whole_plan())
    }

    fn keep_attack(&self) -> std::io::Result<()> {
        let folder = &self.config.daemon.state_dir;
        match &self.attack {
            Some(attack) => state_dir::write(folder, UNDER_ATTACK, &attack.kept(moment())),
            None => state_dir::remove(folder, UNDER_ATTACK),
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
        let nobody = match self.config.policy.mode {
            None => "[policy] is off",
            Some(Mode::Observe) => "[policy] is in observe",
            Some(Mode::Enforce) if self.checks.is_none() => "there is no [check]",
            Some(Mode::Enforce) => return notes,
        };
        notes.push(format!(
            "{nobody}, so that no source becomes attested by its calls: all are unknown but those that a feed or the operator holds to tier attested"
        ));
        notes
    }
}

/// The plan of a configuration, or the one under attack.
pub(super) fn plan(config: &Config, before: &Tiers, attack: Option<&UnderAttack>) -> Result<Plan> {
    let plan = config.plan(before)?;
    Ok(match attack {
        Some(_) => plan.under_attack(config),
        None => plan,
    })
}

/// What was kept, if it isn't over. What is wrong with it is told, and left.
pub(super) fn recall(folder: &Path, troubles: &mut Vec<String>) -> Result<Option<UnderAttack>> {
    let kept =
        state_dir::read(folder, UNDER_ATTACK).context("reading whether there is an attack")?;
    let Some(kept) = kept else {
        return Ok(None);
    };
    Ok(
        UnderAttack::recall(&kept, moment()).unwrap_or_else(|error| {
            troubles.push(format!(
                "whether the host is under attack was forgotten, say it again: {error}"
            ));
            None
        }),
    )
}

fn moment() -> Moment {
    let now = now();
    Moment {
        unix: i64::from(now.unix),
        boot: i64::from(now.boot),
    }
}

fn shown(unix: i64) -> String {
    let seconds = u64::try_from(unix).unwrap_or(0);
    let moment = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(moment).to_string()
}

/// The file in the state folder that keeps it.
const UNDER_ATTACK: &str = "under-attack";

/// A hundred years, in seconds.
const LONGEST: i64 = 100 * 365 * 86_400;

/// The loop looks again before; the runtime's clock can't count for ever.
const FAR: u64 = 86_400;

/// Not in a loop without rest in the last second.
const A_LITTLE: Duration = Duration::from_millis(50);
