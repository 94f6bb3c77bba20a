//! Services and tiers.

use std::collections::BTreeMap;

use filter_common::{
    rate::{Rates, Tier},
    source::Family,
};

use super::{
    Changes, Effect, Section, keys,
    shown::{list, observe, quoted, rate},
};
use crate::config::{Service, tier};

impl Section for Vec<Service> {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        changes.named(
            old,
            new,
            |service| &service.name,
            |old, new, changes| {
                let Service {
                    // It is what they are found by.
                    name: _,
                    ports,
                    addresses,
                    default_tier,
                    observe: counts_only,
                    quic,
                } = old;
                changes.key("ports", ports, &new.ports, |all| list(all));
                changes.key("addresses", addresses, &new.addresses, |all| list(all));
                changes.key("default_tier", default_tier, &new.default_tier, quoted);
                changes.key("mode", counts_only, &new.observe, observe);
                changes.key("quic", quic, &new.quic, |quic| match quic {
                    Some(versions) => list(versions),
                    None => "not written".to_owned(),
                });
            },
        );
    }
}

impl Section for BTreeMap<String, Tier> {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        // Those of the policy come and go with `policy.mode`.
        let follows = |name: &str, other: &Self| {
            tier::SHARED.iter().any(|(_, shared)| *shared == name) && !other.contains_key(name)
        };
        let all = |tiers: &Self, other: &Self| -> Vec<(String, Tier)> {
            let tiers = tiers.iter().filter(|(name, _)| !follows(name, other));
            tiers.map(|(name, tier)| (name.clone(), *tier)).collect()
        };
        changes.named(
            &all(old, new),
            &all(new, old),
            |(name, _)| name,
            |(_, old), (_, new), changes| {
                // A tier's other fields are derived from these, and it has no ceiling of its own.
                rates(&old.source, &new.source, changes);
                let [old_v4, old_v6] = [Family::V4, Family::V6].map(|of| *old.neighbourhood(of));
                let [new_v4, new_v6] = [Family::V4, Family::V6].map(|of| *new.neighbourhood(of));
                changes.below("neighbourhood", |changes| {
                    rates(&old_v4, &new_v4, changes);
                    changes.below("ipv6", |changes| {
                        rates_of_ipv6([&old_v4, &old_v6], [&new_v4, &new_v6], changes);
                    });
                });
            },
        );
    }
}

fn rates(old: &Rates, new: &Rates, changes: &mut Changes) {
    keys!(
        changes,
        old,
        new,
        Rates {
            packets: rate,
            bytes: rate,
            connections: rate
        }
    );
}

/// Rates of IPv6 that aren't those of both families.
fn rates_of_ipv6([old_v4, old]: [&Rates; 2], [new_v4, new]: [&Rates; 2], changes: &mut Changes) {
    let Rates {
        packets,
        bytes,
        connections,
    } = old;
    for (key, of_old, of_new, both_old, both_new) in [
        (
            "packets",
            packets,
            &new.packets,
            &old_v4.packets,
            &new_v4.packets,
        ),
        ("bytes", bytes, &new.bytes, &old_v4.bytes, &new_v4.bytes),
        (
            "connections",
            connections,
            &new.connections,
            &old_v4.connections,
            &new_v4.connections,
        ),
    ] {
        if of_old != both_old || of_new != both_new {
            changes.key(key, of_old, of_new, rate);
        }
    }
}
