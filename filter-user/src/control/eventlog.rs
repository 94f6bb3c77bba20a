//! The last events, and who follows them. The daemon keeps one of these: a
//! reader never holds it up, one that is too slow loses events and is told how
//! many.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use tokio::sync::{
    Mutex,
    broadcast::{self, error::RecvError},
};
use tokio_stream::{Stream, StreamExt};

use super::{
    lines::line,
    protocol::{EventLine, Missed},
};

/// The last events as lines, and the way to whoever follows them.
#[derive(Debug)]
pub struct EventLog {
    recent: VecDeque<Bytes>,
    keep: usize,
    live: broadcast::Sender<Bytes>,
}

impl EventLog {
    /// Keeps the last `keep` events; a follower may be `behind` events late
    /// before it loses some.
    #[must_use]
    pub fn new(keep: usize, behind: usize) -> Self {
        Self {
            recent: VecDeque::with_capacity(keep),
            keep,
            live: broadcast::Sender::new(behind.max(1)),
        }
    }

    /// One more event.
    pub fn push(&mut self, event: &EventLine) {
        let line = line(event);
        if self.keep > 0 {
            if self.recent.len() == self.keep {
                self.recent.pop_front();
            }
            self.recent.push_back(line.clone());
        }
        // An error says that nobody follows, which is as good.
        let _nobody = self.live.send(line);
    }

    /// What is kept, and everything that is pushed from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription {
            recent: self.recent.iter().cloned().collect(),
            live: self.live.subscribe(),
        }
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new(KEEP, BEHIND)
    }
}

/// Events so far and events to come, none twice and none left out in between.
#[derive(Debug)]
pub struct Subscription {
    recent: Vec<Bytes>,
    live: broadcast::Receiver<Bytes>,
}

impl Subscription {
    /// The events so far.
    pub fn recent(self) -> impl Stream<Item = Bytes> {
        tokio_stream::iter(self.recent)
    }

    /// The events so far, then those to come, until the daemon ends. Where the
    /// reader was too slow, a [`Missed`] stands in place of what it lost.
    pub fn follow(self) -> impl Stream<Item = Bytes> {
        let live = Arc::new(Mutex::new(self.live));
        let to_come = tokio_stream::iter(std::iter::repeat(live))
            .then(|live| async move {
                match live.lock().await.recv().await {
                    Ok(line) => Some(line),
                    Err(RecvError::Lagged(missed)) => Some(line(&Missed { missed })),
                    Err(RecvError::Closed) => None,
                }
            })
            .map_while(|line| line);
        tokio_stream::iter(self.recent).chain(to_come)
    }
}

/// Events that are kept for who comes later.
const KEEP: usize = 1000;

/// Events that a follower may be late.
const BEHIND: usize = 4096;

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use filter_common::{
        cause::{Action, Cause},
        settings::Mode,
    };

    use super::*;

    fn event(number: u64) -> EventLine {
        EventLine {
            time: "2026-11-22T20:00:00Z".into(),
            interface: "eth0".into(),
            source: [192, 0, 2, 7].into(),
            destination: [198, 51, 100, 1].into(),
            protocol: "tcp".into(),
            port: Some(443),
            service: None,
            cause: Cause::Blocked,
            action: Action::Drop,
            mode: Mode::Enforce,
            prefix: None,
            feed: None,
            reason: None,
            tier: None,
            generation: number,
            suppressed_before: 0,
            first: false,
            weight: 1,
        }
    }

    fn number(line: &Bytes) -> u64 {
        let event: EventLine = serde_json::from_slice(line).expect("an event");
        event.generation
    }

    #[tokio::test]
    async fn the_last_events_are_kept() {
        let mut log = EventLog::new(3, 8);
        (0..10).for_each(|number| log.push(&event(number)));
        let recent: Vec<_> = log.subscribe().recent().collect().await;
        assert_eq!(recent.iter().map(number).collect::<Vec<_>>(), [7, 8, 9]);
    }

    #[tokio::test]
    async fn a_follower_gets_what_was_and_what_comes_once() {
        let mut log = EventLog::new(3, 8);
        log.push(&event(0));
        let subscription = log.subscribe();
        log.push(&event(1));
        drop(log);
        let all: Vec<_> = subscription.follow().collect().await;
        assert_eq!(all.iter().map(number).collect::<Vec<_>>(), [0, 1]);
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_what_it_missed() {
        let mut log = EventLog::new(0, 8);
        let mut follower = pin!(log.subscribe().follow());
        (0..20).for_each(|number| log.push(&event(number)));
        let first = follower.next().await.expect("a line");
        let Missed { missed } = serde_json::from_slice(&first).expect("what was missed");
        assert_eq!(missed, 12);
        assert_eq!(number(&follower.next().await.expect("a line")), 12);
    }
}
