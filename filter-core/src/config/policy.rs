//! `[policy]`: consequences of observations.

mod written;

use std::{collections::BTreeMap, time::Duration};

use filter_common::settings::Mode;
use toml::Spanned;

pub(super) use self::written::Written;
use self::written::{Time, WrittenStep};

use super::{
    error::Error,
    file,
    tier::{ATTESTED, SUSPECT},
    validate::Validator,
    value::Text,
};
use crate::{
    observation::{Integrity, Reason},
    policy::{LEAST, MAX_RULES},
};

/// `[policy]`: consequences of observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Whether its verdicts hold; `None`: off, nothing follows from observations.
    pub mode: Option<Mode>,
    /// Sources that are remembered.
    pub sources: u32,
    /// Devices and tokens that are remembered.
    pub devices: u32,
    /// How long a token whose end isn't known raises its source.
    pub raised_for: Duration,
    /// How long a source that was attested never goes below `bootstrap`.
    pub protected_for: Duration,
    /// How long after a block the next one counts as repeated.
    pub repeats_for: Duration,
    /// The longest block.
    pub longest_block: Duration,
    /// How long calls may come without a single attested one.
    pub silent_for: Duration,
    /// Which reasons count together, and what follows; at most [`MAX_RULES`].
    pub rules: Vec<Rule>,
}

/// `[policy.rule.NAME]`: reasons that count together.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, the only one of it.
    pub name: String,
    /// All reasons of these integrities, but for those that another rule names.
    pub integrities: Vec<Integrity>,
    /// Reasons by name.
    pub reasons: Vec<Reason>,
    /// Another mode than the policy's.
    pub mode: Option<Mode>,
    /// Consequences, from mild to harsh.
    pub steps: Vec<Step>,
}

/// The consequence of enough failing calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The least number of failing calls.
    pub evidence: u32,
    /// The least share of calls that fail, in thousandths.
    pub share: u32,
    /// The verdict that follows.
    pub verdict: super::Verdict,
    /// How long the verdict lasts.
    pub lifetime: Duration,
}

impl Policy {
    /// Whether there is one.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.mode.is_some()
    }

    /// The mode of a rule; `None`: off.
    #[must_use]
    pub fn mode_of(&self, rule: &Rule) -> Option<Mode> {
        rule.mode.or(self.mode)
    }
}

