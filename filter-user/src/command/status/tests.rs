use filter_common::cause::Cause;

use super::*;
use crate::{
    command::output::tests::kept,
    control::{
        Request,
        protocol::{
            Answer, AnswerCount, BucketsStatus, CauseCount, CheckKeys, CheckStatus, EventsStatus,
            FeedStatus, InterfaceStatus, PolicyStatus, Query, ServiceStatus, ShadowVerdicts,
            VerdictsStatus,
        },
        server::fake_daemon::running,
    },
};

pub(super) fn observing() -> Status {
    let mut causes = Causes::default();
    causes[Cause::Conforming] = CauseCount {
        packets: 1_234_567,
        bytes: 1 << 30,
        ..CauseCount::default()
    };
    causes[Cause::Blocked] = CauseCount {
        packets: 12_345,
        bytes: 3 << 19,
        sources: 12,
        connections: 801,
        ..CauseCount::default()
    };
    Status {
        version: "0.1.0".into(),
        pid: 812,
        mode: Mode::Observe,
        mode_from: "configuration".into(),
        mode_until: None,
        under_attack: None,
        generation: 42,
        interfaces: vec![InterfaceStatus {
            name: "eth0".into(),
            attach: "native".into(),
            program_id: 97,
        }],
        verdicts: VerdictsStatus {
            ipv4: 1204,
            ipv6: 33,
            blocked: 1100,
            limited: 130,
            allowed: 7,
        },
        tables: TablesStatus {
            ipv4: TableStatus {
                prefixes: 1_204,
                capacity: 1_004_096,
                used_bytes: 77_000,
                half_bytes: 26_700_000,
            },
            ..TablesStatus::default()
        },
        shadow_verdicts: ShadowVerdicts {
            blocked: 1_234,
            ..ShadowVerdicts::default()
        },
        feeds: vec![
            FeedStatus {
                name: "operator".into(),
                kind: "operator".into(),
                mode: "inherit".into(),
                state: "ok".into(),
                claims: 3,
                ..FeedStatus::default()
            },
            FeedStatus {
                name: "verifier".into(),
                kind: "verdicts".into(),
                mode: "observe".into(),
                state: "stale".into(),
                claims: 1234,
                refused: 1,
                refusals: vec!["0.0.0.0/0 is too wide".into()],
                age_s: Some(200),
                last_error: Some("the connection was refused".into()),
            },
        ],
        services: vec![ServiceStatus {
            name: "api".into(),
            ports: vec!["tcp/443".into(), "udp/443".into()],
            default_tier: "unknown".into(),
            mode: "inherit".into(),
        }],
        causes,
        shadow: Causes::default(),
        events: EventsStatus {
            sent: 312,
            suppressed: 4201,
            lost: 0,
            untold: 40,
            readers: 2,
            missed: 1200,
        },
        buckets: BucketsStatus {
            capacity: 1_048_576,
            used: 1204,
            evicted: 0,
            saturated: 0,
        },
        check: Some(check()),
        policy: Some(PolicyStatus {
            mode: "enforce".into(),
            alarm: Some("calls come and none is attested".into()),
            enforced: PolicyVerdicts {
                raised: 8_123,
                limited: 41,
                blocked: 17,
            },
            shadow: PolicyVerdicts {
                blocked: 3,
                ..PolicyVerdicts::default()
            },
            ..PolicyStatus::default()
        }),
        problems: vec!["feed verifier is stale: nothing was heard for 3m 20s".into()],
    }
}

#[test]
fn a_status_reads_on_80_columns() {
    let (mut output, answer, notes) = kept(false);
    show(&observing(), &mut output).expect("kept");
    let expected = "\
weir 0.1.0, pid 812, generation 42
mode        observe: packets are only counted (from: configuration)
interfaces  eth0 native (program 97)
verdicts    1,204 IPv4, 33 IPv6: 1,100 blocked, 130 limited, 7 allowed
shadow      1,234 blocked, 0 limited, 0 allowed: only counted
tables      1,204 of 1,004,096 IPv4 (1 % of memory), 0 of 0 IPv6 (0 % of memory)
events      312 sent, 4,201 suppressed, 0 lost
readers     2 follow the events, too slow for 1,200 of them
buckets     1,204 of 1,048,576 used, 0 evicted, 0 packets found none idle
policy      enforce: 8,123 raised, 41 limited, 17 blocked
            0 raised, 0 limited, 3 blocked: only counted
            IT MAKES NO VERDICTS: the problem below says why

FEED      KIND      MODE     STATE  CLAIMS  REFUSED     AGE
operator  operator  inherit  ok          3        0       -
verifier  verdicts  observe  stale   1,234        1  3m 20s
  verifier: the connection was refused
  verifier refused: 0.0.0.0/0 is too wide

SERVICE  PORTS            TIER     MODE
api      tcp/443 udp/443  unknown  inherit

ATTESTATION  MODE     KEYS  AGE
app          enforce     2   7s
account      observe     1    -
  account: the secret has less than 32 bytes

CALLS       TOLD   COUNT
attested    pass  12,345
tok_badsig  fail       7

CAUSE         PACKETS    BYTES  DROPPED  BYTES
blocked        12,345  1.5 MiB        0    0 B
conforming  1,234,567  1.0 GiB        0    0 B
Enforce would have dropped 12,345 packets (1.5 MiB)
of 12 sources, 801 new connections among them.

problem: feed verifier is stale: nothing was heard for 3m 20s
";
    assert_eq!(answer.text(), expected);
    assert!(expected.lines().all(|line| line.len() <= 80));
    assert_eq!(notes.text(), "");
}

