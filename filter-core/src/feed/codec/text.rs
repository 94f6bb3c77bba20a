//! Text: one prefix a line, comments behind `#` or `;`.

use super::Fault;
use crate::{
    claim::Claim,
    feed::Rules,
    prefix::{Prefix, Written},
};

/// The prefix on a line; `None` where there is only a comment, or nothing.
///
/// # Errors
/// If something else stands there.
pub fn read(line: &str) -> Result<Option<Written>, Fault> {
    let comment = line.bytes().position(|byte| matches!(byte, b'#' | b';'));
    let text = line[..comment.unwrap_or(line.len())].trim();
    if text.is_empty() {
        return Ok(None);
    }
    let fault = match text.parse() {
        Ok(written) => return Ok(Some(written)),
        Err(fault) => fault,
    };
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) if first.parse::<Written>().is_ok() => {
            Err(Fault::Behind(rest.trim_start().chars().take(64).collect()))
        }
        _ => Err(fault.into()),
    }
}

/// What a bare prefix claims.
#[must_use]
pub fn claim(prefix: Prefix, rules: &Rules) -> Claim {
    Claim {
        prefix: rules.widen(prefix),
        verdict: rules.verdict,
        reason: None,
        evidence: 0,
        expires: None,
        id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tests::prefix;

    #[test]
    fn a_line_is_a_prefix_with_blanks_and_comments_around_it() {
        for line in [
            "192.0.2.0/24",
            "  192.0.2.0/24\t",
            "192.0.2.0/24\r",
            "192.0.2.0/24 # scanners",
            "192.0.2.0/24#scanners",
            "192.0.2.0/24 ; SBL1 # twice",
        ] {
            let written = read(line).expect(line).expect(line);
            assert_eq!(written.prefix, prefix("192.0.2.0/24"), "{line}");
            assert!(!written.masked);
        }
        let written = read("192.0.2.9/24").expect("a prefix").expect("a prefix");
        assert!(written.masked, "host bits are masked, and it is said");
    }

    #[test]
    fn blank_lines_and_comments_say_nothing() {
        for line in ["", " \t", "\r", "# 192.0.2.1", "  ; 192.0.2.1", ";", "#ü"] {
            assert_eq!(read(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn a_word_behind_the_prefix_is_named() {
        assert_eq!(
            read("192.0.2.1  deny all"),
            Err(Fault::Behind("deny all".to_owned()))
        );
        for line in ["deny 192.0.2.1", "192.0.2.1,192.0.2.2", "192.0.2.1/33", "ä"] {
            assert!(matches!(read(line), Err(Fault::Prefix(_))), "{line}");
        }
    }
}
