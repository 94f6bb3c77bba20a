use filter_common::source::Family;

use super::*;

mod attestation;
mod changes;
mod mistakes;
mod neighbourhood;
mod refused;

const PAGE: &str = include_str!("../../../docs/weir.toml");

/// The smallest useful file.
const SMALL: &str = r#"[datapath]
interfaces = ["eth0"]

[[service]]
name  = "api"
ports = ["tcp/443", "udp/443"]
"#;

fn parse(text: &str) -> Config {
    Config::parse(text).expect(text)
}

#[test]
fn the_page_says_the_defaults() {
    let built_in = Config::embedded()
        .with(vec!["eth0".to_owned()], None)
        .expect("an interface is named");
    assert_eq!(parse(PAGE), built_in);
    assert_eq!(built_in.warnings, [""; 0]);
}

#[test]
fn the_smallest_file_is_the_default() {
    assert_eq!(parse(SMALL), parse(PAGE));
}

#[test]
fn what_the_page_has_behind_a_hash_can_be_written() {
    let config = parse(&uncommented(PAGE));
    assert_eq!(config.feeds, [blocklist(), verifier()]);
    assert_eq!(config.attestations, attestation::of_the_page());
    let suspect = config.tiers[tier::SUSPECT];
    assert_eq!(
        suspect.neighbourhood(Family::V4).connections,
        rate(20, 100),
        "the neighbourhood was read"
    );
}

/// The page with what it has behind a hash.
fn uncommented(page: &str) -> String {
    page.lines()
        .map(|line| {
            let code = line.strip_prefix("# ").filter(|line| {
                line.starts_with('[') || (line.contains(" = ") && !line.ends_with('.'))
            });
            format!("{}\n", code.unwrap_or(line))
        })
        .collect()
}

fn blocklist() -> Feed {
    Feed {
        name: "local".to_owned(),
        kind: Kind::File {
            path: "/etc/weir/blocklist.txt".into(),
            verdict: Verdict::Block,
        },
        rank: 50,
        observe: false,
        widen_ipv6: 128,
    }
}

fn verifier() -> Feed {
    let url = "https://verify.example.net/v1/verdicts";
    Feed {
        name: "verifier".to_owned(),
        kind: Kind::Verdicts(Stream {
            url: url.parse().expect("an address"),
            token_file: Some("/etc/weir/verifier.token".into()),
            ca_file: Some("/etc/weir/verifier-ca.pem".into()),
        }),
        rank: 10,
        ..blocklist()
    }
}

fn rate(units: u64, burst: u64) -> Rate {
    Rate::new(units, 1_000_000_000, burst).expect("a rate")
}

