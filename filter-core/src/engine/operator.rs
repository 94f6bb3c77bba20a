//! The operator's claims: `weir block`, `allow`, `limit`, `clear`.
//!
//! Every request is one change of the journal and one patch. What can't be kept or
//! can't be in force is refused before either.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Effect, Engine, Pending, RequestId, tier_numbers};
use crate::{
    claim::{Change, Claim, Update, Verdict},
    clock::Now,
    feed::codec::ndjson::encode,
    ledger::{OPERATOR, View},
    prefix::{Prefix, Written},
    protocol::{Answer, Holder, Order, PrefixAnswer, Refused, VerdictAnswer, VerdictRequest},
};

/// A claim of the operator's that ends.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    claim: Claim,
    end: End,
}

/// When a claim of the operator's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At this moment since boot, in milliseconds: it was given for a while.
    Boot(u64),
    /// At this Unix second: it comes from before a restart.
    Unix(u32),
}

/// An order on its way: to the journal, then to the tables.
#[derive(Debug)]
pub(super) struct VerdictPending {
    id: RequestId,
    answer: VerdictAnswer,
    /// The changes, and the place of each in the answer.
    changes: Vec<(usize, Change)>,
    /// When the claims end, in milliseconds since boot.
    ends: Option<u64>,
    /// When the client is answered at the latest.
    until: u64,
    /// The client was answered that it isn't done.
    abandoned: bool,
}

impl VerdictPending {
    pub(super) const fn due(&self) -> Option<u64> {
        if self.abandoned {
            None
        } else {
            Some(self.until)
        }
    }
}

impl Engine {
    /// Validates an order, and has the rest written to the journal.
    pub(super) fn verdict(&mut self, id: RequestId, request: &VerdictRequest, now: Now) {
        let (verdict, expires) = match self.ordered(request, now) {
            Ok(ordered) => ordered,
            Err(refused) => return self.answer(id, Err(refused)),
        };
        let reason: Option<Arc<str>> = request.reason.as_deref().map(Into::into);
        let tiers = tier_numbers(&self.plan.tier_names);
        let on_their_way = self.on_their_way();
        let mut answers = Vec::with_capacity(request.prefixes.len());
        let mut changes = Vec::with_capacity(request.prefixes.len());
        for text in &request.prefixes {
            let written: Written = match text.parse() {
                Ok(written) => written,
                Err(error) => {
                    answers.push(PrefixAnswer::refused(text, error.to_string()));
                    continue;
                }
            };
            let prefix = written.prefix;
            let change = match verdict {
                Some(verdict) => Change::Claim(Claim {
                    prefix,
                    verdict,
                    reason: reason.clone(),
                    evidence: 0,
                    expires,
                    id: None,
                }),
                None => Change::Withdraw(prefix),
            };
            let is_on_its_way = on_their_way.contains(&prefix);
            let is_claimed = is_on_its_way || self.operators(&prefix).is_some();
            let answer = if verdict.is_none() && !is_claimed {
                self.nothing_to_clear(text, &written)
            } else if let Some(fault) = verdict.and_then(|_| self.ledger.fault(OPERATOR, &prefix)) {
                PrefixAnswer::refused(text, fault.to_string())
            } else if let Err(fault) = encode(&change, &tiers) {
                PrefixAnswer::refused(text, fault.to_string())
            } else {
                let mut answer = PrefixAnswer::done(text, &written);
                answer.changed = is_on_its_way || !self.says_so_already(&change);
                changes.push((answers.len(), change));
                answer
            };
            answers.push(answer);
        }
        let answer = VerdictAnswer {
            until: expires.map(shown),
            prefixes: answers,
        };
        if changes.is_empty() {
            return self.answer(id, Ok(Answer::Verdict(answer)));
        }
        let ticket = self.ticket();
        self.effects.push_back(Effect::Journal {
            ticket,
            changes: changes.iter().map(|(_, change)| change.clone()).collect(),
            tiers,
        });
        let pending = VerdictPending {
            id,
            answer,
            changes,
            ends: request.for_s.map(|seconds| now.boot_ms + seconds * 1_000),
            until: now.boot_ms + JOURNAL_TIMEOUT_MS,
            abandoned: false,
        };
        self.pending.insert(ticket, Pending::Verdict(pending));
    }

