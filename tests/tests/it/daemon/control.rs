//! The control socket: who is let in, and what every command answers.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    process::Stdio,
};

use filter_common::cause::Cause;
use serde_json::Value;
use weir_tests::{
    bed::{CommandOutput, Edge, PLENTY, Traffic, until},
    world::{BLOCKED, BLOCKED6, FREE, SERVER},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_foreign_user_is_kept_out_by_two_doors() {
    let edge = Edge::new();
    let daemon = edge.start();
    let own = edge.own_binary();
    let open = |path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    open(edge.path(""), 0o755);
    open(own.clone(), 0o755);
    let foreign = || {
        let mut command = edge.host.command("setpriv");
        command
            .env("WEIR_SOCKET", edge.path("control.sock"))
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&own)
            .args(["block", FREE]);
        CommandOutput::by(&mut command)
    };
    let _output = foreign().failed(1).says("you may not open");
    assert!(!daemon.log().contains("was refused"));

    // Somebody opens the first door too wide.
    open(edge.path("control.sock"), 0o666);
    let _output = foreign().failed(1).says("only root");
    daemon.await_log("was refused");
    assert!(
        daemon.log().contains("65534"),
        "who it was: {}",
        daemon.log()
    );
    assert_ne!(edge.explain(FREE)["cause"], "blocked");
    let answer = http(&edge, "GET /v1/nothing");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn status_has_what_the_contract_names() {
    let edge = Edge::new();
    let daemon = edge.start();
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);
    let status = edge.status();
    has(
        &status,
        "version pid mode mode_from generation interfaces verdicts feeds causes shadow events buckets",
    );
    assert_eq!(status["pid"], daemon.pid());
    has(&status["interfaces"][0], "name attach program_id");
    has(&status["verdicts"], "ipv4 ipv6 blocked limited allowed");
    for feed in status["feeds"].as_array().expect("feeds") {
        has(feed, "name kind mode state claims age_s last_error");
    }
    for causes in [&status["causes"], &status["shadow"]] {
        let named: BTreeSet<_> = causes
            .as_object()
            .expect("causes")
            .keys()
            .cloned()
            .collect();
        let all: BTreeSet<_> = Cause::ALL.map(|cause| cause.name().to_owned()).into();
        assert_eq!(named, all);
        for cause in all {
            has(
                &causes[&cause],
                "packets bytes dropped_packets dropped_bytes",
            );
        }
    }
    has(&status["events"], "sent suppressed lost");
    has(&status["buckets"], "capacity used evicted saturated");
    assert_eq!(status["buckets"]["capacity"], 4_096);
    // Of the free source: packets and bytes, for it opened no connection.
    assert_eq!(status["buckets"]["used"], 2);
    assert_eq!(status["verdicts"]["blocked"], 2);
    assert_eq!(status["causes"]["blocked"]["dropped_packets"], 20);
    assert_eq!(status["causes"]["conforming"]["packets"], 20);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_command_answers_with_json_and_its_exit_code() {
    let edge = Edge::new();
    let daemon = edge.start();
    let config = edge.config();
    let config = config.to_str().expect("UTF-8");
    let explained = edge.weir(&["explain", BLOCKED, "--json"]).done().json();
    has(
        &explained,
        "address cause action verdict prefix feed reason evidence expires_in_s tier service bucket shadow losing",
    );
    assert_eq!(explained["address"], BLOCKED);
    assert_eq!(explained["prefix"], format!("{BLOCKED}/32"));
    for (arguments, keys) in [
        (
            &["block", "203.0.113.7", "--for", "1h"][..],
            "until prefixes",
        ),
        (&["allow", "203.0.113.8"], "until prefixes"),
        (
            &["limit", "203.0.113.9", "--tier", "suspect"],
            "until prefixes",
        ),
        (&["clear", "203.0.113.8"], "until prefixes"),
        (&["mode", "observe"], "mode was notes"),
        (&["mode", "enforce"], "mode was notes"),
        (&["reload"], "changes notes"),
        (&["status", "--check"], "ok problems"),
        (&["config", "check", config], ""),
        (&["version"], "version"),
        (&["detach"], "interfaces"),
    ] {
        let answer = edge.weir(&[arguments, &["--json"]].concat()).done().json();
        has(&answer, keys);
    }
    let listed = edge.weir(&["list", "--json"]).done().json_lines();
    assert_eq!(listed.len(), 4, "{listed:?}");
    for claim in &listed {
        has(claim, "prefix verdict feed reason evidence expires_in_s id");
    }
    let limited = listed
        .iter()
        .find(|claim| claim["prefix"] == "203.0.113.9/32");
    assert_eq!(
        limited.expect("it is listed")["verdict"]["limit"],
        "suspect"
    );

    let check = edge.weir(&["status", "--check", "--json"]);
    assert_eq!(check.code, Some(1));
    assert_eq!(check.json()["ok"], false);
    let _output = edge
        .weir(&["list", "--feed", "no"])
        .failed(1)
        .says("operator, local");
    let _output = edge.weir(&["explain", "203.0.113.0/24"]).done();
    let _output = edge.weir(&["explain", "api.example.net"]).failed(2);
    let _output = edge.weir(&["explain", FREE, "--port", "0"]).failed(2);
    daemon.stop();
    for arguments in [
        &["status"][..],
        &["status", "--check"],
        &["block", FREE],
        &["reload"],
    ] {
        let _output = edge.weir(arguments).failed(1).says("no daemon answers on");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn events_tell_the_first_drop_of_a_source_with_its_claim() {
    let edge = Edge::new();
    edge.list(&[r#"{"prefix": "198.51.100.0/24", "verdict": "block", "reason": "dev_hooked"}"#]);
    let _daemon = edge.start();
    let mut follow = edge
        .command(&["events", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut lines = BufReader::new(follow.stdout.take().expect("it was asked for")).lines();
    // The follower receives it whether it comes before the drops or after.
    let generation = edge.status()["generation"].clone();
    Traffic::open(&edge).proves(FREE, BLOCKED, 30);

    let line = lines.next().expect("a line").expect("text");
    let event: Value = serde_json::from_str(&line).expect("one object a line");
    has(
        &event,
        "time interface source destination protocol port service cause action mode prefix feed \
         reason tier generation suppressed_before first weight",
    );
    for (key, value) in [
        ("interface", "eth0"),
        ("source", BLOCKED),
        ("destination", SERVER),
        ("protocol", "udp"),
        ("cause", "blocked"),
        ("action", "drop"),
        ("mode", "enforce"),
        ("prefix", "198.51.100.0/24"),
        ("feed", "local"),
        ("reason", "dev_hooked"),
    ] {
        assert_eq!(event[key], value, "{key} of {event}");
    }
    assert_eq!(event["port"], 443);
    assert_eq!(event["generation"], generation);
    follow.kill().expect("it is our child");
    follow.wait().expect("it is our child");

    // One in a hundred after the first of a CPU: the rest is counted.
    let status = edge.status();
    let number = |name: &str| status["events"][name].as_u64().expect("a number");
    until("all that were sent are told", || {
        let told = edge.weir(&["events", "--json"]).done().json_lines();
        told.len() as u64 == number("sent")
    });
    assert_eq!(number("sent") + number("suppressed"), 30);
    assert_eq!(number("lost"), 0);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn metrics_are_what_prometheus_reads() {
    let edge = Edge::new();
    let _daemon = edge.start();
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);
    let answer = http(&edge, "GET /metrics");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let mut samples = BTreeSet::new();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (sample, value) = line.rsplit_once(' ').expect(line);
        let name = sample.split('{').next().expect("a name");
        let ours = name.starts_with("weir_") || name.starts_with("process_");
        assert!(ours, "{line}");
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{line}"
        );
        assert_eq!(sample.contains('{'), sample.ends_with('}'), "{line}");
        value.parse::<f64>().expect(line);
        assert!(samples.insert(sample), "twice: {line}");
        assert!(
            body.contains(&format!("# TYPE {name} ")),
            "{line} has no type"
        );
    }
    for wanted in [
        r#"weir_packets_total{cause="blocked",action="drop"} 20"#,
        r#"weir_packets_total{cause="conforming",action="pass"} 20"#,
        r#"weir_claims{feed="local",verdict="block"} 2"#,
        r#"weir_feed_up{feed="local"} 1"#,
    ] {
        assert!(
            body.lines().any(|line| line == wanted),
            "no {wanted} in:\n{body}"
        );
    }
    for family in [
        "weir_bytes_total",
        "weir_feed_age_seconds",
        "weir_events_total",
        "weir_buckets",
    ] {
        assert!(
            samples.iter().any(|sample| sample.starts_with(family)),
            "no {family}"
        );
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_check_for_monitoring_is_one_line() {
    let edge = Edge::new();
    let _daemon = edge.start();
    let good = edge.weir(&["status", "--check"]).done();
    assert_eq!(good.out.lines().count(), 1, "{good:?}");
    fs::remove_file(edge.path("list.txt")).expect("it was there");
    until("it is told", || {
        edge.weir(&["status", "--check"]).code == Some(1)
    });
    let bad = edge.weir(&["status", "--check"]);
    assert_eq!(bad.out.lines().count(), 1, "{bad:?}");
    edge.list(&[BLOCKED6]);
    until("it is good again", || {
        edge.weir(&["status", "--check"]).code == Some(0)
    });
}

/// The daemon's answer on its socket, head and body.
fn http(edge: &Edge, request: &str) -> String {
    let mut socket = UnixStream::connect(edge.path("control.sock")).expect("it listens");
    socket.set_read_timeout(Some(PLENTY)).expect("a timeout");
    write!(
        socket,
        "{request} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

/// An object with these keys at least.
fn has(value: &Value, keys: &str) {
    let object = value.as_object().expect("an object");
    for key in keys.split_ascii_whitespace() {
        assert!(object.contains_key(key), "no {key} in {value}");
    }
}
