//! Keeping what the operator said: success is answered once it is on the disk.

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};

use crate::{
    claim::Change,
    feed::{Tiers, operator::Journal},
    host::clock,
};

/// Writes the operator's journal in a task of its own. Whatever waits is
/// written at once, so that many requests cost one flush.
pub(super) struct Keeper {
    jobs: mpsc::UnboundedSender<Job>,
    trouble: watch::Receiver<Option<String>>,
}

struct Job {
    changes: Vec<Change>,
    tiers: Tiers,
    done: oneshot::Sender<Result<(), String>>,
}

impl Keeper {
    pub(super) fn new(journal: Journal) -> Self {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (told, trouble) = watch::channel(None);
        tokio::spawn(keep(journal, waiting, told));
        Self { jobs, trouble }
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
        let (done, kept) = oneshot::channel();
        let job = Job {
            changes,
            tiers,
            done,
        };
        if let Err(mpsc::error::SendError(job)) = self.jobs.send(job) {
            let _gone = job
                .done
                .send(Err("the journal's writer has ended".to_owned()));
        }
        kept
    }
}

async fn keep(
    mut journal: Journal,
    mut waiting: mpsc::UnboundedReceiver<Job>,
    told: watch::Sender<Option<String>>,
) {
    while let Some(first) = waiting.recv().await {
        let mut changes = first.changes;
        journal.learn(&first.tiers);
        let mut done = vec![first.done];
        while let Ok(next) = waiting.try_recv() {
            changes.extend(next.changes);
            journal.learn(&next.tiers);
            done.push(next.done);
        }
        let now = u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX);
        let written = spawn_blocking(move || {
            let written = journal.append(&changes, now);
            (journal, written)
        });
        let Ok((given_back, written)) = written.await else {
            told.send_replace(Some("the journal's writer panicked".to_owned()));
            tracing::error!("the journal's writer panicked: nothing is kept any more");
            return;
        };
        journal = given_back;
        let written = written.map_err(|error| error.to_string());
        told.send_replace(written.clone().err());
        for done in done {
            // Whoever asked may be gone.
            let _gone = done.send(written.clone());
        }
    }
}
