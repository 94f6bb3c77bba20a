//! What the daemon takes of the memory. (The kernel's tables aren't in it: they
//! are as large as the configuration says, whatever they hold.)

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    Figure,
    claims::list,
    daemon::{Daemon, LIST},
    edge::Edge,
};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    let sizes: &[u32] = if quick {
        &[0, 100_000]
    } else {
        &[0, 100_000, 1_000_000]
    };
    for many in sizes.iter().copied() {
        edge.write(LIST, list(0, many))?;
        edge.put(LIST)?;
        let daemon = Daemon::start(edge, many * 2 + 1000)?;
        daemon.await_claims(LIST, many)?;
        told(&daemon, many, &format!("{many} claims"), SETTLE)?;
        if many > 0 {
            // All of them others: the most that a list can change.
            edge.write(LIST, list(many, many - 1))?;
            edge.put(LIST)?;
            daemon.await_claims(LIST, many - 1)?;
            let what = format!("{many} claims, all replaced");
            shown(&daemon, &format!("{what}, their numbers at rest"))?;
            told(&daemon, many, &what, REST)?;
        }
    }
    Ok(())
}

/// What it takes at once, which isn't what stays.
fn shown(daemon: &Daemon<'_>, what: &str) -> Result<()> {
    thread::sleep(SETTLE);
    Figure {
        name: &format!("memory, {what}"),
        value: resident(daemon.pid())? / 1024.0,
        unit: "MiB",
        target: None,
        ..Figure::default()
    }
    .tell()
}

/// What stays after a while.
fn told(daemon: &Daemon<'_>, many: u32, what: &str, after: Duration) -> Result<()> {
    thread::sleep(after);
    let resident = resident(daemon.pid())?;
    let most = kilobytes(daemon.pid(), "VmHWM:")?;
    Figure {
        name: &format!("memory, {what}"),
        value: resident / 1024.0,
        unit: "MiB",
        target: Some(64.0 + f64::from(many) * A_CLAIM / f64::from(1 << 20)),
        ..Figure::default()
    }
    .tell()?;
    Figure {
        name: &format!("memory, {what}: at most so far"),
        value: most / 1024.0,
        unit: "MiB",
        target: None,
        ..Figure::default()
    }
    .tell()
}

/// Kilobytes that a process takes now.
pub(crate) fn resident(pid: u32) -> Result<f64> {
    Ok(kilobytes(pid, "VmRSS:")? - mapped(pid)?)
}

/// Kilobytes of the kernel's tables that the daemon has mapped and touched.
fn mapped(pid: u32) -> Result<f64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).context("is the daemon gone?")?;
    let mut is_table = false;
    let mut sum = 0.0;
    for line in maps.lines() {
        if let Some(size) = line.strip_prefix("Rss:") {
            if is_table {
                let size = size
                    .split_whitespace()
                    .next()
                    .context("an Rss without a size")?;
                sum += size.parse::<f64>().context("an Rss that is no number")?;
            }
        } else if !line
            .split_whitespace()
            .next()
            .is_some_and(|word| word.ends_with(':'))
        {
            // What the lines that follow are about.
            is_table = line.ends_with("bpf-map");
        }
    }
    Ok(sum)
}

fn kilobytes(pid: u32, what: &str) -> Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("is the daemon gone?")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {what}"))?.parse()?)
}

/// Bytes that a claim may take.
const A_CLAIM: f64 = 200.0;
const SETTLE: Duration = Duration::from_secs(1);
/// Longer than the numbers of claims that are gone rest.
const REST: Duration = Duration::from_secs(16);
