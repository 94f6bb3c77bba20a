//! Tokens as callers show them, and the header that each is bound to.

use crate::issuer::Issuer;

/// The headers that a caller shows with each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its token, if it has one.
    pub token: Option<String>,
    /// Its user's own `Authorization`.
    pub user: String,
}

impl Shown {
    /// A genuine app's, on a device of its own.
    #[must_use]
    pub fn genuine(issuer: &Issuer, device: &str) -> Self {
        let user = format!("Bearer of {device}");
        Self {
            token: Some(issuer.of_user(device, &user, LIFETIME)),
            user,
        }
    }

    /// Nothing.
    #[must_use]
    pub fn missing() -> Self {
        Self {
            token: None,
            user: ABUSER.to_owned(),
        }
    }

    /// A token that somebody else signed, under the issuer's key's name.
    #[must_use]
    pub fn forged() -> Self {
        let token = Issuer::es256("k1").of_user("any", ABUSER, LIFETIME);
        Self {
            token: Some(token),
            user: ABUSER.to_owned(),
        }
    }

    /// A token that was genuine an hour ago.
    #[must_use]
    pub fn expired(issuer: &Issuer) -> Self {
        Self {
            token: Some(issuer.of_user("old", ABUSER, -3600)),
            user: ABUSER.to_owned(),
        }
    }

    /// A genuine token, read off another's call.
    #[must_use]
    pub fn replayed(of: &Self) -> Self {
        Self {
            token: of.token.clone(),
            user: ABUSER.to_owned(),
        }
    }
}

/// Seconds that a token holds.
const LIFETIME: i64 = 300;

const ABUSER: &str = "Bearer of an abuser";
