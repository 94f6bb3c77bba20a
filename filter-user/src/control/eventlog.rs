//! The last events, and who follows them. The daemon keeps one of these.
//!
//! Every event is a line once, whoever reads it, and stands in memory once. A
//! reader has a place in the log; what it takes are pieces of it, and a piece is
//! taken only when the one before was written to its socket. So a reader never
//! holds the daemon up: one that is too slow finds the log gone on, loses events
//! and is told how many.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::sync::{self, Notify};
use tokio_stream::{Stream, StreamExt};

use super::{
    lines::line,
    protocol::{EventLine, Missed, Refused},
};

/// The last events as lines, and the way to whoever follows them.
#[derive(Debug)]
pub struct EventLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    /// There are more events, or there will be none.
    grew: Notify,
}

#[derive(Debug)]
struct Log {
    lines: VecDeque<Bytes>,
    /// The number of the first of them: events are counted from 0.
    first: u64,
    /// So many are kept.
    keep: usize,
    /// So many of them are shown to who comes later.
    show: usize,
    /// The next event of each follower.
    places: HashMap<u64, u64>,
    /// The number of the next follower.
    next: u64,
    /// Events that followers were too slow for.
    missed: u64,
    ended: bool,
}

impl EventLog {
    /// Shows the last `show` events to who comes later; a follower may be
    /// `behind` events late before it loses some.
    #[must_use]
    pub fn new(show: usize, behind: usize) -> Self {
        let log = Log {
            lines: VecDeque::new(),
            first: 0,
            keep: show.max(behind).max(1),
            show,
            places: HashMap::new(),
            next: 0,
            missed: 0,
            ended: false,
        };
        let shared = Shared {
            log: Mutex::new(log),
            grew: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// More events. However many: each follower is woken once.
    pub fn extend(&mut self, events: impl IntoIterator<Item = EventLine>) {
        for event in events {
            // Not under the lock, which followers wait for.
            let line = line(&event);
            let mut log = self.shared.lock();
            if log.lines.len() == log.keep {
                log.lines.pop_front();
                log.first += 1;
            }
            log.lines.push_back(line);
        }
        self.shared.grew.notify_waiters();
    }

    /// The events so far.
    #[must_use]
    pub fn recent(&self) -> Subscription {
        let log = self.shared.lock();
        let place = log.begin();
        let mut pieces = VecDeque::new();
        let mut next = place;
        while let Some(piece) = log.piece(&mut next) {
            pieces.push_back(piece);
        }
        Subscription {
            pieces,
            follower: None,
        }
    }

    /// The events so far, and everything that comes from now on.
    ///
    /// # Errors
    /// If there are [`FOLLOWERS`] already.
    pub fn follow(&self) -> Result<Subscription, Refused> {
        let mut log = self.shared.lock();
        if log.places.len() >= FOLLOWERS {
            return Err(Refused::new(format!(
                "{FOLLOWERS} readers follow the events already: end one of them first"
            )));
        }
        let number = log.next;
        log.next += 1;
        let place = log.begin();
        log.places.insert(number, place);
        Ok(Subscription {
            pieces: VecDeque::new(),
            follower: Some(Follower {
                number,
                shared: Arc::clone(&self.shared),
            }),
        })
    }

    /// How many follow, and how many events they were too slow for, all
    /// together.
    #[must_use]
    pub fn followers(&self) -> (u64, u64) {
        let log = self.shared.lock();
        let late = |place: &u64| log.first.saturating_sub(*place);
        let missed = log.missed + log.places.values().map(late).sum::<u64>();
        (log.places.len() as u64, missed)
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new(SHOWN, BEHIND)
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.grew.notify_waiters();
    }
}

impl Shared {
    /// Whatever panicked meanwhile: the log is whole at every moment.
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// The number of the first event for who comes now.
    fn begin(&self) -> u64 {
        self.first + self.lines.len().saturating_sub(self.show) as u64
    }

    /// The events from `place` on, not too many of them, and the place behind.
    fn piece(&self, place: &mut u64) -> Option<Bytes> {
        let from = place.saturating_sub(self.first) as usize;
        let mut piece = BytesMut::new();
        for line in self.lines.iter().skip(from) {
            if !piece.is_empty() && piece.len() + line.len() > PIECE {
                break;
            }
            piece.put_slice(line);
            *place += 1;
        }
        (!piece.is_empty()).then(|| piece.freeze())
    }
}

/// Events so far and events to come, none twice and none left out in between.
#[derive(Debug)]
pub struct Subscription {
    pieces: VecDeque<Bytes>,
    follower: Option<Follower>,
}

impl Subscription {
    /// The lines. Of a follower they end with the daemon; where it was too slow,
    /// a [`Missed`] stands in place of what it lost.
    pub fn lines(self) -> impl Stream<Item = Bytes> {
        let follower = Arc::new(sync::Mutex::new(self.follower));
        let to_come = tokio_stream::iter(std::iter::repeat(follower))
            .then(|follower| async move {
                match &*follower.lock().await {
                    Some(follower) => follower.next().await,
                    None => None,
                }
            })
            .map_while(|piece| piece);
        tokio_stream::iter(self.pieces).chain(to_come)
    }
}

/// One who follows; it is one less when this is dropped.
#[derive(Debug)]
struct Follower {
    number: u64,
    shared: Arc<Shared>,
}

impl Follower {
    /// The next lines; `None` when there will be none.
    async fn next(&self) -> Option<Bytes> {
        loop {
            // Before the look: what comes after it wakes this.
            let grew = self.shared.grew.notified();
            {
                let mut log = self.shared.lock();
                if let Some(lines) = self.take(&mut log) {
                    return Some(lines);
                }
                if log.ended {
                    return None;
                }
            }
            grew.await;
        }
    }

    fn take(&self, log: &mut Log) -> Option<Bytes> {
        let mut place = *log.places.get(&self.number)?;
        let missed = log.first.saturating_sub(place);
        let lines = if missed > 0 {
            place = log.first;
            log.missed += missed;
            Some(line(&Missed { missed }))
        } else {
            log.piece(&mut place)
        };
        log.places.insert(self.number, place);
        lines
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut log = self.shared.lock();
        if let Some(place) = log.places.remove(&self.number) {
            log.missed += log.first.saturating_sub(place);
        }
    }
}

/// Events that are shown to who comes later.
const SHOWN: usize = 1000;

/// Events that a follower may be late.
const BEHIND: usize = 4096;

/// Bytes of lines that are sent at once. Whoever doesn't read holds some of
/// these, so they are small.
const PIECE: usize = 8 << 10;

/// How many may follow: each is a connection, and has a file of the process.
pub const FOLLOWERS: usize = 512;

#[cfg(test)]
mod tests;
