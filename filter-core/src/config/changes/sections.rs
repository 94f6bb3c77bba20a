//! Each section: when it takes effect, and its keys.

use std::{collections::BTreeMap, path::PathBuf};

use filter_common::{
    rate::{Rates, Tier},
    source::Family,
};

use super::{
    Changes, Effect, Section,
    shown::{
        attach, duration, list, mode, observe, on_stop, optional, path, plain, ports, quoted, rate,
        steps, verdict,
    },
};
use crate::config::{
    Attestation, Check, Daemon, Datapath, Events, Feed, KeySource, Kind, Metrics, Protect, Service,
    Stream, Tables, UnderAttack, policy, tier,
};

/// Compares the fields of two values of a type, all of them: the pattern has no `..`.
macro_rules! keys {
    ($changes:ident, $old:expr, $new:expr, $Type:ident { $($field:ident: $shown:expr),* $(,)? }) => {
        let (old, new) = ($old, $new);
        let $Type { $($field),* } = old;
        $($changes.key(stringify!($field), $field, &new.$field, $shown);)*
    };
}

impl Section for Daemon {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Daemon {
                state_dir: path,
                control: path,
                pins: path
            }
        );
    }
}

impl Section for Datapath {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self {
            interfaces,
            mode: of_drops,
            attach: how,
            strict,
            on_stop: then,
        } = old;
        changes.key("interfaces", interfaces, &new.interfaces, list);
        changes.key("mode", of_drops, &new.mode, mode);
        changes.key_with(("attach", Effect::Attach), how, &new.attach, attach);
        changes.key("strict", strict, &new.strict, plain);
        changes.key("on_stop", then, &new.on_stop, on_stop);
    }
}

impl Section for Protect {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self {
            sources,
            ports: all,
            ssh_peers,
        } = old;
        changes.key("sources", sources, &new.sources, list);
        changes.key("ports", all, &new.ports, ports);
        changes.key("ssh_peers", ssh_peers, &new.ssh_peers, plain);
    }
}

impl Section for Tables {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Tables {
                ipv4: plain,
                ipv6: plain,
                buckets: plain
            }
        );
    }
}

impl Section for Events {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Events {
                budget_per_cpu: rate,
                sample: plain
            }
        );
    }
}

impl Section for Metrics {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(changes, old, new, Metrics { listen: optional });
    }
}

impl Section for Vec<Service> {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        changes.named(
            old,
            new,
            |service| &service.name,
            |old, new, changes| {
                let Service {
                    // It is what they are found by.
                    name: _,
                    ports,
                    addresses,
                    default_tier,
                    observe: counts_only,
                    quic,
                } = old;
                changes.key("ports", ports, &new.ports, list);
                changes.key("addresses", addresses, &new.addresses, list);
                changes.key("default_tier", default_tier, &new.default_tier, quoted);
                changes.key("mode", counts_only, &new.observe, observe);
                changes.key("quic", quic, &new.quic, |quic| match quic {
                    Some(versions) => list(versions),
                    None => "not written".to_owned(),
                });
            },
        );
    }
}

impl Section for BTreeMap<String, Tier> {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        // Those of the policy come and go with `policy.mode`.
        let follows = |name: &str, other: &Self| {
            tier::SHARED.iter().any(|(_, shared)| *shared == name) && !other.contains_key(name)
        };
        let all = |tiers: &Self, other: &Self| -> Vec<(String, Tier)> {
            let tiers = tiers.iter().filter(|(name, _)| !follows(name, other));
            tiers.map(|(name, tier)| (name.clone(), *tier)).collect()
        };
        changes.named(
            &all(old, new),
            &all(new, old),
            |(name, _)| name,
            |(_, old), (_, new), changes| {
                // What else a tier has is made of these, and it has no ceiling of its own.
                rates(&old.source, &new.source, changes);
                let [old_v4, old_v6] = [Family::V4, Family::V6].map(|of| *old.neighbourhood(of));
                let [new_v4, new_v6] = [Family::V4, Family::V6].map(|of| *new.neighbourhood(of));
                changes.below("neighbourhood", |changes| {
                    rates(&old_v4, &new_v4, changes);
                    changes.below("ipv6", |changes| {
                        rates_of_ipv6([&old_v4, &old_v6], [&new_v4, &new_v6], changes);
                    });
                });
            },
        );
    }
}

