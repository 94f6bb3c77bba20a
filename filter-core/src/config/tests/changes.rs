//! Every key of the page, changed alone: it is named, and no other.

use super::{Config, PAGE, SMALL, parse, uncommented};
use crate::config::changes::{Effect, between};

/// What a key is changed to where its value doesn't say.
const OTHER: &[(&str, &str, &str)] = &[
    ("datapath", "interfaces", "[\"eth0\", \"eth1\"]"),
    ("protect", "sources", "[\"192.0.2.0/24\"]"),
    ("protect", "ports", "[\"tcp/23\"]"),
    ("events", "budget_per_cpu", "\"101/s\""),
    ("metrics", "listen", "\"127.0.0.1:9187\""),
    ("check", "group", "\"www-data\""),
    ("check", "listen", "\"127.0.0.1:9188\""),
    ("check", "token_file", "\"/etc/weir/t\""),
    ("service", "ports", "[\"tcp/443\", \"udp/443\", \"tcp/80\"]"),
    ("service", "addresses", "[\"192.0.2.0/24\"]"),
    ("service", "default_tier", "\"suspect\""),
    ("service", "quic", "[\"v1\"]"),
    ("feed", "verdict", "{ limit = \"suspect\" }"),
    ("feed", "widen_ipv6", "64"),
    ("attestation", "prefix", "\"Bearer \""),
    ("attestation", "issuer", "\"i\""),
    ("attestation", "audience", "\"a\""),
    ("attestation", "bind", "[\"Authorization\"]"),
    ("attestation", "fail", "403"),
    ("policy.rule.app", "reasons", "[]"),
    ("policy.rule.device", "reasons", "[\"device\", \"dev_x\"]"),
    ("policy.rule.channel", "reasons", "[]"),
    (
        "policy.rule.credential",
        "reasons",
        "[\"credential\", \"tok_x\"]",
    ),
    ("policy.rule.service", "reasons", "[\"service\", \"x\"]"),
];

/// Another value of the same kind.
fn other(table: &str, key: &str, value: &str) -> String {
    let written = OTHER
        .iter()
        .find(|(of, name, _)| *of == table && *name == key);
    if let Some((.., other)) = written {
        return (*other).to_owned();
    }
    if key == "steps" || value.starts_with('{') {
        let more = value.replace("evidence = 10", "evidence = 11");
        return more
            .replace("burst = ", "burst = 1")
            .replace("1\"64MiB", "\"48MiB")
            .replace("1\"128MiB", "\"100MiB");
    }
    if let Ok(number) = value.parse::<u64>() {
        return (number + 1).to_string();
    }
    let text = value.trim_matches('"');
    let other = match text {
        "true" => return "false".to_owned(),
        "false" => return "true".to_owned(),
        "inherit" | "off" | "enforce" => "observe",
        "observe" => "enforce",
        "auto" => "native",
        "keep" => "detach",
        "fail" => "pass",
        "base64" => "raw",
        "1d" => "20h",
        "1h" => "50m",
        "7d" => "6d",
        "5m" => "4m",
        "60s" => "50s",
        _ => return format!("\"{text}x\""),
    };
    format!("{other:?}")
}

#[test]
fn each_key_of_the_page_that_is_changed_is_named_and_no_other() {
    let page = uncommented(PAGE);
    let running = parse(&page);
    let lines: Vec<_> = page.lines().collect();
    let (mut table, mut name, mut seen) = (String::new(), String::new(), 0);
    for (number, line) in lines.iter().enumerate() {
        let line = *line;
        if line.starts_with('[') {
            let header = line.split('#').next().unwrap_or_default().trim();
            table = header.trim_matches(['[', ']']).to_owned();
            name = String::new();
            continue;
        }
        let Some((key, rest)) = line.split_once(" = ") else {
            continue;
        };
        if key.starts_with([' ', '#']) {
            continue;
        }
        let value = rest.split(" #").next().unwrap_or_default().trim();
        if key == "name" {
            name = value.trim_matches('"').to_owned();
            continue;
        }
        if key == "kind" {
            continue;
        }
        seen += 1;
        let mut changed: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        if value == "[" {
            changed[number + 1] = other(&table, key, &changed[number + 1]);
        } else {
            changed[number] = format!("{key} = {}", other(&table, key, value));
        }
        let new = Config::parse(&changed.join("\n")).expect(line);
        let expected = match &*name {
            "" => format!("{table}.{key}"),
            name => format!("{table}.{name}.{key}"),
        };
        let mut changes = between(&running, &new);
        // A rule without reasons is none.
        if key == "reasons" && changed[number].ends_with("[]") {
            assert_eq!(changes[0].key, table, "{line}");
            continue;
        }
        let change = changes.pop().unwrap_or_else(|| panic!("{line}: no change"));
        assert_eq!((&change.key, changes), (&expected, vec![]), "{line}");
        assert_ne!(change.old, change.new, "{expected}");

        let restarts = ["daemon.", "tables.", "metrics.", "check.", "attestation."];
        let restarts = restarts.iter().any(|section| expected.starts_with(section));
        assert_eq!(change.effect == Effect::Restart, restarts, "{expected}");
        let taken = running.clone().taking(new.clone());
        let in_force = if restarts { &running } else { &new };
        assert_eq!(between(&taken, in_force), [], "{expected}");
    }
    assert!(seen > 80, "{seen} keys were looked at");
}

#[test]
fn what_is_in_several_tables_is_found_by_its_name() {
    let with = |more: &str| parse(&format!("{SMALL}{more}"));
    let keys = |old: &Config, new: &Config| -> Vec<String> {
        between(old, new).iter().map(ToString::to_string).collect()
    };
    let feed =
        |name: &str| format!("\n[[feed]]\nname = \"{name}\"\nkind = \"file\"\npath = \"/{name}\"");
    let one = with(&feed("a"));
    let two = with(&format!("{}{}", feed("b"), feed("a")));
    let turned = with(&format!("{}{}", feed("a"), feed("b")));
    assert_eq!(keys(&one, &two), ["feed.b: there, was not there"]);
    assert_eq!(keys(&two, &one), ["feed.b: not there, was there"]);
    assert_eq!(keys(&two, &turned), ["feed: a, b, was b, a"]);
    let stream = with(
        "\n[[feed]]\nname = \"a\"\nkind = \"verdicts\"\nurl = \"https://example.net/?key=secret\"",
    );
    let changes = keys(&one, &stream);
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(
        changes.iter().all(|change| !change.contains("secret")),
        "{changes:?}"
    );

    let policy = |mode: &str| with(&format!("\n[policy]\nmode = \"{mode}\""));
    for (old, new) in [
        ("off", "observe"),
        ("observe", "enforce"),
        ("enforce", "off"),
    ] {
        let says = format!("policy.mode: \"{new}\", was \"{old}\"");
        assert_eq!(keys(&policy(old), &policy(new)), [says]);
    }
    let both = with("\n[tier.a.neighbourhood]\npackets = { rate = \"100/s\", burst = 100 }");
    let more = with("\n[tier.a.neighbourhood]\npackets = { rate = \"5/m\", burst = 7 }");
    assert_eq!(
        keys(&both, &more),
        [
            "tier.a.neighbourhood.packets: { rate = \"5/m\", burst = 7 }, was { rate = \"100/s\", burst = 100 }"
        ]
    );
    assert_eq!(
        keys(&with("\n[tables]\nipv4 = 5"), &with("")),
        ["tables.ipv4: 1000000, was 5 (with the next start of weir)"]
    );
    assert_eq!(
        keys(&with(""), &with("").with(vec![], None).expect("eth0")),
        [""; 0]
    );
}
