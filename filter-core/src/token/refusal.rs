//! Why a token proves nothing.

/// Why a token proves nothing: a reason for verdicts, and for the log a word
/// that says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The header isn't there.
    #[error("missing")]
    Missing,
    /// It is there, and empty.
    #[error("empty")]
    Empty,
    /// It has a word of the client's own in place of a token: why there is none.
    #[error("{}", .0.name())]
    Status(Status),
    /// It is there more than once.
    #[error("several")]
    Several,
    /// It is longer than any token.
    #[error("too_long")]
    TooLong,
    /// It lacks the prefix that the service's clients send.
    #[error("no_prefix")]
    NoPrefix,
    /// It isn't three parts of base64url, the first of them a head.
    #[error("no_token")]
    NoToken,
    /// It has a header parameter that must be understood and isn't.
    #[error("critical")]
    Critical,
    /// No key has its `kid`.
    #[error("unknown_key")]
    UnknownKey,
    /// The key isn't for its algorithm; `none` is no algorithm.
    #[error("algorithm")]
    Algorithm,
    /// The signature is wrong: a failed attestation, or a forgery.
    #[error("signature")]
    Signature,
    /// The signed bytes aren't claims, or one is there twice.
    #[error("claims")]
    Claims,
    /// It says no end.
    #[error("endless")]
    Endless,
    /// Its time has ended.
    #[error("expired")]
    Expired,
    /// Its time hasn't begun.
    #[error("not_yet")]
    NotYet,
    /// Another issuer's.
    #[error("issuer")]
    Issuer,
    /// For another API.
    #[error("audience")]
    Audience,
    /// It is bound to nothing.
    #[error("unbound")]
    Unbound,
    /// The header that it is bound to isn't there.
    #[error("bound_missing")]
    BoundMissing,
    /// The header that it is bound to is there more than once.
    #[error("bound_several")]
    BoundSeveral,
    /// It is bound to another value.
    #[error("bound_other")]
    BoundOther,
}

/// A client's own report in place of a token. Its word, nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u8);

impl Refusal {
    /// As it is spelled in observations and claims.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing | Self::Empty => "tok_missing",
            Self::Status(status) => status.reason(),
            Self::Several
            | Self::TooLong
            | Self::NoPrefix
            | Self::NoToken
            | Self::Critical
            | Self::Claims
            | Self::Endless
            | Self::NotYet
            | Self::Issuer
            | Self::Audience => "tok_malformed",
            Self::UnknownKey | Self::Algorithm | Self::Signature => "tok_badsig",
            Self::Expired => "tok_expired",
            Self::Unbound | Self::BoundMissing => "bind_missing",
            Self::BoundSeveral | Self::BoundOther => "bind_mismatch",
        }
    }
}

impl Status {
    /// The state that a word means, in whichever case it is written.
    #[must_use]
    pub fn of(word: &[u8]) -> Option<Self> {
        let place = WORDS
            .iter()
            .position(|known| known.as_bytes().eq_ignore_ascii_case(word))?;
        Some(Self(place as u8))
    }

    /// The word, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        WORDS[self.0 as usize]
    }

    const fn reason(self) -> &'static str {
        if self.0 == MITM_DETECTED {
            "mitm_detected"
        } else {
            "tok_missing"
        }
    }
}

const MITM_DETECTED: u8 = 0;

/// The reports of Approov's clients on a token that they couldn't fetch. (`success`
/// beside an empty header is no success.)
const WORDS: [&str; 18] = [
    "mitm_detected",
    "success",
    "no_network",
    "poor_network",
    "no_network_permission",
    "no_approov_service",
    "bad_url",
    "unknown_url",
    "unprotected_url",
    "missing_lib_dependency",
    "internal_error",
    "rejected",
    "disabled",
    "unknown_key",
    "bad_key",
    "bad_payload",
    "invalid_payload",
    "not_initialized",
];
