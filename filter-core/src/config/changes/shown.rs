//! Values as they would be written.

use std::{
    fmt::{Debug, Display},
    path::{Path, PathBuf},
    time::Duration,
};

use filter_common::{rate::Rate, settings::Mode};

use crate::config::{
    Attach, OnStop, ProtectedPorts, Verdict,
    policy::{Step, seconds},
};

pub(super) fn plain(value: &impl Display) -> String {
    value.to_string()
}

pub(super) fn quoted(value: &impl Debug) -> String {
    format!("{value:?}")
}

pub(super) fn path(path: &PathBuf) -> String {
    format!("{:?}", Path::new(path))
}

/// A key that isn't written is shown as an empty text.
pub(super) fn optional<T: Display>(value: &Option<T>) -> String {
    let text = value.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{text:?}")
}

pub(super) fn list<T: Display>(values: &[T]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("\"{value}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

pub(super) fn duration(time: &Duration) -> String {
    format!("{:?}", seconds(time.as_secs()))
}

pub(super) fn mode(mode: &Mode) -> String {
    format!("{:?}", mode.name())
}

/// Of a feed or a service.
pub(super) fn observe(observe: &bool) -> String {
    format!("{:?}", if *observe { "observe" } else { "inherit" })
}

pub(super) fn attach(attach: &Attach) -> String {
    let name = match attach {
        Attach::Auto => "auto",
        Attach::Native => "native",
        Attach::Generic => "generic",
    };
    format!("{name:?}")
}

pub(super) fn on_stop(on_stop: &OnStop) -> String {
    let name = match on_stop {
        OnStop::Keep => "keep",
        OnStop::Detach => "detach",
    };
    format!("{name:?}")
}

pub(super) fn ports(all: &[ProtectedPorts]) -> String {
    let one = |ProtectedPorts { ports, from }: &ProtectedPorts| match from {
        None => format!("\"{ports}\""),
        Some(from) => format!("{{ port = \"{ports}\", from = {} }}", list(from)),
    };
    let all: Vec<_> = all.iter().map(one).collect();
    format!("[{}]", all.join(", "))
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow | Verdict::Block => format!("{:?}", verdict.name()),
        Verdict::Limit(tier) => format!("{{ limit = {tier:?} }}"),
    }
}

pub(super) fn steps(steps: &[Step]) -> String {
    let one = |step: &Step| {
        let Step {
            evidence,
            share,
            verdict: then,
            lifetime,
        } = step;
        format!(
            "{{ evidence = {evidence}, share = {:?}, verdict = {}, lifetime = {} }}",
            f64::from(*share) / 1_000.0,
            verdict(then),
            duration(lifetime)
        )
    };
    let steps: Vec<_> = steps.iter().map(one).collect();
    format!("[{}]", steps.join(", "))
}

/// As it is held: in units a second, or a minute where that is less than ten.
pub(super) fn rate(rate: &Rate) -> String {
    if !rate.is_set() {
        return "none".to_owned();
    }
    let in_a = |nanoseconds: u128| {
        ((nanoseconds << FRACTION) + u128::from(rate.interval) / 2) / u128::from(rate.interval)
    };
    let burst = (u128::from(rate.limit) << FRACTION) / u128::from(rate.interval);
    let (units, time) = match in_a(SECOND) {
        units @ 10.. => (units, "s"),
        _ => (in_a(60 * SECOND), "m"),
    };
    format!("{{ rate = \"{units}/{time}\", burst = {burst} }}")
}

/// Bits of a rate's interval behind the point.
const FRACTION: u32 = 10;

const SECOND: u128 = 1_000_000_000;
