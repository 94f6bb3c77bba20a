//! A file as a feed: read at the start, and after whoever writes it has closed
//! it or moved it into place.
//!
//! Nothing here polls while the file can be watched. What it said last goes on
//! while the file is missing or broken.

use std::{
    future::pending,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::{Notify, oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use self::{
    reader::{Mark, Outcome, Reader, mark},
    watcher::{Seen, Watcher},
};
use super::{FeedId, Message, News, Refused, Rules, Sender};
use crate::{claim::Update, store::reader::detached};

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
///
/// A thread of its own does that, since a network file system may hang at each touch
/// of the file, which is a failure of this feed and nobody else's.
pub async fn watch(path: PathBuf, rules: Rules, feed: FeedId, news: Sender, refresh: Arc<Notify>) {
    let (touches, mut touched) = watch::channel(false);
    // Dropped with this future, it ends the thread, unless that hangs.
    let (_end, ended) = oneshot::channel::<()>();
    let following = detached("feed-file", {
        let (path, news, refresh) = (path.clone(), news.clone(), Arc::clone(&refresh));
        move || -> io::Result<()> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    () = follow(path, rules, feed, news, refresh, touches) => {}
                    _ = ended => {}
                }
            });
            Ok(())
        }
    });
    let fail = async |error: Error| {
        let (state, error) = ("failed", error.to_string());
        let news = news.send(Message::new(feed, News::Failed { state, error }));
        news.await.is_ok()
    };
    let mut following = match following {
        Ok(following) => following,
        Err(error) => {
            fail(Error::Unreadable { path, error }).await;
            return;
        }
    };
    loop {
        tokio::select! {
            ended = &mut following => {
                let ended = ended.unwrap_or_else(|_panicked| Err(io::Error::other("it panicked")));
                if let Err(error) = ended {
                    fail(Error::Unreadable { path, error }).await;
                }
                return;
            }
            () = hangs(&mut touched, TOUCH_TIMEOUT) => {
                let (path, waited) = (path.clone(), TOUCH_TIMEOUT);
                if !fail(Error::Slow { path, waited }).await {
                    return;
                }
                // Once it goes on, the feed is to be well again.
                if touched.wait_for(|touches| !touches).await.is_ok() {
                    refresh.notify_one();
                }
            }
            () = news.closed() => return,
        }
    }
}

/// Ends when one touch of the file takes longer than the limit.
async fn hangs(touched: &mut watch::Receiver<bool>, limit: Duration) {
    loop {
        if touched.wait_for(|touches| *touches).await.is_err() {
            // The thread is gone.
            return pending().await;
        }
        let done = touched.wait_for(|touches| !touches);
        if timeout(limit, done).await.is_err() {
            return;
        }
    }
}

/// Follows the file in the thread.
async fn follow(
    path: PathBuf,
    rules: Rules,
    feed: FeedId,
    news: Sender,
    refresh: Arc<Notify>,
    touches: watch::Sender<bool>,
) {
    let watcher = match touch(&touches, || Watcher::open(&path)) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the file can't be watched and is polled");
            None
        }
    };
    let mut watch = Watch {
        reader: Reader::new(path.clone(), rules),
        path,
        feed,
        news,
        touches,
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
                watch.reader.forget();
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
    reader: Reader,
    /// Whether the thread is touching the file, for those who wait for it.
    touches: watch::Sender<bool>,
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
        let watcher = &mut self.watcher;
        touch(&self.touches, || watcher.as_mut().is_some_and(Watcher::arm))
    }

    async fn follow(&mut self, seen: Seen) -> bool {
        if seen.read || seen.eased && self.failed.is_some() {
            return self.read().await;
        }
        if seen.settle {
            self.unsettled = self.unsettled.max(1);
        }
        // What has come back will be closed or moved, and is read then.
        if seen.gone && touch(&self.touches, || mark(&self.path)).is_none() {
            self.seen = None;
            return self.fail(&Error::Missing(self.path.clone())).await;
        }
        true
    }

    /// Reads the file if it has changed, and has stopped changing.
    async fn tick(&mut self) -> bool {
        let now = touch(&self.touches, || mark(&self.path));
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
        let start = Instant::now();
        let reader = &mut self.reader;
        let outcome = touch(&self.touches, || reader.read(force));
        self.rest = Instant::now() + start.elapsed() * REST;
        self.seen = self.reader.mark();
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

/// Does something with the file that may hang.
fn touch<T>(touches: &watch::Sender<bool>, work: impl FnOnce() -> T) -> T {
    touches.send_replace(true);
    let outcome = work();
    touches.send_replace(false);
    outcome
}

async fn next_seen(watcher: &mut Option<Watcher>) -> Seen {
    let lost = match watcher {
        Some(watcher) => match watcher.next().await {
            Ok(seen) => return seen,
            Err(error) => error,
        },
        None => pending().await,
    };
    tracing::warn!(error = %lost, "a file can't be watched any more and is polled");
    *watcher = None;
    Seen {
        read: true,
        ..Seen::default()
    }
}

/// How long one touch of a file may take: a long list is read in less.
const TOUCH_TIMEOUT: Duration = Duration::from_secs(10);

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
