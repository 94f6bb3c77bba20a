//! What would happen to a packet now, and why: the decision is the kernel's,
//! the provenance the ledger's.

use std::net::{IpAddr, Ipv6Addr};

use filter_common::{
    bucket::{Ask, BucketKey, look},
    cause::{Action, Cause},
    decide::Decision,
    packet::{TCP, UDP},
    rate::{Kind, Rate, Rates},
    source::{Address, Family},
};

use super::Engine;
use crate::{
    clock::Now,
    datapath::Datapath,
    ledger::View,
    prefix::{self, ip},
    protocol::{
        ExplainQuery, Explanation, LosingClaim, Protocol, RateRoom, Refused, ShadowOutcome,
    },
};

/// What an explanation is made of besides the engine.
struct Asked<'a, D> {
    datapath: &'a D,
    now: Now,
    /// Nanoseconds of the clock of the buckets.
    nanoseconds: u64,
}

impl Engine {
    /// Explains what would happen to a packet now: the datapath decides, the ledger says
    /// who claims what. `nanoseconds` are those of the buckets' clock.
    ///
    /// # Errors
    /// If no port is meant, or the datapath can't be asked.
    pub fn explain(
        &self,
        query: &ExplainQuery,
        datapath: &mut impl Datapath,
        nanoseconds: u64,
        now: Now,
    ) -> Result<Explanation, Refused> {
        let (protocol, port) = self.port(query)?;
        let source = prefix::address(query.address);
        let number = match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        let frame = frame(
            source,
            self.destination(source.family, number, port),
            number,
            port,
        );
        let decision = datapath
            .explain(&frame)
            .map_err(|error| Refused::new(format!("the kernel can't be asked: {error:#}")))?;
        let asked = Asked {
            datapath,
            now,
            nanoseconds,
        };
        Ok(self.explained((source, protocol, port), &decision, &asked))
    }

    fn explained(
        &self,
        (source, protocol, port): (Address, Protocol, u16),
        decision: &Decision,
        asked: &Asked<'_, impl Datapath>,
    ) -> Explanation {
        let cause = Cause::from_code(decision.cause).unwrap_or(Cause::Unlimited);
        let covering = self.ledger.covering(source);
        let judged = covering.iter().find(|claim| claim.number == decision.claim);
        let protection = (cause == Cause::Protected)
            .then(|| self.ledger.protection(source))
            .flatten();
        // A source that is blocked or allowed never comes as far as a service.
        let rated = cause.is_over() || cause == Cause::Conforming;
        let reached = rated || cause == Cause::Unlimited;
        let line = judged.map(|claim| self.claim_line(claim, asked.datapath, asked.now));
        Explanation {
            address: ip(source),
            protocol,
            port,
            mode: self.mode(),
            cause,
            action: if decision.drops() {
                Action::Drop
            } else {
                Action::Pass
            },
            verdict: line.as_ref().map(|line| line.verdict.clone()),
            prefix: line
                .as_ref()
                .map(|line| line.prefix.clone())
                .or_else(|| protection.map(|prefix| prefix.to_string())),
            feed: line.as_ref().map(|line| line.feed.clone()),
            reason: line.as_ref().and_then(|line| line.reason.clone()),
            evidence: line.as_ref().map(|line| line.evidence),
            expires_in_s: line.as_ref().and_then(|line| line.expires_in_s),
            tier: reached
                .then(|| {
                    self.plan
                        .tier_names
                        .name(decision.tier)
                        .map(ToOwned::to_owned)
                })
                .flatten(),
            service: (reached || decision.service != 0)
                .then(|| {
                    self.plan
                        .service_name(decision.service)
                        .map(ToOwned::to_owned)
                })
                .flatten(),
            bucket: if rated {
                self.room(source, decision, asked)
            } else {
                Vec::new()
            },
            shadow: self.shadow(decision, &covering, asked),
            losing: self.losing(&covering, (decision, protection.is_some()), asked),
        }
    }

