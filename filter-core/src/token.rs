//! App attestation tokens: whether one proves that a call came from a genuine
//! app instance. Pure: no I/O, no clock; time is an argument.
//!
//! `presented` is what a request brought in the token's header, `keys` what
//! signatures are checked with, `parts` a token taken apart, `binding` what ties
//! it to another header, `pseudonym` how devices and tokens are told apart without
//! being known. Nothing inside a token counts before its signature was found
//! right, but for which key to try.

use std::net::IpAddr;

use crate::observation::Reason;
use binding::Bound;
use keys::KeySet;
use parts::{Claims, Parts};

pub mod binding;
pub mod keys;
mod parts;
pub mod presented;
pub mod pseudonym;
mod refusal;

pub use refusal::{Refusal, Status};

/// The requirements on a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The required issuer, where that matters.
    pub issuer: Option<String>,
    /// The required audience, where that matters.
    pub audience: Option<String>,
    /// Seconds by which clocks may differ.
    pub leeway: u32,
    /// A token that is bound to nothing passes where a bound one is expected.
    pub unbound: bool,
}

/// A token whose signature is right and whose time hasn't ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<'t> {
    /// Which device it was issued to, as the issuer names it.
    pub device: Option<String>,
    /// The bytes that its signature covers: the same token always has the same, which
    /// isn't so of a signature.
    pub signed: &'t [u8],
    /// Unix time in seconds at which it ends.
    pub ends: u32,
    /// The address at which its issuer saw the device.
    pub ip: Option<IpAddr>,
}

/// Verifies a token. `bound` is the header that it has to be bound to, if any;
/// `now` is Unix time in seconds.
///
/// # Errors
/// If it proves nothing, with the reason.
pub fn verify<'t>(
    token: &'t [u8],
    keys: &KeySet,
    rules: &Rules,
    bound: Option<Bound<'_>>,
    now: u64,
) -> Result<Verified<'t>, Refusal> {
    let parts = Parts::of(token)?;
    let head = parts.head()?;
    let mut known = false;
    let signed = keys.candidates(head.kid.as_deref()).any(|key| {
        known = true;
        key.algorithm_name() == head.alg && key.verifies(parts.signed, parts.signature)
    });
    if !signed {
        return Err(if !known {
            Refusal::UnknownKey
        } else if keys
            .candidates(head.kid.as_deref())
            .all(|key| key.algorithm_name() != head.alg)
        {
            Refusal::Algorithm
        } else {
            Refusal::Signature
        });
    }
    // From here on it is the issuer who speaks.
    let payload = parts.payload()?;
    let claims = Claims::of(&payload)?;
    let ends = in_time(&claims, rules.leeway, now)?;
    if rules.issuer.is_some() && claims.issuer() != rules.issuer.as_deref() {
        return Err(Refusal::Issuer);
    }
    if let Some(audience) = &rules.audience
        && !claims.is_for(audience)
    {
        return Err(Refusal::Audience);
    }
    if let Some(bound) = bound {
        match claims.pay() {
            Some(pay) => bound.check(pay)?,
            None if rules.unbound => {}
            None => return Err(Refusal::Unbound),
        }
    }
    Ok(Verified {
        device: claims.device().map(str::to_owned),
        signed: parts.signed,
        ends,
        ip: claims.ip(),
    })
}

/// When it ends, if that is still to come and its beginning isn't.
fn in_time(claims: &Claims<'_>, leeway: u32, now: u64) -> Result<u32, Refusal> {
    let exp = claims.exp().ok_or(Refusal::Endless)?;
    let (now, leeway) = (now as f64, f64::from(leeway));
    // As RFC 7519 has it: on or after this time it isn't accepted.
    if now >= exp + leeway {
        return Err(Refusal::Expired);
    }
    if claims.nbf().is_some_and(|nbf| now + leeway < nbf) {
        return Err(Refusal::NotYet);
    }
    // The cast saturates.
    Ok(exp as u32)
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason())
    }
}

/// Bytes of the longest token that is looked at.
pub const LONGEST: usize = 8 << 10;

#[cfg(any(test, feature = "mint"))]
pub mod mint;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
