//! What stands between callers and the API.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use filter_common::{
    rate::{Rate, Tier},
    source::Address,
};
use weir::{
    claim::{Change, Verdict},
    config::{
        Config,
        tier::{self, Tiers},
    },
    observation::{Observation, Outcome, Reason},
    policy::{Changes, Now, Policy},
    prefix::Prefix,
};

use crate::scenario::Scenario;

/// What stands between callers and the API.
pub(crate) trait Guard {
    /// Whether a new connection of a source comes through.
    fn admits(&mut self, source: u32, ms: u64) -> bool;

    /// What the gateway saw of its call.
    fn sees(&mut self, call: &Call, ms: u64);

    /// How many new connections of a source its tiers let through from now on is
    /// counted.
    fn count_from(&mut self, source: u32, ms: u64);

    /// How many that are by now.
    fn allowance(&mut self, source: u32, ms: u64) -> f64;

    /// What it complained of.
    fn alarms(&self) -> &[String];
}

/// A call, and what came of it.
pub(crate) struct Call {
    pub(crate) source: u32,
    pub(crate) failed: Option<Reason>,
    pub(crate) device: u64,
    pub(crate) token: u64,
    /// Milliseconds at which the token ends.
    pub(crate) ends: u64,
}

/// The default policy in enforce, and the law's rates of new connections.
pub(crate) struct Weir {
    policy: Policy,
    due: u64,
    tiers: Vec<Tier>,
    sources: Vec<State>,
    alarms: Vec<String>,
    alarmed: bool,
}

/// What the kernel knows of a source.
#[derive(Clone)]
struct State {
    blocked: bool,
    tier: u8,
    /// When that ends, in milliseconds.
    ends: u64,
    /// The tier's word of new connections.
    word: u64,
    /// What the tiers so far let through, up to `since`.
    allowed: f64,
    since: u64,
}

impl Weir {
    pub(crate) fn new(scenario: &Scenario) -> Result<Self> {
        let config = Config::parse(CONFIG).context("the default policy in enforce")?;
        let plan = config
            .plan(&Tiers::default())
            .context("numbers for tiers")?;
        let rules = config.rules(&plan).context("the policy is on")?;
        let seen = |service: &&(u8, u8, Tier)| service.0 == 1;
        let tiers: Vec<_> = plan
            .tiers
            .iter()
            .filter(seen)
            .map(|(.., tier)| *tier)
            .collect();
        let unknown = plan
            .tier_names
            .number(tier::UNKNOWN)
            .context("a built-in tier")?;
        let policy = Policy::new(rules, scenario.seed, now(0));
        let state = State {
            blocked: false,
            tier: unknown,
            ends: u64::MAX,
            word: 0,
            allowed: units(&tiers[usize::from(unknown)].source.connections),
            since: 0,
        };
        Ok(Self {
            due: policy.due(),
            policy,
            tiers,
            sources: vec![state; scenario.sources as usize],
            alarms: Vec::new(),
            alarmed: false,
        })
    }

    /// Lets time pass up to a moment, as the daemon's loop does.
    fn pass(&mut self, ms: u64) {
        while self.due <= ms {
            let at = self.due;
            let changes = self.policy.tick(now(at));
            self.carry_out(&changes, at);
            self.due = self.policy.due().max(at + 1);
        }
    }

    fn carry_out(&mut self, changes: &Changes, ms: u64) {
        for change in &changes.enforced {
            match change {
                Change::Claim(claim) => {
                    let (blocked, tier) = match claim.verdict {
                        Verdict::Block => (true, UNKNOWN),
                        Verdict::Limit(tier) => (false, tier),
                        Verdict::Allow => (false, UNKNOWN),
                    };
                    let ends = claim
                        .expires
                        .map_or(u64::MAX, |unix| u64::from(unix - START) * 1_000);
                    self.set(number(&claim.prefix), blocked, tier, ends, ms);
                }
                Change::Withdraw(prefix) => self.set(number(prefix), false, UNKNOWN, u64::MAX, ms),
            }
        }
        self.due = self.due.min(self.policy.due());
        let alarm = self.policy.alarm();
        if let Some(alarm) = alarm.filter(|_| !self.alarmed) {
            let minutes = ms / 60_000;
            self.alarms.push(format!(
                "{:02}:{:02}: {}",
                minutes / 60,
                minutes % 60,
                alarm.why
            ));
        }
        self.alarmed = alarm.is_some();
    }

    fn set(&mut self, source: usize, blocked: bool, tier: u8, ends: u64, ms: u64) {
        self.account(source, ms);
        let state = &mut self.sources[source];
        if state.tier != tier {
            let rate = &self.tiers[usize::from(tier)].source.connections;
            let new = ms * NANOSECONDS + rate.fresh(rate.cost(1));
            state.word = new;
            state.tier = tier;
            state.allowed += units(rate);
        }
        (state.blocked, state.ends) = (blocked, ends);
    }

