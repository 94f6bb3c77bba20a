//! One example for each key: what an operator may write in place of what can't be.

/// An example of a key in a table, as it is written there. `table` is as in a
/// [`Place`](super::Place): `[tier.unknown.packets]`.
pub(super) fn of(table: &str, key: &str) -> Option<&'static str> {
    let table = kind(table);
    let found = EXAMPLES
        .iter()
        .find(|(of, name, _value)| *of == table && *name == key);
    found.map(|(_table, _key, value)| *value)
}

/// The only table that has a key.
pub(super) fn table_of(key: &str) -> Option<&'static str> {
    let mut tables = EXAMPLES.iter().filter(|(_, name, _)| *name == key);
    let (table, ..) = tables.next()?;
    tables.next().is_none().then_some(*table)
}

/// Whether there is such a table at the top of the file.
pub(super) fn is_table(name: &str) -> bool {
    EXAMPLES.iter().any(|(table, ..)| *table == name)
}

/// A table without the names that the operator gives.
fn kind(table: &str) -> String {
    let plain = table.trim_matches(['[', ']']);
    let parts: Vec<_> = plain.split('.').collect();
    match parts[..] {
        ["tier", .., "packets" | "bytes" | "connections"] | ["under_attack", "connections"] => {
            "rate".to_owned()
        }
        ["tier", _, ref below @ ..] => ["tier"]
            .iter()
            .chain(below)
            .copied()
            .collect::<Vec<_>>()
            .join("."),
        ["policy", "rule", _] => "policy.rule".to_owned(),
        ["policy", "rule", _, "steps"] => "policy.rule.steps".to_owned(),
        [.., "verdict"] => "verdict".to_owned(),
        _ => plain.to_owned(),
    }
}

/// The tables of which there are several.
pub(super) const LISTS: [&str; 3] = ["service", "feed", "attestation"];

const RATE: &str = "{ rate = \"200/s\", burst = 1000 }";

/// Tables, their keys, and a value that can be written.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("daemon", "state_dir", "\"/var/lib/weir\""),
    ("daemon", "control", "\"/run/weir/control.sock\""),
    ("daemon", "pins", "\"/sys/fs/bpf/weir\""),
    ("datapath", "interfaces", "[\"eth0\"]"),
    ("datapath", "mode", "\"observe\""),
    ("datapath", "attach", "\"auto\""),
    ("datapath", "strict", "false"),
    ("datapath", "on_stop", "\"keep\""),
    ("protect", "sources", "[\"192.0.2.0/24\"]"),
    ("protect", "ports", "[\"tcp/22\"]"),
    ("protect", "ssh_peers", "true"),
    ("protect.ports", "port", "\"tcp/22\""),
    ("protect.ports", "from", "[\"192.0.2.0/24\"]"),
    ("tables", "ipv4", "1000000"),
    ("tables", "ipv6", "1000000"),
    ("tables", "buckets", "1048576"),
    ("events", "budget_per_cpu", "\"100/s\""),
    ("events", "sample", "100"),
    ("metrics", "listen", "\"127.0.0.1:9187\""),
    ("check", "socket", "\"/run/weir-check/check.sock\""),
    ("check", "group", "\"www-data\""),
    ("check", "listen", "\"127.0.0.1:9188\""),
    ("check", "source_header", "\"X-Real-IP\""),
    ("check", "source_position", "1"),
    ("check", "source_is_peer", "true"),
    ("check", "tell_reason", "true"),
    ("check", "connections", "512"),
    ("check", "token_file", "\"/etc/weir/check.token\""),
    ("service", "name", "\"api\""),
    ("service", "ports", "[\"tcp/443\", \"udp/443\"]"),
    ("service", "addresses", "[\"192.0.2.0/24\"]"),
    ("service", "default_tier", "\"unknown\""),
    ("service", "mode", "\"inherit\""),
    ("service", "quic", "[\"v1\", \"v2\"]"),
    ("tier", "packets", "{ rate = \"20000/s\", burst = 40000 }"),
    ("tier", "bytes", "{ rate = \"32MiB/s\", burst = \"64MiB\" }"),
    ("tier", "connections", RATE),
    ("rate", "rate", "\"200/s\""),
    ("rate", "burst", "1000"),
    ("under_attack", "connections", RATE),
    ("policy", "mode", "\"observe\""),
    ("policy", "sources", "1000000"),
    ("policy", "devices", "1000000"),
    ("policy", "raised_for", "\"1h\""),
    ("policy", "protected_for", "\"7d\""),
    ("policy", "repeats_for", "\"1d\""),
    ("policy", "longest_block", "\"1h\""),
    ("policy", "silent_for", "\"5m\""),
    ("policy.rule", "reasons", "[\"app\"]"),
    ("policy.rule", "mode", "\"inherit\""),
    (
        "policy.rule",
        "steps",
        "[{ evidence = 10, share = 0.5, verdict = \"block\", lifetime = \"60s\" }]",
    ),
    ("policy.rule.steps", "evidence", "10"),
    ("policy.rule.steps", "share", "0.5"),
    ("policy.rule.steps", "verdict", "\"block\""),
    ("policy.rule.steps", "lifetime", "\"60s\""),
    ("verdict", "limit", "\"suspect\""),
    ("feed", "name", "\"local\""),
    ("feed", "kind", "\"file\""),
    ("feed", "path", "\"/etc/weir/blocklist.txt\""),
    ("feed", "verdict", "\"block\""),
    ("feed", "url", "\"https://verify.example.net/v1/verdicts\""),
    ("feed", "token_file", "\"/etc/weir/verifier.token\""),
    ("feed", "ca_file", "\"/etc/weir/verifier-ca.pem\""),
    ("feed", "rank", "50"),
    ("feed", "mode", "\"inherit\""),
    ("feed", "widen_ipv6", "128"),
    ("attestation", "name", "\"app\""),
    (
        "attestation",
        "keys_url",
        "\"https://keys.example.net/jwks.json\"",
    ),
    ("attestation", "keys_file", "\"/etc/weir/partner.jwks\""),
    ("attestation", "secret_file", "\"/etc/weir/account.secret\""),
    ("attestation", "secret_encoding", "\"base64\""),
    ("attestation", "ca_file", "\"/etc/weir/keys-ca.pem\""),
    ("attestation", "refresh", "\"1h\""),
    ("attestation", "header", "\"Approov-Token\""),
    ("attestation", "prefix", "\"Bearer \""),
    ("attestation", "status_header", "\"Approov-Status\""),
    ("attestation", "issuer", "\"acme.approov.io\""),
    ("attestation", "audience", "\"api.example.net\""),
    ("attestation", "leeway", "\"60s\""),
    ("attestation", "bind", "[\"Authorization\"]"),
    ("attestation", "unbound", "\"fail\""),
    ("attestation", "fail", "401"),
    ("attestation", "mode", "\"enforce\""),
    ("attestation", "without_keys", "\"fail\""),
];
