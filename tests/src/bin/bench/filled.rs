//! weir's tables, filled as the daemon does it: claims, ledger, patch, datapath.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bench_ebpf::listed;
use filter_common::{
    rate::{Rate, Rates, Tier},
    source::{Address, Family},
};
use weir::{
    claim::{Change, Claim, Update, Verdict},
    config::{Config, tier::Tiers},
    datapath::{
        Datapath as _,
        kernel::{Kernel, Sizes},
    },
    ledger::{Capacity, FeedRules, Ledger, Now, Rules},
    prefix::Prefix,
};

pub(crate) struct Filled {
    pub(crate) kernel: Kernel,
    ledger: Ledger,
}

impl Filled {
    /// Empty tables with room for so many prefixes of each family, in enforce;
    /// every source is held to this rate of packets.
    pub(crate) fn new(ipv4: u32, ipv6: u32, rate: Rate) -> Result<Self> {
        let sizes = Sizes {
            ipv4: ipv4.max(1_000),
            ipv6: ipv6.max(1_000),
            buckets: BUCKETS,
        };
        let mut kernel = Kernel::load(&sizes, None)?;
        let mut plan = Config::parse(CONFIGURATION)
            .context("the bench's own configuration")?
            .plan(&Tiers::default())
            .context("it has few tiers")?;
        for (_service, _tier, rates) in &mut plan.tiers {
            *rates = Tier::new(
                Rates {
                    packets: rate,
                    ..Rates::NONE
                },
                Rates::NONE,
            );
        }
        kernel.configure(&plan)?;
        kernel.set(&plan.settings)?;
        let mut ledger = Ledger::new(Capacity {
            ipv4: sizes.ipv4,
            ipv6: sizes.ipv6,
        });
        let rules = Rules {
            feeds: [0, 50]
                .map(|rank| {
                    Some(FeedRules {
                        rank,
                        shadow: false,
                    })
                })
                .to_vec(),
            protected: Vec::new(),
            strictness: plan.strictness(),
        };
        let _nothing_yet = ledger.configure(rules, NOW);
        Ok(Self { kernel, ledger })
    }

    /// Takes a feed's whole word, and gives the time until it is in force.
    pub(crate) fn snapshot(&mut self, claims: Vec<Claim>) -> Result<Duration> {
        self.update(FEED, Update::Snapshot(claims))
    }

    /// Takes changes of the operator, who is stronger than the feed.
    pub(crate) fn change(&mut self, change: Change) -> Result<Duration> {
        self.update(OPERATOR, Update::Delta(vec![change]))
    }

    /// Takes changes of the feed.
    pub(crate) fn changes(&mut self, changes: Vec<Change>) -> Result<Duration> {
        self.update(FEED, Update::Delta(changes))
    }

    fn update(&mut self, feed: u16, update: Update) -> Result<Duration> {
        let start = Instant::now();
        let applied = self.ledger.apply(feed, update, NOW);
        let refused = self.kernel.apply(&applied.patch);
        let took = start.elapsed();
        ensure!(
            refused.is_empty(),
            "{} prefixes were refused, {:?} first",
            refused.len(),
            refused[0]
        );
        Ok(took)
    }

    /// Holds every source to another rate.
    pub(crate) fn sources_are_held_to(rate: Rate) -> Result<Self> {
        Self::new(0, 0, rate)
    }
}

/// The claims of a list: block, for ever.
pub(crate) fn claims(family: u32, many: u32) -> Vec<Claim> {
    (0..many)
        .map(|number| block(prefix(family, number)))
        .collect()
}

/// The listed prefix of this number.
pub(crate) fn prefix(family: u32, number: u32) -> Prefix {
    let listed = listed(family, number, false);
    let address = if family == 4 {
        Address {
            family: Family::V4,
            high: 0,
            low: listed.high >> 32,
        }
    } else {
        Address {
            family: Family::V6,
            high: listed.high,
            low: listed.low,
        }
    };
    Prefix::new(address, listed.length)
}

pub(crate) const fn block(prefix: Prefix) -> Claim {
    Claim {
        prefix,
        verdict: Verdict::Block,
        reason: None,
        evidence: 0,
        expires: None,
        id: None,
    }
}

/// A hundred packets a second, a hundred at once.
pub(crate) const fn rate() -> Rate {
    Rate::new(100, 1_000_000_000, 100).expect("a rate that can be held")
}

/// Buckets, as the default configuration has them.
pub(crate) const BUCKETS: u32 = 1 << 20;
const OPERATOR: u16 = 0;
const FEED: u16 = 1;
/// Nothing ends meanwhile.
const NOW: Now = Now {
    unix: 1_700_000_000,
    boot_ms: 1_000_000,
};
const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["udp/443"]
"#;
