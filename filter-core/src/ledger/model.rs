//! The ledger once more, without any cleverness: a flat list of claims, and
//! every question answered by going through all of it.

use std::collections::{BTreeMap, BTreeSet};

use filter_common::{
    source::Address,
    verdict::{Entry, NEVER, SHADOW_STAGES, STAGES, Stage, Verdict as Settled},
};

use super::{FeedId, Ledger, OPERATOR, Rules};
use crate::{
    claim::{Change, Claim, Update, Verdict},
    patch::Patch,
    prefix::Prefix,
};

/// Whose claim it is, and on which prefix: that names a claim.
pub(super) type Name = (FeedId, Prefix);

#[derive(Default)]
pub(super) struct Model {
    pub(super) rules: Rules,
    claims: Vec<(FeedId, Claim)>,
    held: BTreeSet<Name>,
}

impl Model {
    pub(super) fn configure(&mut self, rules: &Rules) {
        self.rules = rules.clone();
        self.claims.retain(|(feed, claim)| {
            rules
                .feeds
                .get(usize::from(*feed))
                .is_some_and(Option::is_some)
                && !rules.protected.iter().any(|one| one.covers(&claim.prefix))
        });
        let names = self.names();
        self.held.retain(|name| names.contains(name));
    }

    pub(super) fn apply(&mut self, feed: FeedId, update: &Update, unix: u32) {
        match update {
            Update::Snapshot(claims) => {
                self.claims.retain(|(whose, _claim)| *whose != feed);
                self.held.retain(|(whose, _prefix)| *whose != feed);
                for claim in claims {
                    self.say(feed, claim);
                }
            }
            Update::Delta(changes) => {
                for change in changes {
                    match change {
                        Change::Claim(claim) => self.say(feed, claim),
                        Change::Withdraw(prefix) => self.forget(feed, prefix),
                    }
                }
            }
            Update::Hold(prefixes) => {
                self.expire(unix);
                prefixes
                    .iter()
                    .for_each(|prefix| self.hold((feed, *prefix)));
            }
            Update::Resync(claims) => {
                self.expire(unix);
                self.resync(feed, claims, unix);
            }
        }
        self.expire(unix);
    }

    /// A whole word that is believed in what it leaves out only if that is no
    /// more than half of what stands.
    fn resync(&mut self, feed: FeedId, claims: &[Claim], unix: u32) {
        let mut word: BTreeMap<_, _> = claims.iter().map(|claim| (claim.prefix, claim)).collect();
        word.retain(|_prefix, claim| claim.expires.is_none_or(|end| end > unix));
        let mine: Vec<_> = self
            .names()
            .into_iter()
            .filter(|one| one.0 == feed)
            .collect();
        // What was held stays so, unless the word has it again.
        let standing: Vec<_> = mine
            .into_iter()
            .filter(|name| !self.held.contains(name))
            .collect();
        let missing: Vec<_> = standing
            .iter()
            .filter(|name| !word.contains_key(&name.1))
            .collect();
        for name in &missing {
            if missing.len() * 2 > standing.len() {
                self.hold(**name);
            } else {
                self.forget(feed, &name.1);
            }
        }
        for claim in word.values() {
            self.say(feed, claim);
        }
    }

    fn hold(&mut self, name: Name) {
        if self.names().contains(&name) {
            self.held.insert(name);
        }
    }

    pub(super) fn expire(&mut self, unix: u32) {
        self.claims
            .retain(|(_feed, claim)| claim.expires.is_none_or(|end| end > unix));
        let names = self.names();
        self.held.retain(|name| names.contains(name));
    }

    fn say(&mut self, feed: FeedId, claim: &Claim) {
        self.forget(feed, &claim.prefix);
        let mut protected = self.rules.protected.iter();
        let is_known = matches!(self.rules.feeds.get(usize::from(feed)), Some(Some(_)));
        if is_known && !protected.any(|one| one.covers(&claim.prefix)) {
            self.claims.push((feed, claim.clone()));
        }
    }

    fn forget(&mut self, feed: FeedId, prefix: &Prefix) {
        self.held.remove(&(feed, *prefix));
        self.claims
            .retain(|(whose, claim)| (*whose, claim.prefix) != (feed, *prefix));
    }

    /// The claims that a whole word left out and that stand all the same.
    pub(super) const fn held(&self) -> &BTreeSet<Name> {
        &self.held
    }

    pub(super) fn names(&self) -> BTreeSet<Name> {
        self.claims
            .iter()
            .map(|(feed, c)| (*feed, c.prefix))
            .collect()
    }

    fn is_shadow(&self, feed: FeedId) -> bool {
        self.rules.feeds[usize::from(feed)].is_some_and(|rules| rules.shadow)
    }

    pub(super) fn is_protected(&self, prefix: &Prefix) -> bool {
        self.rules.protected.iter().any(|one| one.covers(prefix))
    }

    /// The claim that holds on a prefix at a time, by the words of the contract.
    pub(super) fn holder(&self, prefix: &Prefix, unix: u32, with_shadow: bool) -> Option<Name> {
        let mut best: Option<&(FeedId, Claim)> = None;
        for one in &self.claims {
            let (feed, claim) = one;
            if claim.prefix.covers(prefix)
                && claim.expires.is_none_or(|end| unix < end)
                && (with_shadow || !self.is_shadow(*feed))
                && best.is_none_or(|best| self.beats(one, best))
            {
                best = Some(one);
            }
        }
        best.map(|(feed, claim)| (*feed, claim.prefix))
    }

