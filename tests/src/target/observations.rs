//! What other verifiers send: each line is an observation of one source, or
//! refused by itself in a sentence.

use filter_common::source::Family;
use weir::{check::codec, observation::Outcome, token::pseudonym::Pseudonyms};

use super::kind;

pub(super) fn body(input: &[u8]) -> String {
    let marker = Pseudonyms::new(&[7; 32]);
    let lines = match codec::read(input, &marker) {
        Ok(lines) => lines,
        Err(fault) => return format!("refused {}", kind(&fault.to_string())),
    };
    assert!(lines.len() <= codec::AT_ONCE + 1, "too many were read");
    assert!(lines.is_sorted_by_key(|(number, _)| *number));
    let mut told: Vec<_> = lines
        .into_iter()
        .map(|(_, line)| match line {
            Ok(one) => {
                let whole = match one.source.family() {
                    Family::V4 => 32,
                    Family::V6 => 64,
                };
                assert_eq!(one.source.length(), whole, "{one:?}");
                assert!((1..=1_000_000).contains(&one.weight), "{one:?}");
                assert!(one.token.is_none() && !one.elsewhere, "{one:?}");
                if let Outcome::Failed(reason) = &one.outcome {
                    let visible = reason.name().bytes().all(|byte| byte.is_ascii_graphic());
                    assert!(visible && !reason.name().is_empty(), "{one:?}");
                }
                let failed = matches!(one.outcome, Outcome::Failed(_));
                format!("{failed} {} {}", one.device.is_some(), one.ends.is_some())
            }
            Err(fault) => kind(&fault.to_string()),
        })
        .collect();
    told.sort();
    told.dedup();
    told.join(", ")
}

pub(super) const WORDS: &[&str] = &[
    "\"source\":",
    "\"203.0.113.7\"",
    "\"2001:db8::7\"",
    "\"203.0.113.0/24\"",
    "\"127.0.0.1\"",
    "\"outcome\":",
    "\"attested\"",
    "\"failed\"",
    "\"reason\":",
    "\"dev_rooted\"",
    "\"device\":",
    "\"ends\":",
    "\"weight\":",
    "1000000",
    "1000001",
    "0",
    "-1",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\n",
    "\r\n",
    "\\u001b",
];
