//! Metrics in the Prometheus text format. Pure: what is counted comes in, the
//! text goes out.

use std::fmt::{Display, Write as _};

use filter_common::settings::Mode;

use crate::{
    control::protocol::{Causes, Status},
    ledger::Counts,
};

/// The text of the metrics: from the status, and the claims of each feed.
#[must_use]
pub fn text(status: &Status, feeds: &[(String, Counts)]) -> String {
    let mut text = Text::default();
    text.family("weir_info", "gauge", "The version of the daemon.");
    text.sample("weir_info", &[("version", &status.version)], 1);
    text.family(
        "weir_enforcing",
        "gauge",
        "1 where drops are carried out, 0 in observe.",
    );
    text.sample(
        "weir_enforcing",
        &[],
        u8::from(status.mode == Mode::Enforce),
    );
    text.family(
        "weir_generation",
        "counter",
        "Patches applied to the tables.",
    );
    text.sample("weir_generation", &[], status.generation);
    text.family(
        "weir_problems",
        "gauge",
        "Sentences that weir status --check would print.",
    );
    text.sample("weir_problems", &[], status.problems.len());
    text.family(
        "weir_attached",
        "gauge",
        "1 for every interface that the filter is on.",
    );
    for interface in &status.interfaces {
        let labels = [
            ("interface", &interface.name),
            ("attach", &interface.attach),
        ];
        text.sample(
            "weir_attached",
            &labels.map(|(name, value)| (name, value.as_str())),
            1,
        );
    }

    text.causes("weir", "Packets", "Bytes of frames", &status.causes);
    text.causes(
        "weir_shadow",
        "In the shadow: packets",
        "In the shadow: bytes",
        &status.shadow,
    );

    text.family("weir_claims", "gauge", "Claims that stand.");
    for (feed, counts) in feeds {
        for (verdict, number) in [
            ("block", counts.blocked),
            ("limit", counts.limited),
            ("allow", counts.allowed),
        ] {
            text.sample(
                "weir_claims",
                &[("feed", feed), ("verdict", verdict)],
                number,
            );
        }
    }
    text.family("weir_prefixes", "gauge", "Prefixes in the tables.");
    text.sample("weir_prefixes", &[("family", "ipv4")], status.verdicts.ipv4);
    text.sample("weir_prefixes", &[("family", "ipv6")], status.verdicts.ipv6);
    text.family(
        "weir_feed_up",
        "gauge",
        "1 where the feed's last word could be taken.",
    );
    for feed in &status.feeds {
        let up = u8::from(feed.last_error.is_none());
        text.sample("weir_feed_up", &[("feed", &feed.name)], up);
    }
    text.family(
        "weir_feed_age_seconds",
        "gauge",
        "Since the feed last said that it is well.",
    );
    for feed in &status.feeds {
        if let Some(age) = feed.age_s {
            text.sample("weir_feed_age_seconds", &[("feed", &feed.name)], age);
        }
    }
    text.family(
        "weir_feed_refused",
        "gauge",
        "Claims of the feed that weren't taken.",
    );
    for feed in &status.feeds {
        text.sample("weir_feed_refused", &[("feed", &feed.name)], feed.refused);
    }

    text.family(
        "weir_events_total",
        "counter",
        "Drops by what was told of them.",
    );
    for (outcome, number) in [
        ("sent", status.events.sent),
        ("suppressed", status.events.suppressed),
        ("lost", status.events.lost),
    ] {
        text.sample("weir_events_total", &[("outcome", outcome)], number);
    }
    text.family("weir_buckets", "gauge", "Words of the table of buckets.");
    for (state, number) in [
        ("capacity", status.buckets.capacity),
        ("used", status.buckets.used),
    ] {
        text.sample("weir_buckets", &[("state", state)], number);
    }
    text.family(
        "weir_buckets_evicted_total",
        "counter",
        "Words that gave way before they were idle.",
    );
    text.sample("weir_buckets_evicted_total", &[], status.buckets.evicted);
    text.family(
        "weir_buckets_saturated_total",
        "counter",
        "Packets that found no idle word.",
    );
    text.sample(
        "weir_buckets_saturated_total",
        &[],
        status.buckets.saturated,
    );
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
        }
    }

    /// Packets and bytes by cause, each split by what happened to them.
    fn causes(&mut self, prefix: &str, packets: &str, bytes: &str, causes: &Causes) {
        for (what, help) in [("packets", packets), ("bytes", bytes)] {
            let name = format!("{prefix}_{what}_total");
            self.family(&name, "counter", &format!("{help} by cause and action."));
            for (cause, count) in causes.iter() {
                let (all, dropped) = match what {
                    "packets" => (count.packets, count.dropped_packets),
                    _ => (count.bytes, count.dropped_bytes),
                };
                for (action, number) in [("pass", all - dropped), ("drop", dropped)] {
                    self.sample(
                        &name,
                        &[("cause", cause.name()), ("action", action)],
                        number,
                    );
                }
            }
        }
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a string takes every line");
    }
}

/// A label's value, by the rules of the text format.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
