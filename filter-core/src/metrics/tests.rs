//! The text by itself, and against what `docs/` says of it.

use std::collections::{BTreeMap, BTreeSet};

use filter_common::cause::Cause;

use super::*;
use crate::protocol::{
    AnswerCount, CheckKeys, CheckStatus, EventsStatus, FeedStatus, ObservationsStatus,
    PolicyStatus, PolicyVerdicts, ServiceStatus, TableStatus,
};

/// A daemon of which everything is told.
fn figures() -> Figures {
    let mut causes = Causes::default();
    for (cause, number) in Cause::ALL.into_iter().zip(1..) {
        causes[cause] = CauseCount {
            packets: 100 * number,
            bytes: 10_000 * number,
            dropped_packets: number,
            dropped_bytes: 50 * number,
            sources: 2 * number,
            connections: 3 * number,
        };
    }
    let feed = |name: &str, rank, state: &str| FeedDetails {
        status: FeedStatus {
            name: name.into(),
            kind: "file".into(),
            mode: "inherit".into(),
            state: state.into(),
            claims: 6,
            refused: 4,
            age_s: (rank > 0).then_some(7),
            last_error: (state == "failed").then(|| "it is a web page".into()),
            ..FeedStatus::default()
        },
        rank,
        blocked: 3,
        limited: 2,
        allowed: 1,
        held: 5,
        snapshots: 8,
        deltas: 9,
        added: 10,
        changed: 11,
        withdrawn: 12,
        heard_at: (rank > 0).then_some(1_700_000_000),
        notes: vec!["doubtful".into()],
        ..FeedDetails::default()
    };
    Figures {
        status: Status {
            version: "1.2.3".into(),
            pid: 7,
            mode: Mode::Observe,
            mode_from: "weir mode".into(),
            mode_until: None,
            under_attack: None,
            generation: 4,
            interfaces: Vec::new(),
            verdicts: Default::default(),
            tables: TablesStatus {
                ipv6: TableStatus {
                    capacity: 20,
                    ..TableStatus::default()
                },
                ..TablesStatus::default()
            },
            shadow_verdicts: Default::default(),
            feeds: Vec::new(),
            services: vec![ServiceStatus {
                name: "api".into(),
                ports: vec!["tcp/443".into()],
                default_tier: "unknown".into(),
                mode: "inherit".into(),
            }],
            causes,
            shadow: causes,
            events: EventsStatus {
                sent: 21,
                suppressed: 22,
                lost: 23,
                untold: 24,
                readers: 25,
                missed: 26,
            },
            buckets: Default::default(),
            check: Some(check()),
            policy: Some(PolicyStatus {
                alarm: Some("nothing is attested".into()),
                sources: 41,
                forgotten: 42,
                enforced: PolicyVerdicts {
                    raised: 43,
                    limited: 44,
                    blocked: 45,
                },
                shadow: PolicyVerdicts {
                    blocked: 46,
                    ..PolicyVerdicts::default()
                },
                ..PolicyStatus::default()
            }),
            problems: vec!["it is a web page".into()],
        },
        feeds: vec![
            feed("operator", 0, "ok"),
            feed("local", 50, "failed"),
            feed("new", 51, "puzzled"),
        ],
        interfaces: vec![
            Interface {
                name: "eth0".into(),
                attach: Some("native".into()),
                filtered: true,
            },
            Interface {
                name: "eth1".into(),
                attach: None,
                filtered: false,
            },
        ],
        process: Some(Process {
            cpu_seconds: 1.5,
            start_time_seconds: 1_700_000_000.25,
            resident_bytes: 1 << 20,
            virtual_bytes: 1 << 30,
            open_fds: 33,
            max_fds: Some(1024),
        }),
    }
}

