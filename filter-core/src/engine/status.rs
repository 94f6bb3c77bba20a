//! How the engine is doing, with what the daemon sees outside.

use filter_common::{bucket::WAYS, cause::Cause, event::Counter, source::Family};

use super::{Engine, OPERATOR_NAME};
use crate::{
    clock::Now,
    datapath::{Attach, Counts},
    ledger::OPERATOR,
    metrics::{self, Figures, Process},
    protocol::{
        BucketsStatus, CauseCount, Causes, CheckStatus, EventsStatus, FeedDetails, FeedStatus,
        InterfaceStatus, ServiceStatus, ShadowVerdicts, Status, TableStatus, TablesStatus,
        VerdictsStatus,
    },
    table::Fill,
};

/// What the daemon sees outside, for a status.
#[derive(Debug, Default)]
pub struct Outside {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// The counters, or why they can't be read.
    pub counts: Option<Result<Counts, String>>,
    /// Every interface of the configuration.
    pub looked: Vec<Looked>,
    /// How full the tables of verdicts are: IPv4, IPv6.
    pub fills: [Fill; 2],
    /// Readers of events, and events that they were too slow for.
    pub readers: (u64, u64),
    /// The check endpoint, if there is one.
    pub check: Option<CheckStatus>,
    /// What is wrong outside: a sentence each.
    pub problems: Vec<String>,
}

/// An interface of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its name.
    pub interface: String,
    /// How the filter is attached; `None`: the operator took it off.
    pub attach: Option<Attach>,
    /// What isn't as it should be, in a sentence.
    pub trouble: Option<String>,
}

impl Engine {
    /// How everything is doing.
    #[must_use]
    pub fn status(&self, outside: &Outside, now: Now) -> Status {
        let mut problems = self.problems(outside, now);
        let counts = match &outside.counts {
            Some(Ok(counts)) => counts.clone(),
            Some(Err(error)) => {
                problems.push(format!("the counters can't be read: {error}"));
                Counts::default()
            }
            None => Counts::default(),
        };
        problems.extend(crowded(&counts));
        let (readers, missed) = outside.readers;
        let capacity = u64::from(self.config.tables.buckets.div_ceil(WAYS as u32)) * WAYS as u64;
        let verdicts = self.ledger.counts_in(false);
        let shadow = self.ledger.counts_in(true);
        Status {
            version: outside.version.clone(),
            pid: outside.pid,
            mode: self.mode(),
            mode_from: self.mode_from.name().to_owned(),
            mode_until: self.mode_until(now),
            under_attack: self.attack_status(now),
            generation: self.settings.generation,
            interfaces: self
                .attached
                .iter()
                .map(|attached| InterfaceStatus {
                    name: attached.interface.clone(),
                    attach: attached.attach.name().to_owned(),
                    program_id: attached.program,
                })
                .collect(),
            verdicts: VerdictsStatus {
                ipv4: u64::from(self.ledger.keys(Family::V4)),
                ipv6: u64::from(self.ledger.keys(Family::V6)),
                blocked: u64::from(verdicts.blocked),
                limited: u64::from(verdicts.limited),
                allowed: u64::from(verdicts.allowed),
            },
            tables: TablesStatus {
                ipv4: table(outside.fills[0]),
                ipv6: table(outside.fills[1]),
            },
            shadow_verdicts: ShadowVerdicts {
                blocked: u64::from(shadow.blocked),
                limited: u64::from(shadow.limited),
                allowed: u64::from(shadow.allowed),
            },
            feeds: self.feed_statuses(now),
            services: self.service_statuses(),
            causes: causes(&counts.causes, &counts.sources),
            shadow: causes(&counts.shadow, &counts.shadow_sources),
            events: EventsStatus {
                sent: counts.sent,
                suppressed: counts.suppressed,
                lost: counts.lost,
                untold: counts.untold,
                readers,
                missed,
            },
            buckets: BucketsStatus {
                capacity,
                used: counts.buckets.taken,
                evicted: counts.buckets.evicted,
                saturated: counts.buckets.saturated,
            },
            check: outside.check.clone(),
            policy: self.policy_status(),
            problems,
        }
    }

    /// Everything that the metrics show.
    #[must_use]
    pub fn figures(&self, outside: &Outside, process: Option<Process>, now: Now) -> Figures {
        let status = self.status(outside, now);
        let counts = self.ledger.counts_of(OPERATOR);
        let operator = FeedDetails {
            status: status.feeds.first().cloned().unwrap_or_default(),
            blocked: u64::from(counts.blocked),
            limited: u64::from(counts.limited),
            allowed: u64::from(counts.allowed),
            ..FeedDetails::default()
        };
        let configured = self.feeds.iter().map(|feed| self.details(feed, now));
        let looked = outside.looked.iter().map(|one| metrics::Interface {
            name: one.interface.clone(),
            attach: one.attach.map(|attach| attach.name().to_owned()),
            filtered: one.trouble.is_none(),
        });
        Figures {
            feeds: std::iter::once(operator).chain(configured).collect(),
            interfaces: looked.collect(),
            process,
            status,
        }
    }

