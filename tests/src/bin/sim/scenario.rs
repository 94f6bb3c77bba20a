//! A scenario as its file says it.

use anyhow::{Result, ensure};
use serde::Deserialize;

/// Who calls, and what goes wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is, in a sentence.
    pub(crate) says: String,
    pub(crate) seed: u64,
    pub(crate) hours: u32,
    /// Addresses, those of carriers and of lone abusers among them.
    pub(crate) sources: u32,
    /// The share that are carriers' NATs.
    pub(crate) nats: f64,
    /// Genuine devices behind one: as many small ones as large ones.
    pub(crate) nat_devices: [u32; 2],
    /// NATs that a device may come from.
    #[serde(default = "one")]
    pub(crate) nat_pool: u32,
    /// Genuine devices of every other address.
    pub(crate) home_devices: [u32; 2],
    /// Calls of a device in a day, about six together.
    pub(crate) calls_a_day: f64,
    /// How much of the afternoon's calls come at three in the morning.
    pub(crate) night: f64,
    /// The share of genuine calls that fail; half of them with their neighbours.
    pub(crate) honest_failures: f64,
    /// So long a token lasts.
    pub(crate) token_minutes: u32,
    #[serde(default)]
    pub(crate) abuse: Vec<Abuse>,
    #[serde(default)]
    pub(crate) trouble: Vec<Trouble>,
}

/// A kind of abusers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Abuse {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) sources: u32,
    /// The share of them at addresses that have genuine devices too.
    #[serde(default)]
    pub(crate) shared: f64,
    /// Calls a second of the slowest and the fastest; as many slow as fast ones.
    pub(crate) calls: [f64; 2],
    /// In which hours they begin.
    pub(crate) begin: [f64; 2],
    /// How many hours they go on.
    pub(crate) hours: f64,
    /// Why their calls fail.
    pub(crate) reason: String,
    /// Tokens of genuine devices that they show instead; 0: they have none.
    #[serde(default)]
    pub(crate) tokens: u32,
}

/// Where abusers are.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// At addresses of homes.
    Homes,
    /// Behind carriers' NATs.
    Nats,
}

/// Genuine calls fail through nobody's fault.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trouble {
    /// The hour in which it begins.
    pub(crate) from: f64,
    pub(crate) minutes: f64,
    /// The share of genuine devices that it is about.
    pub(crate) share: f64,
    pub(crate) reason: String,
}

impl Scenario {
    pub(crate) fn check(&self) -> Result<()> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let range = |[from, to]: [u32; 2]| from > 0 && from <= to;
        ensure!((1..=240).contains(&self.hours), "`hours` are 1 to 240");
        ensure!(
            (1..=1 << 22).contains(&self.sources),
            "`sources` are 1 to 4194304"
        );
        ensure!(
            share(self.nats) && share(self.night) && share(self.honest_failures),
            "a share is from 0.0 to 1.0"
        );
        ensure!(
            range(self.nat_devices) && range(self.home_devices) && self.nat_devices[1] <= 4_096,
            "devices are from 1 to 4096, the smaller number first"
        );
        ensure!(
            self.calls_a_day > 0.0,
            "`calls_a_day` must be more than nothing"
        );
        ensure!((1..=64).contains(&self.nat_pool), "`nat_pool` is 1 to 64");
        ensure!(self.token_minutes > 0, "`token_minutes` is 1 or more");
        for abuse in &self.abuse {
            let [slow, fast] = abuse.calls;
            ensure!(
                slow > 0.0
                    && slow <= fast
                    && abuse.begin[0] <= abuse.begin[1]
                    && share(abuse.shared),
                "abuse {}: the smaller number first, and more than nothing",
                abuse.name
            );
            let room = match abuse.place {
                Place::Homes => f64::from(self.sources) * (1.0 - self.nats),
                Place::Nats => f64::from(self.sources) * self.nats,
            };
            ensure!(
                f64::from(abuse.sources) <= room / 2.0,
                "abuse {}: more than half of all",
                abuse.name
            );
        }
        ensure!(
            self.trouble.iter().all(|one| share(one.share)),
            "a share is from 0.0 to 1.0"
        );
        Ok(())
    }

    /// A fiftieth of everyone, for tests.
    pub(crate) fn shrink(&mut self) {
        self.sources = (self.sources / QUICK).max(1);
        for abuse in &mut self.abuse {
            abuse.sources = (abuse.sources / QUICK).max(1);
            abuse.tokens = abuse.tokens.div_ceil(QUICK);
        }
    }
}

const fn one() -> u32 {
    1
}

const QUICK: u32 = 50;
