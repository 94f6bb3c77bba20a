//! A figure beside its target.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Something that was measured.
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: String,
    /// What it must stay below; `None`: it is only shown.
    target: Option<f64>,
}

impl Figure {
    /// From a line of the bench.
    pub(super) fn read(line: &Value) -> Result<Self> {
        let text = |key: &str| line[key].as_str().map(ToOwned::to_owned);
        Ok(Self {
            name: text("name").context("a figure without a name")?,
            value: line["value"].as_f64().context("a figure without a value")?,
            unit: text("unit").context("a figure without a unit")?,
            target: line["target"].as_f64(),
        })
    }

    pub(super) fn is_missed(&self) -> bool {
        self.target.is_some_and(|target| self.value >= target)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "ok": self.target.map(|_| !self.is_missed()),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, value, unit, ..
        } = self;
        write!(f, "{name:<68} {value:>10.2} {unit}")?;
        match self.target {
            Some(target) => {
                let judged = if self.is_missed() { "missed" } else { "ok" };
                write!(f, ", {judged} (target < {target:.1} {unit})")
            }
            None => Ok(()),
        }
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
        assert!(shown(19.9, Some(20.0)).ends_with("19.90 ms, ok (target < 20.0 ms)"));
        assert!(shown(20.1, Some(20.0)).ends_with("20.10 ms, missed (target < 20.0 ms)"));
        assert_eq!(figure(3.0, None).json()["ok"], Value::Null);
        assert_eq!(figure(3.0, Some(3.0)).json()["ok"], false);
    }
}
