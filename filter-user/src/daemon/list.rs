//! Lists of claims, a page at a time: between two pages the loop does something else.

use bytes::Bytes;
use filter_core::{
    datapath::Datapath,
    engine::{Page, PageQuery},
};
use tokio::sync::{mpsc, oneshot};

use super::{Daemon, now};
use crate::{
    control::{
        lines,
        protocol::{ListQuery, Refused},
    },
    prefix::Prefix,
};

/// A request for the next page of a list.
pub(super) struct Asked {
    query: PageQuery,
    /// The last prefix of the page before; `None`: this is the first.
    after: Option<Prefix>,
    reply: oneshot::Sender<Page>,
}

impl<D: Datapath> Daemon<D> {
    /// Begins a list, and gives the channel that it comes by.
    pub(super) fn list(&self, query: &ListQuery) -> Result<mpsc::Receiver<Bytes>, Refused> {
        let query = self.engine.list(query)?;
        let (chunks, list) = mpsc::channel(4);
        tokio::spawn(turn_pages(self.ask_page.clone(), query, chunks));
        Ok(list)
    }

    /// Answers with a page.
    pub(super) fn page(&self, asked: Asked) {
        let Asked {
            query,
            after,
            reply,
        } = asked;
        let page = self.engine.page(&query, after, &self.datapath, now());
        // The client may be gone.
        let _gone = reply.send(page);
    }
}

async fn turn_pages(ask: mpsc::Sender<Asked>, query: PageQuery, chunks: mpsc::Sender<Bytes>) {
    let mut after = None;
    loop {
        let (reply, page) = oneshot::channel();
        let asked = Asked {
            query,
            after,
            reply,
        };
        if ask.send(asked).await.is_err() {
            return;
        }
        let Ok(Page { lines, more }) = page.await else {
            return;
        };
        lines::send(lines, chunks.clone()).await;
        if more.is_none() || chunks.is_closed() {
            return;
        }
        after = more;
    }
}
