//! How long changes take until they are in force, and what the tables take of
//! the kernel's memory.

use std::{collections::BTreeMap, fs, os::fd::AsRawFd as _, time::Duration};

use anyhow::{Context as _, Result};
use aya::maps::MapInfo;
use weir::{claim::Change, datapath::kernel::Kernel, prefix::Prefix};

use crate::{
    Figure,
    filled::{Filled, block, claims, prefix, rate},
    programs::map_ids,
    thousands,
};

pub(crate) fn measure(quick: bool) -> Result<()> {
    let size = if quick { 10_000 } else { 1_000_000 };
    let many = thousands(size);
    let without = memory(&mut Filled::new(0, 0, rate())?.kernel)?;
    let mut filled = Filled::new(size + 1_000, 0, rate())?;

    let took = filled.snapshot(claims(4, size))?;
    Figure::new(
        &format!("a snapshot of {many}: claims to in force"),
        took.as_secs_f64(),
        "s",
    )
    .within(0.5, 0.15, quick)
    .tell()?;
    let first = memory(&mut filled.kernel)?;
    // Nine of ten others: the first tenth stays.
    let mut others = claims(4, size / 10);
    others.extend((size..size + size / 10 * 9).map(|number| block(prefix(4, number))));
    let took = filled.snapshot(others)?;
    seconds(
        &format!("a snapshot of {many}, nine tenths of it others"),
        took,
    )?;
    let took = filled.snapshot(claims(4, size))?;
    seconds(&format!("back to the first {many}"), took)?;
    let both = memory(&mut filled.kernel)?;
    let grown = |after: &BTreeMap<u32, (String, u64)>| total(after).saturating_sub(total(&without));
    mebibytes(
        &format!("kernel memory of {many} verdicts, first written"),
        grown(&first),
    )
    .tell()?;
    mebibytes(
        &format!("kernel memory of {many} verdicts, all replaced and back"),
        grown(&both),
    )
    .within(64.0, 32.0, quick)
    .tell()?;
    mebibytes("kernel memory of everything else", total(&without)).tell()?;

    let times = if quick { 50 } else { 1_000 };
    let mut one = Vec::new();
    let mut gone = Vec::new();
    for number in 0..times {
        let single = prefix(4, 20_000_000 + number);
        one.push(filled.change(Change::Claim(block(single)))?);
        gone.push(filled.change(Change::Withdraw(single))?);
    }
    microseconds("one change, p50", at(&mut one, 50))?;
    microseconds("one change, p99", at(&mut one, 99))?;
    microseconds("one withdrawn, p50", at(&mut gone, 50))?;

    // A hundred addresses of one /24, each with its claim; then a stronger one on
    // them all.
    let wide = Prefix::new(prefix(4, 30_000_000).address(), 24);
    let within = (0..100).map(|host| {
        let mut address = wide.address();
        address.low += host;
        Change::Claim(block(Prefix::of(address)))
    });
    filled.changes(within.collect())?;
    let mut covering = Vec::new();
    for _ in 0..times {
        covering.push(filled.change(Change::Claim(block(wide)))?);
        filled.change(Change::Withdraw(wide))?;
    }
    microseconds(
        "a change that covers 100 others, p50",
        at(&mut covering, 50),
    )?;
    let took = filled.snapshot(Vec::new())?;
    seconds(&format!("everything withdrawn, {many}"), took)
}

/// The memory of every map that is the filter's or that this process holds, by
/// number: name and bytes.
fn memory(kernel: &mut Kernel) -> Result<BTreeMap<u32, (String, u64)>> {
    let mut maps = BTreeMap::new();
    for id in map_ids(kernel)? {
        let info = MapInfo::from_id(id).context("asking for a map")?;
        let file = info.fd().context("opening a map")?;
        let told = fs::read_to_string(format!(
            "/proc/self/fdinfo/{}",
            std::os::fd::AsFd::as_fd(&file).as_raw_fd()
        ))?;
        maps.insert(
            id,
            (
                info.name_as_str().unwrap_or_default().to_owned(),
                memlock(&told),
            ),
        );
    }
    // Maps within maps are no program's, but whoever writes them holds them.
    for file in fs::read_dir("/proc/self/fdinfo").context("looking at open files")? {
        let Ok(told) = fs::read_to_string(file?.path()) else {
            continue;
        };
        let id = told.lines().find_map(|line| line.strip_prefix("map_id:"));
        if let Some(id) = id {
            let id = id.trim().parse().context("a map's number")?;
            maps.entry(id)
                .or_insert_with(|| (String::new(), memlock(&told)));
        }
    }
    Ok(maps)
}

fn memlock(told: &str) -> u64 {
    told.lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|bytes| bytes.trim().parse().ok())
        .unwrap_or_default()
}

fn total(maps: &BTreeMap<u32, (String, u64)>) -> u64 {
    maps.values().map(|(_name, bytes)| bytes).sum()
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * percent / 100]
}

fn seconds(name: &str, took: Duration) -> Result<()> {
    Figure::new(name, took.as_secs_f64(), "s").tell()
}

fn microseconds(name: &str, took: Duration) -> Result<()> {
    Figure::new(name, took.as_secs_f64() * 1e6, "µs").tell()
}

fn mebibytes(name: &str, bytes: u64) -> Figure<'_> {
    Figure::new(name, bytes as f64 / f64::from(1 << 20), "MiB")
}
