//! The thread that writes the state folder, in order: the journal and the small files.
//!
//! It is detached: a disk that hangs keeps neither the loop waiting nor the process
//! from ending. Jobs that wait are bounded, and each has an answer.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    journal::{self, Journal},
    state_dir,
};
use crate::{claim::Change, feed::Tiers, host::clock};

/// The way to the thread. Dropped, the thread ends once everything is written.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    done: Done,
}

/// Where a job's ticket goes with its outcome.
pub type Done = mpsc::UnboundedSender<(u64, Result<(), String>)>;

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is a job, or there will be none.
    work: Condvar,
    /// A job is done.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// About how much of the memory these take.
    bytes: usize,
    /// The jobs that are being written, and since when the oldest has waited.
    under_way: Option<(Instant, Vec<u64>)>,
    /// Nobody sends jobs any more.
    closed: bool,
    /// The thread has ended.
    ended: bool,
}

#[derive(Debug)]
struct Job {
    ticket: u64,
    since: Instant,
    bytes: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Journal(Vec<Change>, Tiers),
    Persist(String, Option<String>),
}

impl Store {
    /// Starts the thread, which writes this journal and small files in this folder.
    ///
    /// # Errors
    /// If there can't be another thread.
    pub fn start(folder: PathBuf, journal: Journal, done: Done) -> io::Result<Self> {
        Self::start_with(folder, journal, done, || {})
    }

    /// The same, with something that the thread does before it writes: in a test it
    /// stands for a disk that hangs.
    fn start_with(
        folder: PathBuf,
        journal: Journal,
        done: Done,
        before: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            folder,
            journal,
            end: ThreadEnd {
                shared: Arc::clone(&shared),
                done: done.clone(),
            },
        };
        let _thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(before))?;
        Ok(Self { shared, done })
    }

    /// Appends changes to the journal, which may name these tiers.
    pub fn journal(&self, ticket: u64, changes: Vec<Change>, tiers: Tiers) {
        let bytes = changes.iter().map(weight).sum();
        self.send(ticket, bytes, What::Journal(changes, tiers));
    }

    /// Writes a word into a small file of the state folder; `None` removes the file.
    pub fn persist(&self, ticket: u64, name: String, word: Option<String>) {
        let bytes = name.len() + word.as_ref().map_or(0, String::len);
        self.send(ticket, bytes, What::Persist(name, word));
    }

    /// Tells for how long the oldest job has waited or been under way; `None` if
    /// everything is written.
    #[must_use]
    pub fn waiting(&self) -> Option<Duration> {
        Some(self.shared.lock().oldest()?.elapsed())
    }

    /// Waits until everything is written, but no longer than this. `false` if the disk
    /// hasn't taken everything.
    #[must_use]
    pub fn flush_within(&self, limit: Duration) -> bool {
        let unfinished = |queue: &mut Queue| !queue.ended && queue.oldest().is_some();
        let queue = self.shared.lock();
        let waited = self
            .shared
            .progress
            .wait_timeout_while(queue, limit, unfinished);
        let (queue, _timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !queue.ended && queue.oldest().is_none()
    }

    fn send(&self, ticket: u64, bytes: usize, what: What) {
        let mut queue = self.shared.lock();
        let full = queue.jobs.len() >= MAX_JOBS
            || !queue.jobs.is_empty() && queue.bytes.saturating_add(bytes) > MAX_BYTES;
        let refusal = if queue.ended {
            Some(ENDED.to_owned())
        } else if full {
            let waited = queue.oldest().map_or(0, |since| since.elapsed().as_secs());
            Some(format!(
                "the disk of daemon.state_dir hasn't taken what waits for {waited} s, and no more can wait: look at that disk"
            ))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            drop(queue);
            // Nobody may wait for it any more.
            let _gone = self.done.send((ticket, Err(refusal)));
            return;
        }
        queue.bytes = queue.bytes.saturating_add(bytes);
        queue.jobs.push_back(Job {
            ticket,
            since: Instant::now(),
            bytes,
            what,
        });
        drop(queue);
        self.shared.work.notify_one();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Since when the oldest job has waited or been under way.
    fn oldest(&self) -> Option<Instant> {
        let under_way = self.under_way.as_ref().map(|(since, _)| *since);
        under_way.or_else(|| Some(self.jobs.front()?.since))
    }
}

/// The thread's end of the queue. Dropped, also by a panic, it answers the jobs that
/// are left.
struct ThreadEnd {
    shared: Arc<Shared>,
    done: Done,
}

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.ended = true;
        let (_, mut left) = queue.under_way.take().unzip();
        let left = left.get_or_insert_default();
        left.extend(queue.jobs.drain(..).map(|job| job.ticket));
        for ticket in left.drain(..) {
            // Nobody may wait for it any more.
            let _gone = self.done.send((ticket, Err(ENDED.to_owned())));
        }
        self.shared.progress.notify_all();
    }
}

