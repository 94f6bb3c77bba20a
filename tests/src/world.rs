//! A fixed small world of tables, in which every case happens: the daemon's own
//! plan and patch, so that what is tried is what it would write.

use aya::{
    maps::{Array, Map, MapData, MapInfo},
    programs::Xdp,
};
use filter_common::{
    bucket::WAYS,
    packet,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    config::{Config, tier::Tiers},
    datapath::{
        Datapath,
        kernel::{Kernel, Sizes},
    },
    patch::Patch,
    plan::Plan,
    prefix::{Prefix, Written},
};

use crate::case::Case;

/// Room for the world and what is tried in it.
pub const SIZES: Sizes = Sizes {
    ipv4: 1_000,
    ipv6: 1_000,
    buckets: 65_536,
};

/// The same with few buckets, where they are emptied for every case. (The host's
/// model of the test entry needs as many as that has.)
pub const FEW_BUCKETS: Sizes = Sizes {
    buckets: 8_192,
    ..SIZES
};

/// Where the guarded services are.
pub const SERVER: &str = "192.0.2.1";
/// The same, over IPv6.
pub const SERVER6: &str = "2001:db8:1::1";
/// Where the service `partner` is, which has port 443 here only.
pub const PARTNER: &str = "192.0.2.80";
/// The same, over IPv6.
pub const PARTNER6: &str = "2001:db8:80::1";

/// Nothing is said of this source.
pub const FREE: &str = "100.64.0.200";
/// Nothing is said of this source.
pub const FREE6: &str = "2001:db8:f::200";
/// This source is blocked.
pub const BLOCKED: &str = "198.51.100.7";
/// This source is blocked.
pub const BLOCKED6: &str = "2001:db8:bad::7";

/// From then on what is said "at first" isn't any more, in seconds since boot.
pub const SECOND_STAGE: u32 = 5_000;
/// From then on the third stage holds.
pub const THIRD_STAGE: u32 = 9_000;

/// What the configuration of the world asks for, in enforce.
///
/// # Panics
/// Never: a test reads it.
#[must_use]
pub fn plan() -> Plan {
    let config = Config::parse(CONFIGURATION).expect("the world can be configured");
    let mut plan = config.plan(&Tiers::default()).expect("it has few tiers");
    // As if one service alone were under attack.
    let few = config.tiers["few"].source.connections;
    let crowd = plan.service_names.iter().position(|name| name == "crowd");
    for (service, _tier, rates) in &mut plan.tiers {
        if Some(usize::from(*service)) == crowd {
            *rates = rates.with_together(few);
        }
    }
    plan
}

/// The entries of the world, as if it were `second` seconds since boot where it
/// is `real` ones.
#[must_use]
pub fn patch(plan: &Plan, second: u32, real: u32) -> Patch {
    let mut patch = Patch::default();
    let mut claim = 0;
    for (prefix, enforced, shadow) in timelines(plan) {
        let mut stages = |verdicts: &[(Verdict, u32)]| -> Vec<Stage> {
            let stage = |(verdict, until): &(Verdict, u32)| {
                claim += 1;
                let shifted = i64::from(*until) + i64::from(real) - i64::from(second);
                let until = match *until {
                    NEVER => NEVER,
                    // What has ended long ago still ends once.
                    _ => shifted.max(1) as u32,
                };
                Stage::new(*verdict, claim, until)
            };
            verdicts.iter().map(stage).collect()
        };
        let enforced = stages(&enforced);
        patch.push(prefix_of(prefix), &enforced, &stages(&shadow));
    }
    patch
}

/// Puts the world into the tables of a datapath.
///
/// # Panics
/// If they don't take it.
pub fn fill(datapath: &mut impl Datapath) -> Plan {
    let plan = plan();
    datapath.configure(&plan).expect("the world fits");
    datapath.set(&plan.settings).expect("settings fit");
    let refused = datapath.apply(&patch(&plan, 0, 0));
    assert_eq!(refused, [], "every entry fits");
    plan
}

/// Empties the buckets of a program of the kernel, and its handshakes, as if no packet
/// had come yet.
///
/// # Panics
/// If it isn't loaded, or without root.
pub fn forget(kernel: &mut Kernel, program: &str) {
    assert_eq!(
        empty(kernel, program, &[BUCKETS, HANDSHAKES]),
        2,
        "it has both"
    );
}

