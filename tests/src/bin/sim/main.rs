//! What `cargo xtask sim` plays: a day of an API, call by call, in virtual time.
//!
//! A [`scenario`] is a file; [`mod@play`] makes its calls and keeps the [`tally`] of
//! what became of them; what stands between is a [`guard`]: weir's real policy with
//! the law's real rates, or a ban by address as others have it. Nothing is random
//! but for the scenario's seed, and nothing is asked of a clock, so that a run is
//! the same each time.

use std::{
    env, fs,
    io::{Write as _, stdout},
    path::Path,
};

use anyhow::{Context as _, Result, bail};

use self::{
    guard::{Ban, Guard, Weir},
    play::play,
    scenario::Scenario,
};

mod guard;
mod play;
mod scenario;
mod tally;

fn main() -> Result<()> {
    let mut quick = false;
    let mut files = Vec::new();
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            file => files.push(file.to_owned()),
        }
    }
    if files.is_empty() {
        bail!("no scenario is named: run cargo xtask sim");
    }
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        let mut scenario: Scenario =
            toml::from_str(&text).with_context(|| format!("reading {file}"))?;
        scenario
            .check()
            .with_context(|| format!("reading {file}"))?;
        if quick {
            scenario.shrink();
        }
        let name = Path::new(&file).file_stem().unwrap_or_default();
        let name = name.to_string_lossy();
        for policy in POLICIES {
            let mut guard: Box<dyn Guard> = match policy {
                Policy::Weir => Box::new(Weir::new(&scenario)?),
                Policy::Ban { seconds, .. } => Box::new(Ban::new(&scenario, *seconds)),
            };
            let tally = play(&scenario, guard.as_mut());
            let figure = tally.figure(&name, &scenario.says, policy.name(), guard.alarms());
            writeln!(stdout(), "{figure}").context("writing a figure")?;
        }
    }
    Ok(())
}

/// What stands between callers and the API.
enum Policy {
    /// The default policy, in enforce.
    Weir,
    /// An address is banned for so many seconds after five failures in ten
    /// minutes.
    Ban { name: &'static str, seconds: u32 },
}

impl Policy {
    const fn name(&self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Ban { name, .. } => name,
        }
    }
}

const POLICIES: &[Policy] = &[
    Policy::Weir,
    Policy::Ban {
        name: "ban for 10 minutes",
        seconds: 600,
    },
    Policy::Ban {
        name: "ban for 4 hours",
        seconds: 4 * 3_600,
    },
];