fn check() -> CheckStatus {
    CheckStatus {
        answers: vec![AnswerCount {
            outcome: "fail".into(),
            reason: "tok_badsig".into(),
            count: 31,
        }],
        keys: vec![CheckKeys {
            attestation: "app".into(),
            keys: 32,
            age_s: Some(33),
            error: Some("no answer".into()),
            ..CheckKeys::default()
        }],
        observations: ObservationsStatus {
            sent: 34,
            lost: 35,
            sourceless: 36,
            of_no_peer: 37,
            reported: 38,
            refused_lines: 39,
        },
    }
}

/// Every family with its kind.
fn families(text: &str) -> BTreeMap<String, String> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds
        .map(|line| line.split_once(' ').expect("a name and a kind"))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one == line), "no {line} in:\n{text}");
}

#[test]
fn every_sample_belongs_to_its_family_and_comes_once() {
    let text = text(&figures());
    let mut seen = BTreeSet::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect(line);
            assert!(help.len() > 5 && help.ends_with('.'), "{line}");
            assert!(help.starts_with(|c: char| !c.is_lowercase()) || help.starts_with("weir "));
            family = name;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let counts = family.ends_with("_total");
            let expected = if counts { "counter" } else { "gauge" };
            assert_eq!(kind, format!("{family} {expected}"));
        } else {
            let (sample, value) = line.rsplit_once(' ').expect(line);
            assert_eq!(sample.split('{').next(), Some(family), "{line}");
            value.parse::<f64>().expect(line);
            assert!(seen.insert(sample.to_owned()), "twice: {line}");
        }
    }
    let samples = |name: &str| seen.iter().filter(|one| one.starts_with(name)).count();
    for name in families(&text).keys() {
        assert!(samples(name) > 0, "{name} has no sample");
    }
}

