//! What `cargo xtask fuzz` runs: goes on from where `it/tools/codec.rs` ends, for as
//! long as it is told. An input that breaks an invariant is made small and kept
//! in the corpus, where every later test finds it.

use std::{
    fs,
    io::{Write as _, stdout},
    panic,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use weir_tests::target::{
    TARGETS, Target,
    search::{Broken, Search},
};

/// Look for inputs that break an invariant of what reads bytes from elsewhere.
#[derive(Parser)]
struct Options {
    /// What to fuzz; nothing named: everything, one after the other.
    #[arg(value_parser = target)]
    targets: Vec<Target>,
    /// Seconds for each.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Leads to the same inputs again; not given: the clock's.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    // What broke is told below, once.
    panic::set_hook(Box::new(|_| ()));
    let clock = || {
        SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |time| time.as_secs())
    };
    let seed = options.seed.unwrap_or_else(clock);
    let named = if options.targets.is_empty() {
        &TARGETS[..]
    } else {
        &options.targets
    };
    let mut code = ExitCode::SUCCESS;
    for target in named {
        let corpus = target
            .corpus()
            .with_context(|| format!("reading {}", target.folder().display()))?;
        let end = Instant::now() + Duration::from_secs(options.seconds);
        let said = match fuzz(target, corpus, seed, end) {
            Ok(search) => format!(
                "{} inputs hold, {} kinds of them",
                search.tried(),
                search.kinds()
            ),
            Err(broken) => {
                code = ExitCode::FAILURE;
                let path = keep(target, &broken)?;
                format!(
                    "BROKEN by {}: {}\n  kept as {}: name it for what it is",
                    broken.which,
                    broken.why,
                    path.display()
                )
            }
        };
        writeln!(stdout(), "{}, seed {seed}: {said}", target.name).context("telling")?;
    }
    Ok(code)
}

fn fuzz(
    target: &Target,
    corpus: Vec<(String, Vec<u8>)>,
    seed: u64,
    end: Instant,
) -> Result<Search, Broken> {
    let mut search = Search::new(*target, corpus, seed)?;
    while Instant::now() < end {
        search.step().map_err(|broken| broken.least(target))?;
    }
    Ok(search)
}

/// Puts the input into the corpus; one that is there already stays as it is.
fn keep(target: &Target, broken: &Broken) -> Result<PathBuf> {
    let known = target.folder().join(&broken.which);
    if known.exists() {
        return Ok(known);
    }
    let free = |number: &u32| !target.folder().join(format!("broken_{number}")).exists();
    let number = (1..).find(free).context("there is no free name")?;
    let path = target.folder().join(format!("broken_{number}"));
    fs::write(&path, &broken.input).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn target(name: &str) -> Result<Target, String> {
    let known = TARGETS.iter().find(|target| target.name == name);
    known.copied().ok_or_else(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        format!("there is no such target: name one of {names}")
    })
}