    fn beats(&self, one: &(FeedId, Claim), other: &(FeedId, Claim)) -> bool {
        let rank = |feed: FeedId| self.rules.feeds[usize::from(feed)].map(|rules| rules.rank);
        if rank(one.0) != rank(other.0) {
            return rank(one.0) < rank(other.0);
        }
        if one.1.prefix.length() != other.1.prefix.length() {
            return one.1.prefix.length() > other.1.prefix.length();
        }
        let strict = |tier: u8| self.rules.strictness.get(usize::from(tier)).unwrap_or(&0);
        match (one.1.verdict, other.1.verdict) {
            (Verdict::Limit(a), Verdict::Limit(b)) if strict(a) != strict(b) => {
                strict(a) > strict(b)
            }
            (a, b) if a.name() != b.name() => {
                a == Verdict::Block || (b != Verdict::Block && b == Verdict::Allow)
            }
            _ => one.0 < other.0,
        }
    }

    /// The claims that hold a prefix from `unix` on, one after the other, with their ends.
    pub(super) fn holders(&self, prefix: &Prefix, unix: u32, shadow: bool) -> Vec<(Name, u32)> {
        let mut holders = Vec::new();
        let mut time = unix;
        while let Some(name) = self.holder(prefix, time, shadow) {
            time = self.claim(name).expires.unwrap_or(NEVER);
            holders.push((name, time));
            if time == NEVER {
                break;
            }
        }
        holders
    }

    fn claim(&self, name: Name) -> &Claim {
        let mut claims = self.claims.iter();
        &claims
            .find(|(feed, claim)| (*feed, claim.prefix) == name)
            .expect("a claim with that name")
            .1
    }

    /// All that belongs into the tables, with the ledger's numbers and the times
    /// of a clock that is `offset` seconds ahead of Unix time.
    pub(super) fn table(&self, ledger: &Ledger, unix: u32, offset: i64) -> Table {
        let mut keys: BTreeSet<_> = self.claims.iter().map(|(_feed, c)| c.prefix).collect();
        let outermost = self.rules.protected.iter().filter(|one| {
            let mut others = self.rules.protected.iter();
            !others.any(|other| other != *one && other.covers(one))
        });
        keys.extend(outermost);
        let number = |(feed, prefix): Name| {
            let mut claims = ledger.claims(Some(feed), Some(prefix), None);
            let claim = claims.find(|claim| claim.prefix == prefix);
            claim.expect("the ledger has the claim").number
        };
        let stage = |(name, end): &(Name, u32)| {
            let verdict = match self.claim(*name).verdict {
                Verdict::Block => Settled::BLOCK,
                Verdict::Limit(tier) => Settled::limit(tier),
                Verdict::Allow if name.0 == OPERATOR => Settled::ALLOW,
                Verdict::Allow => Settled::ADMIT,
            };
            let until = match *end {
                NEVER => NEVER,
                end => (i64::from(end) + offset).max(1) as u32,
            };
            Stage::new(verdict, number(*name), until)
        };
        let entry = |prefix: Prefix| {
            let mut entry = Entry::EMPTY;
            if self.is_protected(&prefix) {
                entry.stages[0] = Stage::new(Settled::PROTECT, 0, NEVER);
                return (prefix, entry);
            }
            let enforced = self.holders(&prefix, unix, false);
            let together = self.holders(&prefix, unix, true);
            fill(&mut entry.stages, &enforced, stage);
            if enforced != together {
                fill(&mut entry.shadow, &together, stage);
            }
            (prefix, entry)
        };
        keys.into_iter().map(entry).collect()
    }
}

fn fill(stages: &mut [Stage], holders: &[(Name, u32)], stage: impl Fn(&(Name, u32)) -> Stage) {
    let room = stages.len();
    for (place, holder) in stages.iter_mut().zip(holders) {
        *place = stage(holder);
    }
    if let Some(last) = holders.last()
        && holders.len() > room
    {
        stages[room - 1] = stage(last);
    }
}

/// The kernel's table.
pub(super) type Table = BTreeMap<Prefix, Entry>;

/// Applies a patch as the datapath does.
pub(super) fn patch_into(table: &mut Table, patch: &Patch) {
    let mut seen = BTreeSet::new();
    for (prefix, entry) in patch.iter() {
        assert!(seen.insert(prefix), "{prefix} is twice in a patch");
        let before = match entry {
            Some(entry) => table.insert(prefix, entry),
            None => table.remove(&prefix),
        };
        assert_ne!(before, entry, "{prefix} is in a patch without a change");
    }
}

/// Looks a source up as the kernel does.
pub(super) fn look_up(table: &Table, source: Address) -> Entry {
    let source = Prefix::of(source);
    let covering = table
        .iter()
        .filter(|(prefix, _entry)| prefix.covers(&source));
    covering
        .max_by_key(|(prefix, _entry)| prefix.length())
        .map_or(Entry::EMPTY, |(_prefix, entry)| *entry)
}

/// Whether a table's entry holds all of these holders.
pub(super) const fn fits(enforced: usize, together: usize) -> bool {
    enforced <= STAGES && together <= SHADOW_STAGES
}
