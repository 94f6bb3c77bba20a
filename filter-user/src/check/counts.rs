//! What was answered and observed, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::decide::Answer;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counts {
    answers: [[AtomicU64; REASONS.len()]; 2],
    sent: AtomicU64,
    lost: AtomicU64,
    sourceless: AtomicU64,
    of_no_peer: AtomicU64,
    reported: AtomicU64,
    refused_lines: AtomicU64,
}

/// Answers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// `pass` or `fail`: what the gateway was told.
    pub outcome: &'static str,
    /// What was found.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// What became of observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Passed on.
    pub sent: u64,
    /// Dropped, since nobody took them fast enough.
    pub lost: u64,
    /// Never made, since the gateway didn't say where the call came from.
    pub sourceless: u64,
    /// Never made, since that isn't where packets come from.
    pub of_no_peer: u64,
    /// Of those sent or lost: other verifiers' own.
    pub reported: u64,
    /// Lines of other verifiers that were refused.
    pub refused_lines: u64,
}

impl Counts {
    /// Every kind of answer, in a fixed order.
    #[must_use]
    pub fn answers(&self) -> Vec<Answered> {
        let rows = ["fail", "pass"].into_iter().zip(&self.answers);
        rows.flat_map(|(outcome, row)| {
            let each = REASONS.into_iter().zip(row);
            each.map(move |(reason, count)| Answered {
                outcome,
                reason,
                count: count.load(Relaxed),
            })
        })
        .collect()
    }

    /// What became of observations.
    #[must_use]
    pub fn observations(&self) -> Observed {
        Observed {
            sent: self.sent.load(Relaxed),
            lost: self.lost.load(Relaxed),
            sourceless: self.sourceless.load(Relaxed),
            of_no_peer: self.of_no_peer.load(Relaxed),
            reported: self.reported.load(Relaxed),
            refused_lines: self.refused_lines.load(Relaxed),
        }
    }

    pub(super) fn answered(&self, answer: Answer) {
        let reason = answer.found().reason();
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            self.answers[usize::from(answer.passes())][place].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn observed(&self, sent: bool) {
        let counter = if sent { &self.sent } else { &self.lost };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn sourceless(&self) {
        self.sourceless.fetch_add(1, Relaxed);
    }

    pub(super) fn of_no_peer(&self) {
        self.of_no_peer.fetch_add(1, Relaxed);
    }

    pub(super) fn reported(&self, taken: u64, refused: u64) {
        self.reported.fetch_add(taken, Relaxed);
        self.refused_lines.fetch_add(refused, Relaxed);
    }
}

/// Everything that an answer can be about.
const REASONS: [&str; 11] = [
    "attested",
    "tok_missing",
    "tok_malformed",
    "tok_badsig",
    "tok_expired",
    "bind_missing",
    "bind_mismatch",
    "mitm_detected",
    "keys_missing",
    "no_attestation",
    "unreadable",
];
