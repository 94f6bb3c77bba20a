//! What a packet costs, held against a bare `XDP_DROP` of the same run: live
//! frames, all of them dropped, so that only the filters differ.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{
    Figure,
    filled::{Filled, claims, rate},
    flood::{Flood, among, heavy, listed, mixed, random},
    lane::Lane,
    peer::{self, NFTABLES},
    programs::{PeerSizes, Programs},
    rounds::{Cost, Row, median, rounds},
    thousands,
};

pub(crate) fn measure(object: &Path, quick: bool) -> Result<()> {
    peer::tell_missing();
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
    let mut peers = Vec::new();
    // Ten million are more than they take in an hour.
    if size <= 100_000 {
        peers.extend(peer::put_lists(size)?);
    }
    if size <= 1_000 && !quick {
        peers.extend(peer::put_xdp_filter(size)?);
    }
    field.measure(flood, of_a_list(size), &peers, quick)?;
    Ok(())
}

fn of_a_list(size: u32) -> Vec<(&'static str, Row)> {
    let [weir, kernel] = ["weir, lookup", "kernel hash + LPM"];
    let (miss, hit) = (random(4), listed(4, size));
    vec![
        ("lookup", Row::sized(weir, size, "miss", miss)),
        ("lookup", Row::sized(weir, size, "hit", hit)),
        ("peer_lookup", Row::sized(kernel, size, "miss", miss)),
        ("peer_lookup", Row::sized(kernel, size, "hit", hit)),
    ]
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
    let mut rows = of_a_list(size);
    // In the order of `of_a_list`.
    for (number, (must, aim)) in [(0, (3.2, 1.5)), (1, (5.5, 2.5))] {
        rows[number].1 = rows[number].1.clone().within(must, aim);
    }
    let (miss, hit) = (random(6), listed(6, size));
    rows.extend([
        (
            "parse",
            Row::new("weir, reading the packet alone", random(4)),
        ),
        (
            "lookup",
            Row::sized("weir, lookup, IPv6", size, "miss", miss),
        ),
        ("lookup", Row::sized("weir, lookup, IPv6", size, "hit", hit)),
        (
            "peer_lookup",
            Row::sized("kernel hash + LPM, IPv6", size, "miss", miss),
        ),
        (
            "peer_lookup",
            Row::sized("kernel hash + LPM, IPv6", size, "hit", hit),
        ),
    ]);
    for (whose, program) in [("weir", "rates"), ("kernel LRU", "peer_rates")] {
        for sources in [10_000, 256_000, 1_000_000] {
            let name = format!("{whose}, rates, {} sources", thousands(sources));
            rows.push((program, Row::new(name, among(4, sources))));
        }
        let name = format!("{whose}, rates, 1,000 heavy in a random flood");
        rows.push((program, Row::new(name, heavy(4))));
    }
    let flooded = rows.iter_mut().rfind(|(program, _)| *program == "rates");
    let (_, flooded) = flooded.context("it was just put there")?;
    *flooded = flooded.clone().within(4.0, 2.0);
    rows.extend([
        ("whole", Row::new(WHOLE, mixed(4, size)).within(6.5, 3.0)),
        ("whole", Row::new(WHOLE_V6, mixed(6, size))),
        ("peer_whole", Row::new(KERNEL, mixed(4, size))),
    ]);
    let mut peers = peer::put_lists(size)?;
    peers.extend(peer::put_xdp_filter(if quick { 100 } else { 10_000 })?);
    peers.extend(peer::put_limits(size)?);
    let costs = field.measure(flood, rows, &peers, quick)?;
    drop(peers);
    let of = |name: &str| {
        let cost = costs.iter().find(|cost| cost.row.name == name)?;
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
        rows: Vec<(&str, Row)>,
        peers: &[peer::Peer],
        quick: bool,
    ) -> Result<Vec<Cost>> {
        let mut candidates = Vec::new();
        for (program, row) in rows {
            let place = self.programs.iter().position(|name| *name == program);
            candidates.push((&self.lanes[place.context("a row without a lane")?], row));
        }
        for peer in peers {
            candidates.extend(peer.rows.iter().map(|row| (&peer.lane, row.clone())));
        }
        let pace = if quick { (2, 40_000) } else { (5, 2_000_000) };
        let costs = rounds(flood, &self.bare, candidates, pace)?;
        for cost in &costs {
            cost.tell(quick)?;
        }
        Ok(costs)
    }
}

const WHOLE: &str = "weir, the whole program, mixed flood";
const WHOLE_V6: &str = "weir, the whole program, mixed IPv6 flood";
const KERNEL: &str = "kernel hash + LPM + LRU, mixed flood";
