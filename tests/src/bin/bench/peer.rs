//! What a user would pick instead, where it is installed: each on a lane of its
//! own, ending every packet. Nothing is installed for it, but said.

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bench_ebpf::Draw;

use self::xdp_filter::XdpFilter;
use crate::{
    Figure,
    edge::End,
    flood::{among, heavy, listed, mixed, random},
    lane::Lane,
    thousands,
};

mod ipset;
pub(crate) mod kernel;
mod nftables;
mod xdp_filter;

/// A peer at its lane's end.
pub(crate) struct Peer {
    /// What is measured of it: a name, and what is sent.
    pub(crate) rows: Vec<(String, Draw)>,
    _alive: Option<XdpFilter>,
    pub(crate) lane: Lane,
}

/// Puts all that are there on lanes, with a list of this size.
pub(crate) fn put(size: u32, quick: bool) -> Result<Vec<Peer>> {
    let missing = missing();
    if !missing.is_empty() {
        let missing = missing.join(" ");
        eprintln!("bench: not compared with {missing} (`apt-get install {missing}`)");
    }
    let mut peers = Vec::new();
    if nftables::is_there() {
        nftables(size, &mut peers)?;
    } else {
        eprintln!("bench: not compared with nftables, which isn't there or not in this kernel");
    }
    let shown = thousands(size);
    if is_there("ipset") && is_there("iptables") {
        let lane = Lane::lay()?;
        let name = format!("ipset hash:ip, {shown}");
        filled(&name, || ipset::put(&lane, size))?;
        let rows = vec![(format!("{name}, hit"), exact(listed(4, size)))];
        peers.push(Peer {
            rows,
            _alive: None,
            lane,
        });
    }
    if is_there("xdp-filter") {
        let lane = Lane::lay()?;
        // Its map ends there.
        let size = if quick { 100 } else { size.min(10_000) };
        let name = format!("xdp-filter, {}", thousands(size));
        let mut alive = None;
        filled(&name, || {
            let start = Instant::now();
            alive = Some(XdpFilter::put(&lane, size)?);
            Ok(start.elapsed())
        })?;
        peers.push(Peer {
            rows: vec![(format!("{name}, hit"), exact(listed(4, size)))],
            _alive: alive,
            lane,
        });
    }
    Ok(peers)
}

fn nftables(size: u32, peers: &mut Vec<Peer>) -> Result<()> {
    let shown = thousands(size);
    let whole = nftables::Rules {
        list: size,
        exact: true,
        limit: true,
    };
    let limit = nftables::Rules { list: 0, ..whole };
    let set = nftables::Rules {
        limit: false,
        ..whole
    };
    let interval = nftables::Rules {
        exact: false,
        ..set
    };
    let named = |name: &str, what: &str, draw| (format!("{name}, {what}"), draw);
    let (one, two) = (
        format!("nftables set, {shown}"),
        format!("nftables interval set, {shown}"),
    );
    let three = "nftables limit";
    for (name, rules, rows) in [
        (
            one.as_str(),
            set,
            vec![
                named(&one, "miss", random(4)),
                named(&one, "hit", exact(listed(4, size))),
            ],
        ),
        (
            &two,
            interval,
            vec![
                named(&two, "miss", random(4)),
                named(&two, "hit", listed(4, size)),
            ],
        ),
        (
            three,
            limit,
            vec![
                named(three, "10,000 sources", among(4, 10_000)),
                named(three, "256,000 sources", among(4, 256_000)),
                named(three, "1,000 heavy in a random flood", heavy(4)),
            ],
        ),
        (
            NFTABLES,
            whole,
            vec![(NFTABLES.to_owned(), exact(mixed(4, size)))],
        ),
    ] {
        let lane = Lane::lay()?;
        filled(name, || nftables::put(&lane, rules))?;
        peers.push(Peer {
            rows,
            _alive: None,
            lane,
        });
    }
    Ok(())
}

/// Tells how long it took to fill one.
fn filled(name: &str, fill: impl FnOnce() -> Result<Duration>) -> Result<()> {
    eprintln!("bench: filling {name}");
    let took = fill()?;
    Figure::new(&format!("{name}: put in force"), took.as_secs_f64(), "s").tell()
}

const fn exact(draw: Draw) -> Draw {
    Draw { exact: 1, ..draw }
}

/// Whether a command is on the path.
fn is_there(command: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(command).is_file())
}

/// The packages of the peers that aren't there.
fn missing() -> Vec<&'static str> {
    COMMANDS
        .into_iter()
        .filter(|(command, _)| !is_there(command))
        .map(|(_, package)| package)
        .collect()
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
const COMMANDS: [(&str, &str); 4] = [
    ("nft", "nftables"),
    ("ipset", "ipset"),
    ("iptables", "iptables"),
    ("xdp-filter", "xdp-tools"),
];
