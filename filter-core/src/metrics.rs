//! Metrics in the Prometheus text format. Pure: what is counted comes in, the
//! text goes out.
//!
//! What labels say is what the configuration names and what the law can say, so
//! there are as many series as the configuration is long, whoever sends what.
//! `text` is the format, `feeds` what is told of feeds, `checks` of the check
//! endpoint.

use filter_common::{abi, settings::Mode};

use crate::protocol::{CauseCount, Causes, FeedDetails, Status, TablesStatus};
use text::Text;

mod checks;
mod feeds;
mod policy;
mod text;

#[cfg(test)]
mod tests;

/// Everything that is told.
#[derive(Clone, Debug)]
pub struct Figures {
    /// How the daemon and the filter are doing.
    pub status: Status,
    /// Every feed, the operator first.
    pub feeds: Vec<FeedDetails>,
    /// Every interface that the configuration names.
    pub interfaces: Vec<Interface>,
    /// The daemon's process; `None` where the system doesn't tell.
    pub process: Option<Process>,
}

/// An interface that should be filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `native` or `generic`; `None`: the daemon took the filter off.
    pub attach: Option<String>,
    /// Whether the daemon's own program is on it now.
    pub filtered: bool,
}

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// CPU time of all its threads, in user space and in the kernel.
    pub cpu_seconds: f64,
    /// When it began, in Unix seconds.
    pub start_time_seconds: f64,
    /// Memory that it has in RAM.
    pub resident_bytes: u64,
    /// Memory that it has addresses for.
    pub virtual_bytes: u64,
    /// Its open descriptors.
    pub open_fds: u64,
    /// Descriptors that it may have open; `None`: as many as it likes.
    pub max_fds: Option<u64>,
}

/// The text of the metrics.
#[must_use]
pub fn text(figures: &Figures) -> String {
    let Figures {
        status,
        feeds,
        interfaces,
        process,
    } = figures;
    let mut text = Text::default();
    daemon(&mut text, status);
    attached(&mut text, interfaces);
    causes(&mut text, "weir", "", &status.causes);
    causes(&mut text, "weir_shadow", " in the shadow", &status.shadow);
    verdicts(&mut text, status);
    tables(&mut text, status);
    feeds::tell(&mut text, feeds);
    events(&mut text, status);
    if let Some(check) = &status.check {
        checks::tell(&mut text, check);
    }
    if let Some(policy) = &status.policy {
        policy::tell(&mut text, policy);
    }
    if let Some(process) = process {
        self::process(&mut text, process);
    }
    text.into_string()
}

fn daemon(text: &mut Text, status: &Status) {
    let layout = abi::LAYOUT.to_string();
    let build = [("version", status.version.as_str()), ("layout", &layout)];
    text.gauge("weir_build_info", "The daemon's version, and its layout.")
        .with(&build, 1);
    text.gauge(
        "weir_enforcing",
        "1 where drops are carried out, 0 in observe.",
    )
    .value(u8::from(status.mode == Mode::Enforce));
    let mode = [
        ("mode", status.mode.name()),
        ("from", status.mode_from.as_str()),
    ];
    text.gauge("weir_mode_info", "The mode, and where it comes from.")
        .with(&mode, 1);
    text.gauge(
        "weir_under_attack",
        "1 while unknown sources are held to the bootstrap lane, by weir under-attack.",
    )
    .value(u8::from(status.under_attack.is_some()));
    // It begins anew with the daemon and only grows, but what matters of it is
    // which it is: events carry it.
    text.gauge("weir_generation", "Patches applied to the tables.")
        .value(status.generation);
    text.gauge(
        "weir_problems",
        "Sentences that weir status --check would print.",
    )
    .value(status.problems.len());
    let mut services = text.gauge("weir_service_info", "What is guarded.");
    for service in &status.services {
        let labels = [
            ("service", service.name.as_str()),
            ("default_tier", &service.default_tier),
            ("mode", &service.mode),
        ];
        services.with(&labels, 1);
    }
}

fn attached(text: &mut Text, interfaces: &[Interface]) {
    let mut attached = text.gauge(
        "weir_attached",
        "1 where the filter is on the interface, 0 where it should be and isn't.",
    );
    for interface in interfaces {
        let attach = interface.attach.as_deref().unwrap_or("off");
        let labels = [("interface", interface.name.as_str()), ("attach", attach)];
        attached.with(&labels, u8::from(interface.filtered));
    }
}

