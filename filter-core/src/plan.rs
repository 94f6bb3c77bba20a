//! The plan: the contents of the kernel's tables, besides verdicts, that a
//! configuration asks for.
//! Pure; the datapath writes it.

mod neighbourhood;
mod rules;
mod seen;
mod under_attack;

use std::collections::BTreeMap;

use filter_common::{
    abi::ScopeKey,
    bucket::CLASSES,
    packet::TCP,
    rate::{Rates, Tier},
    settings::{FRAGMENTS, Mode, Port, Service, Settings},
    source::Address,
};

use crate::{
    config::{
        self, Config, quic, tick,
        tier::{self, Tiers, TooManyTiers},
    },
    prefix::Prefix,
};

/// The contents of the tables of settings, ports, services and tiers.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The settings, of generation 0.
    pub settings: Settings,
    /// Ports that mean something: IP protocol number, port, meaning. Ordered,
    /// each once; every other port means nothing.
    pub ports: Vec<(u8, u16, Port)>,
    /// Ports that are protected or guarded for some addresses only.
    pub scopes: Vec<Scope>,
    /// Services by number. [`FRAGMENTS`] is the first.
    pub services: Vec<(u8, Service)>,
    /// Each tier as each service sees it: service, tier, rates.
    pub tiers: Vec<(u8, u8, Tier)>,
    /// The ticks in which words count, by class: nanoseconds, as powers of two.
    pub shifts: [u8; CLASSES],
    /// The longest burst in these ticks, by class.
    pub reach: [u32; CLASSES],
    /// The numbers of the tiers.
    pub tier_names: Tiers,
    /// The names of the services, by number.
    pub service_names: Vec<String>,
}

/// One entry of the table that is matched by the longest prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The port and the address.
    pub key: ScopeKey,
    /// Bits of the key that count, [`ScopeKey::BITS`] among them.
    pub bits: u32,
    /// For sources 1, for destinations the service.
    pub value: u8,
}

impl Config {
    /// The plan of this configuration. `before` holds the numbers that tiers
    /// have already.
    ///
    /// # Errors
    /// If there are more tiers than numbers.
    pub fn plan(&self, before: &Tiers) -> Result<Plan, TooManyTiers> {
        // The same numbers on every start: the built-in tiers have no others.
        let written = self.tiers.keys().map(String::as_str);
        let tier_names = before.extended(tier::BUILT_IN.into_iter().chain(written))?;
        let tier_number = |name: &str| tier_names.number(name).expect("every tier has a number");

        let fragments = Service {
            default_tier: tier_number(tier::FRAGMENTS),
            ..Service::default()
        };
        let mut services = vec![(FRAGMENTS, fragments)];
        let mut service_names = vec![tier::FRAGMENTS.to_owned()];
        for (number, written) in (1..).zip(&self.services) {
            let (quic, versions) = quic::of_the_law(written.quic.as_deref());
            services.push((
                number,
                Service {
                    default_tier: tier_number(&written.default_tier),
                    observe: u8::from(written.observe),
                    quic,
                    reserved: 0,
                    versions,
                },
            ));
            service_names.push(written.name.clone());
        }

        let mut tiers = Vec::new();
        for (service, meaning) in &services {
            for (tier, _name) in (0..).zip(tier_names.names()) {
                tiers.push((
                    *service,
                    tier,
                    self.seen(tier, *service, meaning, &tier_names),
                ));
            }
        }
        // The same ticks whether there is an attack or not: words stay what they are.
        let together = self.under_attack.together;
        let rated = self.tiers.values().chain([&together]);
        let defaults = self.defaults(&tiers, &tier_names);
        let shifts = tick::shifts(rated, &neighbourhood::held_by_any(&defaults));
        let shifts = shifts.expect("it was looked at when it was read");
        neighbourhood::set(&defaults, &mut tiers, &shifts);
        let views = tiers.iter().map(|(_service, _tier, rates)| rates);
        let reach = tick::reach(views.chain([&together]), &shifts);
        let (ports, scopes) = self.ports();
        Ok(Plan {
            settings: Settings {
                generation: 0,
                event_budget: self.events.budget_per_cpu,
                sample: self.events.sample,
                mode: self.datapath.mode as u8,
                strict: u8::from(self.datapath.strict),
                refuse_saturated: 0,
                reserved: 0,
            },
            ports,
            scopes,
            services,
            tiers,
            shifts,
            reach,
            tier_names,
            service_names,
        })
    }