    /// The port that was asked for, or the first service's.
    fn port(&self, query: &ExplainQuery) -> Result<(Protocol, u16), Refused> {
        let guarded = self
            .config
            .services
            .iter()
            .flat_map(|service| &service.ports);
        let mut guarded = guarded.flat_map(|ports| ports.iter());
        let wanted = query.proto.map(|protocol| match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        });
        if let Some(port) = query.port {
            return Ok((query.proto.unwrap_or(Protocol::Tcp), port));
        }
        let first = guarded.find(|(protocol, _)| wanted.is_none_or(|wanted| wanted == *protocol));
        let Some((protocol, port)) = first else {
            return Err(Refused::new(
                "no service guards such a port: say which one is meant with --port",
            ));
        };
        let protocol = if protocol == UDP {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        Ok((protocol, port))
    }

    /// Where the packet goes: to an address of the service that has the port.
    fn destination(&self, family: Family, protocol: u8, port: u16) -> Address {
        let services = self.config.services.iter();
        let mut having = services
            .filter(|service| {
                let mut ports = service.ports.iter().flat_map(|ports| ports.iter());
                ports.any(|one| one == (protocol, port))
            })
            .flat_map(|service| &service.addresses);
        let known = having.find(|prefix| prefix.family() == family);
        known.map_or_else(
            || {
                prefix::address(match family {
                    Family::V4 => IpAddr::from([192, 0, 2, 1]),
                    Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
                })
            },
            prefix::Prefix::address,
        )
    }

    /// What is left in the buckets that judged.
    fn room(
        &self,
        source: Address,
        decision: &Decision,
        asked: &Asked<'_, impl Datapath>,
    ) -> Vec<RateRoom> {
        let mut tiers = self.plan.tiers_in_ticks();
        let tier =
            tiers.find(|(service, tier, _)| (*service, *tier) == (decision.service, decision.tier));
        let Some((_, _, tier)) = tier else {
            return Vec::new();
        };
        let key = |prefix, level| BucketKey {
            prefix,
            family: source.family as u8,
            level,
            service: decision.service,
            tier: decision.tier,
            shadow: 0,
        };
        let together = Rates {
            connections: tier.together,
            ..Rates::NONE
        };
        let levels: [(&str, &Rates, BucketKey); 3] = [
            (
                "source",
                &tier.source,
                key(source.source(), BucketKey::SOURCE),
            ),
            (
                "neighbourhood",
                tier.neighbourhood(source.family),
                key(source.neighbourhood(), BucketKey::NEIGHBOURHOOD),
            ),
            (
                "together",
                &together,
                BucketKey::together(decision.service, 0),
            ),
        ];
        let now = asked.nanoseconds;
        let mut room = Vec::new();
        for (level, rates, key) in levels {
            let Ok((place, line)) = asked.datapath.bucket(&key) else {
                continue;
            };
            for (kind, name) in Kind::ALL
                .into_iter()
                .zip(["packets", "bytes", "connections"])
            {
                let rate = rates.of(kind as u32);
                if rate.is_set() {
                    let ask = Ask::new(place.tag, key.number(kind), rate, now, 1);
                    room.push(RateRoom {
                        level: level.to_owned(),
                        rate: name.to_owned(),
                        left: rate.room(look(&line, &ask, rate)),
                        burst: rate.room(0),
                    });
                }
            }
        }
        room
    }