    /// Adds what the tier let through up to now.
    fn account(&mut self, source: usize, ms: u64) {
        let state = &mut self.sources[source];
        let rate = &self.tiers[usize::from(state.tier)].source.connections;
        if !state.blocked {
            let each = rate.interval as f64 / 1024.0 / NANOSECONDS as f64;
            state.allowed += (ms - state.since) as f64 / each;
        }
        state.since = ms;
    }
}

impl Guard for Weir {
    fn admits(&mut self, source: u32, ms: u64) -> bool {
        self.pass(ms);
        let place = source as usize;
        if self.sources[place].ends <= ms {
            // The kernel ends a verdict by itself.
            self.set(place, false, UNKNOWN, u64::MAX, ms);
        }
        let state = &mut self.sources[place];
        if state.blocked {
            return false;
        }
        let rate = &self.tiers[usize::from(state.tier)].source.connections;
        let (word, admitted) = rate.step(state.word, ms * NANOSECONDS, rate.cost(1));
        state.word = word;
        admitted
    }

    fn sees(&mut self, call: &Call, ms: u64) {
        let good = call.failed.is_none();
        let seen = Observation {
            source: prefix(call.source),
            outcome: call
                .failed
                .clone()
                .map_or(Outcome::Attested, Outcome::Failed),
            device: good.then_some(call.device),
            token: good.then_some(call.token),
            ends: good.then(|| START + (call.ends / 1_000) as u32),
            elsewhere: false,
            weight: 1,
        };
        let changes = self.policy.observe(&seen, now(ms));
        if !changes.is_empty() || self.policy.alarm().is_some() != self.alarmed {
            self.carry_out(&changes, ms);
        }
    }

    fn count_from(&mut self, source: u32, ms: u64) {
        let state = &mut self.sources[source as usize];
        state.allowed = units(&self.tiers[usize::from(state.tier)].source.connections);
        state.since = ms;
    }

    fn allowance(&mut self, source: u32, ms: u64) -> f64 {
        self.account(source as usize, ms);
        self.sources[source as usize].allowed
    }

    fn alarms(&self) -> &[String] {
        &self.alarms
    }
}

/// A ban by address after so many failures, as fail2ban has it (five in ten
/// minutes, for ten), and `CrowdSec` (for four hours).
pub(crate) struct Ban {
    seconds: u32,
    sources: Vec<(VecDeque<u64>, u64)>,
}

impl Ban {
    pub(crate) fn new(scenario: &Scenario, seconds: u32) -> Self {
        Self {
            seconds,
            sources: vec![(VecDeque::new(), 0); scenario.sources as usize],
        }
    }
}

impl Guard for Ban {
    fn admits(&mut self, source: u32, ms: u64) -> bool {
        self.sources[source as usize].1 <= ms
    }

    fn sees(&mut self, call: &Call, ms: u64) {
        if call.failed.is_none() {
            return;
        }
        let (failures, until) = &mut self.sources[call.source as usize];
        while failures.front().is_some_and(|at| at + FIND_MS < ms) {
            failures.pop_front();
        }
        failures.push_back(ms);
        if failures.len() >= FAILURES {
            failures.clear();
            *until = ms + u64::from(self.seconds) * 1_000;
        }
    }

    fn count_from(&mut self, _source: u32, _ms: u64) {}

    fn allowance(&mut self, _source: u32, _ms: u64) -> f64 {
        f64::INFINITY
    }

    fn alarms(&self) -> &[String] {
        &[]
    }
}

fn prefix(source: u32) -> Prefix {
    Prefix::of(Address::v4((FIRST + source).to_be_bytes()))
}

const fn number(prefix: &Prefix) -> usize {
    (prefix.address().low as u32 - FIRST) as usize
}

const fn now(ms: u64) -> Now {
    Now {
        boot_ms: ms,
        unix: START + (ms / 1_000) as u32,
    }
}

/// A rate's burst in units.
fn units(rate: &Rate) -> f64 {
    rate.limit as f64 * 1024.0 / rate.interval as f64
}

/// The default policy in enforce.
const CONFIG: &str = r#"
[policy]
mode = "enforce"
[[service]]
name = "api"
ports = ["tcp/443"]
"#;

/// The number of the tier `unknown`: it is the first.
const UNKNOWN: u8 = 0;

/// The first source: 10.0.0.0.
const FIRST: u32 = 10 << 24;

/// Unix time at which the scenario begins.
const START: u32 = 1_800_000_000;

const NANOSECONDS: u64 = 1_000_000;

/// Failures after which an address is banned, and within which time.
const FAILURES: usize = 5;
const FIND_MS: u64 = 600_000;