#[test]
fn what_is_counted_is_told() {
    let text = text(&figures());
    for line in [
        "weir_enforcing 0",
        "weir_under_attack 0",
        r#"weir_mode_info{mode="observe",from="weir mode"} 1"#,
        "weir_generation 4",
        "weir_problems 1",
        r#"weir_service_info{service="api",default_tier="unknown",mode="inherit"} 1"#,
        r#"weir_attached{interface="eth0",attach="native"} 1"#,
        r#"weir_attached{interface="eth1",attach="off"} 0"#,
        r#"weir_packets_total{cause="not_ip",action="pass"} 99"#,
        r#"weir_packets_total{cause="not_ip",action="drop"} 1"#,
        r#"weir_bytes_total{cause="not_ip",action="pass"} 9950"#,
        r#"weir_table_capacity{family="ipv6"} 20"#,
        r#"weir_feed_info{feed="local",kind="file",mode="inherit",rank="50"} 1"#,
        r#"weir_feed_up{feed="operator"} 1"#,
        r#"weir_feed_up{feed="local"} 0"#,
        r#"weir_feed_state{feed="local",state="failed"} 1"#,
        r#"weir_feed_state{feed="local",state="ok"} 0"#,
        r#"weir_feed_age_seconds{feed="local"} 7"#,
        r#"weir_feed_last_success_timestamp_seconds{feed="local"} 1700000000"#,
        r#"weir_feed_held{feed="local"} 5"#,
        r#"weir_feed_refused{feed="local"} 4"#,
        r#"weir_feed_updates_total{feed="local",update="whole"} 8"#,
        r#"weir_feed_updates_total{feed="local",update="delta"} 9"#,
        r#"weir_feed_changes_total{feed="local",change="withdrawn"} 12"#,
        r#"weir_claims{feed="operator",verdict="limit"} 2"#,
        r#"weir_events_total{outcome="sent"} 21"#,
        r#"weir_events_total{outcome="suppressed"} 22"#,
        r#"weir_events_total{outcome="lost"} 23"#,
        "weir_events_untold 24",
        "weir_event_readers 25",
        "weir_events_missed_total 26",
        "weir_policy_alarm 1",
        "weir_policy_sources 41",
        "weir_policy_forgotten_total 42",
        r#"weir_policy_verdicts{mode="enforce",verdict="raised"} 43"#,
        r#"weir_policy_verdicts{mode="enforce",verdict="limited"} 44"#,
        r#"weir_policy_verdicts{mode="enforce",verdict="blocked"} 45"#,
        r#"weir_policy_verdicts{mode="observe",verdict="blocked"} 46"#,
        r#"weir_checks_total{outcome="fail",reason="tok_badsig"} 31"#,
        r#"weir_check_keys{attestation="app"} 32"#,
        r#"weir_check_keys_age_seconds{attestation="app"} 33"#,
        r#"weir_check_keys_well{attestation="app"} 0"#,
        r#"weir_observations_total{outcome="sent"} 34"#,
        r#"weir_observations_total{outcome="lost"} 35"#,
        r#"weir_observations_total{outcome="sourceless"} 36"#,
        r#"weir_observations_total{outcome="of_no_peer"} 37"#,
        r#"weir_observations_total{outcome="refused"} 39"#,
        "weir_observations_reported_total 38",
        "process_cpu_seconds_total 1.5",
        "process_start_time_seconds 1700000000.25",
        "process_max_fds 1024",
    ] {
        has(&text, line);
    }
    let layout = abi::LAYOUT;
    has(
        &text,
        &format!(r#"weir_build_info{{version="1.2.3",layout="{layout}"}} 1"#),
    );
    let blocked = figures().status.causes[Cause::Blocked];
    let hit = format!(
        r#"weir_hit_sources_total{{cause="blocked"}} {}"#,
        blocked.sources
    );
    has(&text, &hit);
    assert!(!text.contains(r#"weir_feed_age_seconds{feed="operator"}"#));
}

#[test]
fn a_state_that_is_new_is_told_as_well() {
    let text = text(&figures());
    has(&text, r#"weir_feed_state{feed="new",state="puzzled"} 1"#);
    assert!(!text.contains(r#"{feed="local",state="puzzled"}"#));
}

#[test]
fn what_isnt_known_is_left_out() {
    let mut figures = figures();
    figures.process = None;
    figures.feeds.truncate(1);
    let text = text(&figures);
    assert!(!text.contains("process_"), "{text}");
    assert!(!text.contains("weir_feed_age_seconds{"), "{text}");
}

#[test]
fn the_page_for_operators_has_every_metric_and_no_other() {
    let told: BTreeSet<_> = families(&text(&figures())).into_keys().collect();
    assert_eq!(documented(), told);
}

#[test]
fn the_page_for_operators_has_every_state_of_a_feed() {
    let (_, behind) = OPERATING
        .split_once("| state | what it is")
        .expect("a table of states");
    let rows = behind
        .lines()
        .skip(2)
        .take_while(|row| row.starts_with('|'));
    let first = rows.map(|row| row.split('|').nth(1).expect("a first cell"));
    let states: BTreeSet<_> = first
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(states, feeds::STATES.into_iter().collect());
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let told = families(&text(&figures()));
    for (page, text, least) in [
        (
            "grafana.json",
            include_str!("../../../docs/grafana.json"),
            25,
        ),
        ("alerts.yml", include_str!("../../../docs/alerts.yml"), 8),
    ] {
        let names = names(text);
        assert!(names.len() >= least, "{page} names only {names:?}");
        for name in names {
            assert!(told.contains_key(name), "{page} asks for {name}");
        }
    }
}

/// The metrics in the table of `docs/operating.md`.
fn documented() -> BTreeSet<String> {
    let (_, behind) = OPERATING
        .split_once("| metric | labels |")
        .expect("a table of metrics");
    let rows = behind
        .lines()
        .skip(2)
        .take_while(|row| row.starts_with('|'));
    rows.flat_map(|row| names(row.split('|').nth(1).expect("a first cell")))
        .map(ToOwned::to_owned)
        .collect()
}

/// The words in a text that are metrics' names.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("weir_") || word.starts_with("process_"))
        .collect()
}

const OPERATING: &str = include_str!("../../../docs/operating.md");
