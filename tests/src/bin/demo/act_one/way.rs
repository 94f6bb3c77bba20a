//! Each claim's way: from the moment the service says it to the first packet
//! that is dropped because of it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::{
    io::{BufReader, Lines},
    process::ChildStdout,
};

/// The ways of all claims.
pub(super) struct Ways {
    seen: Arc<Mutex<Seen>>,
    log: PathBuf,
    told: usize,
}

/// The moments reported so far, by prefix.
#[derive(Default)]
struct Seen {
    said: BTreeMap<String, (SystemTime, String)>,
    dropped: BTreeMap<String, SystemTime>,
    order: Vec<String>,
}

/// A claim's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) prefix: String,
    pub(super) reason: String,
    /// From the service's word until weir had it.
    pub(super) arrived: Duration,
    /// Until it was in the kernel's tables.
    pub(super) in_force: Duration,
    /// Until the first packet was dropped because of it.
    pub(super) dropped: Duration,
}

impl Ways {
    /// Follows what the service and weir's events tell, and weir's log.
    pub(super) fn follow(
        service: Option<Lines<BufReader<ChildStdout>>>,
        events: Option<Lines<BufReader<ChildStdout>>>,
        log: PathBuf,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        for (lines, is_event) in [(service, false), (events, true)] {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut lines = lines?;
                while let Ok(Some(line)) = lines.next_line().await {
                    let line: Value = serde_json::from_str(&line).ok()?;
                    lock(&seen).take(&line, is_event);
                }
                Some(())
            });
        }
        Self { seen, log, told: 0 }
    }

    /// The ways that are complete by now and weren't yet when it was last asked.
    pub(super) fn news(&mut self) -> Vec<Way> {
        let ways = self.complete();
        let news = ways.get(self.told..).unwrap_or_default().to_vec();
        self.told = ways.len();
        news
    }

    /// All ways that are complete, in the order of their first drops.
    pub(super) fn complete(&self) -> Vec<Way> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let (arrived, in_force) = (
            moments(&log, "changes arrive"),
            moments(&log, "changes are in force"),
        );
        let seen = lock(&self.seen);
        let way = |prefix: &String| {
            let (said, reason) = seen.said.get(prefix)?;
            let after = |moments: &BTreeMap<String, SystemTime>| {
                Some(
                    moments
                        .get(prefix)?
                        .duration_since(*said)
                        .unwrap_or_default(),
                )
            };
            Some(Way {
                prefix: prefix.clone(),
                reason: reason.clone(),
                arrived: after(&arrived)?,
                in_force: after(&in_force)?,
                dropped: after(&seen.dropped)?,
            })
        };
        seen.order.iter().filter_map(way).collect()
    }
}

impl Seen {
    fn take(&mut self, line: &Value, is_event: bool) {
        let word = |name: &str| line[name].as_str().map(ToOwned::to_owned);
        let (Some(prefix), Some(time)) = (word("prefix"), word("time")) else {
            return;
        };
        let Ok(time) = humantime::parse_rfc3339(&time) else {
            return;
        };
        if is_event {
            // CPUs report by themselves: the first event that is read needn't be the first drop.
            match self.dropped.get_mut(&prefix) {
                Some(first) => *first = time.min(*first),
                None => {
                    self.dropped.insert(prefix.clone(), time);
                    self.order.push(prefix);
                }
            }
        } else {
            let reason = word("reason").unwrap_or_default();
            self.said.entry(prefix).or_insert((time, reason));
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "        claim {:<20} {:<11} said, arrived after {:.1} ms, in force after {:.1} ms, first packet dropped after {:.1} ms",
            self.prefix,
            self.reason,
            ms(self.arrived),
            ms(self.in_force),
            ms(self.dropped)
        )
    }
}

/// When the log has these words of a prefix, for the first time.
fn moments(log: &str, words: &str) -> BTreeMap<String, SystemTime> {
    let mut moments = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(words)) {
        let time = line.split(' ').next().map(humantime::parse_rfc3339);
        let prefixes = line
            .split("prefixes=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        if let (Some(Ok(time)), Some(prefixes)) = (time, prefixes) {
            for prefix in prefixes.split(' ') {
                moments.entry(prefix.to_owned()).or_insert(time);
            }
        }
    }
    moments
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_when_a_prefix_was_in_force() {
        let log = "2026-11-23T01:00:00.000100Z DEBUG changes arrive feed=\"verifier\" prefixes=\"192.0.2.1/32 192.0.2.2/32\"\n\
            2026-11-23T01:00:00.000300Z DEBUG changes are in force feed=\"verifier\" prefixes=\"192.0.2.2/32\"\n";
        let arrived = moments(log, "changes arrive");
        let in_force = moments(log, "changes are in force");
        assert_eq!((arrived.len(), in_force.len()), (2, 1));
        let took = in_force["192.0.2.2/32"].duration_since(arrived["192.0.2.2/32"]);
        assert_eq!(took.expect("later"), Duration::from_micros(200));
    }
}
