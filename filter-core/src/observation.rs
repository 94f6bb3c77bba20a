//! Observations: a verifier's result for an API call.
//!
//! The check endpoint makes them of tokens, other verifiers send them. They carry no
//! verdicts: the policy makes verdicts of many of them.

use std::sync::Arc;

use crate::prefix::Prefix;

/// A verifier's result for one call, or for `weight` calls that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The source of the call: an IPv4 /32 or an IPv6 /64.
    pub source: Prefix,
    /// The outcome of the verification.
    pub outcome: Outcome,
    /// The device, as a keyed hash of its id. Only of a verified token.
    pub device: Option<u64>,
    /// The token, as a keyed hash of it. Only if it was verified.
    pub token: Option<u64>,
    /// Unix time in seconds at which the token ends.
    pub ends: Option<u32>,
    /// The token names an address of another prefix.
    pub elsewhere: bool,
    /// Calls that this stands for; at least 1.
    pub weight: u32,
}

/// The outcome of verifying a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It came from a genuine app instance.
    Attested,
    /// It didn't prove that it did.
    Failed(Reason),
}

/// Why a call failed, as it is spelled in claims: `tok_badsig`, `dev_rooted`…
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(Arc<str>);

/// The integrity that a reason speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// The app was changed, or isn't the app.
    App,
    /// The device can't be trusted. No proof of abuse.
    Device,
    /// Somebody is on the line.
    Channel,
    /// The token is none, or another's.
    Credential,
    /// The service's own findings, and every reason that isn't known.
    Service,
}

impl Integrity {
    /// In the order in which they are declared.
    pub const ALL: [Self; 5] = [
        Self::App,
        Self::Device,
        Self::Channel,
        Self::Credential,
        Self::Service,
    ];

    /// As it is spelled.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Device => "device",
            Self::Channel => "channel",
            Self::Credential => "credential",
            Self::Service => "service",
        }
    }
}

impl Reason {
    /// A reason by its spelling; one that isn't known keeps its text.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// As it is spelled.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The same text, shared.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The integrity that it speaks of, by its first letters.
    #[must_use]
    pub fn integrity(&self) -> Integrity {
        let of = |beginnings: &[&str]| beginnings.iter().any(|text| self.0.starts_with(text));
        if of(&["app_"]) {
            Integrity::App
        } else if of(&["dev_"]) {
            Integrity::Device
        } else if of(&["mitm_", "pin_", "sig_"]) {
            Integrity::Channel
        } else if of(&["tok_", "bind_", "replay"]) {
            Integrity::Credential
        } else {
            Integrity::Service
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_speaks_of_one_integrity() {
        for (name, integrity) in [
            ("app_tampered", Integrity::App),
            ("dev_hooked", Integrity::Device),
            ("mitm_detected", Integrity::Channel),
            ("sig_expired", Integrity::Channel),
            ("tok_missing", Integrity::Credential),
            ("bind_mismatch", Integrity::Credential),
            ("replay", Integrity::Credential),
            ("rate_exceeded", Integrity::Service),
            ("something-new", Integrity::Service),
        ] {
            assert_eq!(Reason::new(name).integrity(), integrity, "{name}");
        }
    }
}
