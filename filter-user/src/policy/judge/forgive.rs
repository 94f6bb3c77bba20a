//! What the policy holds against one source is lifted, at the operator's word.

use super::{
    super::{Changes, Lifted, Mode, Now},
    Judge, NO_STEP,
};
use crate::policy::standing::{Held, Kind, OF_ATTESTED};

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
            self.offenders.pardon(source, mode);
            let held = self.standing.get(source, mode);
            let Some(held) = held.filter(Held::is_step) else {
                continue;
            };
            lifted.push(Lifted {
                mode,
                verdict: held.verdict(),
                reason: self.texts.text(held.reason),
            });
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
        }
        lifted
    }
}
