//! What a million claims cost.

use super::*;

#[test]
#[ignore = "a measurement: cargo test --release -p filter-user --lib a_million -- --ignored --nocapture"]
fn a_million_claims_take_their_time_and_their_memory() {
    let resident = || -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("a /proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let field = line.and_then(|line| line.split_whitespace().nth(1));
        field.and_then(|field| field.parse().ok()).expect("a size")
    };
    let reason: std::sync::Arc<str> = "dev_hooked".into();
    let all = |many: u32, step: u32, seconds: u32| -> Vec<Claim> {
        let one = |number: u32| Claim {
            expires: Some(NOW.unix + seconds + number % 4000),
            reason: Some(reason.clone()),
            // By an odd factor: spread out, and no two alike.
            ..claim(
                host((number.wrapping_mul(step)) % (1 << 26)),
                Verdict::Block,
            )
        };
        (0..many).map(one).collect()
    };
    for (many, step) in [
        (100_000, 1),
        (100_000, 2_654_435_761),
        (1_000_000, 1),
        (1_000_000, 2_654_435_761),
    ] {
        let mut ledger = with_room(many + 1_000, 10);
        let before = resident();
        for (what, seconds) in [("new", 60), ("again", 60), ("prolonged", 600)] {
            let update = Update::Snapshot(all(many, step, seconds));
            let start = std::time::Instant::now();
            let applied = ledger.apply(FEED, update, NOW);
            let spent = start.elapsed();
            let changes = applied.patch.len();
            drop(applied);
            let bytes = resident().saturating_sub(before) * 1024 / many as usize;
            eprintln!(
                "{many} by {step}, {what}: {spent:?}, {changes} changes, {bytes} bytes a claim"
            );
        }
        for text in ["10.0.7.0/24", "10.1.0.0/16", "10.2.0.1/32"] {
            let start = std::time::Instant::now();
            let applied = ledger.apply(OPERATOR, blocks(text), NOW);
            eprintln!(
                "one block on {text}: {:?}, {} changes",
                start.elapsed(),
                applied.patch.len()
            );
        }
        let start = std::time::Instant::now();
        let changes = ledger.expire(at(700)).len();
        eprintln!("an expiry: {:?}, {changes} changes", start.elapsed());
    }
}
