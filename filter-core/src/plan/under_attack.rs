//! The plan while the operator says that the host is under attack.

use super::Plan;
use crate::config::{Config, tier::BOOTSTRAP};
use filter_common::{
    rate::{Rate, Tier},
    settings::FRAGMENTS,
};

impl Plan {
    /// The same plan under attack: at each service unknown sources fall to tier
    /// `bootstrap`, unless they have less already; and all sources whose tier
    /// doesn't say that they are attested share a ceiling of new connections.
    #[must_use]
    pub fn under_attack(mut self, config: &Config) -> Self {
        let bootstrap = self.tier_names.number(BOOTSTRAP);
        let bootstrap = bootstrap.expect("it is built in");
        for place in 0..self.services.len() {
            let (number, service) = self.services[place];
            let connections = |tier| self.rates(number, tier).source.connections;
            let (lane, usual) = (connections(bootstrap), connections(service.default_tier));
            if number != FRAGMENTS && !is_narrower(&usual, &lane) {
                self.services[place].1.default_tier = bootstrap;
            }
        }
        let ceiling = config.under_attack.together.together;
        for (service, tier, rates) in &mut self.tiers {
            let name = self.tier_names.name(*tier);
            let proven = name.is_some_and(|name| config.is_proven(name));
            if *service != FRAGMENTS && !proven {
                *rates = rates.with_together(ceiling);
            }
        }
        self
    }

    fn rates(&self, service: u8, tier: u8) -> &Tier {
        let mut tiers = self.tiers.iter();
        let found = tiers.find(|(at, number, _)| (*at, *number) == (service, tier));
        &found.expect("every service sees every tier").2
    }
}

/// Whether a rate leaves less than another, in the long run.
const fn is_narrower(one: &Rate, other: &Rate) -> bool {
    one.is_set() && one.interval > other.interval
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tier::{ATTESTED, FRAGMENTS as FRAGMENTS_TIER, SUSPECT, Tiers, UNKNOWN};

    const CONFIGURATION: &str = r#"
        [datapath]
        interfaces = ["eth0"]
        [under_attack]
        connections = { rate = "50/s", burst = 70 }
        [tier.partner]
        connections = { rate = "500/s", burst = 500 }
        [[service]]
        name = "api"
        ports = ["tcp/443"]
        [[service]]
        name = "shop"
        ports = ["tcp/8443"]
        default_tier = "suspect"
        mode = "observe"
        [policy]
        mode = "observe"
    "#;

    fn both(text: &str) -> (Plan, Plan) {
        let config = Config::parse(text).expect("a configuration");
        let usual = config.plan(&Tiers::default()).expect("room");
        let attacked = usual.clone().under_attack(&config);
        (usual, attacked)
    }

    #[test]
    fn unknown_sources_fall_to_bootstrap_but_never_to_more_than_they_had() {
        let (usual, attacked) = both(CONFIGURATION);
        let number = |name| usual.tier_names.number(name).expect("a tier");
        let defaults = |plan: &Plan| -> Vec<_> {
            let services = plan.services.iter();
            services.map(|(_, service)| service.default_tier).collect()
        };
        let fragments = number(FRAGMENTS_TIER);
        assert_eq!(
            defaults(&usual),
            [fragments, number(UNKNOWN), number(SUSPECT)]
        );
        assert_eq!(
            defaults(&attacked),
            [fragments, number(BOOTSTRAP), number(SUSPECT)]
        );
        assert_eq!(attacked.services[2].1.observe, 1);
        // A rate that a tier doesn't name is still the usual default tier's.
        let lane = attacked.rates(1, number(BOOTSTRAP));
        assert_eq!(lane.source, usual.rates(1, number(BOOTSTRAP)).source);
        assert!(lane.source.packets.is_set());
        assert_eq!(attacked.strictness(), usual.strictness());
    }

    #[test]
    fn all_but_the_attested_share_the_ceiling_of_each_service() {
        let (usual, attacked) = both(CONFIGURATION);
        let ceiling = Rate::new(50, 1_000_000_000, 70).expect("a rate");
        for (service, tier, rates) in &attacked.tiers {
            let name = attacked.tier_names.name(*tier).expect("a name");
            let spared = *service == FRAGMENTS || name == ATTESTED || name.starts_with("shared-");
            let expected = if spared { Rate::NONE } else { ceiling };
            assert_eq!(rates.together, expected, "{service} {name}");
        }
        assert!(usual.tiers.iter().all(|(.., tier)| !tier.together.is_set()));
        let near = |plan: &Plan| -> Vec<_> {
            let tiers = plan.tiers.iter();
            tiers.map(|(.., rates)| rates.neighbourhoods).collect()
        };
        assert_eq!(near(&usual), near(&attacked), "a /48 has its default still");
        assert_eq!(usual.shifts, attacked.shifts);
        assert_eq!(usual.reach, attacked.reach);
        assert_eq!(attacked.tiers_in_ticks().count(), attacked.tiers.len());
    }

    #[test]
    fn without_a_policy_only_the_built_in_tier_says_that_a_source_is_attested() {
        let text = "[datapath]\ninterfaces = [\"eth0\"]\n[tier.shared-2]\nconnections = { rate = \"9/s\", burst = 9 }\n[[service]]\nname = \"api\"\nports = [\"tcp/443\"]";
        let (_, attacked) = both(text);
        let set = |name| {
            let number = attacked.tier_names.number(name).expect("a tier");
            attacked.rates(1, number).together.is_set()
        };
        assert!(set("shared-2"));
        assert!(!set(ATTESTED));
    }
}