/// The same, as far as a case could notice. Tables are emptied line by line, and few
/// cases look at handshakes.
///
/// # Panics
/// If it isn't loaded, or without root.
pub fn forget_before(kernel: &mut Kernel, program: &str, case: &Case) {
    let looks_at_handshakes = |frame: &Vec<u8>| packet::read(frame.as_slice()).shakes_hands();
    let mut frames = case.before.iter().chain([&case.frame]).chain(&case.twin);
    if frames.any(looks_at_handshakes) {
        forget(kernel, program);
    } else {
        forget_buckets(kernel, program);
    }
}

/// Empties the buckets alone.
///
/// # Panics
/// If it isn't loaded, or without root.
pub fn forget_buckets(kernel: &mut Kernel, program: &str) {
    assert_eq!(empty(kernel, program, &[BUCKETS]), 1, "it has buckets");
}

/// Empties the tables of a program that are named so, and gives back how many.
fn empty(kernel: &mut Kernel, program: &str, names: &[&str]) -> usize {
    let program = kernel.object().program(program);
    let program: &Xdp = program
        .expect("the object has it")
        .try_into()
        .expect("it is an XDP program");
    let maps = program.info().expect("it is loaded").map_ids();
    // By their names: the datapath has taken the maps it reads out of the object.
    let tables: Vec<_> = maps
        .expect("the kernel tells them")
        .expect("every kernel that weir runs on does")
        .into_iter()
        .map(|id| MapInfo::from_id(id).expect("the map is there"))
        .filter(|map| {
            let name = map.name_as_str().expect("a name");
            names.iter().any(|wanted| name.contains(wanted))
        })
        .collect();
    for table in &tables {
        let table = MapData::from_id(table.id()).expect("the map is there");
        let mut lines: Array<_, [u64; WAYS]> = Map::Array(table)
            .try_into()
            .expect("it holds lines of words");
        for line in 0..lines.len() {
            let taken = lines.get(&line, 0).expect("a line") != [0; WAYS];
            if taken {
                lines.set(line, [0; WAYS], 0).expect("it was there");
            }
        }
    }
    tables.len()
}

/// The prefix that is written so.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn prefix_of(text: &str) -> Prefix {
    text.parse::<Written>().expect("a prefix").prefix
}

/// Every source that something is said of, one address of each, and some more:
/// where a mutant may come from.
#[must_use]
pub fn sources() -> Vec<String> {
    let plan = plan();
    let mut sources: Vec<_> = timelines(&plan)
        .into_iter()
        .map(|(prefix, ..)| {
            let prefix = prefix_of(prefix);
            let mut address = prefix.address();
            // Not the first address of a wide one: that is often a special case.
            address.low |= u64::from(!prefix.is_address()) * 0x21;
            weir::prefix::ip(address).to_string()
        })
        .collect();
    for text in [
        FREE,
        FREE6,
        "198.51.101.7",
        "2001:db8:bae::1",
        "0.0.0.0",
        "::",
    ] {
        sources.push(text.to_owned());
    }
    // The whole village shares its rates.
    sources.extend((129..134).map(|last| format!("203.0.113.{last}")));
    sources
}

