//! The configuration: what is taken can't be wrong, in the words of
//! `config.rs`.

use std::collections::BTreeSet;

use filter_common::settings::{MAX_VERSIONS, Mode};
use weir::config::{Config, Kind, Verdict};

use super::shape;

pub(super) fn body(input: &[u8]) -> String {
    let Ok(text) = str::from_utf8(input) else {
        return "not UTF-8".to_owned();
    };
    let config = match Config::parse(text) {
        Ok(config) => config,
        // The operator's own file: its sentences may quote at length.
        Err(error) => return shape(&error.to_string()),
    };
    for warning in &config.warnings {
        assert!(!warning.is_empty());
    }
    for service in &config.services {
        assert!(config.tiers.contains_key(&service.default_tier));
        assert!(!service.ports.is_empty(), "a service without a port");
        let versions = service.quic.iter().flatten();
        let other = versions.filter(|version| !version.is_known()).count();
        assert!(other <= MAX_VERSIONS, "the law has no room for them");
    }
    for feed in &config.feeds {
        assert!(feed.rank != 0 && matches!(feed.widen_ipv6, 64 | 128));
        match &feed.kind {
            Kind::File { path, verdict } => {
                assert!(path.is_absolute());
                if let Verdict::Limit(tier) = verdict {
                    assert!(config.tiers.contains_key(tier));
                }
            }
            Kind::Verdicts(stream) => assert!(stream.url.has_host()),
            Kind::Policy => panic!("no file has one"),
        }
    }
    let names: BTreeSet<_> = config.feeds.iter().map(|feed| &feed.name).collect();
    assert_eq!(names.len(), config.feeds.len(), "two feeds of one name");
    assert!(!names.iter().any(|name| *name == "operator"));
    let names: BTreeSet<_> = config
        .services
        .iter()
        .map(|service| &service.name)
        .collect();
    assert_eq!(
        names.len(),
        config.services.len(),
        "two services of one name"
    );
    assert!(
        config
            .metrics
            .listen
            .is_none_or(|listen| listen.ip().is_loopback())
    );

    let complete = config
        .clone()
        .with(vec!["eth0".to_owned()], Some(Mode::Enforce))
        .expect("a name that can be");
    let planned = match complete.plan(&weir::config::tier::Tiers::default()) {
        Ok(plan) => {
            let attacked = plan.clone().under_attack(&complete);
            for plan in [plan, attacked] {
                let all = plan.tiers.len();
                assert_eq!(plan.tiers_in_ticks().count(), all, "a rate without a tick");
            }
            "planned".to_owned()
        }
        Err(error) => shape(&error.to_string()),
    };
    format!(
        "{planned}: {} services, {} tiers, {} feeds, {} warnings",
        config.services.len().min(3),
        config.tiers.len().min(5),
        config.feeds.len().min(3),
        config.warnings.len().min(3)
    )
}

pub(super) const WORDS: &[&str] = &[
    "[daemon]\n",
    "[datapath]\n",
    "[protect]\n",
    "[tables]\n",
    "[events]\n",
    "[metrics]\n",
    "[[service]]\n",
    "[[feed]]\n",
    "[tier.suspect]\n",
    "[tier.suspect.neighbourhood]\n",
    "[tier.suspect.neighbourhood.ipv6]\n",
    "name = \"api\"\n",
    "kind = \"file\"\n",
    "kind = \"verdicts\"\n",
    "path = \"/etc/x\"\n",
    "url = \"https://verify.example.net/v1\"\n",
    "url = \"http://[::1]:80/\"\n",
    "token_file = \"/etc/x\"\n",
    "ports = [\"tcp/443\", \"udp/8000-8010\"]\n",
    "ports = [{ port = \"tcp/22\", from = [\"192.0.2.0/24\"] }]\n",
    "packets = { rate = \"200/s\", burst = 1000 }\n",
    "bytes = { rate = \"32MiB/s\", burst = \"64KiB\" }\n",
    "budget_per_cpu = \"0/s\"\n",
    "mode = \"observe\"\n",
    "mode = \"inherit\"\n",
    "verdict = { limit = \"suspect\" }\n",
    "rank = 0\n",
    "widen_ipv6 = 64\n",
    "default_tier = \"suspect\"\n",
    "quic = [\"v1\", \"draft-29\", \"0x51303436\"]\n",
    "quic = []\n",
    "listen = \"127.0.0.1:9187\"\n",
    "interfaces = [\"eth0\"]\n",
    "18446744073709551615",
    "99999999GiB/m",
    "nan",
    "inf",
    "'''",
    "\"\"\"",
    "\\u0007",
    "\u{feff}",
];