    /// The verdict of an order, and the Unix second of its end.
    fn ordered(
        &self,
        request: &VerdictRequest,
        now: Now,
    ) -> Result<(Option<Verdict>, Option<u32>), Refused> {
        let verdict = match &request.verdict {
            Order::Clear => None,
            Order::Allow => Some(Verdict::Allow),
            Order::Block => Some(Verdict::Block),
            Order::Limit(tier) => match self.plan.tier_names.number(tier) {
                Some(number) => Some(Verdict::Limit(number)),
                None => {
                    let known: Vec<_> = self.plan.tier_names.names().collect();
                    let sentence =
                        format!("there is no tier {tier:?}: there are {}", known.join(", "));
                    return Err(Refused::new(sentence));
                }
            },
        };
        let expires = match request.for_s {
            None => None,
            Some(seconds) => match u32::try_from(u64::from(now.unix).saturating_add(seconds)) {
                Ok(expires) if expires < u32::MAX => Some(expires),
                _ => {
                    return Err(Refused::new(
                        "that is longer than weir can count: leave out the duration",
                    ));
                }
            },
        };
        Ok((verdict, expires))
    }

    /// The journal has the changes, or not: they take effect, or are refused.
    pub(super) fn journaled(
        &mut self,
        mut pending: VerdictPending,
        result: Result<(), String>,
        now: Now,
    ) {
        if pending.abandoned {
            if result.is_ok() {
                self.undo(&pending.changes);
            }
            return;
        }
        if let Err(why) = result {
            self.troubles.journal = Some(format!("the operator's claims can't be kept: {why}"));
            for (place, _) in &pending.changes {
                let written = std::mem::take(&mut pending.answer.prefixes[*place].written);
                pending.answer.prefixes[*place] = PrefixAnswer::refused(
                    written,
                    format!("it isn't in force, since it can't be kept: {why}"),
                );
            }
            return self.answer(pending.id, Ok(Answer::Verdict(pending.answer)));
        }
        self.troubles.journal = None;
        // While it was written the wall clock may have been set.
        let expires = pending.ends.map(|ends| now.unix_at(ends));
        for (_, change) in &mut pending.changes {
            if let Change::Claim(claim) = change {
                claim.expires = expires;
            }
        }
        let changes: Vec<_> = pending.changes.iter().map(|(_, one)| one.clone()).collect();
        self.remember(&changes, pending.ends);
        let update = Update::Delta(changes);
        let applied = self.ledger.apply(OPERATOR, update, now);
        if applied.refused.count > 0 {
            self.refuse_late(&mut pending, &applied.refused);
        }
        self.apply(applied.patch, Some(pending), now);
    }

    /// Refuses claims that were allowed when they were looked at, and aren't any more,
    /// or that there is no room for.
    fn refuse_late(&mut self, pending: &mut VerdictPending, refused: &crate::ledger::Refused) {
        let (stand, gone) = std::mem::take(&mut pending.changes).into_iter().partition(
            |(_, change)| match change {
                Change::Claim(claim) => self.operators(&claim.prefix).is_some(),
                Change::Withdraw(_) => true,
            },
        );
        pending.changes = stand;
        for (place, change) in &gone {
            let prefix = about(change);
            let mut known = refused.first.iter();
            let known = known.find(|refusal| refusal.prefix == prefix);
            let fault = known.or_else(|| refused.first.first()).map_or_else(
                || "there is no room for it".to_owned(),
                |refusal| refusal.fault.to_string(),
            );
            let answer = &mut pending.answer.prefixes[*place];
            let written = std::mem::take(&mut answer.written);
            *answer = PrefixAnswer::refused(written, fault);
            self.timed.remove(&prefix);
        }
        self.undo(&gone);
    }

    /// The changes are in force, but for what the tables refused.
    pub(super) fn verdict_applied(
        &mut self,
        mut pending: VerdictPending,
        refused: &[(Prefix, String)],
    ) {
        let refused: HashMap<_, _> = refused.iter().map(|(prefix, why)| (prefix, why)).collect();
        for (place, change) in &pending.changes {
            let answer = &mut pending.answer.prefixes[*place];
            if let Some(why) = refused.get(&about(change)) {
                answer.done = false;
                answer.error = Some(format!(
                    "it is kept, but the kernel's table refused it, and will be asked again: {why}"
                ));
            } else if matches!(change, Change::Withdraw(_)) {
                answer.held_by = self.holders(&about(change));
            }
        }
        self.answer(pending.id, Ok(Answer::Verdict(pending.answer)));
    }

