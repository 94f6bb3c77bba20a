//! Something measured, and how xtask is told of it.

use std::io::{Write as _, stdout};

use anyhow::{Context as _, Result};
use serde_json::json;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figure<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    /// What it must stay below; `None`: it is only shown.
    pub(crate) target: Option<f64>,
    /// What it must reach.
    pub(crate) least: Option<f64>,
    /// What it should come to, beyond what it must.
    pub(crate) aim: Option<f64>,
    /// Of a ratio: the nanoseconds themselves.
    pub(crate) nanoseconds: Option<f64>,
    /// The least and the most of all rounds.
    pub(crate) spread: Option<[f64; 2]>,
    /// Of a drawing: a line's name, and where on it this is.
    pub(crate) series: Option<(&'a str, u32)>,
}

impl<'a> Figure<'a> {
    /// Without a target.
    pub(crate) fn new(name: &'a str, value: f64, unit: &'a str) -> Self {
        Self {
            name,
            value,
            unit,
            ..Self::default()
        }
    }

    /// It must stay below this; a quick run judges nothing.
    pub(crate) const fn within(self, must: f64, aim: f64, quick: bool) -> Self {
        if quick {
            return self;
        }
        Self {
            target: Some(must),
            aim: Some(aim),
            ..self
        }
    }

    /// It must reach this; a quick run judges nothing.
    pub(crate) const fn at_least(self, must: f64, aim: f64, quick: bool) -> Self {
        if quick {
            return self;
        }
        Self {
            least: Some(must),
            aim: Some(aim),
            ..self
        }
    }

    pub(crate) fn tell(&self) -> Result<()> {
        let line = json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "least": self.least,
            "aim": self.aim,
            "ns": self.nanoseconds,
            "spread": self.spread,
            "series": self.series,
        });
        writeln!(stdout(), "{line}").context("telling a figure")
    }
}
