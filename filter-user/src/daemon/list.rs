//! Lists of claims, a page at a time: a million of them neither stand in memory
//! twice nor hold up the loop.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Daemon, now};
use crate::{
    claim,
    control::{
        lines,
        protocol::{ClaimLine, ListLine, ListQuery, Refused, Verdict},
    },
    feed::{FeedId, codec::ndjson},
    ledger::View,
    prefix::{NotAPrefix, Prefix, Written},
};

/// A request for the next page of a list.
pub(super) struct Page {
    feed: Option<FeedId>,
    prefix: Option<Prefix>,
    /// The last prefix of the page before; `None`: this is the first.
    after: Option<Prefix>,
    reply: oneshot::Sender<(Vec<ListLine>, Option<Prefix>)>,
}

/// Begins a list, and gives the channel that it comes by.
pub(super) fn list(daemon: &Daemon, query: &ListQuery) -> Result<mpsc::Receiver<Bytes>, Refused> {
    let feed = match &query.feed {
        None => None,
        Some(name) => Some(daemon.feeds.number(name).ok_or_else(|| {
            let known = daemon.feeds.iter().map(|(_, slot)| slot.name());
            let known: Vec<_> = std::iter::once("operator").chain(known).collect();
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
    let (chunks, list) = mpsc::channel(4);
    tokio::spawn(turn_pages(daemon.ask_page.clone(), feed, prefix, chunks));
    Ok(list)
}

async fn turn_pages(
    ask: mpsc::Sender<Page>,
    feed: Option<FeedId>,
    prefix: Option<Prefix>,
    chunks: mpsc::Sender<Bytes>,
) {
    let mut after = None;
    loop {
        let (reply, page) = oneshot::channel();
        let asked = Page {
            feed,
            prefix,
            after,
            reply,
        };
        if ask.send(asked).await.is_err() {
            return;
        }
        let Ok((lines, next)) = page.await else {
            return;
        };
        lines::send(lines, chunks.clone()).await;
        if next.is_none() || chunks.is_closed() {
            return;
        }
        after = next;
    }
}

impl Daemon {
    /// Answers with a page, and the prefix that it ends with if more follow.
    pub(super) fn page(&self, page: Page) {
        let mut lines = Vec::new();
        // What covers the prefix comes first, the widest before the others.
        if let (Some(prefix), None) = (page.prefix, page.after) {
            let mut around: Vec<_> = self
                .ledger
                .covering(prefix.address())
                .into_iter()
                .filter(|claim| claim.prefix != prefix && claim.prefix.covers(&prefix))
                .filter(|claim| page.feed.is_none_or(|feed| feed == claim.feed))
                .collect();
            around.sort_by_key(|claim| claim.prefix.length());
            lines.extend(around.iter().map(|claim| self.list_line(claim)));
        }
        let mut last = None;
        let mut more = None;
        for claim in self.ledger.claims(page.feed, page.prefix, page.after) {
            if lines.len() >= PAGE && last != Some(claim.prefix) {
                more = last;
                break;
            }
            lines.push(self.list_line(&claim));
            last = Some(claim.prefix);
        }
        // Whoever asked may be gone.
        let _gone = page.reply.send((lines, more));
    }

    /// A claim, and what holds beside it.
    fn list_line(&self, claim: &View<'_>) -> ListLine {
        let (enforced, shadow) = self.ledger.holders(&claim.prefix);
        let verdict = |view: Option<View<'_>>| view.map(|view| self.spelled(view.verdict));
        ListLine {
            claim: self.claim_line(claim),
            mode: if claim.shadow { "observe" } else { "inherit" }.to_owned(),
            enforced: verdict(enforced),
            shadow: verdict(shadow),
        }
    }

    /// A claim as it is shown.
    pub(super) fn claim_line(&self, claim: &View<'_>) -> ClaimLine {
        ClaimLine {
            prefix: claim.prefix.to_string(),
            verdict: self.spelled(claim.verdict),
            feed: self.feeds.name(claim.feed).to_owned(),
            reason: claim.reason.map(ToOwned::to_owned),
            evidence: claim.evidence,
            expires: claim.expires.map(ndjson::time),
            expires_in_s: claim
                .expires
                .map(|end| u64::from(end.saturating_sub(now().unix))),
            id: claim.id.map(ToOwned::to_owned),
            hits: self.kernel.hits(claim.number),
        }
    }

    pub(super) fn spelled(&self, verdict: claim::Verdict) -> Verdict {
        verdict.map(|tier| {
            let name = self.plan.tier_names.name(tier);
            name.map_or_else(|| tier.to_string(), ToOwned::to_owned)
        })
    }
}

/// Claims on a page, or a few more where a prefix has several.
const PAGE: usize = 4096;