    /// Answers clients whose claims the disk hasn't taken in time: nothing of theirs is
    /// in force, nor will be.
    pub(super) fn pass_verdicts(&mut self, now: Now) {
        let mut late = Vec::new();
        for pending in self.pending.values_mut() {
            let Pending::Verdict(verdict) = pending else {
                continue;
            };
            if verdict.due().is_none_or(|due| due > now.boot_ms) {
                continue;
            }
            verdict.abandoned = true;
            let mut answer = std::mem::take(&mut verdict.answer);
            for (place, _) in &verdict.changes {
                let written = std::mem::take(&mut answer.prefixes[*place].written);
                answer.prefixes[*place] = PrefixAnswer::refused(written, SLOW);
            }
            late.push((verdict.id, answer));
        }
        for (id, answer) in late {
            self.troubles.journal = Some(format!("the operator's claims can't be kept: {SLOW}"));
            self.answer(id, Ok(Answer::Verdict(answer)));
        }
    }

    /// Puts the journal right: it has changes that aren't in force.
    fn undo(&mut self, changes: &[(usize, Change)]) {
        let prefixes = changes.iter().map(|(_, change)| about(change));
        self.journal_again(prefixes.collect());
    }

    /// Has the journal say what the ledger does on these prefixes. One with an order on
    /// its way comes later: the order's line is in the journal already, and a line behind
    /// it would undo what is about to be answered with success.
    fn journal_again(&mut self, prefixes: Vec<Prefix>) {
        let on_their_way = self.on_their_way();
        let (later, prefixes): (Vec<_>, Vec<_>) = prefixes
            .into_iter()
            .partition(|prefix| on_their_way.contains(prefix));
        self.unjournaled.extend(later);
        if prefixes.is_empty() {
            return;
        }
        let changes = prefixes.iter().map(|prefix| match self.operators(prefix) {
            Some(view) => Change::Claim(claim_of(&view)),
            None => Change::Withdraw(*prefix),
        });
        let changes = changes.collect();
        let ticket = self.ticket();
        self.pending.insert(ticket, Pending::Undo(prefixes));
        let tiers = tier_numbers(&self.plan.tier_names);
        self.effects.push_back(Effect::Journal {
            ticket,
            changes,
            tiers,
        });
    }

    /// What came of putting the journal right: what failed is tried again.
    pub(super) fn undone(&mut self, prefixes: Vec<Prefix>, result: Result<(), String>) {
        if let Err(why) = &result {
            self.unjournaled.extend(prefixes);
            tracing::error!(why, "the journal isn't what is in force");
        }
        self.troubles.journal = result.err().map(|why| {
            format!("the operator's claims in the journal aren't those in force: {why}")
        });
    }

    /// Tries again to put the journal right.
    pub(super) fn retry_journal(&mut self) {
        let prefixes = std::mem::take(&mut self.unjournaled);
        if !prefixes.is_empty() {
            self.journal_again(prefixes.into_iter().collect());
        }
    }

    /// Remembers the ends of claims, whatever the wall clock does.
    fn remember(&mut self, changes: &[Change], ends: Option<u64>) {
        for change in changes {
            match (change, ends) {
                (Change::Claim(claim), Some(ends)) => {
                    let timed = Timed {
                        claim: claim.clone(),
                        end: End::Boot(ends),
                    };
                    self.timed.insert(claim.prefix, timed);
                }
                (change, _) => {
                    self.timed.remove(&about(change));
                }
            }
        }
    }

    /// Remembers the ends of claims that come from before a restart.
    pub(super) fn remember_recalled(&mut self, claims: &[Claim]) {
        for claim in claims {
            if let Some(expires) = claim.expires {
                let timed = Timed {
                    claim: claim.clone(),
                    end: End::Unix(expires),
                };
                self.timed.insert(claim.prefix, timed);
            }
        }
    }