/// A prefix, its verdicts and when they end, and the same in the shadow.
type Timeline = (&'static str, Vec<(Verdict, u32)>, Vec<(Verdict, u32)>);

fn timelines(plan: &Plan) -> Vec<Timeline> {
    let limit = |name: &str| {
        let number = plan.tier_names.number(name);
        Verdict::limit(number.expect("a tier of the world"))
    };
    let ever = |verdict: Verdict| vec![(verdict, NEVER)];
    let none = Vec::new;
    vec![
        // Blocked, with holes.
        ("198.51.100.0/24", ever(Verdict::BLOCK), none()),
        (BLOCKED, ever(Verdict::BLOCK), none()),
        ("198.51.100.50", ever(Verdict::ALLOW), none()),
        ("198.51.100.60", ever(Verdict::ADMIT), none()),
        ("198.51.100.64/26", ever(limit("small")), none()),
        (BLOCKED6, ever(Verdict::BLOCK), none()),
        ("2001:db8:bad:1::/64", ever(Verdict::BLOCK), none()),
        ("2001:db8:dead::/48", ever(Verdict::BLOCK), none()),
        ("2001:db8:dead:50::/64", ever(Verdict::ALLOW), none()),
        ("2001:db8:dead:60::1", ever(Verdict::ADMIT), none()),
        ("fe80::bad", ever(Verdict::BLOCK), none()),
        // Protected and allowed.
        ("203.0.113.1", ever(Verdict::PROTECT), none()),
        ("2001:db8:a::/48", ever(Verdict::PROTECT), none()),
        ("203.0.113.2", ever(Verdict::ALLOW), none()),
        ("2001:db8:b::2", ever(Verdict::ALLOW), none()),
        // Limited.
        ("203.0.113.10", ever(limit("small")), none()),
        ("203.0.113.11", ever(limit("thin")), none()),
        ("203.0.113.12", ever(limit("few")), none()),
        ("203.0.113.128/25", ever(limit("village")), none()),
        ("203.0.113.14", ever(limit("free")), none()),
        ("2001:db8:c:10::/64", ever(limit("small")), none()),
        ("2001:db8:c:11::/64", ever(limit("thin")), none()),
        ("2001:db8:c:12::/64", ever(limit("few")), none()),
        ("2001:db8:d::/48", ever(limit("village")), none()),
        // What ends.
        (
            "203.0.113.20",
            vec![
                (Verdict::BLOCK, SECOND_STAGE),
                (limit("small"), THIRD_STAGE),
            ],
            none(),
        ),
        (
            "203.0.113.21",
            vec![(Verdict::ALLOW, SECOND_STAGE), (Verdict::BLOCK, NEVER)],
            none(),
        ),
        (
            "2001:db8:e::/64",
            vec![(limit("few"), SECOND_STAGE), (Verdict::BLOCK, THIRD_STAGE)],
            none(),
        ),
        // What is only counted.
        ("203.0.113.30", none(), ever(Verdict::BLOCK)),
        ("203.0.113.31", ever(Verdict::BLOCK), ever(Verdict::ADMIT)),
        ("203.0.113.32", ever(limit("free")), ever(limit("small"))),
        (
            "203.0.113.33",
            ever(limit("small")),
            vec![(Verdict::ALLOW, SECOND_STAGE), (limit("village"), NEVER)],
        ),
        (
            "2001:db8:9::/48",
            none(),
            vec![(limit("thin"), SECOND_STAGE)],
        ),
    ]
}

/// What is in the names of the maps; the kernel keeps their first 15 bytes.
const BUCKETS: &str = "BUCKETS";
const HANDSHAKES: &str = "HANDSHAKE";

const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[protect]
ports = [
    "tcp/22",
    { port = "tcp/2222", from = ["198.51.100.0/25", "2001:db8:bad::/48"] },
]

[events]
budget_per_cpu = "1000/s"
sample = 10

[[service]]
name = "api"
ports = ["tcp/443", "udp/443"]

[[service]]
name = "partner"
ports = ["tcp/443", "tcp/8443"]
addresses = ["192.0.2.80/32", "2001:db8:80::/64"]
default_tier = "small"

[[service]]
name = "trial"
ports = ["tcp/9443"]
default_tier = "small"
mode = "observe"

[[service]]
name = "near"
ports = ["tcp/7443"]
default_tier = "village"

[[service]]
name = "open"
ports = ["tcp/6443"]
default_tier = "free"

[[service]]
name = "crowd"
ports = ["tcp/5443"]

[tier.small]
packets = { rate = "10/s", burst = 3 }

[tier.thin]
bytes = { rate = "10KB/s", burst = 3000 }

[tier.few]
connections = { rate = "1/s", burst = 2 }

[tier.village.neighbourhood]
packets = { rate = "20/s", burst = 4 }
connections = { rate = "2/s", burst = 3 }

[tier.free]

[tier.fragments]
packets = { rate = "50/s", burst = 20 }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_as_it_is_described() {
        let plan = plan();
        assert!(plan.settings.enforces());
        assert_eq!(plan.service_names.len(), 7);
        assert_eq!(patch(&plan, 0, 0).len(), timelines(&plan).len());
        for source in sources() {
            source.parse::<std::net::IpAddr>().expect("an address");
        }
    }
}
