//! Timelines of more than one stage. They stay where they are when everything
//! else is made anew.

use filter_common::{
    table::{QUAD, Row as _, Value},
    verdict::{SHADOW_STAGES, STAGES, Stage},
};

use super::{
    free_list::{FreeList, Retired, Run},
    storage::Words,
};

pub(super) struct Timelines<W> {
    pub(super) quads: W,
    free: FreeList,
    retired: Retired<Run>,
}

impl<W: Words> Timelines<W> {
    pub(super) fn new(quads: W) -> Self {
        let rows = (quads.count() / QUAD) as u32;
        Self {
            quads,
            free: FreeList::new(0, rows),
            retired: Retired::default(),
        }
    }

    /// The value of a timeline; `None` if there is no room for it.
    pub(super) fn value(&mut self, enforced: &[Stage], shadow: &[Stage]) -> Option<Value> {
        if let ([stage], []) = (enforced, shadow) {
            return Some(Value::single(*stage));
        }
        let at = self.free.take(quads(enforced.len() + shadow.len()))?;
        for (step, stage) in enforced.iter().chain(shadow).enumerate() {
            self.quads.put(at as usize * QUAD + step, stage.bits());
        }
        Some(Value::timeline(at, enforced.len(), shadow.len()))
    }

    /// Whether this is a timeline's value already.
    pub(super) fn says(&self, value: Value, enforced: &[Stage], shadow: &[Stage]) -> bool {
        let Some((at, known, known_shadow)) = value.place() else {
            return shadow.is_empty() && matches!(enforced, [one] if Value::single(*one) == value);
        };
        let word = |step: usize| {
            let quad = self.quads.row(at + (step / QUAD) as u32, QUAD);
            quad.expect("a timeline lies in its words")
                .word::<QUAD>(step)
        };
        (known, known_shadow) == (enforced.len(), shadow.len())
            && (0..)
                .zip(enforced.iter().chain(shadow))
                .all(|(step, stage)| word(step) == stage.bits())
    }

    /// Retires the timeline of a value that no cell holds any more.
    pub(super) fn give_up(&mut self, value: Value) {
        if let Some(run) = run(value) {
            self.retired.push(run);
        }
    }

    /// Whether nothing is retired.
    pub(super) const fn is_settled(&self) -> bool {
        self.retired.is_empty()
    }

    pub(super) fn seal(&mut self) -> bool {
        self.retired.seal()
    }

    pub(super) fn release(&mut self) {
        for run in self.retired.release() {
            self.free.give(run);
        }
    }

    /// The same for all that waits; `false` if nothing did.
    pub(super) fn empty(&mut self) -> bool {
        let any = !self.retired.is_empty();
        for run in self.retired.empty() {
            self.free.give(run);
        }
        any
    }
}

fn run(value: Value) -> Option<Run> {
    let (at, enforced, shadow) = value.place()?;
    let rows = quads(enforced + shadow);
    Some(Run { at, rows })
}

const fn quads(stages: usize) -> u32 {
    stages.div_ceil(QUAD) as u32
}

const _: () = assert!(STAGES < 16 && SHADOW_STAGES < 16);
