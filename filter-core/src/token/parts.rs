//! A token in parts: its head, the signed bytes, its signature; and claims.

use std::{borrow::Cow, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, de};

use super::{LONGEST, Refusal};

/// Three parts, none of them believed yet.
pub(super) struct Parts<'t> {
    head: &'t str,
    payload: &'t str,
    /// The first two, as they were signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: &'t str,
}

/// The head, which says how a token was signed.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    crit: Option<de::IgnoredAny>,
}

impl<'t> Parts<'t> {
    pub(super) fn of(token: &'t [u8]) -> Result<Self, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        let token = str::from_utf8(token).map_err(|_error| Refusal::NoToken)?;
        let mut parts = token.split('.');
        let (Some(head), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::NoToken);
        };
        Ok(Self {
            head,
            payload,
            signed: &token.as_bytes()[..head.len() + 1 + payload.len()],
            signature,
        })
    }

    pub(super) fn head(&self) -> Result<Head, Refusal> {
        if self.head.len() > LONGEST_HEAD {
            return Err(Refusal::TooLong);
        }
        let head = decode(self.head).ok_or(Refusal::NoToken)?;
        let head: Head = serde_json::from_str(&head).map_err(|_error| Refusal::NoToken)?;
        match head.crit {
            // Of what must be understood, nothing is.
            Some(_) => Err(Refusal::Critical),
            None => Ok(head),
        }
    }

    pub(super) fn payload(&self) -> Result<String, Refusal> {
        decode(self.payload).ok_or(Refusal::Claims)
    }
}

/// The claims of an issuer. A claim that is there twice is no claim.
#[derive(Debug, Deserialize)]
pub(super) struct Claims<'p> {
    #[serde(default, deserialize_with = "moment")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "moment")]
    nbf: Option<f64>,
    #[serde(borrow)]
    iss: Option<Text<'p>>,
    aud: Option<Audience>,
    #[serde(borrow)]
    pay: Option<Text<'p>>,
    #[serde(borrow)]
    did: Option<Text<'p>>,
    #[serde(borrow)]
    ip: Option<Text<'p>>,
}

/// A string, without a copy where none is needed.
#[derive(Debug, Deserialize)]
struct Text<'p>(#[serde(borrow)] Cow<'p, str>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

impl<'p> Claims<'p> {
    pub(super) fn of(payload: &'p str) -> Result<Self, Refusal> {
        serde_json::from_str(payload).map_err(|_error| Refusal::Claims)
    }

    pub(super) const fn exp(&self) -> Option<f64> {
        self.exp
    }

    pub(super) const fn nbf(&self) -> Option<f64> {
        self.nbf
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.iss.as_ref().map(|text| &*text.0)
    }

    pub(super) fn is_for(&self, whom: &str) -> bool {
        match &self.aud {
            None => false,
            Some(Audience::One(one)) => one == whom,
            Some(Audience::Some(some)) => some.iter().any(|one| one == whom),
        }
    }

    pub(super) fn pay(&self) -> Option<&str> {
        self.pay.as_ref().map(|text| &*text.0)
    }

    /// An empty id would make all that have it one device.
    pub(super) fn device(&self) -> Option<&str> {
        let id = self.did.as_ref().map(|text| &*text.0);
        id.filter(|id| !id.is_empty())
    }

    /// The address at which the device was seen, if that can be read. Telemetry.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.ip.as_ref()?.0.parse().ok()
    }
}

/// A number with or without a fraction, as issuers write it.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let moment = f64::deserialize(deserializer)?;
    if moment.is_finite() {
        Ok(Some(moment))
    } else {
        Err(de::Error::custom("no moment"))
    }
}

/// JSON is UTF-8, also where nobody looks.
fn decode(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Characters of the longest head: it is read before anything is believed.
const LONGEST_HEAD: usize = 1024;