    /// Dates the operator's claims anew after a step of the wall clock: those that were
    /// given for a while last as long as they were to, and those that ended by the wrong
    /// time hold again.
    pub(super) fn redate(&mut self, now: Now) {
        let mut changes = Vec::new();
        self.timed.retain(|prefix, timed| match timed.end {
            // Dated by the wrong clock it would live again after a restart.
            End::Boot(at) if at <= now.boot_ms => {
                changes.push(Change::Withdraw(*prefix));
                false
            }
            End::Boot(_) => true,
            End::Unix(at) => at.saturating_add(FORGOTTEN_AFTER_SECONDS) > now.unix,
        });
        for timed in self.timed.values_mut() {
            timed.claim.expires = Some(match timed.end {
                End::Boot(at) => now.unix_at(at).max(now.unix.saturating_add(1)),
                End::Unix(at) => at,
            });
            changes.push(Change::Claim(timed.claim.clone()));
        }
        if changes.is_empty() {
            return;
        }
        let prefixes = changes.iter().map(about).collect();
        let update = Update::Delta(changes);
        let applied = self.ledger.apply(OPERATOR, update, now);
        self.apply(applied.patch, None, now);
        self.journal_again(prefixes);
    }

    /// Whether a claim of the operator's on its prefix says the same already.
    fn says_so_already(&self, change: &Change) -> bool {
        let Change::Claim(claim) = change else {
            return false;
        };
        self.operators(&claim.prefix).is_some_and(|view| {
            view.verdict == claim.verdict
                && view.reason == claim.reason.as_deref()
                && view.expires == claim.expires
        })
    }

    /// The prefixes of orders that wait for the disk, answered or not.
    fn on_their_way(&self) -> HashSet<Prefix> {
        let orders = self.pending.values().filter_map(|pending| match pending {
            Pending::Verdict(verdict) => Some(&verdict.changes),
            _ => None,
        });
        orders.flatten().map(|(_, change)| about(change)).collect()
    }

    fn operators(&self, prefix: &Prefix) -> Option<View<'_>> {
        let mut claims = self
            .ledger
            .claims(Some(OPERATOR), Some(*prefix), None)
            .take_while(|claim| claim.prefix == *prefix);
        claims.next()
    }

    fn nothing_to_clear(&self, text: &str, written: &Written) -> PrefixAnswer {
        let mut answer = PrefixAnswer::done(text, written);
        answer.changed = false;
        answer.held_by = self.holders(&written.prefix);
        answer
    }

    /// Whose claims still hold on a prefix, the strongest first, and what lifts each.
    fn holders(&self, prefix: &Prefix) -> Vec<Holder> {
        let covering = self.ledger.covering(prefix.address());
        covering
            .iter()
            .filter(|claim| claim.prefix.covers(prefix) && !claim.shadow)
            .map(|claim| {
                let name = self.feeds.name(claim.feed);
                let (on, verdict) = (claim.prefix.to_string(), self.spelled(claim.verdict));
                if claim.feed == OPERATOR {
                    Holder::operator(on, verdict)
                } else if self.feeds.is_policys(claim.feed) {
                    Holder::policy(name, on, verdict)
                } else {
                    Holder::feed(name, on, verdict)
                }
            })
            .collect()
    }
}

/// The prefix that a change is about.
const fn about(change: &Change) -> Prefix {
    match change {
        Change::Claim(claim) => claim.prefix,
        Change::Withdraw(prefix) => *prefix,
    }
}

fn claim_of(view: &View<'_>) -> Claim {
    Claim {
        prefix: view.prefix,
        verdict: view.verdict,
        reason: view.reason.map(Into::into),
        evidence: view.evidence,
        expires: view.expires,
        id: view.id.map(Into::into),
    }
}

/// A Unix second as RFC 3339 has it.
pub(super) fn shown(unix: u32) -> String {
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(unix));
    humantime::format_rfc3339_seconds(moment).to_string()
}

/// Milliseconds that a client waits for the disk: less than its own patience.
const JOURNAL_TIMEOUT_MS: u64 = 3_000;

const SLOW: &str = "it isn't in force: the disk hasn't taken it in three seconds";

/// Seconds after its end for which a claim of before a restart is remembered, should the
/// wall clock be wrong.
const FORGOTTEN_AFTER_SECONDS: u32 = 86_400;
