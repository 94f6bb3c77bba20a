//! Lists, their lines, and prefixes: what is taken can be written, and is read
//! again as the same.

use std::{net::IpAddr, sync::Arc};

use weir::{
    claim::{Change, Verdict},
    feed::{
        Rules,
        codec::{self, Format, ndjson},
    },
    prefix::{Prefix, Written, address, bits},
};

use super::kind;

/// A list, as text or NDJSON.
pub(super) fn list(input: &[u8]) -> String {
    let mut kinds = [128, 64].map(|widen| {
        let rules = rules(widen);
        let decoded = match codec::decode(input, &rules) {
            Ok(decoded) => decoded,
            Err(error) => return kind(&error.to_string()),
        };
        assert!(decoded.claims.len() <= rules.max_claims, "too many claims");
        let refused = decoded.refused();
        assert_eq!(refused.first.len() as u64, refused.count.min(10));
        assert!(
            decoded.format.is_some() || decoded.claims.is_empty(),
            "claims without a format"
        );
        let told = refused.first.iter().map(|sentence| kind(sentence)).max();
        let lines: String = decoded
            .claims
            .iter()
            .map(|claim| written(&Change::Claim(claim.clone()), &rules))
            .collect();
        let again = codec::decode(lines.as_bytes(), &rules).expect("what was written is a list");
        assert_eq!(again.claims, decoded.claims);
        assert_eq!((again.masked, again.bad.count), (0, 0), "{lines}");
        assert!(again.claims.is_empty() || again.format == Some(Format::Ndjson));
        format!(
            "{:?}, {} claims, masked {}, refused {told:?}",
            decoded.format,
            decoded.claims.len().min(3),
            decoded.masked > 0
        )
    });
    std::mem::take(&mut kinds[0])
}

/// A line of NDJSON.
pub(super) fn line(input: &[u8]) -> String {
    let Ok(text) = str::from_utf8(input) else {
        return "not UTF-8".to_owned();
    };
    let rules = rules(64);
    let mut reader = ndjson::Reader::new(&rules);
    match reader.read(text) {
        Ok(None) => {
            let said = text.trim();
            assert!(
                said.is_empty() || said.starts_with(['#', ';']),
                "a line that says something was passed over"
            );
            "nothing".to_owned()
        }
        Ok(Some((change, masked))) => {
            let line = written(&change, &rules);
            assert_eq!(reader.read(&line), Ok(Some((change.clone(), false))));
            match change {
                Change::Withdraw(_) => format!("withdrawn, masked {masked}"),
                Change::Claim(claim) => format!(
                    "{}, masked {masked}, reason {}, ends {}, id {}",
                    claim.verdict.name(),
                    claim.reason.is_some(),
                    claim.expires.is_some(),
                    claim.id.is_some()
                ),
            }
        }
        Err(fault) => kind(&fault.to_string()),
    }
}

/// An address or a prefix.
pub(super) fn prefix(input: &[u8]) -> String {
    let Ok(text) = str::from_utf8(input) else {
        return "not UTF-8".to_owned();
    };
    let read = text.parse::<Written>();
    // The standard library has read addresses for longer than we have.
    if let Ok(ip) = text.parse::<IpAddr>() {
        let prefix = Prefix::of(address(ip));
        let masked = false;
        assert_eq!(read, Ok(Written { prefix, masked }));
    }
    let written = match read {
        Ok(written) => written,
        Err(error) => return kind(&error.to_string()),
    };
    let prefix = written.prefix;
    assert_eq!(
        prefix.to_string().parse(),
        Ok(Written {
            prefix,
            masked: false
        })
    );
    assert!(prefix.length() <= bits(prefix.family()));
    assert_eq!(prefix, Prefix::new(prefix.address(), prefix.length()));
    assert!(prefix.covers(&prefix) && prefix.covers(&Prefix::of(prefix.address())));
    assert!(prefix < prefix.last());
    assert!(prefix.widened(prefix.length() / 2).covers(&prefix));
    format!(
        "{:?}/{}, masked {}",
        prefix.family(),
        prefix.length(),
        written.masked
    )
}

/// How claims are read here: few may be too many.
pub(super) fn rules(widen_ipv6: u8) -> Rules {
    let tiers = [("unknown", 0), ("suspect", 1), ("trusted", 2)];
    Rules {
        verdict: Verdict::Limit(1),
        tiers: Arc::new(tiers.map(|(name, tier)| (name.to_owned(), tier)).into()),
        widen_ipv6,
        max_claims: 64,
    }
}

/// A change as a line.
pub(super) fn written(change: &Change, rules: &Rules) -> String {
    let line = ndjson::encode(change, &rules.tiers).expect("what was read can be written");
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
    line
}

pub(super) const WORDS: &[&str] = &[
    "192.0.2.7",
    "192.0.2.0/24",
    "2001:db8::/32",
    "::ffff:192.0.2.7",
    "{\"prefix\": \"203.0.113.7\", \"verdict\": \"block\"}\n",
    "{\"prefix\": \"203.0.113.7\", \"withdrawn\": true}\n",
    "\"prefix\": \"::1\", ",
    "\"verdict\": \"allow\", ",
    "\"verdict\": {\"limit\": \"suspect\"}, ",
    "\"withdrawn\": true, ",
    "\"reason\": \"x\", ",
    "\"evidence\": 1, ",
    "\"expires\": \"2026-11-22T20:00:00Z\", ",
    "\"expires\": \"1969-12-31T23:59:59.999Z\", ",
    "\"id\": \"7\", ",
    "\"new\": [1, {}], ",
    "\"\\ud800\"",
    "\\u0007",
    "null",
    "true",
    "\u{feff}",
    "\u{85}",
    "\u{3000}",
    "\r\n",
    "# ",
    "<!doctype html>",
];

pub(super) const PREFIXES: &[&str] = &[
    "::",
    "::ffff:",
    "::ffff:0:0/96",
    "/0",
    "/32",
    "/33",
    "/128",
    "/129",
    "/255.255.255.0",
    "0x",
    "%eth0",
    "[::1]",
    "255",
    "2001:db8",
    " ",
    "\u{662}",
];
