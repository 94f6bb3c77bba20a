//! The outcome of one scenario's calls under one policy.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::DAY;

/// The outcome of the calls.
pub(super) struct Figure {
    pub(super) scenario: String,
    pub(super) says: String,
    pub(super) policy: String,
    pub(super) genuine: u64,
    pub(super) lost: f64,
    /// Abusive calls of addresses without genuine devices, and those of others.
    pub(super) alone: Stopped,
    pub(super) shared: Stopped,
    /// Of what its tier lets through, the most that abuse of one address took.
    pub(super) of_tier: f64,
    /// Seconds until an abuser is stopped: of half of them, of nearly all.
    pub(super) times: Option<[f64; 2]>,
    pub(super) alarms: Vec<String>,
    pub(super) spans: Spans,
}

/// Calls, and the share of them that was stopped.
pub(super) struct Stopped {
    pub(super) calls: u64,
    pub(super) share: f64,
}

/// The course of a run, every few minutes.
pub(super) struct Spans {
    pub(super) seconds: f64,
    pub(super) genuine: Vec<f64>,
    pub(super) lost: Vec<f64>,
    pub(super) passed: Vec<f64>,
}

impl Figure {
    pub(super) fn read(line: &Value) -> Result<Self> {
        let text = |key: &str| {
            let text = line[key].as_str().map(str::to_owned);
            text.with_context(|| format!("a figure without {key}"))
        };
        let number = |key: &str| {
            let number = line[key].as_f64();
            number.with_context(|| format!("a figure without {key}"))
        };
        let series = |key: &str| {
            let series = line["spans"][key].as_array();
            let series = series.with_context(|| format!("a figure without {key}"))?;
            Ok::<_, anyhow::Error>(series.iter().filter_map(Value::as_f64).collect::<Vec<_>>())
        };
        let time = |key: &str| line[key].as_f64();
        let alarms = line["alarms"].as_array().into_iter().flatten();
        Ok(Self {
            scenario: text("scenario")?,
            says: text("says")?,
            policy: text("policy")?,
            genuine: number("genuine")? as u64,
            lost: number("lost_share")?,
            alone: Stopped {
                calls: number("alone")? as u64,
                share: number("alone_stopped")?,
            },
            shared: Stopped {
                calls: number("shared")? as u64,
                share: number("shared_stopped")?,
            },
            of_tier: number("of_tier")?,
            times: time("time_to_stop_p50")
                .zip(time("time_to_stop_p99"))
                .map(|(half, nearly_all)| [half, nearly_all]),
            alarms: alarms
                .filter_map(|alarm| alarm.as_str().map(str::to_owned))
                .collect(),
            spans: Spans {
                seconds: number("span_seconds")?,
                genuine: series("genuine")?,
                lost: series("lost")?,
                passed: series("passed")?,
            },
        })
    }

    pub(super) fn is_weir(&self) -> bool {
        self.policy == WEIR
    }

    /// Whether weir loses too many genuine calls, lets more through than a tier
    /// does, or, on an ordinary day, stops too little abuse.
    pub(super) fn is_missed(&self) -> bool {
        let stops = self.scenario != DAY || self.alone.share > STOPPED;
        self.is_weir() && (self.lost >= LOST || self.of_tier > 1.0 || !stops)
    }

    /// A line of a table.
    pub(super) fn row(&self) -> String {
        let times = self
            .times
            .map_or_else(|| "–".to_owned(), |times| times.map(seconds).join("; "));
        format!(
            "| {} | {} | {} | {} | {times} |",
            self.policy,
            percent(self.lost),
            self.alone.cell(),
            self.shared.cell(),
        )
    }
}

impl Stopped {
    fn cell(&self) -> String {
        if self.calls == 0 {
            return "–".to_owned();
        }
        format!("{:.2} %", self.share * 100.0)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:16} {:20} genuine calls lost {:>14}, abuse stopped {:>9} (shared {:>8}), after {}{}",
            self.scenario,
            self.policy,
            percent(self.lost),
            self.alone.cell(),
            self.shared.cell(),
            self.times
                .map_or_else(|| "–".to_owned(), |times| times.map(seconds).join("; ")),
            if self.is_missed() { "  MISSED" } else { "" }
        )
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.000_1 => "under 0.0001 %".to_owned(),
        percent if percent < 0.1 => format!("{percent:.4} %"),
        percent => format!("{percent:.2} %"),
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

const WEIR: &str = "weir";

/// The share of genuine calls that may be lost.
pub(super) const LOST: f64 = 0.000_1;

/// The share of abusive calls of addresses of their own that must be stopped.
const STOPPED: f64 = 0.99;