/// What runs in the thread.
struct Writer {
    folder: PathBuf,
    journal: Journal,
    end: ThreadEnd,
}

impl Writer {
    fn run(mut self, mut before: impl FnMut()) {
        while let Some(jobs) = self.next() {
            before();
            for (ticket, outcome) in self.carry_out(jobs) {
                // Nobody may wait for it any more.
                let _gone = self.end.done.send((ticket, outcome));
            }
            self.end.shared.lock().under_way = None;
            self.end.shared.progress.notify_all();
        }
    }

    /// The next job, and with one for the journal all that follow it at once for the
    /// journal too: they cost one flush together. `None` at the end.
    fn next(&self) -> Option<Vec<Job>> {
        let shared = &self.end.shared;
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let waited = shared.work.wait_while(shared.lock(), idle);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        let first = queue.jobs.pop_front()?;
        let for_journal = |job: &Job| matches!(job.what, What::Journal(..));
        let more = if for_journal(&first) {
            let jobs = queue.jobs.iter();
            jobs.take_while(|job| for_journal(job)).count()
        } else {
            0
        };
        let mut jobs = vec![first];
        jobs.extend(queue.jobs.drain(..more));
        queue.bytes -= jobs.iter().map(|job| job.bytes).sum::<usize>();
        let tickets = jobs.iter().map(|job| job.ticket).collect();
        queue.under_way = Some((jobs[0].since, tickets));
        Some(jobs)
    }

    fn carry_out(&mut self, jobs: Vec<Job>) -> Vec<(u64, Result<(), String>)> {
        let mut batch = Vec::new();
        let mut outcomes = Vec::new();
        for job in jobs {
            match job.what {
                What::Persist(name, word) => {
                    let outcome = self.persist(&name, word.as_deref());
                    outcomes.push((job.ticket, outcome));
                }
                What::Journal(changes, tiers) => {
                    self.journal.learn(&tiers);
                    batch.push((job.ticket, changes));
                }
            }
        }
        if !batch.is_empty() {
            outcomes.extend(self.append(&batch));
        }
        outcomes
    }

    fn append(&mut self, batch: &[(u64, Vec<Change>)]) -> Vec<(u64, Result<(), String>)> {
        let all = batch.iter().flat_map(|(_, changes)| changes);
        let outcome = self.append_one(all);
        let each = batch.iter();
        match outcome {
            // One of them has no words in the journal; that isn't the others' fault.
            Err(journal::Error::Unwritable(_)) if batch.len() > 1 => each
                .map(|(ticket, changes)| (*ticket, self.append_one(changes).map_err(words)))
                .collect(),
            outcome => {
                let outcome = outcome.map_err(words);
                each.map(|(ticket, _)| (*ticket, outcome.clone())).collect()
            }
        }
    }

    fn append_one<'c>(
        &mut self,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Result<(), journal::Error> {
        let now = u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX);
        if let Some(warning) = self.journal.append(changes, now)? {
            tracing::warn!("{warning}");
        }
        Ok(())
    }

    fn persist(&self, name: &str, word: Option<&str>) -> Result<(), String> {
        let (doing, written) = match word {
            Some(word) => ("written", state_dir::write(&self.folder, name, word)),
            None => ("removed", state_dir::remove(&self.folder, name)),
        };
        written.map_err(|error| {
            let path = self.folder.join(name);
            format!("{} can't be {doing}: {error}", path.display())
        })
    }
}

fn words(error: journal::Error) -> String {
    error.to_string()
}

/// About how many bytes a change takes in memory.
fn weight(change: &Change) -> usize {
    let text = match change {
        Change::Claim(claim) => claim.reason.as_ref().map_or(0, |reason| reason.len()),
        Change::Withdraw(_) => 0,
    };
    size_of::<Change>() + text
}

const ENDED: &str = "the thread that writes the state folder has ended: restart weir";

/// Jobs that may wait for the disk.
const MAX_JOBS: usize = 1024;

/// Bytes of jobs that may wait for the disk, beside a single larger one.
const MAX_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests;
