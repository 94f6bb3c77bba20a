//! Lists of claims, a page at a time: a million of them neither stand in memory twice nor
//! hold up the loop.

use super::{Engine, OPERATOR_NAME, feed_state::FeedState};
use crate::{
    claim,
    clock::Now,
    datapath::Datapath,
    feed::FeedId,
    ledger::View,
    prefix::{NotAPrefix, Prefix, Written},
    protocol::{ClaimLine, ListLine, ListQuery, Refused, Verdict},
};

/// The claims that a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    feed: Option<FeedId>,
    prefix: Option<Prefix>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The claims.
    pub lines: Vec<ListLine>,
    /// The prefix that it ends with, if more follow.
    pub more: Option<Prefix>,
}

impl Engine {
    /// Begins a list.
    ///
    /// # Errors
    /// If there is no such feed, or the prefix is none.
    pub fn list(&self, query: &ListQuery) -> Result<PageQuery, Refused> {
        let feed = match &query.feed {
            None => None,
            Some(name) => Some(self.feeds.number(name).ok_or_else(|| {
                let known = self.feeds.iter().map(FeedState::name);
                let known: Vec<_> = std::iter::once(OPERATOR_NAME).chain(known).collect();
                Refused::new(format!(
                    "there is no feed {name:?}: there are {}",
                    known.join(", ")
                ))
            })?),
        };
        let prefix = match &query.prefix {
            None => None,
            Some(text) => {
                let written: Written = text
                    .parse()
                    .map_err(|error: NotAPrefix| Refused::new(error.to_string()))?;
                Some(written.prefix)
            }
        };
        Ok(PageQuery { feed, prefix })
    }

    /// The page behind a prefix; `None`: the first.
    pub fn page(
        &self,
        query: &PageQuery,
        after: Option<Prefix>,
        datapath: &impl Datapath,
        now: Now,
    ) -> Page {
        let mut lines = Vec::new();
        // What covers the prefix comes first, the widest before the others.
        if let (Some(prefix), None) = (query.prefix, after) {
            let mut around: Vec<_> = self
                .ledger
                .covering(prefix.address())
                .into_iter()
                .filter(|claim| claim.prefix != prefix && claim.prefix.covers(&prefix))
                .filter(|claim| query.feed.is_none_or(|feed| feed == claim.feed))
                .collect();
            around.sort_by_key(|claim| claim.prefix.length());
            lines.extend(
                around
                    .iter()
                    .map(|claim| self.list_line(claim, datapath, now)),
            );
        }
        let mut last = None;
        let mut more = None;
        for claim in self.ledger.claims(query.feed, query.prefix, after) {
            if lines.len() >= PAGE && last != Some(claim.prefix) {
                more = last;
                break;
            }
            lines.push(self.list_line(&claim, datapath, now));
            last = Some(claim.prefix);
        }
        Page { lines, more }
    }

    /// A claim, and what holds beside it.
    fn list_line(&self, claim: &View<'_>, datapath: &impl Datapath, now: Now) -> ListLine {
        let (enforced, shadow) = self.ledger.holders(&claim.prefix);
        let verdict = |view: Option<View<'_>>| view.map(|view| self.spelled(view.verdict));
        ListLine {
            claim: self.claim_line(claim, datapath, now),
            mode: if claim.shadow { "observe" } else { "inherit" }.to_owned(),
            enforced: verdict(enforced),
            shadow: verdict(shadow),
        }
    }

    /// A claim as it is shown.
    pub(super) fn claim_line(
        &self,
        claim: &View<'_>,
        datapath: &impl Datapath,
        now: Now,
    ) -> ClaimLine {
        ClaimLine {
            prefix: claim.prefix.to_string(),
            verdict: self.spelled(claim.verdict),
            feed: self.feeds.name(claim.feed).to_owned(),
            reason: claim.reason.map(ToOwned::to_owned),
            evidence: claim.evidence,
            expires: claim.expires.map(super::operator::shown),
            expires_in_s: claim
                .expires
                .map(|end| u64::from(end.saturating_sub(now.unix))),
            id: claim.id.map(ToOwned::to_owned),
            hits: datapath.hits(claim.number),
        }
    }

    pub(super) fn spelled(&self, verdict: claim::Verdict) -> Verdict {
        match verdict {
            claim::Verdict::Allow => Verdict::Allow,
            claim::Verdict::Block => Verdict::Block,
            claim::Verdict::Limit(tier) => {
                let name = self.plan.tier_names.name(tier);
                Verdict::Limit(name.map_or_else(|| tier.to_string(), ToOwned::to_owned))
            }
        }
    }
}

/// Claims on a page, or a few more where a prefix has several.
const PAGE: usize = 4096;
