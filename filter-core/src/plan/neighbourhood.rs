//! The default rate of new connections of an IPv6 /48.
//!
//! Who rents a server has a /48 or more, and with it 65,536 sources of rates. A carrier
//! gives each phone a /64 (RFC 6459 section 5.2), and a whole /48 may be its customers.
//! The numbers are from `docs/decisions/0019-neighbourhood-of-ipv6.md`.

use std::iter::successors;

use filter_common::{
    bucket::CLASSES,
    rate::{Kind, Rate, Rates, Tier},
    settings::FRAGMENTS,
    source::Family,
};

use super::seen::burst;
use crate::config::{Config, tick, tier::Tiers};

/// The default of a view: its index, and the rate that is wanted.
pub(super) type Wanted = (usize, Rate);

impl Config {
    /// For which of these views of tiers a /48 has the default, and which.
    pub(super) fn defaults(&self, views: &[(u8, u8, Tier)], names: &Tiers) -> Vec<Wanted> {
        let mut defaults = Vec::new();
        for (index, (service, tier, rates)) in views.iter().enumerate() {
            let proven = names.name(*tier).is_some_and(|name| self.is_proven(name));
            let said = rates.neighbourhood(Family::V6).connections.is_set();
            if *service == FRAGMENTS || proven || said {
                continue;
            }
            defaults.extend(wanted(&rates.source.connections).map(|rate| (index, rate)));
        }
        defaults
    }

    /// Doubts about tiers whose default can't be held.
    pub fn unheld(&self) -> Vec<String> {
        let Ok(plan) = self.plan(&Tiers::default()) else {
            return Vec::new();
        };
        let unheld = self.defaults(&plan.tiers, &plan.tier_names);
        let mut names: Vec<_> = unheld
            .into_iter()
            .filter_map(|(index, _)| plan.tier_names.name(plan.tiers[index].1))
            .collect();
        names.sort_unstable();
        names.dedup();
        let doubt = |name: &&str| {
            format!(
                "tier {name}: {TIMES} times its new connections are more than can be held of an IPv6 /48, so that a /48 isn't held to any: write [tier.{name}.neighbourhood.ipv6]"
            )
        };
        names.iter().map(doubt).collect()
    }
}

/// Sets the defaults, as far as these ticks hold them.
pub(super) fn set(defaults: &[Wanted], views: &mut [(u8, u8, Tier)], shifts: &[u8; CLASSES]) {
    for (index, wanted) in defaults {
        let held = |rate: &Rate| tick::holds(shifts, Kind::Connections, rate);
        if let Some(connections) = held_by(*wanted, held) {
            let (.., rates) = &mut views[*index];
            let near = Rates {
                connections,
                ..*rates.neighbourhood(Family::V6)
            };
            *rates = rates.with_neighbourhood(Family::V6, near);
        }
    }
}

/// The defaults as some tick holds them, whether it is chosen or not.
pub(super) fn held_by_any(defaults: &[Wanted]) -> Vec<Rate> {
    let held = |rate: &Rate| tick::finest(Kind::Connections, rate).is_some();
    defaults
        .iter()
        .filter_map(|(_index, wanted)| held_by(*wanted, held))
        .collect()
}

/// So many times a source's new connections, or what a whole /48 of phones may need. None
/// where a source isn't held to any.
fn wanted(source: &Rate) -> Option<Rate> {
    if !source.is_set() {
        return None;
    }
    let interval = (source.interval / TIMES).min(SLOWEST);
    let burst = burst(source).saturating_mul(TIMES).max(LEAST_BURST);
    rate(interval, burst)
}

/// The same rate, or if it isn't held the next faster one that is: never a slower one or
/// one with a smaller burst, which could drop what is genuine.
fn held_by(wanted: Rate, held: impl Fn(&Rate) -> bool) -> Option<Rate> {
    let faster = |one: &Rate| rate(one.interval / 9 * 8, burst(&wanted));
    successors(Some(wanted), faster).take(STEPS).find(held)
}

/// A rate that is no slower than this interval says.
const fn rate(interval: u64, burst: u64) -> Option<Rate> {
    // To whole nanoseconds, as `Rate::new` would, but downwards.
    let whole = interval & !1023;
    Rate::new(1024, if whole == 0 { interval } else { whole }, burst)
}

/// As Let's Encrypt has it for new accounts: 10 of an address, 500 of a /48.
const TIMES: u64 = 50;

/// 10,000 a second: with the burst below five seconds' worth, as a source has by default.
const SLOWEST: u64 = 100_000 << 10;

/// If a third of the 65,536 phones of a /48 have the app, and a push message wakes them
/// all within ten seconds, each with two connections, that is 44,000.
const LEAST_BURST: u64 = 50_000;

/// Of a ninth each: from the slowest rate to faster than any that is held.
const STEPS: usize = 64;

#[cfg(test)]
mod tests;
