//! What a packet costs, held against a bare `XDP_DROP` of the same run: live
//! frames, all of them dropped, so that only the filters differ.

use std::path::Path;

use anyhow::{Context as _, Result};
use bench_ebpf::Draw;

use crate::{
    Figure,
    filled::{Filled, claims, rate},
    flood::{Flood, among, heavy, listed, mixed, random},
    lane::Lane,
    peer::{self, NFTABLES},
    programs::{PeerSizes, Programs},
    rounds::{Candidate, Cost, median, rounds},
    thousands,
};

pub(crate) fn measure(object: &Path, quick: bool) -> Result<()> {
    let mut flood = Flood::load(object)?;
    let sizes: &[u32] = if quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 100_000, 1_000_000, 10_000_000]
    };
    let main = if quick { 10_000 } else { 1_000_000 };
    for size in sizes {
        if *size == main {
            everything(object, &mut flood, main, quick)?;
        } else {
            lookups(object, &mut flood, *size, quick)?;
        }
    }
    Ok(())
}

/// The lookup alone.
fn lookups(object: &Path, flood: &mut Flood, size: u32, quick: bool) -> Result<()> {
    let field = Field::build(object, size, 0, &["lookup", "peer_lookup"])?;
    let rows = vec![
        row(
            format!("weir, lookup, {}, miss", thousands(size)),
            "lookup",
            random(4),
        ),
        row(
            format!("weir, lookup, {}, hit", thousands(size)),
            "lookup",
            listed(4, size),
        ),
        row(
            format!("kernel hash + LPM, {}, miss", thousands(size)),
            "peer_lookup",
            random(4),
        ),
        row(
            format!("kernel hash + LPM, {}, hit", thousands(size)),
            "peer_lookup",
            listed(4, size),
        ),
    ];
    field.measure(flood, rows, &[], quick)?;
    Ok(())
}

/// Everything there is, with a list of this size of either family.
fn everything(object: &Path, flood: &mut Flood, size: u32, quick: bool) -> Result<()> {
    let programs = [
        "parse",
        "lookup",
        "rates",
        "whole",
        "peer_lookup",
        "peer_rates",
        "peer_whole",
    ];
    let field = Field::build(object, size, size, &programs)?;
    let many = thousands(size);
    let mut rows = vec![
        row("weir, reading the packet alone", "parse", random(4)),
        row(format!("weir, lookup, {many}, miss"), "lookup", random(4)).within(3.2, 1.5),
        row(
            format!("weir, lookup, {many}, hit"),
            "lookup",
            listed(4, size),
        )
        .within(5.5, 2.5),
        row(
            format!("weir, lookup, {many} of IPv6, miss"),
            "lookup",
            random(6),
        ),
        row(
            format!("weir, lookup, {many} of IPv6, hit"),
            "lookup",
            listed(6, size),
        ),
        row(
            format!("kernel hash + LPM, {many}, miss"),
            "peer_lookup",
            random(4),
        ),
        row(
            format!("kernel hash + LPM, {many}, hit"),
            "peer_lookup",
            listed(4, size),
        ),
        row(
            format!("kernel hash + LPM, {many} of IPv6, hit"),
            "peer_lookup",
            listed(6, size),
        ),
    ];
    for (whose, program) in [("weir", "rates"), ("kernel LRU", "peer_rates")] {
        for sources in [10_000, 256_000, 1_000_000] {
            let name = format!("{whose}, rates, {} sources", thousands(sources));
            rows.push(row(name, program, among(4, sources)));
        }
        let flooded = row(
            format!("{whose}, rates, 1,000 heavy in a random flood"),
            program,
            heavy(4),
        );
        rows.push(if program == "rates" {
            flooded.within(4.0, 2.0)
        } else {
            flooded
        });
    }
    rows.extend([
        row(WHOLE, "whole", mixed(4, size)).within(6.5, 3.0),
        row(WHOLE_V6, "whole", mixed(6, size)),
        row(KERNEL, "peer_whole", mixed(4, size)),
    ]);
    let peers = peer::put(size, quick)?;
    let costs = field.measure(flood, rows, &peers, quick)?;
    let of = |name: &str| {
        let cost = costs.iter().find(|cost| cost.name == name)?;
        Some(median(&cost.ratios))
    };
    let weir = of(WHOLE).context("the whole program was measured")?;
    for (peer, must, aim) in [(NFTABLES, 4.0, 8.0), (KERNEL, 5.0, 9.0)] {
        if let Some(theirs) = of(peer) {
            let name = format!("weir's speed against: {peer}");
            let figure = Figure::new(&name, theirs / weir, "x");
            figure.at_least(must, aim, quick).tell()?;
        }
    }
    let sixth = of(WHOLE_V6).context("it was measured with IPv6 too")?;
    let figure = Figure::new(
        "weir, the whole program: IPv6 against IPv4",
        sixth / weir,
        "x",
    );
    figure.within(1.5, 1.5, quick).tell()
}