fn rates(old: &Rates, new: &Rates, changes: &mut Changes) {
    keys!(
        changes,
        old,
        new,
        Rates {
            packets: rate,
            bytes: rate,
            connections: rate
        }
    );
}

/// Rates of IPv6 that aren't those of both families.
fn rates_of_ipv6([old_v4, old]: [&Rates; 2], [new_v4, new]: [&Rates; 2], changes: &mut Changes) {
    let Rates {
        packets,
        bytes,
        connections,
    } = old;
    for (key, of_old, of_new, both_old, both_new) in [
        (
            "packets",
            packets,
            &new.packets,
            &old_v4.packets,
            &new_v4.packets,
        ),
        ("bytes", bytes, &new.bytes, &old_v4.bytes, &new_v4.bytes),
        (
            "connections",
            connections,
            &new.connections,
            &old_v4.connections,
            &new_v4.connections,
        ),
    ] {
        if of_old != both_old || of_new != both_new {
            changes.key(key, of_old, of_new, rate);
        }
    }
}

impl Section for UnderAttack {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self { together } = old;
        let (old, new) = (together.together, new.together.together);
        changes.key("connections", &old, &new, rate);
    }
}

impl Section for Vec<Feed> {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        changes.named(
            old,
            new,
            |feed| &feed.name,
            |old, new, changes| {
                let Feed {
                    name: _,
                    kind,
                    rank,
                    observe: counts_only,
                    widen_ipv6,
                } = old;
                let (old, other) = (of_kind(kind), of_kind(&new.kind));
                for ((key, old, shown), (_, new, shown_now)) in old.into_iter().zip(other) {
                    if old != new {
                        changes.push(Some(key), shown, shown_now, None);
                    }
                }
                changes.key("rank", rank, &new.rank, plain);
                changes.key("mode", counts_only, &new.observe, observe);
                changes.key("widen_ipv6", widen_ipv6, &new.widen_ipv6, plain);
            },
        );
    }
}

/// A key, its whole value, and the value as it may be shown.
type Key = (&'static str, String, String);

/// The keys of all kinds; those that a kind hasn't are empty.
fn of_kind(kind: &Kind) -> [Key; 6] {
    let none = String::new;
    let [file, of_bare, stream] = match kind {
        Kind::File {
            path: file,
            verdict: of_bare,
        } => [Some(path(file)), Some(verdict(of_bare)), None],
        Kind::Verdicts(Stream { url, .. }) => [None, None, Some(url.to_string())],
        Kind::Policy => [None, None, None],
    };
    let (token, authorities, shown) = match kind {
        Kind::Verdicts(stream) => {
            let Stream {
                url: _,
                token_file,
                ca_file,
            } = stream;
            (
                optional_path(token_file),
                optional_path(ca_file),
                stream.shown(),
            )
        }
        Kind::File { .. } | Kind::Policy => (none(), none(), none()),
    };
    let same = |key, value: String| (key, value.clone(), value);
    [
        same("kind", format!("{:?}", kind.name())),
        same("path", file.unwrap_or_default()),
        same("verdict", of_bare.unwrap_or_default()),
        ("url", stream.unwrap_or_default(), shown),
        same("token_file", token),
        same("ca_file", authorities),
    ]
}

fn optional_path(file: &Option<PathBuf>) -> String {
    file.as_ref().map(path).unwrap_or_default()
}

impl Section for Check {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Check {
                socket: path,
                group: quoted,
                listen: optional,
                source_header: quoted,
                source_position: plain,
                source_is_peer: plain,
                tell_reason: plain,
                connections: plain,
                token_file: optional_path,
            }
        );
    }
}

