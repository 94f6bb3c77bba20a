//! A policy in a test, with its clocks and all that its feeds say.

use std::collections::BTreeMap;

use super::{Changes, Now, Policy, Rules};
use crate::{
    claim::{Change, Claim, Verdict},
    config::{Config, tier::Tiers as Numbers},
    observation::{Observation, Outcome, Reason},
    prefix::{Prefix, Written},
};

/// The rules of a file with this in it.
pub(super) fn rules(text: &str) -> (Rules, Numbers) {
    let config = Config::parse(text).expect(text);
    let plan = config.plan(&Numbers::default()).expect("few tiers");
    (config.rules(&plan).expect("it is on"), plan.tier_names)
}

pub(super) const ENFORCE: &str = "[policy]\nmode = \"enforce\"\nsources = 4000\ndevices = 4000\n";

/// A policy, its clocks, and what its feeds say.
pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) numbers: Numbers,
    pub(super) ms: u64,
    pub(super) unix: u32,
    pub(super) enforced: BTreeMap<Prefix, Claim>,
    pub(super) shadow: BTreeMap<Prefix, Claim>,
}

impl World {
    pub(super) fn new(text: &str) -> Self {
        let (rules, numbers) = rules(text);
        let (ms, unix) = (5_000_000, 1_800_000_000);
        Self {
            policy: Policy::new(rules, 7, Now { boot_ms: ms, unix }),
            numbers,
            ms,
            unix,
            enforced: BTreeMap::new(),
            shadow: BTreeMap::new(),
        }
    }

    pub(super) const fn now(&self) -> Now {
        Now {
            boot_ms: self.ms,
            unix: self.unix,
        }
    }

    pub(super) fn see(&mut self, seen: &Observation) -> Changes {
        let changes = self.policy.observe(seen, self.now());
        self.apply(&changes);
        changes
    }

    /// Lets time pass as the daemon does: it ticks whenever it is due.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.ms + ms;
        let set = self.unix - (self.ms / 1_000) as u32;
        while self.policy.due() <= end {
            self.ms = self.ms.max(self.policy.due());
            self.unix = set + (self.ms / 1_000) as u32;
            self.tick();
        }
        self.ms = end;
        self.unix = set + (self.ms / 1_000) as u32;
        self.tick();
    }

    pub(super) fn tick(&mut self) {
        let changes = self.policy.tick(self.now());
        self.apply(&changes);
    }

    pub(super) fn apply(&mut self, changes: &Changes) {
        let unix = self.unix;
        for (claims, changes) in [
            (&mut self.enforced, &changes.enforced),
            (&mut self.shadow, &changes.shadow),
        ] {
            for change in changes {
                match change {
                    Change::Claim(claim) => {
                        assert!(claim.reason.is_some() && claim.evidence > 0, "{claim:?}");
                        assert!(claim.expires.is_some_and(|ends| ends > unix), "{claim:?}");
                        claims.insert(claim.prefix, claim.clone());
                    }
                    Change::Withdraw(prefix) => {
                        claims.remove(prefix);
                    }
                }
            }
            claims.retain(|_, claim| claim.expires.is_some_and(|ends| ends > unix));
        }
    }

    /// The enforced verdict on a source: `block`, or the tier's name.
    pub(super) fn verdict(&self, source: Prefix) -> Option<String> {
        self.enforced.get(&source).map(|claim| self.name(claim))
    }

    pub(super) fn shadow(&self, source: Prefix) -> Option<String> {
        self.shadow.get(&source).map(|claim| self.name(claim))
    }

    pub(super) fn name(&self, claim: &Claim) -> String {
        match claim.verdict {
            Verdict::Limit(tier) => self.numbers.name(tier).expect("a tier").to_owned(),
            verdict => verdict.name().to_owned(),
        }
    }

    pub(super) fn fails(&mut self, source: Prefix, reason: &str, times: u32) {
        for _ in 0..times {
            self.see(&failed(source, reason));
        }
    }
}

pub(super) fn source(number: u32) -> Prefix {
    let text = if number.is_multiple_of(2) {
        format!("192.0.2.{}", number / 2 % 256)
    } else {
        format!("2001:db8:0:{number:x}::/64")
    };
    text.parse::<Written>().expect("a prefix").prefix
}

pub(super) fn failed(source: Prefix, reason: &str) -> Observation {
    Observation {
        source,
        outcome: Outcome::Failed(Reason::new(reason)),
        device: None,
        token: None,
        ends: None,
        elsewhere: false,
        weight: 1,
    }
}

pub(super) fn attested(source: Prefix, device: u64) -> Observation {
    Observation {
        outcome: Outcome::Attested,
        device: Some(device),
        token: Some(!device),
        ..failed(source, "")
    }
}

/// One of very many sources.
pub(super) fn wide(number: u32) -> Prefix {
    let text = format!(
        "10.{}.{}.{}",
        number >> 16 & 255,
        number >> 8 & 255,
        number & 255
    );
    text.parse::<Written>().expect("a prefix").prefix
}
