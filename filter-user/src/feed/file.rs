//! A file as a feed: read at the start, and after whoever writes it has closed
//! it or moved it into place.
//!
//! Nothing here polls while the file can be watched. What it said last goes on
//! while the file is missing or broken.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until},
};

use self::{
    reader::{Mark, Outcome, Reader, mark},
    watcher::{Seen, Watcher},
};
use super::{FeedId, Message, News, Refused, Rules, Sender};
use crate::claim::Update;

mod diff;
mod kept;
mod reader;
mod watcher;

pub use self::reader::Error;

/// Reads the file as it is now.
///
/// # Errors
/// If it can't be read, or is no list.
pub fn read_once(path: &Path, rules: &Rules) -> Result<(Update, Refused), Error> {
    let mut reader = Reader::new(path.to_owned(), rules.clone());
    for _ in 1..PATIENCE {
        if let Outcome::Read(read) = reader.read(false) {
            return read;
        }
    }
    match reader.read(true) {
        Outcome::Read(read) => read,
        Outcome::Same(_) | Outcome::Unsettled => unreachable!("nothing is kept, and it was forced"),
    }
}

/// Follows the file, beginning with the whole of it, until nobody listens to
/// the news. A notification of `refresh` has all of it read anew.
pub async fn watch(path: PathBuf, rules: Rules, feed: FeedId, news: Sender, refresh: Arc<Notify>) {
    let watcher = match Watcher::open(&path) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the file can't be watched and is polled");
            None
        }
    };
    let mut watch = Watch {
        reader: Some(Reader::new(path.clone(), rules)),
        path,
        feed,
        news,
        watcher,
        seen: None,
        candidate: None,
        unsettled: 0,
        failed: None,
        rest: Instant::now(),
    };
    let mut sees = watch.arm();
    let mut goes_on = watch.read().await;
    while goes_on {
        let tick = match (watch.unsettled, sees) {
            (1.., _) => Some(SETTLE),
            (0, false) => Some(POLL),
            (0, true) => None,
        };
        tokio::select! {
            seen = next_seen(&mut watch.watcher) => {
                sees = watch.arm();
                goes_on = watch.follow(seen).await;
            }
            () = refresh.notified() => {
                if let Some(reader) = &mut watch.reader {
                    reader.forget();
                }
                watch.failed = None;
                goes_on = watch.read().await;
            }
            () = sleep(tick.unwrap_or_default()), if tick.is_some() => {
                sees = watch.arm();
                goes_on = watch.tick().await;
            }
            () = watch.news.closed() => goes_on = false,
        }
    }
}

struct Watch {
    path: PathBuf,
    feed: FeedId,
    news: Sender,
    /// Away while it reads.
    reader: Option<Reader>,
    watcher: Option<Watcher>,
    /// What the file was when it was last read.
    seen: Option<Mark>,
    /// What it was at the last tick.
    candidate: Option<Mark>,
    /// Ticks since it was found being written; 0 if it wasn't.
    unsettled: u32,
    /// The failure that was told last, if the feed isn't well again.
    failed: Option<String>,
    /// No reading before that, so that a file that changes all the time
    /// takes but a part of a CPU.
    rest: Instant,
}

impl Watch {
    /// Whether a change of the file will be seen.
    fn arm(&mut self) -> bool {
        self.watcher.as_mut().is_some_and(Watcher::arm)
    }

    async fn follow(&mut self, seen: Seen) -> bool {
        if seen.read || seen.eased && self.failed.is_some() {
            return self.read().await;
        }
        if seen.settle {
            self.unsettled = self.unsettled.max(1);
        }
        // What has come back will be closed or moved, and is read then.
        if seen.gone && mark(&self.path).is_none() {
            self.seen = None;
            return self.fail(&Error::Missing(self.path.clone())).await;
        }
        true
    }

    /// Reads the file if it has changed, and has stopped changing.
    async fn tick(&mut self) -> bool {
        let now = mark(&self.path);
        if now == self.seen {
            self.unsettled = 0;
        } else if now == self.candidate || self.unsettled >= PATIENCE {
            return self.read().await;
        } else if self.unsettled > 0 {
            self.unsettled += 1;
        }
        self.candidate = now;
        true
    }

    /// Reads the file and tells what is new; `false` if nobody listens.
    async fn read(&mut self) -> bool {
        sleep_until(self.rest).await;
        let force = self.unsettled >= PATIENCE;
        let Some(mut reader) = self.reader.take() else {
            return false;
        };
        let start = Instant::now();
        let reading = spawn_blocking(move || {
            let outcome = reader.read(force);
            (reader, outcome)
        });
        // It fails only when the runtime shuts down.
        let Ok((reader, outcome)) = reading.await else {
            return false;
        };
        self.rest = Instant::now() + start.elapsed() * REST;
        self.seen = reader.mark();
        self.reader = Some(reader);
        let (update, refused) = match outcome {
            Outcome::Unsettled => {
                (self.seen, self.unsettled) = (None, self.unsettled + 1);
                return true;
            }
            Outcome::Same(_) if self.failed.is_none() => {
                self.unsettled = 0;
                return true;
            }
            Outcome::Same(refused) => (Update::Delta(Vec::new()), refused),
            Outcome::Read(Ok(read)) => read,
            Outcome::Read(Err(error)) => {
                self.unsettled = 0;
                return self.fail(&error).await;
            }
        };
        (self.unsettled, self.failed) = (0, None);
        self.tell(News::Update { update, refused }).await
    }

    async fn fail(&mut self, error: &Error) -> bool {
        let error = error.to_string();
        if self.failed.as_ref() == Some(&error) {
            return true;
        }
        self.failed = Some(error.clone());
        let state = "failed";
        self.tell(News::Failed { state, error }).await
    }

    async fn tell(&self, news: News) -> bool {
        self.news.send(Message::new(self.feed, news)).await.is_ok()
    }
}

async fn next_seen(watcher: &mut Option<Watcher>) -> Seen {
    let lost = match watcher {
        Some(watcher) => match watcher.next().await {
            Ok(seen) => return seen,
            Err(error) => error,
        },
        None => std::future::pending().await,
    };
    tracing::warn!(error = %lost, "a file can't be watched any more and is polled");
    *watcher = None;
    Seen {
        read: true,
        ..Seen::default()
    }
}

/// Between looks at a file that can't be watched.
const POLL: Duration = Duration::from_secs(1);

/// How long a file mustn't change that may still be written.
const SETTLE: Duration = Duration::from_millis(100);

/// Looks at a file that changes all the time, before it is read as it is.
const PATIENCE: u32 = 10;

/// Rest after a reading, in times of what it took.
const REST: u32 = 4;

#[cfg(test)]
mod tests;
