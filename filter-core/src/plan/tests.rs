use filter_common::{packet::UDP, rate::Rate, source::Family};

use super::*;
use crate::prefix::Written;

pub(super) fn config(text: &str) -> Config {
    Config::parse(text).expect(text)
}

pub(super) fn plan(text: &str) -> Plan {
    config(text).plan(&Tiers::default()).expect("few tiers")
}

pub(super) fn rate(units: u64, burst: u64) -> Rate {
    Rate::new(units, 1_000_000_000, burst).expect("a rate")
}

impl Plan {
    pub(super) fn seen_by(&self, service: u8, tier: &str) -> Tier {
        let tier = self.tier_names.number(tier).expect("a tier");
        let found = |entry: &&(u8, u8, Tier)| (entry.0, entry.1) == (service, tier);
        self.tiers
            .iter()
            .find(found)
            .expect("every pair is there")
            .2
    }
}

#[test]
fn the_built_in_plan_guards_443_and_protects_22() {
    let plan = Config::embedded()
        .plan(&Tiers::default())
        .expect("three tiers");
    assert_eq!(plan.mode(), Mode::Observe);
    assert_eq!(plan.settings.event_budget, rate(100, 100));
    assert_eq!((plan.settings.sample, plan.settings.strict), (100, 0));
    let protected = Port {
        protection: Port::PROTECTED,
        ..Port::default()
    };
    let guarded = Port {
        service: 1,
        ..Port::default()
    };
    assert_eq!(
        plan.ports,
        [
            (TCP, 22, protected),
            (TCP, 443, guarded),
            (UDP, 443, guarded)
        ]
    );
    assert_eq!(plan.scopes, []);
    assert_eq!(plan.service_name(0), Some("fragments"));
    assert_eq!(plan.service_name(1), Some("api"));
    assert_eq!(plan.service_name(2), None);
    let names: Vec<_> = plan.tier_names.names().collect();
    assert_eq!(
        names,
        ["unknown", "suspect", "fragments", "bootstrap", "attested"]
    );
    let defaults: Vec<_> = plan
        .services
        .iter()
        .map(|(number, service)| (*number, service.default_tier, service.observe))
        .collect();
    assert_eq!(defaults, [(0, 2, 0), (1, 0, 0)]);
    assert_eq!(plan.tiers.len(), 2 * 5);
}

#[test]
fn a_service_says_which_versions_of_quic_it_speaks() {
    let plan = plan(
        r#"
        [[service]]
        name = "usual"
        ports = ["udp/443"]
        [[service]]
        name = "old"
        ports = ["udp/444"]
        quic = ["v1", "0x51303436", "draft-29"]
        [[service]]
        name = "none"
        ports = ["udp/445"]
        quic = []
        "#,
    );
    let quic: Vec<_> = plan
        .services
        .iter()
        .map(|(_number, service)| (service.quic, service.versions[0]))
        .collect();
    let usual = (Service::QUIC_AT_443, 0);
    let old = (Service::QUIC, 0x5130_3436);
    assert_eq!(quic, [usual, usual, old, (Service::NO_QUIC, 0)]);
}

#[test]
fn settings_follow_the_file() {
    let plan = plan(
        "[datapath]\nmode = \"enforce\"\nstrict = true\n[events]\nbudget_per_cpu = \"0/s\"\nsample = 7",
    );
    assert_eq!(plan.mode(), Mode::Enforce);
    assert_eq!((plan.settings.strict, plan.settings.sample), (1, 7));
    assert!(!plan.settings.event_budget.is_set());
}

#[test]
fn a_tier_inherits_what_it_does_not_name() {
    let plan = plan(
        r#"
        [[service]]
        name = "api"
        ports = ["tcp/443"]
        [tier.unknown.neighbourhood]
        packets = { rate = "100/s", burst = 100 }
        [tier.suspect.neighbourhood]
        connections = { rate = "20/s", burst = 100 }
        "#,
    );
    let unknown = plan.seen_by(1, "unknown");
    assert_eq!(unknown.source.packets, rate(20_000, 40_000));
    assert_eq!(unknown.source.connections, rate(200, 1_000));
    let suspect = plan.seen_by(1, "suspect");
    assert_eq!(suspect.source.packets, unknown.source.packets);
    assert_eq!(suspect.source.bytes, unknown.source.bytes);
    assert_eq!(suspect.source.connections, rate(1, 5).cold());
    assert_eq!(suspect.neighbourhood(Family::V4).packets, rate(100, 100));
    assert_eq!(
        suspect.neighbourhood(Family::V4).connections,
        rate(20, 100).cold()
    );
    let fragments = plan.seen_by(FRAGMENTS, "fragments");
    assert_eq!(fragments.source, unknown.source);
}

#[test]
fn only_a_stricter_rate_begins_without_a_burst() {
    let text = |packets: &str, burst: u32| {
        format!(
            "[[service]]\nname = \"api\"\nports = [\"tcp/443\"]\n[tier.a]\npackets = {{ rate = \"{packets}\", burst = {burst} }}"
        )
    };
    for (packets, burst, cold) in [
        ("20000/s", 40_000, 0),
        ("19999/s", 40_000, 1),
        ("20000/s", 39_999, 1),
        // Two seconds' worth became one, and still it is the larger burst.
        ("100000/s", 100_000, 0),
        ("100000/s", 40_000, 0),
        ("100000/s", 100, 1),
        ("10/s", 90_000, 1),
    ] {
        let plan = plan(&text(packets, burst));
        let own = plan.seen_by(1, "a").source.packets;
        assert_eq!(own.cold, cold, "{packets} with a burst of {burst}");
    }
}

