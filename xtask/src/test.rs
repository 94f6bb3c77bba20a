//! `cargo xtask test`: every test there is, and the sum of them on the last line.
//!
//! Tests of the host are built as developers build them, with the checks of
//! arithmetic on. What sends packets through the kernel (`weir-tests`) is built
//! as operators get it, and gets that daemon's path in `WEIR_BIN`, and those of unpacked
//! packages in `WEIR_PROMETHEUS`, `WEIR_GEOIP` and, of all of them, `WEIR_TOOLS`.

use std::{
    io::{BufRead as _, BufReader, Write, stdout},
    ops::AddAssign,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

use crate::{setup, workspace};

/// Runs the tests, those whose name contains `filter` if there is one.
pub(crate) fn run(filter: Option<&str>) -> Result<ExitCode> {
    all(filter)?.report()
}

/// Runs the tests and counts them.
pub(crate) fn all(filter: Option<&str>) -> Result<Tally> {
    if !geteuid().is_root() {
        bail!("needs root: half of the tests send packets through the kernel");
    }
    setup::for_tests()?;
    let mut tally = Tally::default();
    tally += count(
        workspace::cargo()
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(["--exclude", "filter-ebpf", "--exclude", "bench-ebpf"])
            .args(["--exclude", "weir-tests"])
            .args(["--", "--include-ignored"])
            .args(filter),
        stdout(),
    )?;
    let built = workspace::build_daemon().and_then(|()| workspace::build_bench_programs());
    if let Err(error) = built {
        eprintln!("error: {error:#}");
        tally.failed += 1;
        return Ok(tally);
    }
    tally += count(
        workspace::cargo()
            .args([
                "test",
                "--release",
                "--no-fail-fast",
                "--package",
                "weir-tests",
            ])
            // Each test has namespaces and a daemon of its own, and mostly waits: on two
            // cores four at once take 346 s, two 472 s.
            .args(["--", "--include-ignored", "--test-threads=4"])
            // Those are for `cargo xtask vm`: here nothing of what they need is.
            .args(["--skip", "in_a_virtual_machine::"])
            .args(filter)
            .env("WEIR_BIN", workspace::daemon())
            .env("WEIR_PROMETHEUS", workspace::unpacked("prometheus"))
            .env("WEIR_TOOLS", workspace::tools())
            .env("WEIR_GEOIP", workspace::unpacked("tor-geoipdb"))
            .env("WEIR_BENCH_PROGRAMS", workspace::bench_programs()),
        stdout(),
    )?;
    Ok(tally)
}

/// The numbers of tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Prints the last line. That nothing ran is a failure, too.
    pub(crate) fn report(self) -> Result<ExitCode> {
        let Self { passed, failed } = self;
        writeln!(stdout(), "{passed} passed, {failed} failed").context("writing the last line")?;
        Ok(if self.is_success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    const fn is_success(self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    /// Counts a line that a test binary wrote: whether it is one binary's result.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        let Some(result) = line.strip_prefix("test result: ") else {
            return false;
        };
        let number = |word: &str| {
            result
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
        };
        self.passed += number("passed").unwrap_or(0);
        self.failed += number("failed").unwrap_or(0);
        true
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs `cargo test`, lets its output through as it comes, and counts results.
fn count(command: &mut Command, mut through: impl Write) -> Result<Tally> {
    let spelled = workspace::spelled(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {spelled}"))?;
    let output = child.stdout.take().expect("it was asked for");
    let mut tally = Tally::default();
    // Binaries that began and haven't reported a result: one that crashed never does.
    let mut open = 0;
    for line in BufReader::new(output).split(b'\n') {
        let mut line = line.with_context(|| format!("reading the output of {spelled}"))?;
        let text = String::from_utf8_lossy(&line);
        if text.starts_with("running ") && text.contains(" test") {
            open += 1;
        } else if tally.take(&text) {
            open -= 1;
        }
        line.push(b'\n');
        through
            .write_all(&line)
            .with_context(|| format!("passing on the output of {spelled}"))?;
    }
    tally.failed += u64::try_from(open).unwrap_or(0);
    let status = child
        .wait()
        .with_context(|| format!("waiting for {spelled}"))?;
    if !status.success() && tally.failed == 0 {
        eprintln!("error: `{spelled}` failed before its tests reported a result ({status})");
        tally.failed = 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use std::io::sink;

    use super::*;

    #[test]
    fn the_results_of_all_binaries_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 30 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.12s",
            "test rate::tests::nothing_is_lost ... ok",
        ] {
            tally.take(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 42,
                failed: 2
            }
        );
    }

    #[test]
    fn a_binary_that_crashed_and_a_build_that_broke_count_as_failed() {
        let shell = |script: &str| {
            count(Command::new("sh").args(["-c", script]), sink()).expect("there is a shell")
        };
        let crashed = shell(
            "echo 'running 2 tests'; echo 'test result: ok. 2 passed; 0 failed'; echo 'running 7 tests'; exit 101",
        );
        assert_eq!(
            crashed,
            Tally {
                passed: 2,
                failed: 1
            }
        );
        assert_eq!(
            shell("exit 101"),
            Tally {
                passed: 0,
                failed: 1
            }
        );
    }

    #[test]
    fn no_test_at_all_is_a_failure() {
        let success = |passed, failed| Tally { passed, failed }.is_success();
        assert!(!success(0, 0));
        assert!(!success(5, 1));
        assert!(success(5, 0));
    }
}