    fn shadow(
        &self,
        decision: &Decision,
        covering: &[View<'_>],
        asked: &Asked<'_, impl Datapath>,
    ) -> Option<ShadowOutcome> {
        let cause = Cause::from_code(decision.shadow)?;
        let claim = covering
            .iter()
            .find(|claim| claim.number == decision.shadow_claim);
        Some(ShadowOutcome {
            cause,
            tier: (cause.is_over() || cause == Cause::Conforming)
                .then(|| {
                    self.plan
                        .tier_names
                        .name(decision.shadow_tier)
                        .map(ToOwned::to_owned)
                })
                .flatten(),
            claim: claim.map(|claim| self.claim_line(claim, asked.datapath, asked.now)),
        })
    }

    fn losing(
        &self,
        covering: &[View<'_>],
        (decision, protected): (&Decision, bool),
        asked: &Asked<'_, impl Datapath>,
    ) -> Vec<LosingClaim> {
        let winner = covering.iter().find(|claim| claim.number == decision.claim);
        let losing = covering
            .iter()
            .filter(|claim| claim.number != decision.claim);
        losing
            .map(|claim| LosingClaim {
                claim: self.claim_line(claim, asked.datapath, asked.now),
                why: match winner {
                    _ if protected => "the source is protected".to_owned(),
                    _ if claim.shadow => "its feed is in observe".to_owned(),
                    None => "the port is protected, or it has ended".to_owned(),
                    Some(winner) => self.why(claim, winner),
                },
            })
            .collect()
    }

    /// To what a claim lost: half a sentence.
    fn why(&self, claim: &View<'_>, winner: &View<'_>) -> String {
        let rank = |feed| self.feeds.get(feed).map_or(0, |feed| feed.config().rank);
        if rank(claim.feed) != rank(winner.feed) {
            return format!("{} is a stronger feed", self.feeds.name(winner.feed));
        }
        if claim.prefix != winner.prefix {
            return "a narrower prefix of its rank".to_owned();
        }
        "a stricter verdict of its rank on the same prefix".to_owned()
    }
}

/// A frame that opens a connection: a TCP SYN, or a QUIC Initial.
pub(super) fn frame(source: Address, destination: Address, protocol: u8, port: u16) -> Vec<u8> {
    let mut transport = Vec::new();
    transport.extend_from_slice(&40_000_u16.to_be_bytes());
    transport.extend_from_slice(&port.to_be_bytes());
    if protocol == TCP {
        transport.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        transport.extend_from_slice(&[0, 48, 0, 0, 0xc0, 0, 0, 0, 1]);
        transport.resize(48, 0);
    }
    let length = transport.len() as u16;
    let mut frame = vec![0; 12];
    match source.family {
        Family::V4 => {
            frame.extend_from_slice(&[8, 0, 0x45, 0]);
            frame.extend_from_slice(&(length + 20).to_be_bytes());
            frame.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
            for address in [source, destination] {
                frame.extend_from_slice(&(address.low as u32).to_be_bytes());
            }
        }
        Family::V6 => {
            frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&[protocol, 64]);
            for address in [source, destination] {
                frame.extend_from_slice(&address.high.to_be_bytes());
                frame.extend_from_slice(&address.low.to_be_bytes());
            }
        }
    }
    frame.extend_from_slice(&transport);
    frame
}

/// What a level's rate of one unit at a time would still admit, if its word is so
/// many ticks ahead of now.
trait Room {
    fn room(&self, ahead: u64) -> u64;
}

impl Room for Rate {
    fn room(&self, ahead: u64) -> u64 {
        let left = u128::from(self.limit.saturating_sub(ahead));
        let one = u128::from(self.cost(1000));
        u64::try_from(left * 1000 / one.max(1)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use filter_common::packet::{self, Kind, Packet};

    use super::*;

    #[test]
    fn the_frame_is_what_the_law_reads() {
        let v4 = [Address::v4([198, 51, 100, 7]), Address::v4([192, 0, 2, 1])];
        let v6 = [
            Address::v6([0x20; 8], [7; 8]),
            Address::v6([0x20; 8], [1; 8]),
        ];
        for [source, destination] in [v4, v6] {
            for protocol in [TCP, UDP] {
                let frame = frame(source, destination, protocol, 443);
                let packet = packet::read(frame.as_slice());
                assert_eq!(packet.kind, Kind::Ip);
                assert_eq!((packet.source, packet.destination()), (source, destination));
                assert_eq!((packet.protocol, packet.port), (protocol, 443));
                assert!(packet.is(Packet::PORT) && packet.is(Packet::OPENS));
            }
        }
    }

    #[test]
    fn the_room_of_a_rate_is_its_burst_less_what_was_used() {
        let rate = Rate::new(10, 1_000_000_000, 50).expect("a rate");
        assert_eq!(rate.room(0), 50);
        assert_eq!(rate.room(rate.cost(20)), 30);
        assert_eq!(rate.room(rate.limit + 1), 0);
        let bytes = Rate::new(32 << 20, 1_000_000_000, 64 << 20).expect("a rate");
        assert!(bytes.room(0).abs_diff(64 << 20) < 4096);
    }
}
