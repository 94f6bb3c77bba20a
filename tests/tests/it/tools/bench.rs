//! The bench's measurements of the kernel side, in short: they run, tell figures,
//! and leave nothing behind. What they come to on a machine that does other things
//! is nobody's business.

use std::{collections::BTreeSet, env, fs, process::Command};

use serde_json::Value;

#[test]
#[ignore = "needs root, and WEIR_BENCH_PROGRAMS: cargo xtask test"]
fn the_short_bench_of_packets_measures_everything() {
    let programs = env::var_os("WEIR_BENCH_PROGRAMS").expect("cargo xtask test names them");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--quick", "packets", "sizes", "updates", "accuracy"])
        .env("WEIR_BENCH_PROGRAMS", programs)
        // It asks for a daemon, but none of these starts it.
        .env("WEIR_BIN", "/nowhere")
        .output()
        .expect("the bench is built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("a figure a line"))
        .collect();
    let names: BTreeSet<_> = figures
        .iter()
        .map(|figure| figure["name"].as_str().expect("a name"))
        .collect();
    for name in [
        "weir, lookup, 10,000, hit",
        "weir, rates, 1,000 heavy in a random flood",
        "weir, the whole program, mixed flood",
        "kernel hash + LPM + LRU, mixed flood",
        "weir hit, IPv6, a list of 10,000",
        "a snapshot of 10,000: claims to in force",
        "honest sources: dropped",
    ] {
        assert!(names.contains(name), "no figure {name:?} among {names:?}");
    }
    for figure in &figures {
        let value = figure["value"].as_f64().expect("a value");
        assert!(value.is_finite(), "{figure}");
        assert!(figure["target"].is_null(), "a short run judges: {figure}");
    }
    let left: Vec<_> = fs::read_dir("/run/netns")
        .expect("there were namespaces")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("weir-bench-") && is_gone(name))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Whether the bench that made this isn't running any more.
fn is_gone(name: &str) -> bool {
    let number = name.split('-').nth(2).unwrap_or_default();
    !fs::exists(format!("/proc/{number}")).unwrap_or(true)
}
