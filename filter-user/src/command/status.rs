//! `weir status`.

use filter_common::settings::Mode;
use serde_json::json;

use super::{
    Outcome,
    human::{bytes, count, counted, plain},
    output::{Output, Tone},
    table::{Align::Left, Align::Right, Table, wrapped},
    under_attack::until,
};
use crate::control::{
    client::Client,
    protocol::{
        Causes, EventsStatus, PolicyVerdicts, ShadowVerdicts, Status, StatusQuery, TableStatus,
        TablesStatus,
    },
};

/// Says how everything is doing.
pub(super) async fn status(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let status = client.call(&StatusQuery {}).await?;
    if output.json() {
        output.object(&status)?;
    } else {
        show(&status, output)?;
    }
    Ok(Outcome::Done)
}

/// Says in one line whether anything is wrong, or the mode another than expected; if
/// so, exit 1.
pub(super) async fn check(
    expect: Option<Mode>,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut status = client.call(&StatusQuery {}).await?;
    if let Some(expected) = expect.filter(|expected| *expected != status.mode) {
        status.problems.push(format!(
            "the mode is {} (from: {}), and {} was expected",
            status.mode.name(),
            status.mode_from,
            expected.name()
        ));
    }
    verdict(&status, output)
}

fn verdict(status: &Status, output: &mut Output) -> anyhow::Result<Outcome> {
    let problems = &status.problems;
    let good = problems.is_empty();
    if output.json() {
        output.object(&json!({ "ok": good, "problems": problems }))?;
    } else if good {
        output.line(format_args!(
            "good: {}, generation {}{}",
            status.mode.name(),
            status.generation,
            if status.under_attack.is_some() {
                ", UNDER ATTACK"
            } else {
                ""
            }
        ))?;
    } else {
        output.line(plain(&problems.join("; ")))?;
    }
    Ok(if good { Outcome::Done } else { Outcome::Failed })
}

fn show(status: &Status, output: &mut Output) -> anyhow::Result<()> {
    let text = format!(
        "weir {}, pid {}, generation {}",
        status.version, status.pid, status.generation
    );
    output.sentence(None, &text, UNDER)?;
    let on_terminal = output.width().is_some();
    if on_terminal {
        problems(status, output)?;
    }
    if let Some(attack) = &status.under_attack {
        let line = format!(
            "UNDER ATTACK since {}, {}: unknown sources are held to tier bootstrap",
            plain(&attack.since),
            until(attack)
        );
        output.sentence(Some(Tone::Bad), &line, UNDER)?;
    }
    mode(status, output)?;
    for (name, text) in facts(status) {
        output.sentence(None, &format!("{name:<UNDER$}{text}"), UNDER)?;
    }
    if status
        .policy
        .as_ref()
        .is_some_and(|policy| policy.alarm.is_some())
    {
        let whence = if on_terminal { "above" } else { "below" };
        let line = format!("            IT MAKES NO VERDICTS: the problem {whence} says why");
        output.sentence(Some(Tone::Bad), &line, UNDER)?;
    }
    feeds::show(status, output)?;
    table(&services(status), output)?;
    if let Some(check) = &status.check {
        checks::show(check, output)?;
    }
    table(&causes(&status.causes), output)?;
    if let Some(line) = would(&status.causes, status.mode) {
        output.sentence(None, &line, 0)?;
    }
    let shadow = causes(&status.shadow);
    if shadow.len() > 0 {
        output.line("\nShadow: what the feeds in observe would have done")?;
        output.table(&shadow)?;
    }
    if !on_terminal && !status.problems.is_empty() {
        output.line("")?;
        problems(status, output)?;
    }
    Ok(())
}

/// The mode in its colour.
fn mode(status: &Status, output: &mut Output) -> anyhow::Result<()> {
    let (tone, means) = match status.mode {
        Mode::Enforce => (Tone::Good, "packets are dropped"),
        Mode::Observe => (Tone::Head, "packets are only counted"),
    };
    let name = status.mode.name();
    let until = status.mode_until.as_ref();
    let until = until.map_or_else(String::new, |until| format!(", until {}", plain(until)));
    let from = plain(&status.mode_from);
    let text = format!("{:<UNDER$}{name}{until}: {means} (from: {from})", "mode");
    for (number, line) in wrapped(&text, output.width(), UNDER).iter().enumerate() {
        if number == 0 {
            output.line(line.replacen(name, &output.toned(tone, name), 1))?;
        } else {
            output.line(line)?;
        }
    }
    Ok(())
}

/// What there is to know in a line each.
fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("interfaces", interfaces(status)),
        ("verdicts", verdicts(status)),
    ];
    facts.extend(shadow_verdicts(status).map(|text| ("shadow", text)));
    facts.push(("tables", tables(status)));
    let events = format!(
        "{} sent, {} suppressed, {} lost",
        count(status.events.sent),
        count(status.events.suppressed),
        count(status.events.lost)
    );
    facts.push(("events", events));
    facts.extend(readers(status).map(|text| ("readers", text)));
    let buckets = format!(
        "{} of {} used, {} evicted, {} found none idle",
        count(status.buckets.used),
        count(status.buckets.capacity),
        count(status.buckets.evicted),
        counted(status.buckets.saturated, "packet")
    );
    facts.push(("buckets", buckets));
    if let Some(policy) = &status.policy {
        let text = format!("{}: {}", plain(&policy.mode), said(policy.enforced));
        facts.push(("policy", text));
        if policy.shadow != PolicyVerdicts::default() {
            facts.push(("", format!("{}: only counted", said(policy.shadow))));
        }
    }
    facts
}

