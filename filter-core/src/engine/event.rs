//! Events: from a record of the kernel's ring to a line.

use std::time::SystemTime;

use filter_common::{
    cause::{Action, Cause},
    event::Event,
    settings::Mode,
    source::{Address, Family},
};

use super::Engine;
use crate::{prefix::ip, protocol::EventLine};

impl Engine {
    /// An event as it is reported; it was sent at `time`.
    #[must_use]
    pub fn event_line(&self, event: &Event, time: SystemTime) -> EventLine {
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

/// The event in a record of the ring, whose layout is the law's; `None`: it is none.
#[must_use]
pub fn read_event(record: &[u8]) -> Option<Event> {
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
        let event = read_event(&record).expect("a whole record");
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
        assert!(read_event(&record[1..]).is_none());
    }
}