    fn problems(&self, outside: &Outside, now: Now) -> Vec<String> {
        let troubles = &self.troubles;
        let mut problems: Vec<_> = troubles.start.clone();
        problems.extend(troubles.mode.clone());
        problems.extend(troubles.config.as_ref().map(|(why, since)| {
            let since = super::operator::shown(*since);
            format!("the configuration was refused at {since}, and the one before holds: {why}")
        }));
        problems.extend(troubles.tables.clone());
        problems.extend(troubles.patch.clone());
        problems.extend(troubles.journal.clone());
        if troubles.journal.is_none() && !self.unjournaled.is_empty() {
            problems.push(format!(
                "the journal doesn't say yet what is in force on {} prefixes: it is written again",
                self.unjournaled.len()
            ));
        }
        problems.extend(self.unkept());
        problems.extend(outside.problems.iter().cloned());
        problems.extend(self.policy_problem(now));
        problems.extend(outside.looked.iter().filter_map(|one| one.trouble.clone()));
        for feed in self.feeds.iter() {
            let error = feed.error().cloned();
            let held = self.held(feed);
            for what in error.into_iter().chain(held).chain(feed.notes().to_vec()) {
                problems.push(format!("feed {}: {what}", feed.name()));
            }
            if feed.refused() > 0 {
                let first = feed.refusals().into_iter().next().unwrap_or_default();
                problems.push(format!(
                    "feed {}: {} claims were refused, the first: {first}",
                    feed.name(),
                    feed.refused()
                ));
            }
        }
        problems
    }

    fn feed_statuses(&self, now: Now) -> Vec<FeedStatus> {
        let operator = FeedStatus {
            name: OPERATOR_NAME.to_owned(),
            kind: OPERATOR_NAME.to_owned(),
            mode: "inherit".to_owned(),
            state: "ok".to_owned(),
            claims: u64::from(self.ledger.counts_of(OPERATOR).claims()),
            ..FeedStatus::default()
        };
        let configured = self.feeds.iter().map(|feed| self.feed_status(feed, now));
        std::iter::once(operator).chain(configured).collect()
    }

    fn service_statuses(&self) -> Vec<ServiceStatus> {
        let services = self.config.services.iter();
        services
            .zip(self.plan.services.iter().skip(1))
            .map(|(service, (_number, planned))| ServiceStatus {
                name: service.name.clone(),
                ports: service.ports.iter().map(ToString::to_string).collect(),
                // Not what is configured: under attack it is another.
                default_tier: self
                    .plan
                    .tier_names
                    .name(planned.default_tier)
                    .unwrap_or(&service.default_tier)
                    .to_owned(),
                mode: if service.observe {
                    "observe"
                } else {
                    "inherit"
                }
                .to_owned(),
            })
            .collect()
    }
}

/// A sentence if the table of buckets is too small for the traffic. By chance a line is
/// crowded now and then.
fn crowded(counts: &Counts) -> Option<String> {
    let rated = |cause: &&Cause| cause.is_over() || **cause == Cause::Conforming;
    let rated = Cause::ALL.iter().filter(rated);
    let rated: u64 = rated
        .map(|cause| counts.causes[*cause as usize].packets())
        .sum();
    let saturated = counts.buckets.saturated;
    (saturated > rated / CROWDED).then(|| {
        format!(
            "{saturated} packets found no idle word in the table of buckets, and {} of them passed uncharged: raise tables.buckets",
            counts.buckets.refused
        )
    })
}

/// One in so many packets that finds its line crowded is too many.
const CROWDED: u64 = 1000;

fn causes(counted: &[Counter; Cause::COUNT], sources: &[u64; Cause::COUNT]) -> Causes {
    let mut causes = Causes::default();
    for cause in Cause::ALL {
        let counter = counted[cause as usize];
        causes[cause] = CauseCount {
            packets: counter.packets(),
            bytes: counter.bytes(),
            dropped_packets: counter.dropped_packets,
            dropped_bytes: counter.dropped_bytes,
            sources: sources[cause as usize],
            connections: counter.connections,
        };
    }
    causes
}

const fn table(fill: Fill) -> TableStatus {
    TableStatus {
        prefixes: fill.prefixes,
        capacity: fill.capacity,
        used_bytes: fill.used,
        half_bytes: fill.room,
    }
}
