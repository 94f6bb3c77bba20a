//! `[policy]` as it is written.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use filter_common::settings::Mode;
use serde::Deserialize;
use toml::Spanned;

use super::{DAY, HOUR};
use crate::config::{
    file,
    unit::{self, NotADuration},
    value::{self, Name, Text},
};

/// As it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Written {
    #[serde(deserialize_with = "value::policy_mode")]
    pub(super) mode: Option<Mode>,
    #[serde(deserialize_with = "value::room")]
    pub(super) sources: u32,
    #[serde(deserialize_with = "value::room")]
    pub(super) devices: u32,
    pub(super) raised_for: Spanned<Text<Time>>,
    pub(super) protected_for: Spanned<Text<Time>>,
    pub(super) repeats_for: Spanned<Text<Time>>,
    pub(super) longest_block: Spanned<Text<Time>>,
    pub(super) silent_for: Spanned<Text<Time>>,
    pub(super) rule: BTreeMap<Spanned<Text<Name>>, WrittenRule>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct WrittenRule {
    pub(super) reasons: Option<Vec<Spanned<String>>>,
    #[serde(deserialize_with = "value::rule_mode")]
    pub(super) mode: Option<Mode>,
    pub(super) steps: Option<Vec<WrittenStep>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a step, such as { evidence = 20, share = 0.9, verdict = \"block\", lifetime = \"60s\" }"
)]
pub(super) struct WrittenStep {
    pub(super) evidence: Spanned<i64>,
    pub(super) share: Spanned<f64>,
    pub(super) verdict: Spanned<file::Verdict>,
    pub(super) lifetime: Spanned<Text<Time>>,
}

/// A duration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Duration);

impl FromStr for Time {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        unit::duration(text).map(Self)
    }
}

impl Default for Written {
    fn default() -> Self {
        let time = |seconds| Spanned::new(0..0, Text(Time(Duration::from_secs(seconds))));
        Self {
            mode: None,
            sources: 1_000_000,
            devices: 1_000_000,
            raised_for: time(HOUR),
            protected_for: time(7 * DAY),
            repeats_for: time(DAY),
            longest_block: time(HOUR),
            silent_for: time(300),
            rule: BTreeMap::new(),
        }
    }
}

impl Written {
    pub(in crate::config) const fn is_on(&self) -> bool {
        self.mode.is_some()
    }
}
