//! The policy's rules: which reasons count together, and what follows from
//! how many.

use std::{collections::HashMap, sync::Arc};

/// In enforce what follows goes to the feed that holds, in observe to its shadow.
pub use filter_common::settings::Mode;

use crate::observation::{Integrity, Reason};

/// All that the policy goes by. Tiers are numbers here, as in claims.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Sources that are remembered, 36 bytes each.
    pub sources: usize,
    /// Devices and tokens that are remembered, 32 bytes each.
    pub devices: usize,
    /// Which reasons count together, and what follows; at most [`MAX_RULES`].
    pub rules: Vec<Rule>,
    /// The tiers that follow from a source's devices.
    pub tiers: Tiers,
    /// Whether raised tiers are enforced.
    pub raise: Mode,
    /// So long a source is raised for a token whose end isn't known, in seconds.
    pub raised_for: u32,
    /// The longest block of a source that is blocked again and again, in seconds.
    pub longest_block: u32,
    /// So long after a block the next one is a repeated one, in seconds.
    pub repeats_for: u32,
    /// So long a source that was attested never goes below
    /// [`Tiers::bootstrap`], in seconds.
    pub protected_for: u32,
    /// So long calls may come without a single attested one, in seconds.
    pub silent_for: u32,
}

/// Reasons that count together, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Reasons of these integrities, unless another rule names them.
    pub integrities: Vec<Integrity>,
    /// Reasons by name.
    pub reasons: Vec<Reason>,
    /// Whether what follows is carried out.
    pub mode: Mode,
    /// The steps, from mild to harsh: the last one whose conditions hold.
    pub steps: Vec<Step>,
}

/// A step: the effect of enough of a rule's failures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// From so many failing calls of the rule on. Calls halve every ten minutes.
    pub evidence: u32,
    /// If at least this share of all calls fail, in thousandths.
    pub share: u32,
    /// The effect.
    pub then: Then,
    /// For so many seconds. Of a block it is the first one's; each next is twice
    /// as long.
    pub lifetime: u32,
}

/// The effect of a step on a source without live genuine devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is held to a tier.
    Limit {
        /// The tier.
        tier: u8,
        /// It leaves less than [`Tiers::bootstrap`]: not for a source that was
        /// attested lately.
        below_bootstrap: bool,
    },
    /// It is blocked.
    Block,
}

/// The tiers that the policy chooses by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers {
    /// Enough new connections to attest, and no more.
    pub bootstrap: u8,
    /// For what is attested and does no harm.
    pub attested: u8,
    /// For what is attested and does harm besides: for how many devices, and the
    /// tier; from few to many.
    pub shared: Vec<(u32, u8)>,
    /// From so many devices on the shared tier is larger than the attested one.
    pub outgrown: u32,
}

impl Tiers {
    /// The tier of a source with attested devices.
    #[must_use]
    pub fn raised(&self, devices: u32) -> u8 {
        if devices < self.outgrown {
            self.attested
        } else {
            self.held(devices)
        }
    }

    /// The same where failing calls come from there too.
    #[must_use]
    pub fn held(&self, devices: u32) -> u8 {
        let holds = |(most, _): &&(u32, u8)| *most >= devices;
        let found = self
            .shared
            .iter()
            .find(holds)
            .or_else(|| self.shared.last());
        found.map_or(self.attested, |(_, tier)| *tier)
    }
}

impl Tiers {
    /// The raised tier of a source that was held to this one.
    pub(super) fn raised_from(&self, held: u8) -> u8 {
        let of = |(_, tier): &&(u32, u8)| *tier == held;
        let devices = self.shared.iter().find(of).map(|(devices, _)| *devices);
        devices.map_or(self.attested, |devices| self.raised(devices))
    }
}

impl Step {
    /// So many failing calls it takes, of a source that was blocked before.
    pub(super) fn needed(&self, blocks: u8) -> u32 {
        let less = match self.then {
            Then::Block => u32::from(blocks).min(31),
            Then::Limit { .. } => 0,
        };
        (self.evidence >> less).max(LEAST)
    }

    /// So long a source is blocked that was blocked before.
    pub(super) fn block(&self, blocks: u8, longest: u32) -> u32 {
        let twice = |so_far: u32, _| so_far.saturating_mul(2);
        (0..blocks).fold(self.lifetime, twice).min(longest)
    }
}

/// Which rule a reason belongs to.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_name: HashMap<Arc<str>, u8>,
    by_integrity: [Option<u8>; Integrity::ALL.len()],
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0..).zip(rules.iter().take(MAX_RULES)) {
            for reason in &rule.reasons {
                index.by_name.entry(reason.text()).or_insert(number);
            }
            for integrity in &rule.integrities {
                index.by_integrity[*integrity as usize].get_or_insert(number);
            }
        }
        index
    }

    pub(super) fn rule(&self, reason: &Reason) -> Option<usize> {
        let named = self.by_name.get(reason.name()).copied();
        let rule = named.or_else(|| self.by_integrity[reason.integrity() as usize]);
        rule.map(usize::from)
    }
}

/// One failing call never changes anything.
pub const LEAST: u32 = 2;

/// Rules: a source's record has a count for each.
pub const MAX_RULES: usize = 5;
