//! The claims that must be in force, by the words of the contract and by another
//! reader than weir's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir::prefix::{Prefix, Written};
use weir_tests::service::{
    mischief::{Ending, Reply},
    state::{Answer, end_of},
};

use super::prefix;

/// The claims that must be in force.
#[derive(Default)]
pub(crate) struct Model {
    /// Whether a prefix is blocked, and until when.
    claims: BTreeMap<Prefix, (bool, Option<u64>)>,
    held: BTreeSet<Prefix>,
}

impl Model {
    /// Claims that an honest reader keeps of an answer.
    pub(crate) fn take(&mut self, answer: Answer, unix: u64) {
        self.end(unix);
        let good = |line: &Value| is_acceptable(line) && line["withdrawn"] != true;
        let has_ended = |line: &Value| end_of(line).is_some_and(|end| end <= unix);
        if answer.whole {
            let word: BTreeMap<_, _> = answer
                .lines
                .iter()
                .filter(|line| good(line) && !has_ended(line))
                .map(|line| (name(line), line))
                .collect();
            let standing: Vec<_> = self
                .claims
                .keys()
                .filter(|prefix| !self.held.contains(*prefix))
                .copied()
                .collect();
            let missing: Vec<_> = standing
                .iter()
                .filter(|prefix| !word.contains_key(*prefix))
                .copied()
                .collect();
            if missing.len() * 2 > standing.len() {
                self.held.extend(missing);
            } else {
                for prefix in missing {
                    self.claims.remove(&prefix);
                }
            }
        }
        for line in &answer.lines {
            if line["withdrawn"] == true && !answer.whole {
                self.claims.remove(&name(line));
                self.held.remove(&name(line));
            } else if answer.whole && has_ended(line) {
                // By our clock the service left it out.
            } else if good(line) {
                self.held.remove(&name(line));
                let claim = (line["verdict"] == "block", end_of(line));
                self.claims.insert(name(line), claim);
            }
        }
        self.end(unix);
    }

    /// Claims that have ended are gone, also if the clock is set back later.
    pub(crate) fn end(&mut self, unix: u64) {
        self.claims
            .retain(|_prefix, (_, end)| end.is_none_or(|end| end > unix));
        self.held.retain(|prefix| self.claims.contains_key(prefix));
    }

    pub(crate) fn in_force(&mut self, unix: u64) -> BTreeMap<Prefix, &'static str> {
        self.end(unix);
        let verdict = |block| if block { "block" } else { "limit" };
        let claims = self.claims.iter();
        claims
            .map(|(prefix, (block, _))| (*prefix, verdict(*block)))
            .collect()
    }
}

/// Claims that an accepted answer should result in: it is honest, or a lie that can't
/// be distinguished from the truth. Read once more, by another reader.
pub(crate) fn meaning(reply: &Reply, after: Option<&str>) -> Answer {
    assert_eq!(
        (reply.status, &reply.ending),
        (200, &Ending::Whole),
        "that is no answer"
    );
    let text = std::str::from_utf8(&reply.body).expect("text");
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let head: Value = serde_json::from_str(lines.next().expect("a head")).expect("JSON");
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        head["claims"],
        lines.len(),
        "a number that is a lie was believed"
    );
    assert!(
        head["snapshot"] == true || (after.is_some() && head["after"].as_str() == after),
        "what follows another cursor was believed"
    );
    Answer {
        whole: head["snapshot"] == true,
        after: None,
        cursor: head["cursor"].as_str().expect("a cursor").to_owned(),
        lines,
    }
}

fn is_acceptable(line: &Value) -> bool {
    let prefix = line["prefix"].as_str().unwrap_or_default();
    let verdict = &line["verdict"];
    prefix != "203.0.113.9"
        && prefix
            .parse::<Written>()
            .is_ok_and(|one| one.prefix.length() >= 8)
        && (line["withdrawn"] == true || verdict == "block" || verdict["limit"] == "suspect")
}

fn name(line: &Value) -> Prefix {
    let text = line["prefix"].as_str().expect("a prefix");
    prefix(text)
}