#[test]
fn in_enforce_only_what_an_observing_service_spared_is_said() {
    let mut status = observing();
    let blocked = &mut status.causes[Cause::Blocked];
    (blocked.dropped_packets, blocked.dropped_bytes) = (blocked.packets, blocked.bytes);
    assert_eq!(would(&status.causes, Mode::Enforce), None);
    status.causes[Cause::OverPackets].packets = 7;
    status.causes[Cause::OverPackets].bytes = 700;
    assert_eq!(
        would(&status.causes, Mode::Enforce).expect("a sentence"),
        "Passed since the start only because of an observe: 7 packets (700 B)."
    );
}

#[test]
fn the_shadow_has_its_own_table() {
    let mut status = observing();
    status.shadow[Cause::Blocked] = CauseCount {
        packets: 5,
        bytes: 500,
        dropped_packets: 5,
        dropped_bytes: 500,
        ..CauseCount::default()
    };
    let (mut output, answer, _) = kept(false);
    show(&status, &mut output).expect("kept");
    let text = answer.text();
    let shadow = "
Shadow: what the feeds in observe would have done
CAUSE    PACKETS  BYTES  DROPPED  BYTES
blocked        5  500 B        5  500 B
";
    assert!(text.contains(shadow), "{text}");
}

#[test]
fn a_check_is_one_line_and_fails_if_anything_is_wrong() {
    let mut status = observing();
    status.problems.push("eth1 isn't there".into());
    let (mut output, answer, _) = kept(false);
    let outcome = verdict(&status, &mut output).expect("kept");
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        answer.text(),
        "feed verifier is stale: nothing was heard for 3m 20s; eth1 isn't there\n"
    );
    status.problems.clear();
    let (mut output, answer, _) = kept(false);
    let outcome = verdict(&status, &mut output).expect("kept");
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(answer.text(), "good: observe, generation 42\n");
    let (mut output, answer, _) = kept(true);
    verdict(&status, &mut output).expect("kept");
    assert_eq!(answer.text(), "{\"ok\":true,\"problems\":[]}\n");
}

#[tokio::test]
async fn a_check_knows_which_mode_is_expected() {
    for (is, expect, outcome) in [
        (Mode::Enforce, None, Outcome::Done),
        (Mode::Enforce, Some(Mode::Enforce), Outcome::Done),
        (Mode::Observe, Some(Mode::Observe), Outcome::Done),
        (Mode::Observe, Some(Mode::Enforce), Outcome::Failed),
        (Mode::Enforce, Some(Mode::Observe), Outcome::Failed),
    ] {
        let daemon = running(move |request| match request {
            Request::Query {
                query: Query::Status(_),
                reply,
            } => {
                let mut status = observing();
                status.mode = is;
                status.problems.clear();
                drop(reply.send(Ok(Answer::Status(status))));
            }
            other => panic!("{other:?} wasn't asked"),
        });
        let (mut output, answer, _) = kept(false);
        let found = super::check(expect, &daemon.client, &mut output).await;
        assert_eq!(found.expect("answered"), outcome, "{is:?}, {expect:?}");
        let text = answer.text();
        let names_it = text.contains("was expected");
        assert_eq!(names_it, outcome == Outcome::Failed, "{text}");
    }
}

fn check() -> CheckStatus {
    let count = |reason: &str, outcome: &str, count| AnswerCount {
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        count,
    };
    let keys = |name: &str, mode: &str, keys, age_s| CheckKeys {
        attestation: name.to_owned(),
        mode: mode.to_owned(),
        keys,
        age_s,
        ..CheckKeys::default()
    };
    CheckStatus {
        answers: vec![
            count("attested", "pass", 12_345),
            count("tok_badsig", "fail", 7),
            count("tok_missing", "fail", 0),
        ],
        keys: vec![
            keys("app", "enforce", 2, Some(7)),
            CheckKeys {
                error: Some("the secret has less than 32 bytes".to_owned()),
                ..keys("account", "observe", 1, None)
            },
        ],
        ..CheckStatus::default()
    }
}