impl Section for Vec<Attestation> {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        changes.named(
            old,
            new,
            |one| &one.name,
            |old, new, changes| {
                let Attestation {
                    name: _,
                    keys,
                    header,
                    prefix,
                    status_header,
                    issuer,
                    audience,
                    leeway,
                    bind,
                    unbound,
                    fail,
                    observe: counts_only,
                    pass_without_keys,
                } = old;
                for ((key, old, shown), (_, new, shown_now)) in
                    of_keys(keys).into_iter().zip(of_keys(&new.keys))
                {
                    if old != new {
                        changes.push(Some(key), shown, shown_now, None);
                    }
                }
                let pass = |pass: &bool| format!("{:?}", if *pass { "pass" } else { "fail" });
                changes.key("header", header, &new.header, quoted);
                changes.key("prefix", prefix, &new.prefix, quoted);
                changes.key("status_header", status_header, &new.status_header, quoted);
                changes.key("issuer", issuer, &new.issuer, optional);
                changes.key("audience", audience, &new.audience, optional);
                changes.key("leeway", leeway, &new.leeway, duration);
                changes.key("bind", bind, &new.bind, list);
                changes.key("unbound", unbound, &new.unbound, pass);
                changes.key("fail", fail, &new.fail, plain);
                changes.key("mode", counts_only, &new.observe, |observe| {
                    format!("{:?}", if *observe { "observe" } else { "enforce" })
                });
                changes.key(
                    "without_keys",
                    pass_without_keys,
                    &new.pass_without_keys,
                    pass,
                );
            },
        );
    }
}

/// The keys of all sources of keys; those that one hasn't are empty.
fn of_keys(keys: &KeySource) -> [Key; 6] {
    let shown = keys.shown();
    let same = |key, value: Option<String>| {
        let value = value.unwrap_or_default();
        (key, value.clone(), value)
    };
    let (from, authorities, often, file, secret, encoding) = match keys {
        KeySource::Url {
            url,
            ca_file,
            refresh,
        } => (
            Some(url.to_string()),
            ca_file.as_ref().map(path),
            Some(duration(refresh)),
            None,
            None,
            None,
        ),
        KeySource::File(file) => (None, None, None, Some(path(file)), None, None),
        KeySource::Secret { path: file, raw } => {
            let encoding = if *raw { "\"raw\"" } else { "\"base64\"" };
            (
                None,
                None,
                None,
                None,
                Some(path(file)),
                Some(encoding.to_owned()),
            )
        }
    };
    let shown = if from.is_some() { shown } else { String::new() };
    [
        ("keys_url", from.unwrap_or_default(), shown),
        same("ca_file", authorities),
        same("refresh", often),
        same("keys_file", file),
        same("secret_file", secret),
        same("secret_encoding", encoding),
    ]
}

impl Section for policy::Policy {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self {
            mode: whether,
            sources,
            devices,
            raised_for,
            protected_for,
            repeats_for,
            longest_block,
            silent_for,
            rules,
        } = old;
        changes.key("mode", whether, &new.mode, |whether| {
            whether.as_ref().map_or("\"off\"".to_owned(), mode)
        });
        changes.key("sources", sources, &new.sources, plain);
        changes.key("devices", devices, &new.devices, plain);
        changes.key("raised_for", raised_for, &new.raised_for, duration);
        changes.key("protected_for", protected_for, &new.protected_for, duration);
        changes.key("repeats_for", repeats_for, &new.repeats_for, duration);
        changes.key("longest_block", longest_block, &new.longest_block, duration);
        changes.key("silent_for", silent_for, &new.silent_for, duration);
        changes.below("rule", |changes| {
            changes.named(
                rules,
                &new.rules,
                |rule| &rule.name,
                |old, new, changes| {
                    let policy::Rule {
                        name: _,
                        integrities,
                        reasons,
                        mode: own,
                        steps: then,
                    } = old;
                    let all = |integrities: &[crate::observation::Integrity],
                               reasons: &[crate::observation::Reason]|
                     -> Vec<String> {
                        let integrities = integrities.iter().map(|one| one.name().to_owned());
                        integrities
                            .chain(reasons.iter().map(|one| one.name().to_owned()))
                            .collect()
                    };
                    changes.key(
                        "reasons",
                        &all(integrities, reasons),
                        &all(&new.integrities, &new.reasons),
                        list,
                    );
                    changes.key("mode", own, &new.mode, |own| {
                        own.as_ref().map_or("\"inherit\"".to_owned(), mode)
                    });
                    changes.key("steps", then, &new.steps, steps);
                },
            );
        });
    }
}
