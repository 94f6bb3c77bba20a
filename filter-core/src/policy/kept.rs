//! The policy's snapshot, which outlives a restart: a line of JSON a source.
//!
//! Not the counts: they halve in ten minutes. What holds, who was attested, and
//! who was blocked before.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Mode, Now, Policy, Rules,
    active::{Kind, Sanction},
    clock::DAY,
    judge::NO_STEP,
    recidivism::Offender,
    record::Record,
    source,
    table::Kept as _,
};
use crate::prefix::Written;

/// A text that isn't a policy's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this isn't what a policy wrote: its first line is {0:?}")]
pub struct NotASnapshot(String);

/// The result of reading a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Sources of which something is known again.
    pub sources: usize,
    /// Lines that couldn't be read, and were left out.
    pub unreadable: usize,
}

#[derive(Serialize, Deserialize)]
struct Head {
    weir_policy: u32,
    unix: u32,
    usual: f32,
}

/// A source. Times are seconds before or after the head's.
#[derive(Default, Serialize, Deserialize)]
struct Line {
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attested: Option<u32>,
    #[serde(default, skip_serializing_if = "nothing")]
    devices: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enforced: Option<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shadow: Option<Said>,
    /// How often it was blocked, and how long after the head the last one ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocks: Option<(u8, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shadow_blocks: Option<(u8, i64)>,
}

#[derive(Serialize, Deserialize)]
struct Said {
    is: Kind,
    left: u32,
    reason: String,
    evidence: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<(String, u8)>,
}

impl Policy {
    /// All that must outlive a restart.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> String {
        let head = Head {
            weir_policy: VERSION,
            unix: now.unix,
            usual: self.judge.breaker.usual,
        };
        let mut text = json(&head);
        let at = self.judge.clock.seconds();
        let lasts = self.judge.rules.protected_for;
        let remembered = self
            .sources
            .iter()
            .filter(|record| record.attested_within(lasts, at));
        let spoken_of = self.judge.active().map(|(source, ..)| source);
        let all: BTreeSet<u64> = remembered
            .map(Record::key)
            .chain(spoken_of)
            .chain(self.judge.recidivism.iter())
            .collect();
        for source in all {
            text.push('\n');
            text += &json(&self.line(source, at));
        }
        text.push('\n');
        text
    }

    /// A policy that goes on where another left off.
    ///
    /// # Errors
    /// If the text doesn't begin as a policy's does. A line that can't be read is
    /// left out.
    pub fn restore(
        rules: Rules,
        seed: u64,
        text: &str,
        now: Now,
    ) -> Result<(Self, Restored), NotASnapshot> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let head = serde_json::from_str::<Head>(first).ok();
        let Some(head) = head.filter(|head| head.weir_policy == VERSION) else {
            return Err(NotASnapshot(first.chars().take(64).collect()));
        };
        let mut policy = Self::new(rules, seed, now);
        if head.usual.is_finite() {
            policy.judge.breaker.usual = head.usual.clamp(0.0, 1.0);
        }
        // A clock that was set in between: no time has passed, or a week at most.
        let passed = now.unix.saturating_sub(head.unix).min(7 * DAY);
        let mut restored = Restored::default();
        for line in lines {
            let line = serde_json::from_str(line).ok();
            match line.and_then(|line| policy.recall(&line, passed)) {
                Some(()) => restored.sources += 1,
                None => restored.unreadable += 1,
            }
        }
        Ok((policy, restored))
    }

    fn line(&self, source: u64, at: u32) -> Line {
        let record = self.sources.find(source);
        let judge = &self.judge;
        let attested = record.and_then(|record| record.attested_at());
        let said = |mode| {
            judge
                .active
                .get(source, mode)
                .map(|sanction| self.said(&sanction, at))
        };
        let blocks = |mode| {
            let offender = judge.recidivism.get(source, mode)?;
            Some((offender.blocks, i64::from(offender.until) - i64::from(at)))
        };
        Line {
            source: source::prefix(source).to_string(),
            attested: attested.map(|attested| at.saturating_sub(attested)),
            devices: record.map_or(0, |record| {
                let mut record = *record;
                record.touch(at, 0);
                record.devices()
            }),
            enforced: said(Mode::Enforce),
            shadow: said(Mode::Observe),
            blocks: blocks(Mode::Enforce),
            shadow_blocks: blocks(Mode::Observe),
        }
    }

    fn said(&self, sanction: &Sanction, at: u32) -> Said {
        let rule = self.judge.rules.rules.get(usize::from(sanction.step.0));
        Said {
            is: sanction.kind,
            left: sanction.until.saturating_sub(at),
            reason: self.judge.texts.text(sanction.reason).to_string(),
            evidence: sanction.evidence,
            step: rule.map(|rule| (rule.name.clone(), sanction.step.1)),
        }
    }

    /// Takes a line of `passed` seconds ago.
    fn recall(&mut self, line: &Line, passed: u32) -> Option<()> {
        let written: Written = line.source.parse().ok()?;
        let source = source::key(&written.prefix)?;
        let at = self.judge.clock.seconds();
        if let Some(attested) = line.attested {
            let attested = at.checked_sub(attested.saturating_add(passed))?;
            let record = self
                .sources
                .entry(source, || Record::new(source, at), |_| false);
            record.recall(attested, if passed < DAY { line.devices } else { 0 });
        }
        for (mode, said, blocks) in [
            (Mode::Enforce, &line.enforced, line.blocks),
            (Mode::Observe, &line.shadow, line.shadow_blocks),
        ] {
            if let Some(sanction) = said
                .as_ref()
                .and_then(|said| self.recalled(said, line.devices, mode))
            {
                let until = at + sanction.until.saturating_sub(passed).max(1);
                self.judge
                    .active
                    .say(source, mode, Sanction { until, ..sanction });
            }
            if let Some((blocks, ends)) = blocks {
                let until = i64::from(at) + ends.clamp(-i64::from(7 * DAY), i64::from(DAY));
                let until = u32::try_from(until - i64::from(passed)).ok()?;
                let within = self.judge.rules.repeats_for;
                let offender = Offender { blocks, until };
                self.judge
                    .recidivism
                    .block(source, mode, offender, within, at);
            }
        }
        Some(())
    }

    /// A verdict of an earlier life, if the rules still have its step. Its end is
    /// what was left of it.
    fn recalled(&mut self, said: &Said, devices: u32, mode: Mode) -> Option<Sanction> {
        let judge = &mut self.judge;
        let step = match &said.step {
            None if said.is == Kind::Raised && judge.rules.raise == mode => NO_STEP,
            None => return None,
            Some((name, step)) => {
                let mut rules = judge.rules.rules.iter();
                let of = |rule: &super::Rule| rule.name == *name && rule.mode == mode;
                (rules.position(of)? as u8, *step)
            }
        };
        let tier = judge.tier(said.is, step, devices)?;
        Some(Sanction {
            until: said.left.min(DAY.max(judge.rules.longest_block)),
            said: 0,
            evidence: said.evidence,
            reason: judge.texts.number(&said.reason.as_str().into()),
            step,
            kind: said.is,
            tier,
        })
    }
}

const fn nothing(number: &u32) -> bool {
    *number == 0
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and texts can be written")
}

/// Of the text's form.
const VERSION: u32 = 1;