impl Validator<'_> {
    pub(super) fn policy(&self, written: Written) -> Result<Policy, Error> {
        let longest_block = self.time(&written.longest_block, DAY)?;
        let mut rules = built_in();
        let mut places = BTreeMap::new();
        for (name, rule) in written.rule {
            let span = name.span();
            let name = name.into_inner().0.0;
            let known = rules.iter().position(|rule| rule.name == name);
            if known.is_none() && rule.reasons.is_none() {
                return Err(self.source.missing(
                    &span,
                    format!("rule {name} says nothing of its `reasons`: write them, such as reasons = [\"tok_expired\"]"),
                ));
            }
            let place = known.unwrap_or_else(|| {
                rules.push(Rule {
                    name: name.clone(),
                    integrities: Vec::new(),
                    reasons: Vec::new(),
                    mode: None,
                    steps: Vec::new(),
                });
                rules.len() - 1
            });
            let base = &mut rules[place];
            if let Some(reasons) = rule.reasons {
                self.reasons(base, reasons)?;
            }
            if let Some(steps) = rule.steps {
                base.steps = self.steps(steps, longest_block)?;
            }
            base.mode = rule.mode.or(base.mode);
            if base
                .steps
                .iter()
                .any(|step| step.verdict == super::Verdict::Block)
                && base.is_of_devices()
            {
                return Err(self.source.refuse(
                    &span,
                    format!("rule {name} would block for what is said of a device, and that is no proof of abuse: write a step with {{ limit = \"{SUSPECT}\" }}"),
                ));
            }
            places.insert(name, span);
        }
        rules.retain(|rule| !rule.integrities.is_empty() || !rule.reasons.is_empty());
        self.each_once(&rules, &places)?;
        if let Some(one_more) = rules.get(MAX_RULES) {
            return Err(self.source.too_many(
                &places.get(&one_more.name).cloned().unwrap_or_default(),
                format!("rule {} is one too many, since a source has {MAX_RULES} counts: write reasons = [] in a rule that isn't needed", one_more.name),
            ));
        }
        Ok(Policy {
            mode: written.mode,
            sources: written.sources,
            devices: written.devices,
            raised_for: self.time(&written.raised_for, DAY)?,
            protected_for: self.time(&written.protected_for, 30 * DAY)?,
            repeats_for: self.time(&written.repeats_for, 7 * DAY)?,
            longest_block,
            silent_for: self.time(&written.silent_for, DAY)?,
            rules,
        })
    }

    /// A claim on a source holds at every service.
    pub(super) fn raised(&mut self, services: &[super::Service]) {
        let connections = |tier: &str| self.tiers[tier].source.connections;
        let raised = connections(ATTESTED);
        for service in services {
            let usual = connections(&service.default_tier);
            if !usual.is_set() || usual.interval < raised.interval {
                self.warnings.push(format!(
                    "service {}: its default tier {} has more new connections than tier {ATTESTED}, so that a source that proves itself would lose some there: write a larger [tier.{ATTESTED}]",
                    service.name, service.default_tier
                ));
            }
        }
    }

    fn reasons(&self, rule: &mut Rule, written: Vec<Spanned<String>>) -> Result<(), Error> {
        (rule.integrities, rule.reasons) = (Vec::new(), Vec::new());
        for reason in written {
            let text = reason.get_ref();
            if let Some(integrity) = Integrity::ALL.into_iter().find(|one| one.name() == text) {
                rule.integrities.push(integrity);
            } else if !text.is_empty()
                && text.len() <= 64
                && text.chars().all(|c| c.is_ascii_graphic())
            {
                rule.reasons.push(Reason::new(text));
            } else {
                return Err(self.source.refuse(
                    &reason.span(),
                    format!("{text:?} is no reason: write an integrity ({}), or a reason such as \"tok_expired\"", integrities()),
                ));
            }
        }
        Ok(())
    }

    fn steps(&self, written: Vec<WrittenStep>, longest: Duration) -> Result<Vec<Step>, Error> {
        let mut steps: Vec<Step> = Vec::new();
        for step in written {
            let evidence = u32::try_from(*step.evidence.get_ref()).ok();
            let Some(evidence) = evidence.filter(|number| (LEAST..=MOST).contains(number)) else {
                return Err(self.source.refuse(
                    &step.evidence.span(),
                    format!("{} can't be: write {LEAST} failing calls or more, since one never changes anything, and {MOST} at most", step.evidence.get_ref()),
                ));
            };
            if steps
                .last()
                .is_some_and(|before| before.evidence > evidence)
            {
                return Err(self.source.refuse(
                    &step.evidence.span(),
                    "the step before needs more, so that it would never hold: write the steps from mild to harsh",
                ));
            }
            let share = *step.share.get_ref();
            if !(0.0..=1.0).contains(&share) {
                return Err(self.source.refuse(
                    &step.share.span(),
                    format!("{share} is no share: write a number from 0.0 to 1.0"),
                ));
            }
            let span = step.verdict.span();
            let (verdict, longest) = match step.verdict.into_inner() {
                file::Verdict::Block => (super::Verdict::Block, longest),
                file::Verdict::Limit(tier) => (
                    super::Verdict::Limit(self.tier(tier)?),
                    Duration::from_secs(DAY),
                ),
                file::Verdict::Allow => {
                    return Err(self.source.refuse(
                        &span,
                        format!("nobody is allowed anything for failing: write \"block\" or {{ limit = \"{SUSPECT}\" }}"),
                    ));
                }
            };
            steps.push(Step {
                evidence,
                share: (share * 1_000.0).round() as u32,
                verdict,
                lifetime: self.time(&step.lifetime, longest.as_secs())?,
            });
        }
        Ok(steps)
    }

    /// Each reason belongs to one rule.
    fn each_once(
        &self,
        rules: &[Rule],
        places: &BTreeMap<String, std::ops::Range<usize>>,
    ) -> Result<(), Error> {
        let mut owners = BTreeMap::new();
        for rule in rules {
            let integrities = rule.integrities.iter().map(|one| one.name());
            for reason in integrities.chain(rule.reasons.iter().map(Reason::name)) {
                let Some(other) = owners.insert(reason, &rule.name) else {
                    continue;
                };
                let place = places.get(&rule.name).or_else(|| places.get(other));
                return Err(self.source.refuse(
                    &place.cloned().unwrap_or_default(),
                    format!(
                        "{reason:?} belongs to rule {other} and to rule {}: name it in one of them",
                        rule.name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn time(&self, written: &Spanned<Text<Time>>, longest: u64) -> Result<Duration, Error> {
        let time = written.get_ref().0.0;
        if time > Duration::from_secs(longest) {
            return Err(self.source.refuse(
                &written.span(),
                format!(
                    "{} is too long here: write {} at most",
                    seconds(time.as_secs()),
                    seconds(longest)
                ),
            ));
        }
        Ok(time)
    }
}

impl Rule {
    fn is_of_devices(&self) -> bool {
        let named = self.reasons.iter().map(Reason::integrity);
        named
            .chain(self.integrities.iter().copied())
            .any(|of| of == Integrity::Device)
    }
}

/// The rules that are there even if nobody writes them: one an integrity.
fn built_in() -> Vec<Rule> {
    let limit = Step {
        evidence: 10,
        share: 500,
        verdict: super::Verdict::Limit(SUSPECT.to_owned()),
        lifetime: Duration::from_secs(600),
    };
    let block = Step {
        evidence: 20,
        share: 900,
        verdict: super::Verdict::Block,
        lifetime: Duration::from_secs(60),
    };
    let rule = |integrity: Integrity| Rule {
        name: integrity.name().to_owned(),
        integrities: vec![integrity],
        reasons: Vec::new(),
        mode: None,
        steps: match integrity {
            Integrity::App | Integrity::Credential => vec![limit.clone(), block.clone()],
            Integrity::Device | Integrity::Channel | Integrity::Service => vec![limit.clone()],
        },
    };
    Integrity::ALL.map(rule).to_vec()
}

fn integrities() -> String {
    Integrity::ALL.map(Integrity::name).join(", ")
}

/// As the operator would write it.
pub(super) fn seconds(seconds: u64) -> String {
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

/// Failing calls that a count can tell: it ends at four thousand.
const MOST: u32 = 2_000;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
