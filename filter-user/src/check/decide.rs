//! What a call's headers come to: an answer to the gateway, and what was
//! observed. Pure: time is an argument.

use std::net::IpAddr;

use hyper::{HeaderMap, StatusCode, header::HeaderValue};

use super::Attestation;
use crate::{
    observation::Outcome,
    token::{Refusal, binding::Bound, presented, verify},
};

/// What a gateway is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    found: Found,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A call of a genuine app instance.
    Attested,
    /// A call that doesn't prove it.
    Refused(Refusal),
    /// There is no key to check with.
    KeysMissing,
    /// No attestation of that name.
    NoAttestation,
    /// Nothing that HTTP could be read of.
    Unreadable,
}

/// An answer, and what a token said that was verified.
#[derive(Debug)]
pub struct Decided {
    /// What the gateway is answered.
    pub answer: Answer,
    /// What is known of the token, if it was verified.
    pub verified: Option<Token>,
}

/// What is known of a token that was verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// Which device it was issued to.
    pub device: Option<String>,
    /// What its signature is over.
    pub signed: Vec<u8>,
    /// When it ends.
    pub ends: u32,
    /// Where its issuer saw the device.
    pub ip: Option<IpAddr>,
}

/// What an attestation makes of a call's headers at this Unix time in seconds.
#[must_use]
pub fn decide(attestation: &Attestation, headers: &HeaderMap, now: u64) -> Decided {
    let configured = &attestation.configured;
    let refused = |found: Found, passes: bool| Decided {
        answer: Answer {
            status: if passes { 200 } else { configured.fail },
            found,
        },
        verified: None,
    };
    // Without keys nothing can be told of any call, not even of one without a
    // token: it isn't held against its source.
    let Some(keys) = attestation.keys.get() else {
        let passes = configured.observe || configured.pass_without_keys;
        return refused(Found::KeysMissing, passes);
    };
    let verified = presented::token(
        values(headers, &configured.header),
        values(headers, &configured.status_header),
        &configured.prefix,
    )
    .and_then(|token| {
        let bound = (!configured.bind.is_empty()).then(|| {
            let each = configured.bind.iter();
            Bound::new(each.map(|name| values(headers, name)))
        });
        verify(token, &keys, &attestation.rules, bound, now)
    });
    match verified {
        Err(refusal) => refused(Found::Refused(refusal), configured.observe),
        Ok(verified) => Decided {
            answer: Answer {
                status: 200,
                found: Found::Attested,
            },
            verified: Some(Token {
                device: verified.device,
                signed: verified.signed.to_vec(),
                ends: verified.ends,
                ip: verified.ip,
            }),
        },
    }
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h [u8]> {
    // An empty name is no header's.
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}

impl Answer {
    /// The path names no attestation.
    pub(super) const NO_ATTESTATION: Self = Self {
        status: 401,
        found: Found::NoAttestation,
    };

    /// What came was no HTTP, or more of it than is read.
    pub(super) const UNREADABLE: Self = Self {
        status: 401,
        found: Found::Unreadable,
    };

    /// 200, 401 or 403.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::UNAUTHORIZED)
    }

    /// What was found.
    #[must_use]
    pub const fn found(self) -> Found {
        self.found
    }

    /// Whether the gateway lets the call through.
    #[must_use]
    pub const fn passes(self) -> bool {
        self.status == 200
    }

    /// Other keys may make another answer.
    pub(super) const fn wants_keys(self) -> bool {
        matches!(self.found, Found::Refused(Refusal::UnknownKey))
    }
}

impl Found {
    /// The reason, for the gateway's log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Attested => "attested",
            Self::Refused(refusal) => refusal.reason(),
            Self::KeysMissing => "keys_missing",
            Self::NoAttestation => "no_attestation",
            Self::Unreadable => "unreadable",
        }
    }

    /// The reason and a word that says more of it.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::Refused(refusal) => format!("{}; {refusal}", refusal.reason()),
            found => found.reason().to_owned(),
        }
    }
}

impl Decided {
    /// What was observed of the call, if anything was.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.answer.found {
            Found::Attested => Some(Outcome::Attested),
            Found::Refused(refusal) => Some(Outcome::Failed(refusal.into())),
            Found::KeysMissing | Found::NoAttestation | Found::Unreadable => None,
        }
    }
}
