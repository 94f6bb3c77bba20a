//! The policy and its rules.

use super::{
    Changes, Effect, Section,
    shown::{duration, list, mode, plain, steps},
};
use crate::{
    config::policy::{Policy, Rule},
    observation::{Integrity, Reason},
};

impl Section for Policy {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self {
            mode: whether,
            sources,
            devices,
            raised_for,
            protected_for,
            repeats_for,
            longest_block,
            silent_for,
            rules,
        } = old;
        changes.key("mode", whether, &new.mode, |whether| {
            whether.as_ref().map_or_else(|| "\"off\"".to_owned(), mode)
        });
        changes.key("sources", sources, &new.sources, plain);
        changes.key("devices", devices, &new.devices, plain);
        changes.key("raised_for", raised_for, &new.raised_for, duration);
        changes.key("protected_for", protected_for, &new.protected_for, duration);
        changes.key("repeats_for", repeats_for, &new.repeats_for, duration);
        changes.key("longest_block", longest_block, &new.longest_block, duration);
        changes.key("silent_for", silent_for, &new.silent_for, duration);
        changes.below("rule", |changes| {
            changes.named(
                rules,
                &new.rules,
                |rule| &rule.name,
                |old, new, changes| {
                    let Rule {
                        name: _,
                        integrities,
                        reasons,
                        mode: own,
                        steps: then,
                    } = old;
                    let all = |integrities: &[Integrity], reasons: &[Reason]| -> Vec<String> {
                        let integrities = integrities.iter().map(|one| one.name().to_owned());
                        integrities
                            .chain(reasons.iter().map(|one| one.name().to_owned()))
                            .collect()
                    };
                    changes.key(
                        "reasons",
                        &all(integrities, reasons),
                        &all(&new.integrities, &new.reasons),
                        |all| list(all),
                    );
                    changes.key("mode", own, &new.mode, |own| {
                        own.as_ref().map_or_else(|| "\"inherit\"".to_owned(), mode)
                    });
                    changes.key("steps", then, &new.steps, |all| steps(all));
                },
            );
        });
    }
}
