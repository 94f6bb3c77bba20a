//! Whose attestations fail: enough of them in a short time, and the source gets
//! a claim. Behind an address that also has genuine callers it is only held to
//! a tier. Pure: the time is an argument.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Value, json};

use super::state::written;

/// Remembers who failed and who didn't.
#[derive(Clone, Debug)]
pub struct Learner {
    failures: usize,
    window: u64,
    lifetime: u64,
    tokens: HashSet<String>,
    failed: HashMap<String, VecDeque<u64>>,
    genuine: HashMap<String, u64>,
    claimed: HashMap<String, u64>,
    issued: u64,
}

impl Learner {
    /// So many failures within `window` seconds make a claim for `lifetime`
    /// seconds.
    #[must_use]
    pub fn new(failures: usize, window: u64, lifetime: u64) -> Self {
        Self {
            failures,
            window,
            lifetime,
            tokens: HashSet::new(),
            failed: HashMap::new(),
            genuine: HashMap::new(),
            claimed: HashMap::new(),
            issued: 0,
        }
    }

    /// Gives a token away. It can't be guessed, as far as the dice can't.
    pub fn issue(&mut self, dice: u64) -> String {
        self.issued += 1;
        let token = format!("genuine-{}-{dice:016x}", self.issued);
        self.tokens.insert(token.clone());
        token
    }

    /// Looks at the token that a source has shown: whether it is genuine, and
    /// the claim that follows.
    pub fn attest(
        &mut self,
        source: &str,
        token: Option<&str>,
        unix: u64,
    ) -> (bool, Option<Value>) {
        if token.is_some_and(|token| self.tokens.contains(token)) {
            self.genuine.insert(source.to_owned(), unix);
            return (true, None);
        }
        let failed = self.failed.entry(source.to_owned()).or_default();
        failed.push_back(unix);
        while failed.front().is_some_and(|at| at + self.window < unix) {
            failed.pop_front();
        }
        let evidence = failed.len();
        let claimed = self.claimed.get(source).is_some_and(|end| *end > unix);
        if evidence < self.failures || claimed {
            return (false, None);
        }
        let end = unix + self.lifetime;
        self.claimed.insert(source.to_owned(), end);
        let shared = self
            .genuine
            .get(source)
            .is_some_and(|at| at + self.lifetime > unix);
        let verdict = if shared {
            json!({"limit": "suspect"})
        } else {
            json!("block")
        };
        let reason = if token.is_some() {
            "tok_badsig"
        } else {
            "tok_missing"
        };
        let claim = json!({
            "prefix": source,
            "verdict": verdict,
            "reason": reason,
            "evidence": evidence,
            "expires": written(end),
            "id": format!("attestation-{unix}-{evidence}"),
        });
        (false, Some(claim))
    }
}

impl Default for Learner {
    fn default() -> Self {
        Self::new(5, 10, 600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_only_fails_is_blocked_and_a_shared_one_is_limited() {
        let mut learner = Learner::default();
        let token = learner.issue(7);
        assert_eq!(learner.attest("192.0.2.1", Some(&token), 100), (true, None));
        for source in ["192.0.2.1", "192.0.2.2"] {
            for _ in 1..learner.failures {
                assert_eq!(learner.attest(source, None, 100), (false, None));
            }
            let (genuine, claim) = learner.attest(source, None, 101);
            let claim = claim.expect("a claim");
            assert!(!genuine);
            let expected = if source == "192.0.2.1" {
                json!({"limit": "suspect"})
            } else {
                json!("block")
            };
            assert_eq!(claim["verdict"], expected);
            assert_eq!(claim["expires"], "1970-01-01T00:11:41Z");
            assert_eq!(learner.attest(source, Some("forged"), 102), (false, None));
        }
    }

    #[test]
    fn failures_that_are_far_apart_make_no_claim() {
        let mut learner = Learner::default();
        for time in 0..100 {
            assert_eq!(learner.attest("192.0.2.1", None, time * 11), (false, None));
        }
    }
}
