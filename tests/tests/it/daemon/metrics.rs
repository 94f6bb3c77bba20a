//! `/metrics` as a real Prometheus takes it, with the dashboard and the alerts
//! that ask for it; and what idle connections can't do to it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use weir_tests::{
    bed::{
        CommandOutput, Configuration, Edge, PLENTY, Prometheus, Traffic,
        prometheus::{Series, TARGET, promtool},
        until,
    },
    world::{BLOCKED, FREE},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_real_prometheus_takes_what_status_says_and_dashboard_and_alerts_work() {
    let edge = Edge::new();
    scraped(&edge);
    let _daemon = edge.start();
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);

    let text = scrape(&edge);
    let lint = CommandOutput::by_with(promtool().args(["check", "metrics"]), &text).done();
    assert_eq!((lint.out.as_str(), lint.err.as_str()), ("", ""), "{text}");
    let rules = docs("alerts.yml");
    let _fine = CommandOutput::by(promtool().args(["check", "rules"]).arg(&rules)).done();

    let prometheus = Prometheus::start(&edge, &rules);
    until(
        "the target is up",
        || matches!(&prometheus.query("up{job=\"weir\"}")[..], [one] if one.value == 1.0),
    );
    // A frame of the stacks' own may come in between, so both are asked again.
    until("Prometheus says what the status says", || {
        let status = edge.status();
        assert_eq!(status["causes"]["blocked"]["dropped_packets"], 20);
        differences(&prometheus, &status).is_empty()
    });

    for (panel, expression) in panels() {
        let filled = expression
            .replace("$__rate_interval", "10s")
            .replace("$job", "weir")
            .replace("$instance", "edge-1");
        assert!(!filled.contains('$'), "{panel}: {filled}");
        until(&format!("{panel} has data: {filled}"), || {
            let series = prometheus.query(&filled);
            !series.is_empty() && series.iter().all(|one| one.value.is_finite())
        });
    }

    until("every rule was evaluated", || {
        rules_of(&prometheus)
            .iter()
            .all(|rule| rule["health"] != "unknown")
    });
    for rule in rules_of(&prometheus) {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_eq!(rule["state"], "inactive", "all is well: {rule}");
    }
    fs::remove_file(edge.path("list.txt")).expect("it was there");
    let _off = edge.weir(&["detach"]).done();
    let _observing = edge.weir(&["mode", "observe"]).done();
    let expected = [
        "WeirFeedNotWell",
        "WeirNotAttached",
        "WeirObserving",
        "WeirProblems",
    ];
    until("the alerts wait for their time", || {
        let mut waiting: Vec<_> = rules_of(&prometheus)
            .iter()
            .filter(|rule| rule["state"] == "pending")
            .map(|rule| rule["name"].as_str().expect("a name").to_owned())
            .collect();
        waiting.sort();
        waiting == expected
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_thousand_idle_connections_hurt_neither_a_scrape_nor_a_command() {
    let edge = Edge::new();
    scraped(&edge);
    let daemon = edge.start();
    let descriptors = || {
        let folder = format!("/proc/{}/fd", daemon.pid());
        fs::read_dir(folder).expect("the daemon runs").count()
    };
    let before = descriptors();
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit everyone may");

    let mut idle = Vec::new();
    for number in 0..1_000 {
        let connect = || TcpStream::connect(TARGET).expect("it listens");
        let mut stream = edge.host.enter(connect);
        if number % 2 == 0 {
            // It may have been asked to leave before.
            let _left = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: w");
        }
        idle.push(stream);
        if number % 100 == 99 {
            assert!(scrape(&edge).contains("weir_enforcing 1\n"));
            assert_eq!(edge.status()["mode"], "enforce");
        }
    }
    let taken = descriptors() - before;
    assert!(taken <= 40, "{taken} descriptors for the port");

    // The control socket has room for more, and the same rule.
    let control = edge.path("control.sock");
    let connect = |_| UnixStream::connect(&control).expect("it listens");
    let at_the_door: Vec<_> = (0..1_000).map(connect).collect();
    let _output = edge.weir(&["block", FREE]).done();
    assert_eq!(edge.explain(FREE)["cause"], "blocked");
    assert!(scrape(&edge).contains("weir_enforcing 1\n"));
    let taken = descriptors() - before;
    assert!(taken <= 820, "{taken} descriptors for both");
    drop(at_the_door);
    // Who says nothing isn't waited for.
    until("all that were idle are gone", || {
        descriptors() <= before + 8
    });
    drop(idle);
}

#[test]
#[ignore = "needs promtool: cargo xtask test"]
fn each_alert_fires_where_it_should_and_nowhere_else() {
    let cases = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/alerts.test.yml"));
    let tested = CommandOutput::by(promtool().args(["test", "rules"]).arg(cases)).done();
    assert!(tested.out.contains("SUCCESS"), "{tested:?}");
    let rules = fs::read_to_string(docs("alerts.yml")).expect("it is there");
    let cases = fs::read_to_string(cases).expect("it is there");
    let named = rules.lines().filter_map(|line| line.split_once("alert: "));
    for (_, alert) in named {
        let expected = format!("alertname=\"{alert}\"");
        assert!(cases.contains(&expected), "no case of {alert}");
    }
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard = dashboard();
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    assert!(dashboard["schemaVersion"].as_u64() >= Some(39));
    assert!(dashboard["id"].is_null(), "an id is another Grafana's");
    let variables = dashboard["templating"]["list"].as_array().expect("a list");
    let names: Vec<_> = variables.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["datasource", "job", "instance"]);
    assert_eq!(variables[0]["current"]["value"], "${DS_PROMETHEUS}");

    let panels = dashboard["panels"].as_array().expect("panels");
    let mut places = Vec::new();
    for (number, panel) in (1..).zip(panels) {
        assert_eq!(panel["id"], number, "{}", panel["title"]);
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
        assert!(x + w <= 24, "{}", panel["title"]);
        for &(left, top, right, bottom) in &places {
            let beside = x >= right || x + w <= left || y >= bottom || y + h <= top;
            assert!(beside, "{} lies on another panel", panel["title"]);
        }
        places.push((x, y, x + w, y + h));
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
            assert!(!panel["targets"].as_array().expect("targets").is_empty());
        }
    }
    for (panel, expression) in self::panels() {
        let chosen = r#"job=~"$job",instance=~"$instance""#;
        assert!(expression.contains(chosen), "{panel}: {expression}");
    }
}