fn problems(status: &Status, output: &mut Output) -> anyhow::Result<()> {
    for problem in &status.problems {
        let line = format!("problem: {}", plain(problem));
        output.sentence(Some(Tone::Bad), &line, 2)?;
    }
    Ok(())
}

fn said(of: PolicyVerdicts) -> String {
    format!(
        "{} raised, {} limited, {} blocked",
        count(of.raised),
        count(of.limited),
        count(of.blocked)
    )
}

/// An empty line, and the table with its head; nothing where it has no rows.
fn table<const N: usize>(table: &Table<N>, output: &mut Output) -> anyhow::Result<()> {
    if table.len() > 0 {
        output.line("")?;
        output.table(table)?;
    }
    Ok(())
}

fn interfaces(status: &Status) -> String {
    let all: Vec<_> = status
        .interfaces
        .iter()
        .map(|one| format!("{} {} (program {})", one.name, one.attach, one.program_id))
        .collect();
    if all.is_empty() {
        return "none: nothing is filtered".into();
    }
    all.join(", ")
}

fn verdicts(status: &Status) -> String {
    let verdicts = &status.verdicts;
    format!(
        "{} IPv4, {} IPv6: {} blocked, {} limited, {} allowed",
        count(verdicts.ipv4),
        count(verdicts.ipv6),
        count(verdicts.blocked),
        count(verdicts.limited),
        count(verdicts.allowed)
    )
}

/// Below what is enforced, so that the numbers stand side by side.
/// How full the tables are, by what is scarcer: prefixes or memory.
fn tables(status: &Status) -> String {
    let full = |name, table: &TableStatus| {
        let part = |used: u64, all: u64| used.saturating_mul(100).div_ceil(all.max(1));
        let (prefixes, capacity) = (count(table.prefixes), count(table.capacity));
        let memory = part(table.used_bytes, table.half_bytes);
        format!("{prefixes} of {capacity} {name} ({memory} % of memory)")
    };
    let TablesStatus { ipv4, ipv6 } = &status.tables;
    format!("{}, {}", full("IPv4", ipv4), full("IPv6", ipv6))
}

fn shadow_verdicts(status: &Status) -> Option<String> {
    let shadow = &status.shadow_verdicts;
    (*shadow != ShadowVerdicts::default()).then(|| {
        format!(
            "{} blocked, {} limited, {} allowed: only counted",
            count(shadow.blocked),
            count(shadow.limited),
            count(shadow.allowed)
        )
    })
}

/// Who follows the events, and whether they keep up.
fn readers(status: &Status) -> Option<String> {
    let EventsStatus {
        readers, missed, ..
    } = status.events;
    let follow = match readers {
        0 if missed == 0 => return None,
        1 => "1 follows the events".to_owned(),
        many => format!("{} follow the events", count(many)),
    };
    Some(if missed == 0 {
        follow
    } else {
        format!("{follow}, too slow for {} of them", count(missed))
    })
}

fn services(status: &Status) -> Table<4> {
    let mut table = Table::new([
        ("SERVICE", Left),
        ("PORTS", Left),
        ("TIER", Left),
        ("MODE", Left),
    ]);
    for service in &status.services {
        table.push([
            plain(&service.name),
            plain(&service.ports.join(" ")),
            plain(&service.default_tier),
            plain(&service.mode),
        ]);
    }
    table
}

fn causes(causes: &Causes) -> Table<5> {
    let mut table = Table::new([
        ("CAUSE", Left),
        ("PACKETS", Right),
        ("BYTES", Right),
        ("DROPPED", Right),
        ("BYTES", Right),
    ]);
    for (cause, counted) in causes.iter().filter(|(_, count)| count.packets > 0) {
        table.push([
            cause.name().into(),
            count(counted.packets),
            bytes(counted.bytes),
            count(counted.dropped_packets),
            bytes(counted.dropped_bytes),
        ]);
    }
    table
}

/// What passed and would have been dropped: in observe, and of services that
/// are in observe by themselves.
fn would(causes: &Causes, mode: Mode) -> Option<String> {
    let (mut packets, mut passed, mut sources, mut connections) = (0, 0, 0, 0);
    for (_, count) in causes.iter().filter(|(cause, _)| cause.drops()) {
        let spared = count.packets.saturating_sub(count.dropped_packets);
        if spared > 0 {
            packets += spared;
            passed += count.bytes.saturating_sub(count.dropped_bytes);
            sources += count.sources;
            connections += count.connections;
        }
    }
    if packets == 0 {
        return None;
    }
    let packets = format!("{} ({})", counted(packets, "packet"), bytes(passed));
    Some(match mode {
        Mode::Observe => format!(
            "Enforce would have dropped {packets}\nof {}, {} among them.",
            counted(sources, "source"),
            counted(connections, "new connection")
        ),
        // Their sources and connections can't be told from those that were dropped.
        Mode::Enforce => format!("Passed since the start only because of an observe: {packets}."),
    })
}

/// The column that texts stand in.
const UNDER: usize = 12;

mod checks;
mod feeds;

#[cfg(test)]
mod narrow;
#[cfg(test)]
mod tests;
