//! The binding of a token to another header: the hash of that header's value stands
//! in the token, so that a token that was read off one call is of no use beside
//! another user's credentials.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Context, SHA256, SHA256_OUTPUT_LEN},
};
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::Refusal;

/// The values of the headers that a token has to be bound to.
#[derive(Debug)]
pub struct Bound<'r>(Result<Vec<&'r [u8]>, Refusal>);

impl<'r> Bound<'r> {
    /// Of each header the values, in the order in which they were hashed. Each
    /// has to be there exactly once.
    #[must_use]
    pub fn new<V>(headers: impl IntoIterator<Item = V>) -> Self
    where
        V: IntoIterator<Item = &'r [u8]>,
    {
        let mut several = false;
        let mut missing = false;
        let mut all = Vec::new();
        for values in headers {
            let mut values = values.into_iter();
            match values.next() {
                Some(value) => all.push(value),
                None => missing = true,
            }
            several |= values.next().is_some();
        }
        Self(match (several, missing) {
            (true, _) => Err(Refusal::BoundSeveral),
            (false, true) => Err(Refusal::BoundMissing),
            (false, false) => Ok(all),
        })
    }

    /// Whether the `pay` claim of a token is of these values.
    ///
    /// # Errors
    /// If it isn't, with the reason.
    pub fn check(&self, pay: &str) -> Result<(), Refusal> {
        let values = self.0.as_ref().map_err(|refusal| *refusal)?;
        let mut hash = Context::new(&SHA256);
        for value in values {
            hash.update(value);
        }
        let theirs = decode(pay).ok_or(Refusal::BoundOther)?;
        verify_slices_are_equal(hash.finish().as_ref(), &theirs)
            .map_err(|_differs| Refusal::BoundOther)
    }
}

/// Issuers write either alphabet, with and without padding.
fn decode(pay: &str) -> Option<Vec<u8>> {
    if pay.len() > LONGEST_PAY {
        return None;
    }
    let read = |engine: &GeneralPurpose| engine.decode(pay).ok();
    let hash = read(&EITHER_STANDARD).or_else(|| read(&EITHER_URL_SAFE))?;
    (hash.len() == SHA256_OUTPUT_LEN).then_some(hash)
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const EITHER_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const EITHER_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// 32 bytes are 44 characters with their padding.
const LONGEST_PAY: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s 'Bearer abc' | sha256sum`, in the four ways of writing it.
    const OF_BEARER_ABC: [&str; 4] = [
        "w1Xc6WwWEogNEZQP/dkBTThsJT4MNlKmzQanIm970rY=",
        "w1Xc6WwWEogNEZQP/dkBTThsJT4MNlKmzQanIm970rY",
        "w1Xc6WwWEogNEZQP_dkBTThsJT4MNlKmzQanIm970rY=",
        "w1Xc6WwWEogNEZQP_dkBTThsJT4MNlKmzQanIm970rY",
    ];

    fn bound<'r>(values: &[&'r str]) -> Bound<'r> {
        Bound::new([values
            .iter()
            .map(|value| value.as_bytes())
            .collect::<Vec<_>>()])
    }

    #[test]
    fn both_alphabets_hold_with_and_without_padding() {
        for pay in OF_BEARER_ABC {
            assert_eq!(bound(&["Bearer abc"]).check(pay), Ok(()), "{pay}");
            assert_eq!(
                bound(&["Bearer abd"]).check(pay),
                Err(Refusal::BoundOther),
                "{pay}"
            );
        }
    }

    #[test]
    fn the_header_has_to_be_there_once() {
        let [pay, ..] = OF_BEARER_ABC;
        assert_eq!(bound(&[]).check(pay), Err(Refusal::BoundMissing));
        assert_eq!(
            bound(&["Bearer abc", "Bearer abc"]).check(pay),
            Err(Refusal::BoundSeveral)
        );
    }

    #[test]
    fn two_headers_are_hashed_one_behind_the_other() {
        let [pay, ..] = OF_BEARER_ABC;
        let two = Bound::new([vec![&b"Bearer "[..]], vec![&b"abc"[..]]]);
        assert_eq!(two.check(pay), Ok(()));
        let other = Bound::new([vec![&b"abc"[..]], vec![&b"Bearer "[..]]]);
        assert_eq!(other.check(pay), Err(Refusal::BoundOther));
        let one = Bound::new([vec![&b"Bearer "[..]], vec![]]);
        assert_eq!(one.check(pay), Err(Refusal::BoundMissing));
    }

    #[test]
    fn what_is_no_hash_is_bound_to_nothing() {
        for pay in ["", "=", "abc", "w1Xc6WwW/_gNEZQP", &"A".repeat(5000)] {
            assert_eq!(
                bound(&["Bearer abc"]).check(pay),
                Err(Refusal::BoundOther),
                "{pay:.50}"
            );
        }
    }
}
