//! Whether the rates hold in a flood: a thousand sources far above theirs, a
//! thousand below, and ten million others. The filter is the whole one; what
//! became of each class is counted beside it.

use std::{path::Path, thread, time::Duration};

use anyhow::{Result, ensure};
use bench_ebpf::{Draw, HEAVY, HONEST};
use filter_common::rate::Rate;

use crate::{
    Figure,
    filled::{Filled, rate},
    flood::{ALL, Flood, among},
    lane::Lane,
    programs::{PeerSizes, Programs},
};

pub(crate) fn measure(object: &Path, quick: bool) -> Result<()> {
    let others = if quick { 100_000 } else { 10_000_000 };
    let seconds = if quick { 1 } else { 10 };
    let draw = Draw {
        heavy: ALL / 4,
        heavy_sources: SOURCES,
        honest: HONEST_SHARE,
        honest_sources: SOURCES,
        ..among(4, others)
    };
    let mut flood = Flood::load(object)?;

    // How fast packets come in on this machine, now.
    let mut trial = Trial::new(object, rate())?;
    let took = flood.send(&trial.lane, &draw, PACE)?;
    let came = trial.lane.taken()?.packets;
    let sent_a_second = f64::from(PACE) / took.as_secs_f64();
    let came_a_second = came as f64 / took.as_secs_f64();
    drop(trial);

    // A fortieth of what each heavy source sends.
    let each = came_a_second / 4.0 / f64::from(SOURCES);
    let held = (each / TIMES).max(1.0) as u64;
    let burst = held.max(10);
    let rate = Rate::new(held, 1_000_000_000, burst);
    ensure!(rate.is_some(), "no rate of {held} packets a second");
    trial = Trial::new(object, rate.unwrap_or(Rate::NONE))?;
    let packets = (sent_a_second * f64::from(seconds)) as u32;
    let took = flood.send(&trial.lane, &draw, packets)?;
    trial.lane.taken()?;
    thread::sleep(Duration::from_millis(10));

    let [admitted, refused] = trial.programs.pair("JUDGED", u32::from(HEAVY))?;
    let allowed = f64::from(SOURCES) * (burst as f64 + held as f64 * took.as_secs_f64());
    let offered = (admitted + refused) as f64;
    ensure!(
        offered > 2.0 * allowed,
        "the heavy sources weren't heavy: {offered} packets, {allowed} allowed"
    );
    let over = (admitted as f64 - allowed).max(0.0) / (offered - allowed);
    Figure::new("heavy sources: times their rate", offered / allowed, "x").tell()?;
    Figure::new(
        "heavy sources: of what is over their rate, admitted",
        over * 100.0,
        "%",
    )
    .within(0.1, 0.1, quick)
    .tell()?;
    let [admitted, refused] = trial.programs.pair("JUDGED", u32::from(HONEST))?;
    let lost = refused as f64 / (admitted + refused).max(1) as f64;
    Figure::new(
        "honest sources: packets a second of each",
        (admitted + refused) as f64 / took.as_secs_f64() / f64::from(SOURCES),
        "/s",
    )
    .tell()?;
    Figure::new("honest sources: dropped", lost * 100.0, "%")
        .within(1e-9, 1e-9, quick)
        .tell()
}

/// The filter on a lane, with fresh buckets.
struct Trial {
    lane: Lane,
    programs: Programs,
    _filled: Filled,
}

impl Trial {
    fn new(object: &Path, rate: Rate) -> Result<Self> {
        let mut filled = Filled::sources_are_held_to(rate)?;
        let mut programs = Programs::load(object, &mut filled.kernel, PeerSizes::default(), false)?;
        let lane = Lane::lay()?;
        programs.attach("judged", &lane)?;
        Ok(Self {
            lane,
            programs,
            _filled: filled,
        })
    }
}

/// Heavy ones, and honest ones.
const SOURCES: u32 = 1_000;
/// How many times their rate the heavy ones send.
const TIMES: f64 = 40.0;
/// Of 65,536: each honest source sends a third of its rate.
const HONEST_SHARE: u32 = ALL / 4 / 40 / 3;
/// Packets to see how fast they come in.
const PACE: u32 = 300_000;
