//! Whether the rates hold in a flood: a thousand sources far above theirs, a
//! thousand below, and ten million others. The filter is the whole one; what
//! became of each class is counted beside it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
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
    let seconds = if quick { 2 } else { 10 };
    let draw = Draw {
        heavy: ALL / 4,
        heavy_sources: SOURCES,
        honest: HONEST_SHARE,
        honest_sources: SOURCES,
        ..among(4, others)
    };
    let mut flood = Flood::load(object)?;
    // The rates follow from the pace, which another program can change meanwhile:
    // then heavy sources weren't heavy, or honest ones weren't honest.
    for _ in 0..ATTEMPTS {
        let outcome = attempt(object, &mut flood, &draw, seconds)?;
        if outcome.times > TIMES / 4.0 && outcome.honest < 0.5 {
            return outcome.tell(quick);
        }
    }
    eprintln!("bench: this machine is too busy: packets came in at another pace each time");
    ensure!(quick, "no accuracy could be measured");
    attempt(object, &mut flood, &draw, seconds)?.tell(quick)
}

/// What came of a flood.
struct Outcome {
    /// How many times what they were allowed the heavy sources sent.
    times: f64,
    /// Which part of what was beyond that was admitted.
    over: f64,
    /// How many times their rate the honest sources sent.
    honest: f64,
    /// Which part of it was dropped.
    lost: f64,
}

fn attempt(object: &Path, flood: &mut Flood, draw: &Draw, seconds: u32) -> Result<Outcome> {
    let trial = Trial::new(object, rate())?;
    let took = flood.send(&trial.lane, draw, PACE)?;
    let came = trial.lane.taken()?.packets as f64;
    let sent_a_second = f64::from(PACE) / took.as_secs_f64();
    // A fortieth of what each heavy source sends.
    let share = f64::from(draw.heavy) / f64::from(ALL) / f64::from(SOURCES);
    let held = (came / took.as_secs_f64() * share / TIMES).round().max(1.0);
    let burst = held.max(10.0);
    drop(trial);

    let rate = Rate::new(held as u64, 1_000_000_000, burst as u64);
    let trial = Trial::new(object, rate.context("a rate that can't be held")?)?;
    let packets = (sent_a_second * f64::from(seconds)) as u32;
    let took = flood.send(&trial.lane, draw, packets)?;
    // Until all of them are through.
    trial.lane.taken()?;
    let allowed = |sources: u32| f64::from(sources) * (burst + held * took.as_secs_f64());
    let [admitted, refused] = trial.programs.pair("JUDGED", u32::from(HEAVY))?;
    let offered = (admitted + refused) as f64;
    let beyond = (offered - allowed(SOURCES)).max(1.0);
    let [let_in, dropped] = trial.programs.pair("JUDGED", u32::from(HONEST))?;
    let all = (let_in + dropped) as f64;
    Ok(Outcome {
        times: offered / allowed(SOURCES),
        over: (admitted as f64 - allowed(SOURCES)).max(0.0) / beyond,
        honest: all / took.as_secs_f64() / f64::from(SOURCES) / held,
        lost: dropped as f64 / all.max(1.0),
    })
}

impl Outcome {
    fn tell(&self, quick: bool) -> Result<()> {
        let name = "heavy sources: times what they are allowed";
        Figure::new(name, self.times, "x").tell()?;
        let name = "heavy sources: of what is beyond it, admitted";
        Figure::new(name, self.over * 100.0, "%")
            .within(0.1, 0.1, quick)
            .tell()?;
        let name = "honest sources: times their rate";
        Figure::new(name, self.honest, "x").tell()?;
        Figure::new("honest sources: dropped", self.lost * 100.0, "%")
            .within(NOTHING, NOTHING, quick)
            .tell()
    }
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
/// How often the pace may change.
const ATTEMPTS: usize = 5;
/// Below one packet of all that can be sent.
const NOTHING: f64 = 1e-9;
/// Packets to see how fast they come in.
const PACE: u32 = 300_000;
