//! How the daemon is doing.

use std::{path::Path, time::Duration};

use filter_common::{bucket::WAYS, cause::Cause, event::Counter, source::Family};
use tokio::time::timeout;

use super::{Daemon, checks::Checks, feeds::OPERATOR_NAME, policing::Policing};
use crate::{
    control::protocol::{
        BucketsStatus, CauseCount, Causes, EventsStatus, FeedDetails, FeedStatus, InterfaceStatus,
        ServiceStatus, ShadowVerdicts, Status, TableStatus, TablesStatus, VerdictsStatus,
    },
    datapath::table::Fill,
    datapath::{
        Counts, Datapath as _,
        attach::{Attach, see},
    },
    host::process,
    ledger::OPERATOR,
    metrics::{self, Figures},
};

impl Daemon {
    pub(super) async fn status(&self) -> Status {
        let looked = self.look_at_interfaces().await;
        self.status_of(&looked)
    }

    fn status_of(&self, looked: &[Looked]) -> Status {
        let mut problems = self.problems(looked);
        let counts = self.kernel.counts().unwrap_or_else(|error| {
            problems.push(format!("the counters can't be read: {error:#}"));
            Counts::default()
        });
        problems.extend(crowded(&counts));
        let (readers, missed) = self.events.followers();
        let capacity = u64::from(self.config.tables.buckets.div_ceil(WAYS as u32)) * WAYS as u64;
        let verdicts = self.ledger.counts_in(false);
        let shadow = self.ledger.counts_in(true);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mode: self.mode(),
            mode_from: self.mode_from.name().to_owned(),
            mode_until: None,
            under_attack: self.attack_status(),
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
                ipv4: table(self.kernel.fill(Family::V4)),
                ipv6: table(self.kernel.fill(Family::V6)),
            },
            shadow_verdicts: ShadowVerdicts {
                blocked: u64::from(shadow.blocked),
                limited: u64::from(shadow.limited),
                allowed: u64::from(shadow.allowed),
            },
            feeds: self.feed_statuses(),
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
            check: self.checks.as_ref().map(Checks::status),
            policy: self.policing.as_ref().map(|one| one.status(&self.config)),
            problems,
        }
    }

    /// Everything that the metrics tell.
    pub(super) async fn figures(&self) -> Figures {
        let looked = self.look_at_interfaces().await;
        let status = self.status_of(&looked);
        let counts = self.ledger.counts_of(OPERATOR);
        let operator = FeedDetails {
            status: status.feeds.first().cloned().unwrap_or_default(),
            blocked: u64::from(counts.blocked),
            limited: u64::from(counts.limited),
            allowed: u64::from(counts.allowed),
            ..FeedDetails::default()
        };
        let configured = self.feeds.iter();
        let configured = configured.map(|(feed, slot)| self.details(feed, slot));
        Figures {
            feeds: std::iter::once(operator).chain(configured).collect(),
            interfaces: self.interfaces(&looked),
            process: process::of(Path::new("/"))
                .inspect_err(|error| tracing::warn!(%error, "can't see the daemon's own process"))
                .ok(),
            status,
        }
    }

    fn interfaces(&self, looked: &[Looked]) -> Vec<metrics::Interface> {
        let each = looked.iter().map(|one| metrics::Interface {
            name: one.interface.clone(),
            attach: one.attach.map(|attach| attach.name().to_owned()),
            filtered: one.trouble.is_none(),
        });
        each.collect()
    }

    /// Whether the filter is where the configuration wants it.
    async fn look_at_interfaces(&self) -> Vec<Looked> {
        let mut looked = Vec::new();
        for interface in &self.config.datapath.interfaces {
            let ours = self.attached.iter().find(|one| one.interface == *interface);
            let trouble = match ours {
                None => Some(format!(
                    "the filter is off on {interface}: weir reload puts it back"
                )),
                Some(ours) => {
                    let seen = timeout(PATIENCE, see(interface)).await;
                    match seen.unwrap_or_else(|late| Err(late.into())) {
                        Ok(seen)
                            if seen
                                .program
                                .is_some_and(|(program, _)| program == ours.program) =>
                        {
                            None
                        }
                        Ok(_) => Some(format!(
                            "the filter was taken off {interface} behind weir's back: restart weir"
                        )),
                        Err(error) => Some(format!("{interface} can't be seen: {error:#}")),
                    }
                }
            };
            looked.push(Looked {
                interface: interface.clone(),
                attach: ours.map(|ours| ours.attach),
                trouble,
            });
        }
        looked
    }

    fn problems(&self, looked: &[Looked]) -> Vec<String> {
        let mut problems: Vec<_> = self.troubles.start.clone();
        problems.extend(self.troubles.tables.clone());
        problems.extend(self.keeper.trouble());
        problems.extend(self.checks.iter().flat_map(Checks::problems));
        problems.extend(self.policing.iter().flat_map(Policing::problems));
        problems.extend(looked.iter().filter_map(|one| one.trouble.clone()));
        for (feed, slot) in self.feeds.iter() {
            let error = slot.error().cloned();
            let held = self.held(feed, slot);
            for what in error.into_iter().chain(held).chain(slot.notes().to_vec()) {
                problems.push(format!("feed {}: {what}", slot.name()));
            }
            if slot.refused() > 0 {
                let first = slot.refusals().into_iter().next().unwrap_or_default();
                problems.push(format!(
                    "feed {}: {} claims were refused, the first: {first}",
                    slot.name(),
                    slot.refused()
                ));
            }
        }
        problems
    }

    fn feed_statuses(&self) -> Vec<FeedStatus> {
        let operator = FeedStatus {
            name: OPERATOR_NAME.to_owned(),
            kind: OPERATOR_NAME.to_owned(),
            mode: "inherit".to_owned(),
            state: "ok".to_owned(),
            claims: u64::from(self.ledger.counts_of(OPERATOR).claims()),
            ..FeedStatus::default()
        };
        let configured = self.feeds.iter();
        let configured = configured.map(|(feed, slot)| self.feed_status(feed, slot));
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
                mode: inherits(service.observe).to_owned(),
            })
            .collect()
    }
}

/// What an interface of the configuration looks like.
struct Looked {
    interface: String,
    /// How the daemon attached to it; `None`: it took the filter off.
    attach: Option<Attach>,
    /// What isn't as it should be, in a sentence.
    trouble: Option<String>,
}

/// The kernel answers at once, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(2);

/// A sentence if the table of buckets is too small for the traffic. By chance a
/// line is crowded now and then.
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

const fn inherits(observe: bool) -> &'static str {
    if observe { "observe" } else { "inherit" }
}

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