#[test]
fn each_service_sees_tiers_its_own_way() {
    let plan = plan(
        r#"
        [[service]]
        name = "api"
        ports = ["tcp/443"]
        [[service]]
        name = "slow"
        ports = ["tcp/80"]
        default_tier = "suspect"
        mode = "observe"
        "#,
    );
    assert_eq!(plan.services[2].1.observe, 1);
    assert_eq!(
        plan.seen_by(1, "suspect").source.connections,
        rate(1, 5).cold()
    );
    assert_eq!(plan.seen_by(2, "suspect").source.connections, rate(1, 5));
    assert!(!plan.seen_by(2, "suspect").source.packets.is_set());
}

#[test]
fn a_removed_tier_is_the_default_tier_until_nobody_names_it() {
    let before = plan("[tier.old]\nconnections = { rate = \"2/s\", burst = 2 }");
    let old = before.tier_names.number("old").expect("a tier");
    let after = Config::embedded()
        .plan(&before.tier_names)
        .expect("few tiers");
    assert_eq!(after.tier_names.number("old"), None);
    let unknown = after.seen_by(1, "unknown");
    assert!(after.tiers.contains(&(1, old, unknown)));
    assert_eq!(after.strictness()[usize::from(old)], after.strictness()[0]);
}

#[test]
fn a_port_may_be_guarded_at_some_destinations_only() {
    let plan = plan(
        r#"
        [protect]
        ports = []
        [[service]]
        name = "one"
        ports = ["tcp/443"]
        [[service]]
        name = "two"
        ports = ["tcp/443-444"]
        addresses = ["192.0.2.0/24", "2001:db8::/32"]
        "#,
    );
    let both = Port {
        service: 1,
        by_destination: 1,
        ..Port::default()
    };
    let narrow = Port { service: 0, ..both };
    assert_eq!(plan.ports, [(TCP, 443, both), (TCP, 444, narrow)]);
    assert_eq!(plan.scopes.len(), 4);
    let mut address = [0; 16];
    address[..3].copy_from_slice(&[192, 0, 2]);
    let first = Scope {
        key: ScopeKey {
            kind: ScopeKey::DESTINATIONS,
            protocol: TCP,
            port: [1, 0xbb],
            family: [4, 0, 0, 0],
            address,
        },
        bits: 64 + 24,
        value: 2,
    };
    assert_eq!(plan.scopes[0], first);
    assert_eq!((plan.scopes[1].key.family[0], plan.scopes[1].bits), (6, 96));
}

#[test]
fn a_port_may_be_protected_for_some_sources() {
    let text = r#"
        [protect]
        ports = [
            { port = "tcp/22", from = ["192.0.2.0/24"] },
            { port = "udp/53", from = ["192.0.2.0/24"] },
            "tcp/23", { port = "tcp/23", from = ["198.51.100.0/24"] },
        ]
    "#;
    let plan = plan(text);
    let protection: Vec<_> = plan
        .ports
        .iter()
        .map(|(_protocol, port, meaning)| (*port, meaning.protection))
        .collect();
    assert_eq!(protection, [(22, 1), (23, 2), (53, 1)]);
    let source = plan.scopes[0];
    assert_eq!((source.key.kind, source.key.port), (1, [0, 22]));
    assert_eq!((source.bits, source.value), (88, 1));

    let prefix = "2001:db8::7".parse::<Written>().expect("a prefix").prefix;
    let peers = config(text).ssh_peers(&[prefix.address()]);
    let ports: Vec<_> = peers.iter().map(|scope| scope.key.port[1]).collect();
    assert_eq!(ports, [22, 23], "UDP carries no SSH session");
    assert_eq!((peers[0].bits, peers[0].key.kind), (192, 1));
    assert_eq!(peers[0].key.address, prefix.octets());

    let off = format!("{text}\nssh_peers = false");
    assert_eq!(config(&off).ssh_peers(&[prefix.address()]), []);
    assert_eq!(Config::embedded().ssh_peers(&[prefix.address()]), []);
}

#[test]
fn stricter_tiers_have_larger_numbers() {
    let plan = plan(
        r#"
        [[service]]
        name = "api"
        ports = ["tcp/443"]
        [tier.partner]
        connections = { rate = "2000/s", burst = 5000 }
        [tier.tight]
        connections = { rate = "1/s", burst = 4 }
        [tier.same]
        connections = { rate = "1/s", burst = 5 }
        [tier.slow]
        packets = { rate = "10/s", burst = 50 }
        "#,
    );
    let strictness = plan.strictness();
    let of = |name| strictness[usize::from(plan.tier_names.number(name).expect("a tier"))];
    let order = [
        "fragments",
        "partner",
        "unknown",
        "slow",
        "suspect",
        "tight",
    ]
    .map(of);
    assert!(order[0] <= order[2] && order[1..].is_sorted(), "{order:?}");
    assert!(of("partner") < of("unknown") && of("unknown") < of("slow"));
    assert!(of("slow") < of("suspect") && of("suspect") < of("tight"));
    assert_eq!(of("suspect"), of("same"));
    assert_eq!(of("fragments"), of("unknown"), "it follows it");
    assert_eq!(strictness.len(), 9);
}