    /// Scopes that protect the peers of the operator's SSH sessions, at
    /// [`ssh_ports`](Self::ssh_ports).
    #[must_use]
    pub fn ssh_peers(&self, peers: &[Address]) -> Vec<Scope> {
        let peers: Vec<_> = peers.iter().map(|peer| Prefix::of(*peer)).collect();
        self.ssh_ports()
            .into_iter()
            .flat_map(|port| scopes(ScopeKey::SOURCES, (TCP, port), &peers, 1))
            .collect()
    }

    fn ports(&self) -> (Vec<(u8, u16, Port)>, Vec<Scope>) {
        let mut table = BTreeMap::<(u8, u16), Port>::new();
        let mut narrow = Vec::new();
        for config::ProtectedPorts { ports, from } in &self.protect.ports {
            for port in ports.iter() {
                let protection = &mut table.entry(port).or_default().protection;
                if let Some(from) = from {
                    *protection = (*protection).max(Port::PROTECTED_FOR_SOME);
                    narrow.extend(scopes(ScopeKey::SOURCES, port, from, 1));
                } else {
                    *protection = Port::PROTECTED;
                }
            }
        }
        for (number, service) in (1..).zip(&self.services) {
            for port in service.ports.iter().flat_map(config::port::Ports::iter) {
                let meaning = table.entry(port).or_default();
                if service.addresses.is_empty() {
                    meaning.service = number;
                } else {
                    meaning.by_destination = 1;
                    let kind = ScopeKey::DESTINATIONS;
                    narrow.extend(scopes(kind, port, &service.addresses, number));
                }
            }
        }
        let ports = table
            .into_iter()
            .map(|((protocol, port), meaning)| (protocol, port, meaning))
            .collect();
        (ports, narrow)
    }
}

impl Plan {
    /// Each tier as each service sees it, its rates as the tables hold them.
    pub fn tiers_in_ticks(&self) -> impl Iterator<Item = (u8, u8, Tier)> {
        self.tiers.iter().map(|(service, tier, rates)| {
            let held = rates.in_ticks(&self.shifts);
            (*service, *tier, held.expect("the ticks were chosen for it"))
        })
    }

    /// The name of a service.
    #[must_use]
    pub fn service_name(&self, service: u8) -> Option<&str> {
        self.service_names
            .get(usize::from(service))
            .map(String::as_str)
    }

    /// The mode of the settings.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.settings.enforces() {
            Mode::Enforce
        } else {
            Mode::Observe
        }
    }

    /// How strict each tier is, by number; larger is stricter, equal is equal.
    ///
    /// Tiers are compared at the level of the source, as the first service sees
    /// them: by the connections' rate, then the packets', then the bytes'. Of
    /// two rates the slower is stricter, of equal ones that with the smaller
    /// burst; none is the least strict.
    #[must_use]
    pub fn strictness(&self) -> Vec<u32> {
        let first = u8::from(self.services.len() > 1);
        let weights: Vec<_> = self
            .tiers
            .iter()
            .filter(|(service, _tier, _rates)| *service == first)
            .map(|(_service, _tier, rates)| {
                let Rates {
                    packets,
                    bytes,
                    connections,
                } = rates.source;
                [connections, packets, bytes].map(|rate| (rate.interval, u64::MAX - rate.limit))
            })
            .collect();
        let mut order = weights.clone();
        order.sort_unstable();
        order.dedup();
        weights
            .iter()
            .map(|weight| order.partition_point(|other| other < weight) as u32)
            .collect()
    }
}

fn scopes(
    kind: u8,
    (protocol, port): (u8, u16),
    prefixes: &[Prefix],
    value: u8,
) -> impl Iterator<Item = Scope> {
    prefixes.iter().map(move |prefix| Scope {
        key: ScopeKey {
            kind,
            protocol,
            port: port.to_be_bytes(),
            family: [prefix.family() as u8, 0, 0, 0],
            address: prefix.octets(),
        },
        bits: ScopeKey::BITS + u32::from(prefix.length()),
        value,
    })
}

#[cfg(test)]
mod tests;
