//! What can be wrong with a service, in a word and in a sentence.

use std::time::Duration;

use super::Asked;
use crate::feed::codec::stream;

/// Why an answer couldn't be had, or wasn't taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no token to show.
    #[error("{0}")]
    NoToken(String),
    /// There is nothing to tell a good certificate by.
    #[error("{0}")]
    NoAuthority(String),
    /// Nobody is there.
    #[error("the service can't be reached: {0}")]
    Unreachable(String),
    /// Nothing came in time.
    #[error("{0} took longer than {seconds} s", seconds = .1.as_secs())]
    Slow(&'static str, Duration),
    /// Whoever is there isn't the service.
    #[error("whoever answers isn't believed to be the service: {0}")]
    Untrusted(String),
    /// The service wants another token.
    #[error(
        "the service refuses the token ({0}): write a good one into token_file, it is read again when it changes"
    )]
    Unauthorized(u16),
    /// The service has something else to say.
    #[error("the service answers {0}: what it last said stands")]
    Status(u16, Option<Duration>),
    /// What came after the cursor is gone: the whole has to be asked for.
    #[error("the service has forgotten what changed since: its whole word is asked for")]
    TooOld,
    /// Somewhere else. Not followed, so that no token goes there.
    #[error("the service redirects{}: if that is right, write that address as `url`", to(.0))]
    Redirected(Option<String>),
    /// An answer that isn't one.
    #[error("the service's answer isn't taken: {0}")]
    Broken(#[from] stream::Error),
}

impl Trouble {
    /// The feed's state, in a word.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self {
            Self::NoToken(_) => "no_token",
            Self::NoAuthority(_) => "no_authority",
            Self::Unreachable(_) => "unreachable",
            Self::Slow(..) => "slow",
            Self::Untrusted(_) => "untrusted",
            Self::Unauthorized(_) => "unauthorized",
            Self::Status(..) => "failing",
            Self::TooOld => "resync",
            Self::Redirected(_) => "redirected",
            Self::Broken(_) => "broken",
        }
    }

    /// What the head of an answer says by itself.
    ///
    /// # Errors
    /// Unless a body is to be read.
    pub fn of_status(
        status: u16,
        location: Option<&str>,
        retry_after: Option<&str>,
        asked: &Asked,
    ) -> Result<(), Self> {
        match (status, asked) {
            (200, _) => Ok(()),
            (410, Asked::After(_)) => Err(Self::TooOld),
            (401 | 403, _) => Err(Self::Unauthorized(status)),
            (300..=399, _) => Err(Self::Redirected(location.map(printable))),
            _ => {
                let seconds = retry_after.and_then(|text| text.trim().parse().ok());
                Err(Self::Status(status, seconds.map(Duration::from_secs)))
            }
        }
    }
}

/// What may be shown of a header that anyone may have written.
fn printable(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    shown
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(LONGEST)
        .collect()
}

fn to(location: &Option<String>) -> String {
    location
        .as_ref()
        .map_or_else(String::new, |to| format!(" to {to}"))
}

/// Characters of an address that are shown.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_alone_can_say_what_is_wrong() {
        let after = Asked::After("7".parse().expect("a cursor"));
        let word = |status, asked: &Asked| {
            let head = Trouble::of_status(status, Some("http://x/?a=secret"), Some("7"), asked);
            head.map_err(|trouble| trouble.state())
        };
        assert_eq!(word(200, &after), Ok(()));
        assert_eq!(word(410, &after), Err("resync"));
        assert_eq!(word(410, &Asked::Snapshot), Err("failing"));
        assert_eq!(word(302, &after), Err("redirected"));
        assert_eq!(word(403, &after), Err("unauthorized"));
        assert_eq!(word(204, &after), Err("failing"));
        assert_eq!(
            Trouble::of_status(503, None, Some("7"), &after),
            Err(Trouble::Status(503, Some(Duration::from_secs(7))))
        );
    }

    #[test]
    fn what_a_redirect_carries_isn_t_shown() {
        let asked = Asked::Snapshot;
        let trouble =
            Trouble::of_status(307, Some("https://e.net/v2\u{1b}?t=secret"), None, &asked);
        assert_eq!(
            trouble.expect_err("a redirect").to_string(),
            "the service redirects to https://e.net/v2: if that is right, write that address as `url`"
        );
    }
}
