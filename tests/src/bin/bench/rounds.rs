//! Rounds: every candidate once in each, and the bare program again and again
//! among them, because the machine is another one every second.

use anyhow::{Result, ensure};
use bench_ebpf::Draw;

use crate::{Figure, flood::Flood, lane::Lane};

/// Something that packets are sent to.
pub(crate) struct Candidate<'a> {
    pub(crate) name: String,
    pub(crate) lane: &'a Lane,
    pub(crate) draw: Draw,
    /// How many times the bare program it may cost: must, and aim.
    pub(crate) goal: Option<(f64, f64)>,
}

/// What a packet cost, by rounds.
pub(crate) struct Cost {
    pub(crate) name: String,
    /// Nanoseconds.
    pub(crate) nanoseconds: Vec<f64>,
    /// Times the bare program, next to it in the same round.
    pub(crate) ratios: Vec<f64>,
    goal: Option<(f64, f64)>,
}

impl Cost {
    /// In times of the bare program.
    pub(crate) fn tell(&self) -> Result<()> {
        let (must, aim) = self.goal.unzip();
        Figure {
            target: must,
            aim,
            nanoseconds: Some(median(&self.nanoseconds)),
            spread: Some(spread(&self.ratios)),
            ..Figure::new(&self.name, median(&self.ratios), "x bare")
        }
        .tell()
    }
}

/// Measures all of them. `packets` are sent to each in a round.
pub(crate) fn rounds(
    flood: &mut Flood,
    bare: &Lane,
    candidates: &[Candidate<'_>],
    (rounds, packets): (usize, u32),
) -> Result<Vec<Cost>> {
    let mut costs: Vec<Cost> = candidates
        .iter()
        .map(|candidate| Cost {
            name: candidate.name.clone(),
            nanoseconds: Vec::new(),
            ratios: Vec::new(),
            goal: candidate.goal,
        })
        .collect();
    let random = crate::flood::random(4);
    for _ in 0..rounds {
        let mut beside = 0.0;
        for (number, (candidate, cost)) in candidates.iter().zip(&mut costs).enumerate() {
            if number % NEAR == 0 {
                beside = measure(flood, bare, &random, packets)?;
            }
            let nanoseconds = measure(flood, candidate.lane, &candidate.draw, packets)?;
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
    flood.send(lane, draw, packets)?;
    let after = lane.taken()?;
    let came = after.packets - before.packets;
    ensure!(
        came > u64::from(packets / 100),
        "of {packets} packets only {came} came in on {}",
        lane.name
    );
    Ok((after.time - before.time).as_nanos() as f64 / came as f64)
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

/// Candidates between one run of the bare program and the next.
const NEAR: usize = 4;
