//! How a service sees a tier: rates that the tier doesn't name are inherited.

use filter_common::{
    rate::{Rate, Rates, Tier},
    settings::{FRAGMENTS, Service},
    source::Family,
};

use crate::config::{
    Config,
    tier::{self, Tiers},
};

impl Config {
    /// A tier as a service sees it. One that was removed while claims may still
    /// name it names no rate.
    pub(super) fn seen(&self, tier: u8, number: u8, service: &Service, names: &Tiers) -> Tier {
        let named = |number| names.name(number).and_then(|name| self.tiers.get(name));
        let own = named(tier).copied().unwrap_or(Tier::NONE);
        let default = named(service.default_tier).expect("a default tier exists");
        let defaults = if number == FRAGMENTS && tier != service.default_tier {
            let services = self.services.iter();
            let others = services.map(|service| &self.tiers[&service.default_tier]);
            [default].into_iter().chain(others).collect()
        } else {
            vec![default]
        };
        // Nobody else's word on IPv6 alone binds a source that proved itself.
        let proven = names.name(tier).is_some_and(|name| self.is_proven(name));
        let near = |family| {
            let inherited = if proven { Family::V4 } else { family };
            let defaults = defaults.iter().map(|tier| tier.neighbourhood(inherited));
            inherit_all(own.neighbourhood(family), defaults)
        };
        let source = inherit_all(&own.source, defaults.iter().map(|tier| &tier.source));
        Tier::new(source, near(Family::V4)).with_neighbourhood(Family::V6, near(Family::V6))
    }

    /// Whether a tier says that its sources proved themselves.
    pub(super) fn is_proven(&self, name: &str) -> bool {
        let shared = || {
            tier::SHARED
                .iter()
                .any(|(_devices, shared)| *shared == name)
        };
        name == tier::ATTESTED || self.policy.is_on() && shared()
    }
}

fn inherit_all<'a>(own: &Rates, defaults: impl Iterator<Item = &'a Rates> + Clone) -> Rates {
    let inherit = |of: fn(&Rates) -> Rate| {
        let defaults: Vec<_> = defaults.clone().map(of).collect();
        inherit(of(own), &defaults)
    };
    Rates {
        packets: inherit(|rates| rates.packets),
        bytes: inherit(|rates| rates.bytes),
        connections: inherit(|rates| rates.connections),
    }
}

/// A tier's own rate, or the strictest of the default tiers' where it has none. (They
/// are several where it isn't known which service a packet is for; the first is that of
/// sources without a verdict.) A stricter one begins without a burst, so that moving to
/// it gives nothing away.
fn inherit(own: Rate, defaults: &[Rate]) -> Rate {
    let (rate, beside) = if own.is_set() {
        (own, defaults)
    } else {
        let strictest = defaults.iter().copied().reduce(strictest);
        (strictest.unwrap_or(Rate::NONE), &defaults[..1])
    };
    if beside.iter().any(|default| stricter(&rate, default)) {
        rate.cold()
    } else {
        rate
    }
}

/// Slower, or with a smaller burst. Bursts are compared in units: as time the
/// burst of a faster rate looks small.
fn stricter(own: &Rate, default: &Rate) -> bool {
    let less = || own.interval > default.interval || burst(own) < burst(default);
    own.is_set() && (!default.is_set() || less())
}

/// The slower of two rates, with the smaller burst. A tick that holds the slower one holds it.
fn strictest(one: Rate, other: Rate) -> Rate {
    if !one.is_set() || !other.is_set() {
        return if one.is_set() { one } else { other };
    }
    let (slow, fast) = if one.interval < other.interval {
        (other, one)
    } else {
        (one, other)
    };
    if burst(&slow) <= burst(&fast) {
        return slow;
    }
    Rate::new(1024, slow.interval, burst(&fast)).expect("a smaller burst of a rate that is held")
}

/// A burst in units.
pub(super) fn burst(rate: &Rate) -> u64 {
    let units = u128::from(rate.limit) * 1024 / u128::from(rate.interval);
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
