//! `weir status`.

use filter_common::settings::Mode;
use serde_json::json;

use super::{
    Outcome,
    human::{bytes, count, counted, plain, seconds},
    output::{Output, Tone},
    table::{Align::Left, Align::Right, Table},
    under_attack::until,
};
use crate::control::{
    client::Client,
    protocol::{
        Causes, EventsStatus, PolicyVerdicts, ShadowVerdicts, Status, TableStatus, TablesStatus,
    },
};

/// Says how everything is doing.
pub(super) async fn status(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let status: Status = client.get("/v1/status").await?;
    if output.json() {
        output.object(&status)?;
    } else {
        show(&status, output)?;
    }
    Ok(Outcome::Done)
}

/// Says in one line whether anything is wrong; if so, exit 1.
pub(super) async fn check(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let status: Status = client.get("/v1/status").await?;
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
    output.line(format_args!(
        "weir {}, pid {}, generation {}",
        status.version, status.pid, status.generation
    ))?;
    if let Some(attack) = &status.under_attack {
        let line = format!(
            "UNDER ATTACK since {}, {}: unknown sources are held to tier bootstrap",
            plain(&attack.since),
            until(attack)
        );
        output.line(output.toned(Tone::Bad, &line))?;
    }
    let (tone, means) = match status.mode {
        Mode::Enforce => (Tone::Good, "packets are dropped"),
        Mode::Observe => (Tone::Head, "packets are only counted"),
    };
    output.line(format_args!(
        "mode        {}: {means} (from: {})",
        output.toned(tone, status.mode.name()),
        status.mode_from
    ))?;
    output.line(format_args!("interfaces  {}", interfaces(status)))?;
    output.line(format_args!("verdicts    {}", verdicts(status)))?;
    if let Some(line) = shadow_verdicts(status) {
        output.line(line)?;
    }
    output.line(format_args!("tables      {}", tables(status)))?;
    output.line(format_args!(
        "events      {} sent, {} suppressed, {} lost",
        count(status.events.sent),
        count(status.events.suppressed),
        count(status.events.lost)
    ))?;
    if let Some(line) = readers(status) {
        output.line(line)?;
    }
    output.line(format_args!(
        "buckets     {} of {} used, {} evicted, {} found none idle",
        count(status.buckets.used),
        count(status.buckets.capacity),
        count(status.buckets.evicted),
        counted(status.buckets.saturated, "packet")
    ))?;
    if let Some(policy) = &status.policy {
        output.line(format_args!(
            "policy      {}: {}",
            policy.mode,
            said(policy.enforced)
        ))?;
        if policy.shadow != PolicyVerdicts::default() {
            output.line(format_args!(
                "            {}: only counted",
                said(policy.shadow)
            ))?;
        }
        if policy.alarm.is_some() {
            let line = "            IT MAKES NO VERDICTS: the problem below says why";
            output.line(output.toned(Tone::Bad, line))?;
        }
    }
    table(&feeds(status), output)?;
    for line in feed_notes(status) {
        output.line(output.toned(Tone::Bad, &line))?;
    }
    table(&services(status), output)?;
    if let Some(check) = &status.check {
        checks::show(check, output)?;
    }
    table(&causes(&status.causes), output)?;
    if let Some(line) = would(&status.causes, status.mode) {
        output.line(line)?;
    }
    let shadow = causes(&status.shadow);
    if !shadow.lines().is_empty() {
        output.line("\nShadow: what the feeds in observe would have done")?;
        for line in shadow.lines() {
            output.line(line)?;
        }
    }
    if !status.problems.is_empty() {
        output.line("")?;
    }
    for problem in &status.problems {
        let line = format!("problem: {}", plain(problem));
        output.line(output.toned(Tone::Bad, &line))?;
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
    let lines = table.lines();
    let Some((head, rows)) = lines.split_first() else {
        return Ok(());
    };
    output.line(format_args!("\n{}", output.toned(Tone::Head, head)))?;
    for row in rows {
        output.line(row)?;
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
            "shadow      {} blocked, {} limited, {} allowed: only counted",
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
        format!("readers     {follow}")
    } else {
        format!(
            "readers     {follow}, too slow for {} of them",
            count(missed)
        )
    })
}

fn feeds(status: &Status) -> Table<7> {
    let mut table = Table::new([
        ("FEED", Left),
        ("KIND", Left),
        ("MODE", Left),
        ("STATE", Left),
        ("CLAIMS", Right),
        ("REFUSED", Right),
        ("AGE", Right),
    ]);
    for feed in &status.feeds {
        table.push([
            plain(&feed.name),
            feed.kind.clone(),
            feed.mode.clone(),
            feed.state.clone(),
            count(feed.claims),
            count(feed.refused),
            feed.age_s.map_or_else(|| "-".into(), seconds),
        ]);
    }
    table
}

/// What is wrong with a feed, below their table.
fn feed_notes(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for feed in &status.feeds {
        let name = plain(&feed.name);
        if let Some(error) = &feed.last_error {
            lines.push(format!("  {name}: {}", plain(error)));
        }
        for refusal in &feed.refusals {
            lines.push(format!("  {name} refused: {}", plain(refusal)));
        }
    }
    lines
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
            service.name.clone(),
            service.ports.join(" "),
            service.default_tier.clone(),
            service.mode.clone(),
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

mod checks;

#[cfg(test)]
mod tests;
