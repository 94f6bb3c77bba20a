//! The figures of the demo, its claims, and whether these came true.

use std::{fmt::Write as _, time::Duration};

use super::{
    account::{Requests, Share},
    cast::{self, Population},
    daemon::{Explained, Status},
    way::Way,
};

/// The figures of a whole demo.
pub(super) struct Figures {
    /// Calm, observe, learning, enforce.
    pub(super) spans: [(&'static str, Share); 4],
    pub(super) dropped_in_observe: u64,
    pub(super) dropped_in_enforce: u64,
    /// At the end of enforce.
    pub(super) status: Status,
    pub(super) explained: Vec<Explained>,
    /// Each claim's way, as far as it is complete.
    pub(super) ways: Vec<Way>,
}

/// The head of the live lines.
pub(super) const HEAD: &str = concat!(
    "                  genuine clients                    abusers              weir\n",
    "second  phase       asked  failed     p50     p99     asked  served     dropped",
);

/// One second, live: what ended in it.
pub(super) fn line(second: u64, phase: &str, share: &Share, dropped: u64) -> String {
    format!("{second:>6}  {}{dropped:>14}", row(phase, share))
}

impl Figures {
    /// The summary.
    pub(super) fn table(&self) -> String {
        let mut table = format!("\nBy the moment a request was begun:\n{HEAD}\n");
        let dropped = [
            String::new(),
            self.dropped_in_observe.to_string(),
            String::new(),
            self.dropped_in_enforce.to_string(),
        ];
        for ((phase, share), dropped) in self.spans.iter().zip(dropped) {
            // Writing into a string can't fail.
            let _ = writeln!(table, "        {}{dropped:>14}", row(phase, share));
        }
        let Status {
            blocked_packets,
            dropped,
            blocked_prefixes,
            ..
        } = &self.status;
        let _ = writeln!(
            table,
            "\nweir status: {blocked_prefixes} prefixes blocked, {blocked_packets} packets had the cause `blocked`, {dropped} were dropped"
        );
        for Explained {
            population,
            address,
            cause,
            action,
            feed,
        } in &self.explained
        {
            let feed = feed
                .as_ref()
                .map(|feed| format!(", by the feed {feed:?}"))
                .unwrap_or_default();
            let _ = writeln!(
                table,
                "weir explain {address} ({}): {cause}, {action}{feed}",
                population.name()
            );
        }
        table
    }

    fn median_way(&self) -> Option<Duration> {
        let mut took: Vec<_> = self.ways.iter().map(|way| way.in_force).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }

    /// The claims of the demo, and whether each is true.
    pub(super) fn claims(&self) -> Vec<(String, bool)> {
        let [_, observe, _, enforce] = self.spans.map(|(_, share)| share);
        let all = |population: Population, cause: Option<&str>, action: &str| {
            let mut those = self
                .explained
                .iter()
                .filter(|e| e.population == population)
                .peekable();
            those.peek().is_some()
                && those.all(|e| cause.is_none_or(|cause| e.cause == cause) && e.action == action)
        };
        vec![
            (
                format!(
                    "in observe, {:.0} % of the genuine requests failed (at least {MUST_FAIL} % must)",
                    observe.genuine.failed_percent()
                ),
                observe.genuine.asked > 0 && observe.genuine.failed_percent() >= MUST_FAIL,
            ),
            (
                "in observe, weir dropped nothing".to_owned(),
                self.dropped_in_observe == 0,
            ),
            (
                format!(
                    "in enforce, {} of {} genuine requests failed",
                    enforce.genuine.failed, enforce.genuine.asked
                ),
                enforce.genuine.asked > 0 && enforce.genuine.failed == 0,
            ),
            (
                format!(
                    "in enforce, {} of the abusers' {} requests were served; {} packets were dropped",
                    enforce.abusers.served(),
                    enforce.abusers.asked,
                    self.dropped_in_enforce
                ),
                enforce.abusers.asked > 0
                    && enforce.abusers.served() == 0
                    && self.dropped_in_enforce > 0,
            ),
            (
                format!(
                    "weir explains: abusers are blocked, genuine clients pass; {} prefixes of the feed hold",
                    self.status.blocked_prefixes
                ),
                all(Population::Abusers, Some("blocked"), "drop")
                    && all(Population::Genuine, None, "pass")
                    && self.status.blocked_prefixes == u64::from(cast::ABUSERS),
            ),
            (
                format!(
                    "the service learnt of all {} abusers by itself; from its word to force took {} ms in the median, and each claim dropped packets",
                    self.ways.len(),
                    self.median_way().map_or_else(
                        || "-".to_owned(),
                        |took| format!("{:.1}", took.as_secs_f64() * 1000.0)
                    )
                ),
                self.ways.len() == usize::from(cast::ABUSERS)
                    && self
                        .ways
                        .iter()
                        .all(|way| way.in_force <= way.dropped + TICK)
                    && self.median_way().is_some_and(|took| took < PROMPT),
            ),
        ]
    }
}

fn row(phase: &str, Share { genuine, abusers }: &Share) -> String {
    let ms = |micros: Option<u64>| {
        micros.map_or_else(|| "-".to_owned(), |micros| format!("{} ms", micros / 1000))
    };
    let Requests {
        asked, median, p99, ..
    } = genuine;
    format!(
        "{phase:<10}{asked:>7}{:>6.0} %{:>8}{:>8}{:>10}{:>8}",
        genuine.failed_percent(),
        ms(*median),
        ms(*p99),
        abusers.asked,
        abusers.served(),
    )
}

/// A claim that takes longer on a host of its own waited for something.
const PROMPT: Duration = Duration::from_millis(250);

/// By how much two clocks of one host may tell apart what is one after the other.
const TICK: Duration = Duration::from_millis(1);

/// Percent of genuine requests: if fewer fail, there was no abuse to keep out.
const MUST_FAIL: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn share(genuine_failed: usize, abusers_served: usize) -> Share {
        let requests = |asked, failed| Requests {
            asked,
            failed,
            median: Some(21_000),
            p99: Some(30_000),
        };
        Share {
            genuine: requests(100, genuine_failed),
            abusers: requests(1000, 1000 - abusers_served),
        }
    }

    fn explained(population: Population, cause: &str, action: &str) -> Explained {
        Explained {
            population,
            address: population.sources()[0],
            cause: cause.to_owned(),
            action: action.to_owned(),
            feed: None,
        }
    }

    fn figures(observe: Share, enforce: Share) -> Figures {
        Figures {
            spans: [
                ("calm", share(0, 0)),
                ("observe", observe),
                ("learning", share(50, 50)),
                ("enforce", enforce),
            ],
            dropped_in_observe: 0,
            dropped_in_enforce: 4711,
            status: Status {
                mode: "enforce".to_owned(),
                blocked_prefixes: 16,
                blocked_packets: 5000,
                dropped: 4800,
            },
            explained: vec![
                explained(Population::Abusers, "blocked", "drop"),
                explained(Population::Genuine, "conforming", "pass"),
            ],
            ways: (1..=16).map(way).collect(),
        }
    }

    fn way(number: u64) -> Way {
        Way {
            prefix: format!("198.18.2.{number}/32"),
            reason: "tok_badsig".to_owned(),
            arrived: Duration::from_millis(number),
            in_force: Duration::from_millis(number + 1),
            dropped: Duration::from_millis(number + 9),
        }
    }

    #[test]
    fn a_claim_without_a_drop_or_one_that_took_long_belies_it() {
        let mut fewer = figures(share(80, 700), share(0, 0));
        fewer.ways.pop();
        assert!(!holds(&fewer));
        let mut slow = figures(share(80, 700), share(0, 0));
        for way in &mut slow.ways {
            way.in_force += Duration::from_secs(1);
            way.dropped += Duration::from_secs(1);
        }
        assert!(!holds(&slow));
    }

    fn holds(figures: &Figures) -> bool {
        figures.claims().iter().all(|(_, held)| *held)
    }

    #[test]
    fn all_is_true_where_the_flood_hurt_and_enforcing_ended_it() {
        assert!(holds(&figures(share(10, 700), share(0, 0))));
    }

    #[test]
    fn a_flood_that_hurt_nobody_proves_nothing() {
        assert!(!holds(&figures(share(9, 700), share(0, 0))));
    }

    #[test]
    fn one_genuine_failure_or_one_abuser_served_in_enforce_is_one_too_many() {
        assert!(!holds(&figures(share(80, 700), share(1, 0))));
        assert!(!holds(&figures(share(80, 700), share(0, 1))));
    }

    #[test]
    fn a_drop_in_observe_or_a_genuine_client_that_would_be_dropped_belies_it() {
        let mut early = figures(share(80, 700), share(0, 0));
        early.dropped_in_observe = 1;
        assert!(!holds(&early));
        let mut wrong = figures(share(80, 700), share(0, 0));
        wrong
            .explained
            .push(explained(Population::Genuine, "blocked", "drop"));
        assert!(!holds(&wrong));
    }
}
