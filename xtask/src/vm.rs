//! `cargo xtask vm`: weir on other kernels than this machine's.
//!
//! Boots Debian's kernels in [`qemu`], one on each CPU at a time, each with a file
//! system of our own ([`root`]), runs in it the same [`steps`], and judges what
//! is [reported](report). What every kernel makes of the programs is printed
//! beside its budget.

use std::{
    collections::BTreeMap,
    fs,
    io::{Write as _, stdout},
    num::NonZero,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};

use self::{
    kernels::{Kernel, NEWEST},
    qemu::{Logs, Qemu},
    report::{Judgement, Report},
    steps::STEPS,
};
use crate::{setup, test::Tally, workspace};

mod cpio;
mod kernels;
mod mirror;
mod modules;
mod qemu;
mod report;
mod root;
mod steps;

/// Runs the tests on kernels of these series.
pub(crate) fn run(versions: &[String]) -> Result<ExitCode> {
    all(versions)?.report()
}

/// Unpacks what is missing.
pub(crate) fn prepare() -> Result<()> {
    setup::for_vm()?;
    Qemu::find()?;
    kernels::find(&KERNELS.map(String::from))?;
    Ok(())
}

/// The same as [`run`], and counts.
pub(crate) fn all(versions: &[String]) -> Result<Tally> {
    setup::for_vm()?;
    let qemu = Qemu::find()?;
    let usual = KERNELS.map(String::from);
    let kernels = kernels::find(if versions.is_empty() {
        &usual
    } else {
        versions
    })?;
    let common = root::common()?;
    let mut tally = Tally::default();
    let mut tables = String::new();
    let mut faults = Vec::new();
    for (kernel, judgement) in kernels.iter().zip(boot_all(&qemu, &kernels, &common)?) {
        tally += judgement.tally;
        tables += &format!("Linux {}\n{}", kernel.release, judgement.table);
        let of_it = judgement.faults.iter();
        faults.extend(of_it.map(|fault| format!("Linux {}: {fault}", kernel.release)));
    }
    write!(stdout(), "{tables}").context("writing the table")?;
    for fault in faults {
        eprintln!("error: {fault}");
    }
    Ok(tally)
}

/// Boots kernels, a machine for every CPU at once.
fn boot_all(qemu: &Qemu, kernels: &[Kernel], common: &[u8]) -> Result<Vec<Judgement>> {
    let next = AtomicUsize::new(0);
    let judgements = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(kernel) = kernels.get(number) else {
                return;
            };
            let judgement = boot(qemu, kernel, common);
            let mut judgements = judgements.lock().unwrap_or_else(PoisonError::into_inner);
            judgements.insert(number, judgement);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    let judgements = judgements.into_inner();
    judgements
        .unwrap_or_else(PoisonError::into_inner)
        .into_values()
        .collect()
}

/// Boots a kernel, shows what goes on, and judges it.
fn boot(qemu: &Qemu, kernel: &Kernel, common: &[u8]) -> Result<Judgement> {
    let folder = workspace::target().join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let file = |end: &str| folder.join(format!("{}.{end}", kernel.release));
    let (root, logs) = (
        file("cpio"),
        Logs {
            report: file("log"),
            console: file("console"),
            qemu: file("qemu"),
        },
    );
    root::write(kernel, common, &root)?;
    let show = |line: &str| eprintln!("vm: {}: {line}", kernel.release);
    let begun = Instant::now();
    let mut report = Report::default();
    let ran = qemu.run(&kernel.image(), &root, &logs, |line| {
        if let Some(line) = report.take(line) {
            show(&line);
        }
    });
    fs::remove_file(&root).with_context(|| format!("removing {}", root.display()))?;
    let mut judgement = report.judge(&STEPS, kernel.series);
    match ran {
        Ok(true) => {}
        Ok(false) => judgement.fault("it hung, and was ended".to_owned()),
        Err(error) => judgement.fault(format!("{error:#}")),
    }
    let Tally { passed, failed } = judgement.tally;
    let took = begun.elapsed().as_secs();
    show(&format!("{passed} passed, {failed} failed in {took} s"));
    for (step, lines) in &judgement.shown {
        let kept = logs.report.display();
        eprintln!("--- the end of what `{step}` wrote ({kept})");
        eprintln!("{}", tail(lines.iter().map(String::as_str)));
    }
    if !judgement.over {
        let console = fs::read(&logs.console).unwrap_or_default();
        let kept = logs.console.display();
        eprintln!("--- the end of its console ({kept})");
        eprintln!("{}", tail(String::from_utf8_lossy(&console).lines()));
    }
    Ok(judgement)
}

/// The last lines.
fn tail<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<_> = lines.collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// The floor, Debian's stable kernels and the one that weir was written on, and
/// what comes next. `docs/kernels.md` says what each was found to do.
const KERNELS: [&str; 4] = ["6.1", "6.12", "6.18", NEWEST];

/// Lines that are shown of what failed.
const TAIL: usize = 40;
