//! The token's header, as a request brought it.

use super::{LONGEST, Refusal, Status};

/// The token in a header's values, if they are exactly one that holds one.
/// `status` are the values of the header in which clients say why they have none.
///
/// # Errors
/// If there is none, with the state that this is.
pub fn token<'r>(
    values: impl IntoIterator<Item = &'r [u8]>,
    status: impl IntoIterator<Item = &'r [u8]>,
    prefix: &str,
) -> Result<&'r [u8], Refusal> {
    let mut values = values.into_iter();
    let said = |otherwise| {
        let mut status = status.into_iter();
        match (status.next(), status.next()) {
            (Some(word), None) => Status::of(word.trim_ascii()).map_or(otherwise, Refusal::Status),
            _ => otherwise,
        }
    };
    let Some(value) = values.next() else {
        return Err(said(Refusal::Missing));
    };
    if values.next().is_some() {
        return Err(Refusal::Several);
    }
    let value = value.trim_ascii();
    if value.len() > LONGEST + prefix.len() {
        return Err(Refusal::TooLong);
    }
    if value.is_empty() {
        return Err(said(Refusal::Empty));
    }
    if let Some(status) = Status::of(value) {
        return Err(Refusal::Status(status));
    }
    let Some((before, behind)) = value.split_at_checked(prefix.len()) else {
        return Err(unprefixed(value, prefix, said));
    };
    // Schemes of authentication are the same in either case.
    if !before.eq_ignore_ascii_case(prefix.as_bytes()) {
        return Err(Refusal::NoPrefix);
    }
    let token = behind.trim_ascii();
    if token.is_empty() {
        return Err(said(Refusal::Empty));
    }
    match Status::of(token) {
        Some(status) => Err(Refusal::Status(status)),
        None => Ok(token),
    }
}

/// A value that is shorter than the prefix: the prefix alone, whose blank was
/// trimmed, is an empty token.
fn unprefixed(value: &[u8], prefix: &str, said: impl FnOnce(Refusal) -> Refusal) -> Refusal {
    let bare = prefix.trim_ascii().as_bytes();
    if value.eq_ignore_ascii_case(bare) {
        said(Refusal::Empty)
    } else {
        Refusal::NoPrefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one<'r>(value: &'r str, prefix: &str) -> Result<&'r [u8], Refusal> {
        token([value.as_bytes()], [], prefix)
    }

    #[test]
    fn a_header_is_the_state_that_it_is() {
        let word = |word: &[u8]| Refusal::Status(Status::of(word).expect("a known word"));
        assert_eq!(token([], [], ""), Err(Refusal::Missing));
        assert_eq!(one("", ""), Err(Refusal::Empty));
        assert_eq!(one(" \t", ""), Err(Refusal::Empty));
        assert_eq!(one("NO_NETWORK", ""), Err(word(b"no_network")));
        assert_eq!(one("MITM_DETECTED", ""), Err(word(b"mitm_detected")));
        assert_eq!(word(b"mitm_detected").reason(), "mitm_detected");
        assert_eq!(word(b"no_network").reason(), "tok_missing");
        assert_eq!(word(b"no_network").to_string(), "no_network");
        assert_eq!(token([&b"a"[..], b"a"], [], ""), Err(Refusal::Several));
        let giant = "a".repeat(LONGEST + 1);
        assert_eq!(one(&giant, ""), Err(Refusal::TooLong));
        assert_eq!(one(" a.b.c ", ""), Ok(&b"a.b.c"[..]));
        // No word that a client says, so it has to be a token.
        assert_eq!(one("NO_SUCH_WORD", ""), Ok(&b"NO_SUCH_WORD"[..]));
    }

    #[test]
    fn a_prefix_is_taken_off_in_either_case() {
        assert_eq!(one("Bearer a.b.c", "Bearer "), Ok(&b"a.b.c"[..]));
        assert_eq!(one("bearer  a.b.c", "Bearer "), Ok(&b"a.b.c"[..]));
        assert_eq!(one("a.b.c", "Bearer "), Err(Refusal::NoPrefix));
        assert_eq!(one("Basic a.b.c", "Bearer "), Err(Refusal::NoPrefix));
        assert_eq!(one("Bearer", "Bearer "), Err(Refusal::Empty));
        assert_eq!(one("Bearer ", "Bearer "), Err(Refusal::Empty));
        let status = Status::of(b"rejected").expect("a known word");
        assert_eq!(
            one("Bearer REJECTED", "Bearer "),
            Err(Refusal::Status(status))
        );
        assert_eq!(one("REJECTED", "Bearer "), Err(Refusal::Status(status)));
    }

    #[test]
    fn why_there_is_none_may_stand_in_a_header_of_its_own() {
        let mitm = Status::of(b"mitm_detected").expect("a known word");
        let empty = |status: &[&'static [u8]]| token([&b""[..]], status.iter().copied(), "");
        assert_eq!(empty(&[b"mitm_detected"]), Err(Refusal::Status(mitm)));
        assert_eq!(
            token([], [&b"mitm_detected"[..]], ""),
            Err(Refusal::Status(mitm))
        );
        assert_eq!(empty(&[b"whatever"]), Err(Refusal::Empty));
        assert_eq!(
            empty(&[b"mitm_detected", b"mitm_detected"]),
            Err(Refusal::Empty)
        );
        // A token that is there is looked at, whatever is said beside it.
        assert_eq!(
            token([&b"a.b.c"[..]], [&b"mitm_detected"[..]], ""),
            Ok(&b"a.b.c"[..])
        );
    }
}
