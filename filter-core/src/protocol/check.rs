//! How the check endpoint is doing.

use serde::{Deserialize, Serialize};

/// The check endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckStatus {
    /// What gateways were answered.
    pub answers: Vec<AnswerCount>,
    /// The keys of each attestation.
    pub keys: Vec<CheckKeys>,
    /// What became of observations.
    pub observations: ObservationsStatus,
}

/// Answers of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswerCount {
    /// `pass` or `fail`.
    pub outcome: String,
    /// What was found, such as `tok_badsig`.
    pub reason: String,
    /// How many since the start.
    pub count: u64,
}

/// The keys of an attestation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckKeys {
    /// Its name.
    pub attestation: String,
    /// Where they come from.
    pub source: String,
    /// `enforce`, or `observe`: every call passes.
    pub mode: String,
    /// Keys in use.
    pub keys: u64,
    /// Seconds since they were had; `None`: not since the start.
    pub age_s: Option<u64>,
    /// They are the copy of an earlier run.
    pub kept: bool,
    /// Why there are no newer ones.
    pub error: Option<String>,
    /// Keys that can't be used, and why.
    pub left_out: Vec<String>,
}

/// What became of observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObservationsStatus {
    /// Passed on.
    pub sent: u64,
    /// Dropped, since nobody took them fast enough.
    pub lost: u64,
    /// Never made: the gateway didn't say where the call came from.
    pub sourceless: u64,
    /// Never made: that isn't where packets come from.
    pub of_no_peer: u64,
    /// Of other verifiers.
    pub reported: u64,
    /// Lines of other verifiers that were refused.
    pub refused_lines: u64,
}
