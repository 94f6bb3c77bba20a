//! Rounds: every candidate once in each, and the bare program again and again
//! among them, because the machine is another one every second.

use anyhow::{Result, bail};
use bench_ebpf::Draw;

use crate::{Figure, flood::Flood, lane::Lane, thousands};

/// A row of the table: what is sent, and what that may cost.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) draw: Draw,
    /// A line of the drawing, and the size of the list.
    series: Option<(String, u32)>,
    /// How many times the bare program it may cost: must, and aim.
    goal: Option<(f64, f64)>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, draw: Draw) -> Self {
        Self {
            name: name.into(),
            draw,
            series: None,
            goal: None,
        }
    }

    /// One of a list of this size.
    pub(crate) fn sized(whose: &str, size: u32, what: &str, draw: Draw) -> Self {
        Self {
            series: Some((format!("{whose}, {what}"), size)),
            ..Self::new(format!("{whose}, {}, {what}", thousands(size)), draw)
        }
    }

    pub(crate) fn within(self, must: f64, aim: f64) -> Self {
        let goal = Some((must, aim));
        Self { goal, ..self }
    }
}

/// What a packet of a row cost, by rounds.
pub(crate) struct Cost {
    pub(crate) row: Row,
    /// Nanoseconds.
    nanoseconds: Vec<f64>,
    /// Times the bare program, next to it in the same round.
    pub(crate) ratios: Vec<f64>,
}

impl Cost {
    /// In times of the bare program; a quick run judges nothing.
    pub(crate) fn tell(&self, quick: bool) -> Result<()> {
        let (must, aim) = self.row.goal.filter(|_| !quick).unzip();
        let series = self.row.series.as_ref();
        Figure {
            target: must,
            aim,
            nanoseconds: Some(median(&self.nanoseconds)),
            spread: Some(spread(&self.ratios)),
            series: series.map(|(name, size)| (name.as_str(), *size)),
            ..Figure::new(&self.row.name, median(&self.ratios), "x bare")
        }
        .tell()
    }
}

/// Measures all of them. `packets` are sent to each in a round.
pub(crate) fn rounds(
    flood: &mut Flood,
    bare: &Lane,
    candidates: Vec<(&Lane, Row)>,
    (rounds, packets): (usize, u32),
) -> Result<Vec<Cost>> {
    let (lanes, mut costs): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .map(|(lane, row)| {
            let cost = Cost {
                row,
                nanoseconds: Vec::new(),
                ratios: Vec::new(),
            };
            (lane, cost)
        })
        .unzip();
    let random = crate::flood::random(4);
    for _ in 0..rounds {
        let mut beside = 0.0;
        for (number, (lane, cost)) in lanes.iter().zip(&mut costs).enumerate() {
            if number % NEAR == 0 {
                beside = measure(flood, bare, &random, packets)?;
            }
            let nanoseconds = measure(flood, lane, &cost.row.draw, packets)?;
            cost.nanoseconds.push(nanoseconds);
            cost.ratios.push(nanoseconds / beside);
        }
    }
    Ok(costs)
}

/// Nanoseconds of a packet.
pub(crate) fn measure(flood: &mut Flood, lane: &Lane, draw: &Draw, packets: u32) -> Result<f64> {
    flood.send(lane, draw, packets / 4)?;
    let before = lane.taken()?;
    // On a busy machine the thread may sleep through a short run.
    for _ in 0..PATIENCE {
        flood.send(lane, draw, packets)?;
        let after = lane.taken()?;
        let came = after.packets - before.packets;
        if came > u64::from(packets / 10) {
            return Ok((after.time - before.time).as_nanos() as f64 / came as f64);
        }
    }
    bail!(
        "of {PATIENCE} times {packets} packets next to none came in on {}",
        lane.name
    )
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn spread(values: &[f64]) -> [f64; 2] {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    [least, most]
}

/// How often packets are sent before nothing comes of it.
const PATIENCE: usize = 50;
/// Candidates between one run of the bare program and the next.
const NEAR: usize = 4;
