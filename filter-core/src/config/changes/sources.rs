//! Feeds and attestations: what is read from elsewhere.

use std::path::PathBuf;

use super::{
    Changes, Effect, Section,
    shown::{duration, list, observe, optional, path, plain, quoted, verdict},
};
use crate::config::{Attestation, Feed, KeySource, Kind, Stream};

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

pub(super) fn optional_path(file: &Option<PathBuf>) -> String {
    file.as_ref().map(path).unwrap_or_default()
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
                changes.key("bind", bind, &new.bind, |all| list(all));
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
