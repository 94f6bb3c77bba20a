//! Events: from the kernel's ring to the log of events.

use std::time::{Duration, SystemTime};

use filter_common::event::Event;

use super::{DRAIN_AGAIN, Daemon, read_event};
use filter_core::{datapath::Datapath, engine::Input};

use crate::host::clock;

impl<D: Datapath> Daemon<D> {
    /// Reports every event that waits, or many of them. When to look again, if more may
    /// come that the kernel doesn't wake for.
    pub(super) fn read_events(&mut self) -> Option<Duration> {
        let begun = clock::boot_seconds();
        let mut events = Vec::new();
        let is_empty = loop {
            if events.len() == AT_ONCE {
                break false;
            }
            let Some(ring) = &mut self.ring else {
                break true;
            };
            match ring.get_mut().next() {
                Some(item) => events.extend(read_event(&item)),
                None => break true,
            }
        };
        if !events.is_empty() {
            let lines: Vec<_> = events
                .iter()
                .map(|event| self.engine.event_line(event, sent_at(event)))
                .collect();
            self.events.extend(lines);
        }
        // They were sent one after the other, but for the time that a program runs: far
        // less than a claim's number is in quarantine.
        let boot = match events.last() {
            Some(last) if !is_empty => begun.saturating_sub(seconds_ago(last) + 1),
            _ => begun,
        };
        self.handle(Input::EventsRead { boot });
        match events.len() {
            0 => None,
            AT_ONCE => Some(Duration::ZERO),
            _ => Some(DRAIN_AGAIN),
        }
    }
}

/// How long ago an event was sent.
fn ago(event: &Event) -> Duration {
    let ago = clock::monotonic_nanoseconds().saturating_sub(event.nanoseconds);
    Duration::from_nanos(ago)
}

/// When an event was sent, by the wall clock as it is now; not before 1970.
fn sent_at(event: &Event) -> SystemTime {
    let now = SystemTime::now();
    let now = now.max(SystemTime::UNIX_EPOCH);
    now.checked_sub(ago(event))
        .map_or(SystemTime::UNIX_EPOCH, |sent| {
            sent.max(SystemTime::UNIX_EPOCH)
        })
}

fn seconds_ago(event: &Event) -> u32 {
    u32::try_from(ago(event).as_secs()).unwrap_or(u32::MAX - 1)
}

/// Events that are reported before the loop looks at something else.
const AT_ONCE: usize = 4096;
