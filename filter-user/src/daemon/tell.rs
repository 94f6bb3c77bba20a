//! Events: from the kernel's ring to lines.

use std::time::{Duration, SystemTime};

use filter_common::{
    cause::{Action, Cause},
    event::Event,
    settings::Mode,
    source::{Address, Family},
};

use super::{DRAIN_AGAIN, Daemon};
use crate::{control::protocol::EventLine, host::clock, prefix::ip};

impl Daemon {
    /// Tells every event that waits, or many of them. When to look again, if
    /// more may come that the kernel doesn't wake for.
    pub(super) fn tell(&mut self) -> Option<Duration> {
        let begun = clock::boot_seconds();
        let mut events = Vec::new();
        let is_empty = loop {
            if events.len() == AT_ONCE {
                break false;
            }
            match self.ring.get_mut().next() {
                Some(item) => events.extend(read(&item)),
                None => break true,
            }
        };
        if !events.is_empty() {
            let lines: Vec<_> = events.iter().map(|event| self.line(event)).collect();
            self.events.extend(lines);
        }
        // They were sent one after the other, but for the time that a program
        // runs: far less than a claim's number rests.
        let told = match events.last() {
            Some(last) if !is_empty => begun.saturating_sub(seconds_ago(last) + 1),
            _ => begun,
        };
        let kernel = &self.kernel;
        self.ledger.told(told, |claim| kernel.forget_hits(claim));
        match events.len() {
            0 => None,
            AT_ONCE => Some(Duration::ZERO),
            _ => Some(DRAIN_AGAIN),
        }
    }

    fn line(&self, event: &Event) -> EventLine {
        let time = SystemTime::now() - ago(event);
        let claim = (event.claim != 0)
            .then(|| self.ledger.judged(event.claim))
            .flatten();
        let named = self
            .attached
            .iter()
            .find(|one| one.index == event.interface);
        let cause = Cause::from_code(event.cause).unwrap_or(Cause::Unlimited);
        let rated = cause.is_over();
        EventLine {
            time: humantime::format_rfc3339_micros(time).to_string(),
            interface: named.map_or_else(
                || event.interface.to_string(),
                |attached| attached.interface.clone(),
            ),
            source: ip(address(event.family, event.source)),
            destination: ip(address(event.destination_family, event.destination)),
            protocol: protocol(event.protocol),
            port: (event.port != 0).then_some(event.port),
            service: (rated || event.service != 0)
                .then(|| self.plan.service_name(event.service).map(ToOwned::to_owned))
                .flatten(),
            cause,
            action: if event.action == Action::Drop as u8 {
                Action::Drop
            } else {
                Action::Pass
            },
            mode: if event.mode == Mode::Enforce as u8 {
                Mode::Enforce
            } else {
                Mode::Observe
            },
            prefix: claim.map(|claim| claim.prefix.to_string()),
            feed: claim.map(|claim| self.feeds.name(claim.feed).to_owned()),
            reason: claim.and_then(|claim| claim.reason).map(ToOwned::to_owned),
            tier: rated
                .then(|| self.plan.tier_names.name(event.tier).map(ToOwned::to_owned))
                .flatten(),
            generation: event.generation,
            suppressed_before: event.suppressed_before,
            first: event.first != 0,
            weight: event.weight,
        }
    }
}

/// How long ago an event was sent.
fn ago(event: &Event) -> Duration {
    let ago = clock::monotonic_nanoseconds().saturating_sub(event.nanoseconds);
    Duration::from_nanos(ago)
}

fn seconds_ago(event: &Event) -> u32 {
    u32::try_from(ago(event).as_secs()).unwrap_or(u32::MAX - 1)
}

/// Events that are told before the loop looks at something else.
const AT_ONCE: usize = 4096;

/// The event in a record of the ring, whose layout is the law's.
fn read(record: &[u8]) -> Option<Event> {
    let record: &[u8; size_of::<Event>()] = record.try_into().ok()?;
    let long = |at: usize| {
        let bytes = record[at..].first_chunk().expect("it is within the record");
        u64::from_ne_bytes(*bytes)
    };
    let word = |at: usize| {
        let bytes = record[at..].first_chunk().expect("it is within the record");
        u32::from_ne_bytes(*bytes)
    };
    Some(Event {
        nanoseconds: long(0),
        generation: long(8),
        suppressed_before: long(16),
        weight: long(24),
        source: [long(32), long(40)],
        destination: [long(48), long(56)],
        interface: word(64),
        claim: word(68),
        length: word(72),
        port: u16::from_ne_bytes([record[76], record[77]]),
        family: record[78],
        protocol: record[79],
        cause: record[80],
        action: record[81],
        mode: record[82],
        service: record[83],
        tier: record[84],
        first: record[85],
        destination_family: record[86],
        reserved: 0,
    })
}

const fn address(family: u8, [high, low]: [u64; 2]) -> Address {
    let family = if family == Family::V4 as u8 {
        Family::V4
    } else {
        Family::V6
    };
    Address { family, high, low }
}

/// The usual names; a number for the rest.
fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn an_event_is_read_where_the_kernel_wrote_it() {
        let record: Vec<u8> = (0..size_of::<Event>() as u8).collect();
        let event = read(&record).expect("a whole record");
        assert_eq!(
            event.nanoseconds,
            u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7])
        );
        assert_eq!(
            usize::from(event.weight.to_ne_bytes()[0]),
            offset_of!(Event, weight)
        );
        assert_eq!(
            usize::from(event.destination[0].to_ne_bytes()[0]),
            offset_of!(Event, destination)
        );
        assert_eq!(
            usize::from(event.interface.to_ne_bytes()[0]),
            offset_of!(Event, interface)
        );
        assert_eq!(
            usize::from(event.length.to_ne_bytes()[0]),
            offset_of!(Event, length)
        );
        assert_eq!(
            usize::from(event.port.to_ne_bytes()[0]),
            offset_of!(Event, port)
        );
        assert_eq!(usize::from(event.family), offset_of!(Event, family));
        assert_eq!(usize::from(event.first), offset_of!(Event, first));
        assert_eq!(
            usize::from(event.destination_family),
            offset_of!(Event, destination_family)
        );
        assert!(read(&record[1..]).is_none());
    }
}
