//! What the policy holds against one source is lifted, at the operator's word.

use super::{
    super::{Changes, Lifted, Mode, Now},
    Judge, NO_STEP,
};
use crate::policy::active::{Kind, OF_ATTESTED, Sanction};

impl Judge {
    /// Withdraws the verdicts of steps on a source and forgets its blocks. A source
    /// that is attested and held is raised again. Gives what was withdrawn, in the
    /// order enforced, only counted.
    pub(in crate::policy) fn forgive(
        &mut self,
        source: u64,
        now: Now,
        changes: &mut Changes,
    ) -> Vec<Lifted> {
        let mut lifted = Vec::new();
        for mode in [Mode::Enforce, Mode::Observe] {
            self.recidivism.pardon(source, mode);
            let sanction = self.active.get(source, mode);
            let Some(sanction) = sanction.filter(Sanction::is_step) else {
                continue;
            };
            lifted.push(Lifted {
                mode,
                verdict: sanction.verdict(),
                reason: self.texts.text(sanction.reason),
            });
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
        }
        lifted
    }
}
