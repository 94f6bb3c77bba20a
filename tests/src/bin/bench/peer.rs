//! What a user would pick instead, where it is installed: each on a lane of its
//! own, ending every packet. Nothing is installed for it, but said.

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use bench_ebpf::Draw;

use self::{nftables::Rules, xdp_filter::XdpFilter};
use crate::{
    Figure,
    edge::End,
    filled::BUCKETS,
    flood::{among, heavy, listed, mixed, random},
    lane::Lane,
    rounds::Row,
    thousands,
};

mod ipset;
pub(crate) mod kernel;
mod nftables;
mod xdp_filter;

/// A peer at its lane's end.
pub(crate) struct Peer {
    /// What is measured of it.
    pub(crate) rows: Vec<Row>,
    _alive: Option<XdpFilter>,
    pub(crate) lane: Lane,
}

/// Tells which aren't there.
pub(crate) fn tell_missing() {
    let missing: Vec<_> = COMMANDS
        .into_iter()
        .filter(|(command, _)| !is_there(command))
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(" ");
        eprintln!("bench: not compared with {missing} (`apt-get install {missing}`)");
    }
}

/// Puts those that are there on lanes, with a list of this size.
pub(crate) fn put_lists(size: u32) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    if is_there("nft") {
        let set = Rules {
            list: size,
            exact: true,
            limit: 0,
        };
        let name = "nftables set";
        let rows = vec![
            Row::sized(name, size, "miss", random(4)),
            Row::sized(name, size, "hit", exact(listed(4, size))),
        ];
        peers.push(peer(name, size, rows, |lane| nftables::put(lane, set))?);
        let interval = Rules {
            exact: false,
            ..set
        };
        let name = "nftables interval set";
        let rows = vec![
            Row::sized(name, size, "miss", random(4)),
            Row::sized(name, size, "hit", listed(4, size)),
        ];
        peers.push(peer(name, size, rows, |lane| {
            nftables::put(lane, interval)
        })?);
    }
    if is_there("ipset") && is_there("iptables") {
        let name = "ipset hash:ip";
        let rows = vec![Row::sized(name, size, "hit", exact(listed(4, size)))];
        peers.push(peer(name, size, rows, |lane| ipset::put(lane, size))?);
    }
    Ok(peers)
}

/// Puts xdp-filter on a lane with so many addresses: its map ends at 10,000, and
/// an address takes it milliseconds.
pub(crate) fn put_xdp_filter(size: u32) -> Result<Vec<Peer>> {
    if !is_there("xdp-filter") {
        return Ok(Vec::new());
    }
    let name = "xdp-filter";
    let rows = vec![Row::sized(name, size, "hit", exact(listed(4, size)))];
    let mut alive = None;
    let put = |lane: &Lane| {
        alive = Some(XdpFilter::put(lane, size)?);
        Ok(())
    };
    let peer = peer(name, size, rows, put)?;
    Ok(vec![Peer {
        _alive: alive,
        ..peer
    }])
}

/// Puts what limits each source on lanes, alone and with a list of this size.
pub(crate) fn put_limits(size: u32) -> Result<Vec<Peer>> {
    if !is_there("nft") {
        return Ok(Vec::new());
    }
    let both = Rules {
        list: size,
        exact: true,
        limit: ROOM,
    };
    let mut peers = Vec::new();
    for (name, limit) in [("nftables limit", ROOM), ("nftables limit, full", BUCKETS)] {
        let rules = Rules {
            list: 0,
            limit,
            ..both
        };
        let flooded = Row::new(format!("{name}, 1,000 heavy in a random flood"), heavy(4));
        let mut rows = vec![flooded];
        if limit == ROOM {
            rows.push(Row::new(
                format!("{name}, 10,000 sources"),
                among(4, 10_000),
            ));
            rows.push(Row::new(
                format!("{name}, 256,000 sources"),
                among(4, 256_000),
            ));
        }
        peers.push(peer(name, 0, rows, |lane| nftables::put(lane, rules))?);
    }
    let rows = vec![Row::new(NFTABLES, exact(mixed(4, size)))];
    peers.push(peer(NFTABLES_LATER, size, rows, |lane| {
        nftables::put(lane, both)
    })?);
    Ok(peers)
}

fn peer(
    name: &str,
    size: u32,
    rows: Vec<Row>,
    put: impl FnOnce(&Lane) -> Result<()>,
) -> Result<Peer> {
    let name = format!("{name}, {}", thousands(size));
    eprintln!("bench: filling {name}");
    let lane = Lane::lay()?;
    let start = Instant::now();
    put(&lane)?;
    let took = start.elapsed();
    lane.pin()?;
    // nft first reads what is in all its other sets: that is no time of this one.
    if size > 0 && !name.starts_with(NFTABLES_LATER) {
        Figure::new(&format!("{name}: put in force"), took.as_secs_f64(), "s").tell()?;
    }
    Ok(Peer {
        rows,
        _alive: None,
        lane,
    })
}

const fn exact(draw: Draw) -> Draw {
    Draw { exact: 1, ..draw }
}

/// Whether a command is on the path.
fn is_there(command: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(command).is_file())
}

/// Runs a command on the host with this as its input.
fn feed(command: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new("nsenter")
        .arg(format!("--net={}", End::Host.path().display()))
        .arg("--")
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", command[0]))?;
    let mut pipe = child.stdin.take().context("it was asked for")?;
    pipe.write_all(input.as_bytes())
        .with_context(|| format!("telling {} what to do", command[0]))?;
    drop(pipe);
    let status = child
        .wait()
        .with_context(|| format!("waiting for {}", command[0]))?;
    ensure!(status.success(), "`{}` failed", command.join(" "));
    Ok(())
}

/// A set of all that are listed and a limit of each source.
pub(crate) const NFTABLES: &str = "nftables set + limit, mixed flood";
/// nftables throws nobody out: so many sources find room before the first ones'
/// ten seconds are over, and in a full set no new source is limited.
const ROOM: u32 = 1 << 23;
const NFTABLES_LATER: &str = "nftables set + limit";
const COMMANDS: [(&str, &str); 4] = [
    ("nft", "nftables"),
    ("ipset", "ipset"),
    ("iptables", "iptables"),
    ("xdp-filter", "xdp-tools"),
];