#[test]
fn everything_can_be_said() {
    let config = parse(
        r#"
        [daemon]
        state_dir = "/a"
        control = "/b"
        pins = "/sys/fs/bpf/c"
        [datapath]
        interfaces = ["eth0", "eth1.100"]
        mode = "enforce"
        attach = "native"
        strict = true
        on_stop = "detach"
        [protect]
        sources = ["192.0.2.0/24", "2001:db8::1"]
        ports = ["tcp/22-23", { port = "tcp/2222", from = ["198.51.100.0/24"] }]
        [tables]
        ipv4 = 10
        ipv6 = 20
        buckets = 30
        [events]
        budget_per_cpu = "60/m"
        sample = 0
        [metrics]
        listen = "[::1]:9187"
        [[service]]
        name = "web"
        ports = ["tcp/8000-8010"]
        addresses = ["203.0.113.0/24"]
        default_tier = "partner"
        mode = "observe"
        [tier.partner]
        packets = { rate = "600/m", burst = 50 }
        bytes = { rate = "1MB/s", burst = 100000 }
        [tier.partner.neighbourhood]
        connections = { rate = "9/s", burst = 9 }
        [[feed]]
        name = "good"
        kind = "file"
        path = "/etc/weir/good.txt"
        verdict = "allow"
        rank = 1
        mode = "observe"
        widen_ipv6 = 64
        [[feed]]
        name = "so-so"
        kind = "file"
        path = "/etc/weir/so-so.txt"
        verdict = { limit = "partner" }
        "#,
    );
    let prefix = |text: &str| {
        let written: crate::prefix::Written = text.parse().expect(text);
        written.prefix
    };
    let ports = |text: &str| text.parse::<Ports>().expect(text);
    assert_eq!(config.daemon.pins, std::path::Path::new("/sys/fs/bpf/c"));
    assert_eq!(config.datapath.interfaces, ["eth0", "eth1.100"]);
    assert_eq!(config.datapath.mode, Mode::Enforce);
    assert_eq!(config.datapath.attach, Attach::Native);
    assert_eq!(config.datapath.on_stop, OnStop::Detach);
    assert!(config.datapath.strict);
    assert_eq!(
        config.protect.sources,
        [prefix("192.0.2.0/24"), prefix("2001:db8::1")]
    );
    assert_eq!(
        config.protect.ports,
        [
            ProtectedPorts {
                ports: ports("tcp/22-23"),
                from: None
            },
            ProtectedPorts {
                ports: ports("tcp/2222"),
                from: Some(vec![prefix("198.51.100.0/24")])
            }
        ]
    );
    assert_eq!(config.ssh_ports(), [2222]);
    let Tables {
        ipv4,
        ipv6,
        buckets,
    } = config.tables;
    assert_eq!((ipv4, ipv6, buckets), (10, 20, 30));
    let minute = Rate::new(60, 60_000_000_000, 60).expect("a rate");
    assert_eq!(config.events.budget_per_cpu, minute);
    assert_eq!(config.events.sample, 0);
    assert_eq!(config.metrics.listen, "[::1]:9187".parse().ok());
    assert_eq!(
        config.services,
        [Service {
            name: "web".to_owned(),
            ports: vec![ports("tcp/8000-8010")],
            addresses: vec![prefix("203.0.113.0/24")],
            default_tier: "partner".to_owned(),
            observe: true,
            quic: None,
        }]
    );
    let partner = config.tiers["partner"];
    let slow = Rate::new(600, 60_000_000_000, 50).expect("a rate");
    assert_eq!(partner.source.packets, slow);
    assert_eq!(partner.source.bytes, rate(1_000_000, 100_000));
    assert!(!partner.source.connections.is_set(), "it is inherited");
    assert_eq!(partner.neighbourhood(Family::V4).connections, rate(9, 9));
    let [good, so_so] = &config.feeds[..] else {
        panic!("two feeds")
    };
    assert_eq!((good.rank, good.observe, good.widen_ipv6), (1, true, 64));
    let limit = Kind::File {
        path: "/etc/weir/so-so.txt".into(),
        verdict: Verdict::Limit("partner".to_owned()),
    };
    assert_eq!(so_so.kind, limit);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn a_built_in_tier_is_set_rate_by_rate() {
    let config = parse("[tier.unknown]\npackets = { rate = \"5/s\", burst = 100 }");
    let unknown = config.tiers[tier::UNKNOWN].source;
    assert_eq!(unknown.packets, rate(5, 100));
    assert_eq!(unknown.connections, rate(200, 1000));
    let fragments = config.tiers[tier::FRAGMENTS].source;
    assert_eq!(fragments, unknown, "it follows unknown");
}

#[test]
fn the_command_line_goes_before_the_file() {
    let config = parse(SMALL)
        .with(
            vec!["lo".to_owned(), "eth1".to_owned()],
            Some(Mode::Enforce),
        )
        .expect("two interfaces");
    assert_eq!(config.datapath.interfaces, ["lo", "eth1"]);
    assert_eq!(config.datapath.mode, Mode::Enforce);
    let same = parse(SMALL).with(Vec::new(), None).expect("eth0 is there");
    assert_eq!(same, parse(SMALL));

    for (interfaces, says) in [
        (
            vec![],
            "no interface is named: write interfaces = [\"eth0\"]",
        ),
        (
            vec!["a/b"],
            "--interface: \"a/b\" is no name of an interface",
        ),
        (vec!["lo", "lo"], "--interface: \"lo\" is there twice"),
    ] {
        let interfaces = interfaces.into_iter().map(str::to_owned).collect();
        let refused = Config::embedded().with(interfaces, None);
        let message = refused.expect_err(says).to_string();
        assert!(message.starts_with(says), "{message}");
    }
}

#[test]
fn the_policys_tiers_are_there_where_it_is_on_and_follow_what_is_written() {
    let config = parse(
        "[policy]\nmode = \"observe\"\n[tier.shared-8]\nconnections = { rate = \"100/s\", burst = 1000 }\n[tier.unknown]\nconnections = { rate = \"300/s\", burst = 600 }",
    );
    let connections = |name: &str| config.tiers[name].source.connections;
    assert_eq!(connections("shared-2"), rate(4, 40));
    assert_eq!(connections("shared-8"), rate(100, 1_000));
    assert_eq!(connections("shared-32"), rate(400, 4_000));
    assert_eq!(connections(tier::ATTESTED), rate(600, 1_200));
    // What can't be held any faster stays what it is.
    let bytes = |name: &str| config.tiers[name].source.bytes;
    assert!(bytes("shared-8").interval < bytes("shared-2").interval);
    assert_eq!(bytes("shared-8192"), bytes("shared-8"));
    let plan = config.plan(&tier::Tiers::default()).expect("few tiers");
    assert_eq!(plan.tiers_in_ticks().count(), 12);
    let off = parse(SMALL);
    assert!(!off.tiers.contains_key("shared-2"));
    let plan = off.plan(&tier::Tiers::default()).expect("few tiers");
    assert_eq!(off.rules(&plan), None);
}

#[test]
fn a_service_that_gives_strangers_more_than_the_attested_is_doubted() {
    let config = parse(
        "[policy]\nmode = \"observe\"\n[[service]]\nname = \"a\"\nports = [\"tcp/443\"]\ndefault_tier = \"free\"\n[tier.free]\npackets = { rate = \"1000/s\", burst = 1000 }",
    );
    let [warning] = &config.warnings[..] else {
        panic!("{:?}", config.warnings)
    };
    assert!(warning.starts_with("service a: its default tier free has more new connections"));
}

#[test]
fn the_ceiling_under_attack_is_a_rate_of_all_together() {
    let config = parse(&format!(
        "{SMALL}\n[under_attack]\nconnections = {{ rate = \"50/s\", burst = 70 }}"
    ));
    assert_eq!(config.under_attack.together.together, rate(50, 70));
    assert!(!config.under_attack.together.source.is_set());
    for (wrong, says) in [
        ("connection = 1", "connections"),
        (
            "connections = { rate = \"0/s\", burst = 1 }",
            "0 would let nothing through",
        ),
        (
            "connections = { rate = \"1KiB/s\", burst = 1 }",
            "counted, not measured",
        ),
    ] {
        let refused = Config::parse(&format!("{SMALL}\n[under_attack]\n{wrong}"));
        let message = refused.expect_err(wrong).to_string();
        assert!(message.contains(says), "{message}");
    }
}
