//! Keeping the operator's claims: success is answered once it is on the disk.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    claim::Change,
    feed::Tiers,
    store::{Journal, Store},
};

/// Sends changes to the store, and finds who waits for each outcome.
pub(super) struct Keeper {
    store: Store,
    next: AtomicU64,
    waiting: Arc<Mutex<HashMap<u64, Reply>>>,
    trouble: watch::Receiver<Option<String>>,
}

type Reply = oneshot::Sender<Result<(), String>>;

impl Keeper {
    pub(super) fn new(folder: PathBuf, journal: Journal) -> Result<Self> {
        let (done, mut outcomes) = mpsc::unbounded_channel();
        let store = Store::start(folder, journal, done).context("starting the store's thread")?;
        let (told, trouble) = watch::channel(None);
        let waiting = Arc::<Mutex<HashMap<u64, Reply>>>::default();
        let replies = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Some((ticket, outcome)) = outcomes.recv().await {
                told.send_replace(outcome.clone().err());
                let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(reply) = replies.remove(&ticket) {
                    // Whoever asked may be gone.
                    let _gone = reply.send(outcome);
                }
            }
        });
        Ok(Self {
            store,
            next: AtomicU64::new(0),
            waiting,
            trouble,
        })
    }

    /// What went wrong with the last change that was to be kept.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.borrow();
        let why = trouble.as_ref()?;
        Some(format!("what the operator says can't be kept: {why}"))
    }

    /// Takes changes in their order, which may name these tiers, and tells when
    /// they are kept.
    pub(super) fn keep(
        &self,
        changes: Vec<Change>,
        tiers: Tiers,
    ) -> oneshot::Receiver<Result<(), String>> {
        let (reply, kept) = oneshot::channel();
        let ticket = self.next.fetch_add(1, Relaxed);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ticket, reply);
        self.store.journal(ticket, changes, tiers);
        kept
    }
}
