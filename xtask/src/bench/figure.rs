//! A figure beside its target.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Something that was measured.
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
    /// The bound that it must stay below, if any.
    pub(super) below: Option<f64>,
    /// The bound that it must reach, if any.
    pub(super) least: Option<f64>,
    /// The aim, beyond the bound.
    pub(super) aim: Option<f64>,
    /// Of a ratio: the nanoseconds of a packet.
    pub(super) nanoseconds: Option<f64>,
    /// The least and the most of all rounds.
    pub(super) spread: Option<[f64; 2]>,
    /// A line of the drawing, and the size of the list.
    pub(super) series: Option<(String, f64)>,
}

impl Figure {
    /// From a line of the bench.
    pub(super) fn read(line: &Value) -> Result<Self> {
        let text = |key: &str| line[key].as_str().map(ToOwned::to_owned);
        let number = |value: &Value| value.as_f64();
        let pair = |key: &str| Some((&line[key][0], number(&line[key][1])?));
        Ok(Self {
            name: text("name").context("a figure without a name")?,
            value: number(&line["value"]).context("a figure without a value")?,
            unit: text("unit").context("a figure without a unit")?,
            below: number(&line["target"]),
            least: number(&line["least"]),
            aim: number(&line["aim"]),
            nanoseconds: number(&line["ns"]),
            spread: pair("spread").and_then(|(least, most)| Some([number(least)?, most])),
            series: pair("series").and_then(|(name, at)| Some((name.as_str()?.to_owned(), at))),
        })
    }

    pub(super) fn is_missed(&self) -> bool {
        self.below.is_some_and(|target| self.value >= target)
            || self.least.is_some_and(|target| self.value < target)
    }

    /// The bound in words; empty where there is none.
    pub(super) fn target(&self) -> String {
        let unit = if self.unit == "x bare" {
            "x"
        } else {
            &self.unit
        };
        let must = match (self.below, self.least) {
            (Some(target), _) => format!("< {} {unit}", short(target)),
            (None, Some(target)) => format!(">= {} {unit}", short(target)),
            (None, None) => return String::new(),
        };
        match self.aim {
            Some(aim) if Some(aim) != self.below => format!("{must}, aim {}", short(aim)),
            _ => must,
        }
    }

    pub(super) fn json(&self) -> Value {
        let held = self.below.or(self.least);
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.below,
            "least": self.least,
            "aim": self.aim,
            "ns": self.nanoseconds,
            "spread": self.spread,
            "series": self.series,
            "ok": held.map(|_| !self.is_missed()),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, value, unit, ..
        } = self;
        match (self.nanoseconds, self.spread) {
            (Some(nanoseconds), Some([least, most])) => write!(
                f,
                "{name:<60} {nanoseconds:>7.0} ns {value:>6.2} {unit} ({least:.2} to {most:.2})"
            )?,
            _ => write!(f, "{name:<68} {value:>10.2} {unit}")?,
        }
        let target = self.target();
        if target.is_empty() {
            return Ok(());
        }
        let judged = if self.is_missed() { "missed" } else { "ok" };
        write!(f, ", {judged} (target {target})")
    }
}

/// With no more digits than it has.
fn short(number: f64) -> String {
    if number < 0.001 {
        return "0".to_owned();
    }
    if number >= 20.0 {
        format!("{number:.0}")
    } else {
        let digits = format!("{number:.3}");
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        digits.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, target: Option<f64>) -> Figure {
        let line = json!({"name": "idle", "value": value, "unit": "ms", "target": target});
        Figure::read(&line).expect("a figure")
    }

    #[test]
    fn a_target_is_missed_by_what_reaches_it() {
        assert!(!figure(19.9, Some(20.0)).is_missed());
        assert!(figure(20.0, Some(20.0)).is_missed());
        assert!(!figure(1e9, None).is_missed());
    }

    #[test]
    fn a_figure_is_shown_beside_its_target() {
        let shown = |value, target| figure(value, target).to_string();
        assert!(shown(19.9, Some(20.0)).ends_with("19.90 ms, ok (target < 20 ms)"));
        assert!(shown(20.1, Some(20.0)).ends_with("20.10 ms, missed (target < 20 ms)"));
        assert_eq!(figure(3.0, None).json()["ok"], Value::Null);
        assert_eq!(figure(3.0, Some(3.0)).json()["ok"], false);
    }

    #[test]
    fn a_ratio_is_shown_with_its_nanoseconds_and_its_spread() {
        let line = json!({
            "name": "weir, lookup", "value": 3.25, "unit": "x bare", "target": 3.2, "aim": 1.5,
            "ns": 282.6, "spread": [3.1, 3.4], "series": ["weir", 1000],
        });
        let figure = Figure::read(&line).expect("a figure");
        let shown = figure.to_string();
        assert!(
            shown
                .ends_with("283 ns   3.25 x bare (3.10 to 3.40), missed (target < 3.2 x, aim 1.5)"),
            "{shown}"
        );
        assert_eq!(figure.series, Some(("weir".to_owned(), 1000.0)));
    }

    #[test]
    fn a_speed_must_be_reached() {
        let line = json!({"name": "speed", "value": 3.9, "unit": "x", "least": 4.0, "aim": 8.0});
        let figure = Figure::read(&line).expect("a figure");
        assert!(figure.is_missed());
        assert_eq!(figure.target(), ">= 4 x, aim 8");
    }
}
