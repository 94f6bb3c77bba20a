//! The way of a patch: from the ledger to the tables, and what they refuse.

use std::collections::BTreeSet;

use super::{AfterConfigure, Effect, Engine, operator::VerdictPending};
use crate::{clock::Now, patch::Patch, plan::Plan, prefix::Prefix};

/// What went wrong and still matters.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// The tables refused a plan or settings.
    pub(super) tables: Option<String>,
    /// The tables refused part of a patch.
    pub(super) patch: Option<String>,
    /// The prefixes whose entries may be old ones.
    pub(super) refused: BTreeSet<Prefix>,
    /// Something at the start that needs the operator: a sentence each.
    pub(super) start: Vec<String>,
    /// The file that keeps the mode is damaged.
    pub(super) mode: Option<String>,
    /// The configuration was read and refused, and since which Unix second.
    pub(super) config: Option<(String, u32)>,
    /// The journal couldn't be put right after a refusal.
    pub(super) journal: Option<String>,
    /// The filter can't be put on interfaces.
    pub(super) attach: Option<String>,
}

impl Engine {
    /// Has a patch carried out; `then` goes on with what the tables refuse.
    pub(super) fn apply(&mut self, patch: Patch, then: Option<VerdictPending>, now: Now) {
        if patch.is_empty() {
            self.settle(now);
            if let Some(verdict) = then {
                self.verdict_applied(verdict, &[]);
            }
            return;
        }
        self.applying.push_back(then);
        self.effects.push_back(Effect::Apply(patch));
        self.settings.generation += 1;
        self.put_settings();
    }

    /// What came of a patch.
    pub(super) fn applied(&mut self, refused: Vec<(Prefix, String)>, now: Now) {
        let then = self.applying.pop_front().flatten();
        if let Some((prefix, why)) = refused.first() {
            let trouble = format!(
                "the tables refused {} prefixes, the first {prefix}: {why}",
                refused.len()
            );
            tracing::error!(trouble, "the tables aren't as they should be");
            self.troubles.patch = Some(trouble);
        }
        let prefixes = refused.iter().map(|(prefix, _why)| *prefix);
        self.troubles.refused.extend(prefixes);
        self.settle(now);
        if let Some(verdict) = then {
            self.verdict_applied(verdict, &refused);
        }
    }

    /// Begins to rest the numbers of claims that neither the tables nor a patch on its
    /// way to them name any more.
    fn settle(&mut self, now: Now) {
        let whole = self.applying.is_empty() && self.troubles.refused.is_empty();
        if whole && self.ledger.awaits_force() {
            self.ledger.in_force(now.boot());
        }
    }

    /// Has the settings put in force.
    pub(super) fn put_settings(&mut self) {
        self.setting.push_back(None);
        self.effects.push_back(Effect::Set(self.settings));
    }

    /// What came of settings.
    pub(super) fn settings_put(&mut self, result: Result<(), String>, now: Now) {
        let then = self.setting.pop_front().flatten();
        self.note_tables(result.clone().err());
        if let Err(why) = &result
            && let Some(reload) = &mut self.reload
        {
            reload.fail(why);
        }
        if let Some(mode) = then {
            self.mode_put(mode, result, now);
        }
    }

    /// Has the plan written, with the protection of the operator's sessions.
    pub(super) fn configure(&mut self, then: AfterConfigure) {
        self.configuring.push_back(then);
        let plan = Box::new(self.whole_plan());
        self.effects.push_back(Effect::Configure(plan));
    }

    /// What came of a plan.
    pub(super) fn configured(&mut self, result: Result<(), String>, now: Now) {
        let then = self.configuring.pop_front();
        match then.unwrap_or(AfterConfigure::Nothing) {
            AfterConfigure::Nothing => self.note_tables(result.err()),
            AfterConfigure::Attack(pending) => self.attack_configured(pending, result, now),
            AfterConfigure::Reload => {
                if let (Err(why), Some(reload)) = (&result, &mut self.reload) {
                    reload.fail(why);
                }
                self.note_tables(result.err());
            }
        }
    }

    pub(super) fn whole_plan(&self) -> Plan {
        let mut plan = self.plan.clone();
        plan.scopes.extend(&self.peers);
        plan
    }

    pub(super) fn note_tables(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble {
            tracing::error!(trouble, "the tables aren't as they should be");
            self.troubles.tables = Some(trouble);
        }
    }

    /// Tries again what was refused: the tables are written once more, as a whole.
    pub(super) fn retry(&mut self, now: Now) {
        self.retry_files(now);
        self.retry_journal();
        if self.troubles.tables.take().is_some() {
            self.configure(AfterConfigure::Nothing);
            self.put_settings();
        }
        if self.troubles.patch.take().is_some() {
            let mut whole = self.ledger.table();
            // Some were to leave the tables, and aren't in the whole.
            let mut leave = std::mem::take(&mut self.troubles.refused);
            for (prefix, _entry) in whole.iter() {
                leave.remove(&prefix);
            }
            for prefix in leave {
                whole.push(prefix, &[], &[]);
            }
            self.apply(whole, None, now);
        }
    }

    /// Events were read: the numbers of claims that are gone may be free.
    pub(super) fn events_read(&mut self, boot: u32) {
        self.reading_events = false;
        let mut freed = Vec::new();
        self.ledger.told(boot, |claim| freed.push(claim));
        if !freed.is_empty() {
            self.effects.push_back(Effect::ForgetHits(freed));
        }
    }
}
