//! What became of the calls.

use serde_json::{Value, json};

/// What became of all calls.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) genuine: u64,
    /// Genuine calls that never came through, for all their tries.
    pub(crate) lost: u64,
    /// Abusive calls of addresses with genuine devices, and those of others.
    pub(crate) shared: Stopped,
    pub(crate) alone: Stopped,
    /// Milliseconds from an abuser's first call to its first that was stopped; of
    /// addresses without genuine devices.
    pub(crate) times: Vec<u64>,
    /// Those of them who were never stopped.
    pub(crate) never: u64,
    /// The most abusive calls that came through from one shared address, as a
    /// share of what its tier lets through.
    pub(crate) of_tier: f64,
    pub(crate) spans: Vec<Span>,
}

/// Abusive calls.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stopped {
    pub(crate) calls: u64,
    pub(crate) stopped: u64,
}

/// What happened in ten minutes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) genuine: u64,
    pub(crate) lost: u64,
    pub(crate) abusive: u64,
    pub(crate) passed: u64,
}

impl Tally {
    pub(crate) fn span(&mut self, ms: u64) -> &mut Span {
        let place = (ms / SPAN) as usize;
        if self.spans.len() <= place {
            self.spans.resize(place + 1, Span::default());
        }
        &mut self.spans[place]
    }

    pub(crate) fn figure(
        mut self,
        scenario: &str,
        says: &str,
        policy: &str,
        alarms: &[String],
    ) -> Value {
        self.times.sort_unstable();
        let time = |share: f64| {
            let last = self.times.len().checked_sub(1)?;
            let place = (last as f64 * share).round() as usize;
            Some(self.times[place] as f64 / 1e3)
        };
        let series = |of: fn(&Span) -> u64| -> Vec<u64> { self.spans.iter().map(of).collect() };
        json!({
            "scenario": scenario,
            "says": says,
            "policy": policy,
            "genuine": self.genuine,
            "lost": self.lost,
            "lost_share": share(self.lost, self.genuine),
            "alone": self.alone.calls,
            "alone_stopped": share(self.alone.stopped, self.alone.calls),
            "shared": self.shared.calls,
            "shared_stopped": share(self.shared.stopped, self.shared.calls),
            "of_tier": self.of_tier,
            "time_to_stop_p50": time(0.5),
            "time_to_stop_p99": time(0.99),
            "never_stopped": self.never,
            "alarms": alarms,
            "span_seconds": SPAN / 1_000,
            "spans": {
                "genuine": series(|span| span.genuine),
                "lost": series(|span| span.lost),
                "abusive": series(|span| span.abusive),
                "passed": series(|span| span.passed),
            },
        })
    }
}

impl Stopped {
    pub(crate) const fn add(&mut self, passed: bool) {
        self.calls += 1;
        self.stopped += !passed as u64;
    }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        part as f64 / all as f64
    }
}

const SPAN: u64 = 600_000;