/// Lanes with programs at their ends.
struct Field<'a> {
    programs: &'a [&'a str],
    lanes: Vec<Lane>,
    bare: Lane,
    // Their maps and what is attached.
    _loaded: Programs,
    _filled: Filled,
}

/// A row of the table: a name, a program, and what is sent to it.
struct Row {
    name: String,
    program: &'static str,
    draw: Draw,
    goal: Option<(f64, f64)>,
}

fn row(name: impl Into<String>, program: &'static str, draw: Draw) -> Row {
    Row {
        name: name.into(),
        program,
        draw,
        goal: None,
    }
}

impl Row {
    fn within(self, must: f64, aim: f64) -> Self {
        let goal = Some((must, aim));
        Self { goal, ..self }
    }
}

impl<'a> Field<'a> {
    fn build(object: &Path, ipv4: u32, ipv6: u32, programs: &'a [&'a str]) -> Result<Self> {
        eprintln!(
            "bench: filling weir's and the kernel's tables with {}",
            thousands(ipv4)
        );
        let mut filled = Filled::new(ipv4, ipv6, rate())?;
        let mut list = claims(4, ipv4);
        list.extend(claims(6, ipv6));
        let _took = filled.snapshot(list)?;
        let sizes = PeerSizes { ipv4, ipv6 };
        let mut loaded = Programs::load(object, &mut filled.kernel, sizes, false)?;
        peer::kernel::fill(&mut loaded, 4, ipv4)?;
        peer::kernel::fill(&mut loaded, 6, ipv6)?;
        peer::kernel::limit(&mut loaded)?;
        let bare = Lane::lay()?;
        loaded.attach("bare", &bare)?;
        let mut lanes = Vec::new();
        for program in programs {
            let lane = Lane::lay()?;
            loaded.attach(program, &lane)?;
            lanes.push(lane);
        }
        Ok(Self {
            programs,
            lanes,
            bare,
            _loaded: loaded,
            _filled: filled,
        })
    }

    fn measure(
        &self,
        flood: &mut Flood,
        rows: Vec<Row>,
        peers: &[peer::Peer],
        quick: bool,
    ) -> Result<Vec<Cost>> {
        let mut candidates = Vec::new();
        for row in rows {
            let place = self.programs.iter().position(|name| *name == row.program);
            candidates.push(Candidate {
                name: row.name,
                lane: &self.lanes[place.context("a row without a lane")?],
                draw: row.draw,
                goal: row.goal.filter(|_| !quick),
            });
        }
        for peer in peers {
            for (name, draw) in &peer.rows {
                candidates.push(Candidate {
                    name: name.clone(),
                    lane: &peer.lane,
                    draw: *draw,
                    goal: None,
                });
            }
        }
        let pace = if quick { (2, 40_000) } else { (5, 2_000_000) };
        let costs = rounds(flood, &self.bare, &candidates, pace)?;
        for cost in &costs {
            cost.tell()?;
        }
        Ok(costs)
    }
}

const WHOLE: &str = "weir, the whole program, mixed flood";
const WHOLE_V6: &str = "weir, the whole program, mixed IPv6 flood";
const KERNEL: &str = "kernel hash + LPM + LRU, mixed flood";