/// Metrics on the port, and beside the feed of every edge one in the shadow.
fn scraped(edge: &Edge) {
    let list = edge.path("trial.txt");
    fs::write(&list, format!("{FREE}\n")).expect("a list");
    let more = format!(
        "[metrics]\nlisten = {TARGET:?}\n\n\
         [[feed]]\nname = \"trial\"\nkind = \"file\"\npath = {list:?}\nmode = \"observe\"\n"
    );
    edge.configure(&Configuration {
        more: &more,
        ..Configuration::default()
    });
}

/// The metrics, as the port gives them.
fn scrape(edge: &Edge) -> String {
    let connect = || TcpStream::connect(TARGET).expect("it listens");
    let mut stream = edge.host.enter(connect);
    stream.set_read_timeout(Some(PLENTY)).expect("a timeout");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: weir\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

/// Differences between Prometheus and the status; most of all it may be late.
fn differences(prometheus: &Prometheus<'_>, status: &Value) -> Vec<String> {
    let mut differing = Vec::new();
    let mut compare = |expression: &str, expected: u64| {
        let found = prometheus.query(expression);
        let values: Vec<_> = found.iter().map(|one| one.value).collect();
        if values != [expected as f64] {
            differing.push(format!("{expression}: {values:?}, not {expected}"));
        }
    };
    let number = |value: &Value| value.as_u64().expect("a number");
    compare("weir_generation", number(&status["generation"]));
    compare("weir_enforcing", u64::from(status["mode"] == "enforce"));
    compare(
        "weir_problems",
        status["problems"].as_array().expect("a list").len() as u64,
    );
    compare("count(weir_attached == 1)", 1);
    for family in ["ipv4", "ipv6"] {
        let expression = format!("weir_prefixes{{family={family:?}}}");
        compare(&expression, number(&status["verdicts"][family]));
    }
    for (verdict, name) in [("block", "blocked"), ("allow", "allowed")] {
        for (effect, verdicts) in [("enforced", "verdicts"), ("shadow", "shadow_verdicts")] {
            let expression = format!("weir_verdicts{{effect={effect:?},verdict={verdict:?}}}");
            compare(&expression, number(&status[verdicts][name]));
        }
    }
    for outcome in ["sent", "suppressed", "lost"] {
        let expression = format!("weir_events_total{{outcome={outcome:?}}}");
        compare(&expression, number(&status["events"][outcome]));
    }
    for (metric, name) in [
        ("weir_events_untold", "untold"),
        ("weir_event_readers", "readers"),
        ("weir_events_missed_total", "missed"),
    ] {
        compare(metric, number(&status["events"][name]));
    }
    for state in ["capacity", "used"] {
        let expression = format!("weir_buckets{{state={state:?}}}");
        compare(&expression, number(&status["buckets"][state]));
    }
    for feed in status["feeds"].as_array().expect("feeds") {
        let (name, state) = (&feed["name"], &feed["state"]);
        compare(
            &format!("sum(weir_claims{{feed={name}}})"),
            number(&feed["claims"]),
        );
        compare(
            &format!("weir_feed_refused{{feed={name}}}"),
            number(&feed["refused"]),
        );
        compare(&format!("weir_feed_state{{feed={name},state={state}}}"), 1);
        compare(&format!("sum(weir_feed_state{{feed={name}}})"), 1);
    }
    // The causes all at once: they are many.
    let counted = prometheus.query(r#"{__name__=~"weir_.*(packets|bytes)_total"}"#);
    for Series { labels, value } in &counted {
        let name = labels["__name__"].as_str().expect("a name");
        let (causes, what) = match name.strip_prefix("weir_shadow_") {
            Some(rest) => ("shadow", rest.trim_end_matches("_total")),
            None => ("causes", name[5..].trim_end_matches("_total")),
        };
        let count = &status[causes][labels["cause"].as_str().expect("a cause")];
        let dropped = number(&count[format!("dropped_{what}")]);
        let expected = match labels["action"].as_str() {
            Some("drop") => dropped,
            _ => number(&count[what]) - dropped,
        };
        if *value != expected as f64 {
            differing.push(format!("{labels}: {value}, not {expected}"));
        }
    }
    if counted.len() != 4 * 2 * status["causes"].as_object().expect("causes").len() {
        differing.push(format!("{} series of causes", counted.len()));
    }
    differing
}

fn rules_of(prometheus: &Prometheus<'_>) -> Vec<Value> {
    let groups = prometheus.get("rules");
    groups["groups"][0]["rules"]
        .as_array()
        .expect("rules")
        .clone()
}

/// Every expression of the dashboard, with its panel.
fn panels() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let mut expressions = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().expect("an expression");
            expressions.push((title.to_owned(), expression.to_owned()));
        }
    }
    assert!(expressions.len() > 25, "{expressions:?}");
    expressions
}

fn dashboard() -> Value {
    let text = fs::read_to_string(docs("grafana.json")).expect("it is there");
    serde_json::from_str(&text).expect("JSON")
}

fn docs(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(name)
}
