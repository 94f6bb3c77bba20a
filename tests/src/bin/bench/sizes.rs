//! How the cost grows with the list: each program by itself, by
//! `BPF_PROG_TEST_RUN`, with sources that it draws itself. What drawing costs is
//! taken off; reading the packet is in it.

use std::path::Path;

use anyhow::Result;
use bench_ebpf::Draw;

use crate::{
    Figure,
    filled::{Filled, claims, rate},
    flood::{listed, pin, random},
    lane::receiver,
    peer,
    programs::{PeerSizes, Programs},
    rounds::median,
    thousands,
};

pub(crate) fn measure(object: &Path, quick: bool) -> Result<()> {
    // On a thread of its own, since that stays on its CPU.
    std::thread::scope(|scope| {
        let pinned = || {
            pin(receiver())?;
            all(object, quick)
        };
        scope
            .spawn(pinned)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn all(object: &Path, quick: bool) -> Result<()> {
    let sizes: &[u32] = if quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    };
    let mut hits = Vec::new();
    for size in sizes {
        let cost = size_of(object, 4, *size, quick)?;
        hits.push((*size, cost));
        // What tens of millions cost is asked of one family.
        if *size <= 1_000_000 {
            size_of(object, 6, *size, quick)?;
        }
    }
    let of = |size: u32| hits.iter().find(|(of, _)| *of == size);
    if let (Some((_, large)), Some((_, small))) = (of(10_000_000), of(100_000)) {
        let name = "weir, lookup, hit: 10,000,000 against 100,000";
        Figure::new(name, large / small, "x")
            .within(2.0, 1.2, quick)
            .tell()?;
    }
    Ok(())
}

/// All programs with a list of one size; gives what weir's hit costs.
fn size_of(object: &Path, family: u32, size: u32, quick: bool) -> Result<f64> {
    let (ipv4, ipv6) = if family == 4 { (size, 0) } else { (0, size) };
    let mut filled = Filled::new(ipv4, ipv6, rate())?;
    let _took = filled.snapshot(claims(family, size))?;
    let sizes = PeerSizes { ipv4, ipv6 };
    let mut programs = Programs::load(object, &mut filled.kernel, sizes, true)?;
    peer::kernel::fill(&mut programs, family, size)?;
    let (times, series) = if quick { (20_000, 2) } else { (1_000_000, 5) };
    let (miss, hit) = (random(family), listed(family, size));
    let rows = [
        ("weir", "lookup", "miss", miss),
        ("weir", "lookup", "hit", hit),
        ("kernel hash + LPM", "peer_lookup", "miss", miss),
        ("kernel hash + LPM", "peer_lookup", "hit", hit),
        ("reading the packet", "parse", "", miss),
    ];
    let mut costs = vec![Vec::new(); rows.len()];
    for _ in 0..series {
        for ((_, program, _, draw), costs) in rows.iter().zip(&mut costs) {
            let once = |programs: &mut Programs, program: &str, draw: &Draw| {
                programs.run(program, draw, times / 10)?;
                programs.run(program, draw, times)
            };
            let drawing = once(&mut programs, "drawn", draw)?;
            costs.push(once(&mut programs, program, draw)? - drawing);
        }
    }
    for ((whose, _, what, _), costs) in rows.iter().zip(&costs) {
        let series = format!("{whose} {what}").trim_end().to_owned();
        let name = format!("{series}, IPv{family}, a list of {}", thousands(size));
        Figure {
            series: Some((&format!("IPv{family} {series}"), size)),
            ..Figure::new(&name, median(costs), "ns")
        }
        .tell()?;
    }
    Ok(median(&costs[1]))
}
