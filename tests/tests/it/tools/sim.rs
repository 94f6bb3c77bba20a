//! The policy's promises to users, in a simulated day. No randomness and no clock:
//! a run is the same each time, so that its figures may be asserted.

use std::{path::Path, process::Command};

use serde_json::Value;

/// Plays a fiftieth of a scenario's calls, and gives their outcomes by policy.
fn play(scenario: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{scenario}.toml"));
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .arg("--quick")
        .arg(file)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a figure"))
        .collect()
}

fn number(figure: &Value, key: &str) -> f64 {
    figure[key].as_f64().expect(key)
}

#[test]
fn an_ordinary_day_keeps_its_targets_and_bans_do_not() {
    let figures = play("day");
    let [weir, short, long] = &figures[..] else {
        panic!("three policies")
    };
    assert_eq!(weir["policy"], "weir");
    assert_eq!(weir["alarms"].as_array().map(Vec::len), Some(0));
    let lost = number(weir, "lost_share");
    assert!(lost < 0.000_1, "{lost} of the genuine calls are lost");
    let stopped = number(weir, "alone_stopped");
    assert!(stopped > 0.99, "{stopped} of the abuse is stopped");
    let of_tier = number(weir, "of_tier");
    assert!(
        of_tier > 0.0 && of_tier <= 1.0,
        "{of_tier} of what a tier lets through"
    );
    // What they are held against is real: the same calls hurt there.
    for ban in [short, long] {
        assert_eq!(ban["genuine"], weir["genuine"]);
        assert!(number(ban, "lost_share") > 100.0 * lost);
    }
}

#[test]
fn a_rotated_key_costs_no_genuine_call() {
    let figures = play("key-rotation");
    let weir = &figures[0];
    let lost = number(weir, "lost_share");
    assert!(lost < 0.000_1, "{lost} of the genuine calls are lost");
    let alarms = weir["alarms"].as_array().expect("a list");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(
        alarms[0]
            .as_str()
            .is_some_and(|alarm| alarm.starts_with("13:0"))
    );
}