/// What packets came to, each cause split by what happened to them; and whom the
/// drops hit.
fn causes(text: &mut Text, prefix: &str, where_: &str, causes: &Causes) {
    type Split = fn(&CauseCount) -> (u64, u64);
    let split: [(&str, &str, Split); 2] = [
        ("packets", "Packets", |count| {
            (count.packets, count.dropped_packets)
        }),
        ("bytes", "Bytes of whole frames", |count| {
            (count.bytes, count.dropped_bytes)
        }),
    ];
    for (what, help, split) in split {
        let help = format!("{help}{where_}, by cause and action.");
        let mut family = text.counter(&format!("{prefix}_{what}_total"), &help);
        for (cause, count) in causes.iter() {
            let (all, dropped) = split(count);
            for (action, number) in [("pass", all.saturating_sub(dropped)), ("drop", dropped)] {
                family.with(&[("cause", cause.name()), ("action", action)], number);
            }
        }
    }
    type Hit = fn(&CauseCount) -> u64;
    let hit: [(&str, &str, Hit); 2] = [
        ("sources", "Sources, about,", |count| count.sources),
        ("connections", "New connections", |count| count.connections),
    ];
    for (what, help, hit) in hit {
        let help = format!("{help} that drops{where_} hit, or would have hit.");
        let mut family = text.counter(&format!("{prefix}_hit_{what}_total"), &help);
        for (cause, count) in causes.iter().filter(|(cause, _)| cause.drops()) {
            family.with(&[("cause", cause.name())], hit(count));
        }
    }
}

fn verdicts(text: &mut Text, status: &Status) {
    let mut family = text.gauge(
        "weir_verdicts",
        "Claims by verdict, of feeds that are enforced and of those in the shadow.",
    );
    let (enforced, shadow) = (&status.verdicts, &status.shadow_verdicts);
    for (effect, verdict, number) in [
        ("enforced", "block", enforced.blocked),
        ("enforced", "limit", enforced.limited),
        ("enforced", "allow", enforced.allowed),
        ("shadow", "block", shadow.blocked),
        ("shadow", "limit", shadow.limited),
        ("shadow", "allow", shadow.allowed),
    ] {
        family.with(&[("effect", effect), ("verdict", verdict)], number);
    }
}

fn tables(text: &mut Text, status: &Status) {
    text.gauge("weir_prefixes", "Prefixes in the tables.")
        .with(&[("family", "ipv4")], status.verdicts.ipv4)
        .with(&[("family", "ipv6")], status.verdicts.ipv6);
    let TablesStatus { ipv4, ipv6 } = status.tables;
    text.gauge(
        "weir_table_capacity",
        "Prefixes that the tables have room for.",
    )
    .with(&[("family", "ipv4")], ipv4.capacity)
    .with(&[("family", "ipv6")], ipv6.capacity);
    text.gauge(
        "weir_table_bytes",
        "Memory of a half of each table, and what of the one in force is in use.",
    )
    .with(&[("family", "ipv4"), ("state", "used")], ipv4.used_bytes)
    .with(&[("family", "ipv4"), ("state", "half")], ipv4.half_bytes)
    .with(&[("family", "ipv6"), ("state", "used")], ipv6.used_bytes)
    .with(&[("family", "ipv6"), ("state", "half")], ipv6.half_bytes);
    let buckets = &status.buckets;
    text.gauge("weir_buckets", "The table of buckets.")
        .with(&[("state", "capacity")], buckets.capacity)
        .with(&[("state", "used")], buckets.used);
    text.counter(
        "weir_buckets_evicted_total",
        "Buckets that gave way to others, about.",
    )
    .value(buckets.evicted);
    text.counter(
        "weir_buckets_saturated_total",
        "Packets that found no bucket, and passed.",
    )
    .value(buckets.saturated);
}

fn events(text: &mut Text, status: &Status) {
    text.counter("weir_events_total", "Drops by what was told of them.")
        .with(&[("outcome", "sent")], status.events.sent)
        .with(&[("outcome", "suppressed")], status.events.suppressed)
        .with(&[("outcome", "lost")], status.events.lost);
    // With the events' weights it makes the true totals, so it is told as it
    // stands: a difference between two moments may be below zero.
    text.gauge("weir_events_untold", "Drops that no event stands for yet.")
        .value(status.events.untold);
    text.gauge("weir_event_readers", "Readers that follow the events.")
        .value(status.events.readers);
    text.counter(
        "weir_events_missed_total",
        "Events that readers were too slow for, all of them together.",
    )
    .value(status.events.missed);
}

/// By the names that every exporter uses.
fn process(text: &mut Text, process: &Process) {
    text.counter(
        "process_cpu_seconds_total",
        "User and system CPU time spent in seconds.",
    )
    .value(process.cpu_seconds);
    text.gauge(
        "process_start_time_seconds",
        "Start time of the process since the Unix epoch in seconds.",
    )
    .value(process.start_time_seconds);
    for (name, help, number) in [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            process.resident_bytes,
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            process.virtual_bytes,
        ),
        (
            "process_open_fds",
            "Number of open file descriptors.",
            process.open_fds,
        ),
    ] {
        text.gauge(name, help).value(number);
    }
    if let Some(most) = process.max_fds {
        text.gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
        )
        .value(most);
    }
}
