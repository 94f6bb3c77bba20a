//! From the file as it is written to a configuration: conditions between several
//! values.

use std::{collections::BTreeMap, ops::Range};

use filter_common::{
    rate::Tier,
    settings::MAX_SERVICES,
    source::{Address, Family},
};
use toml::Spanned;

use super::{
    Config, Protect, ProtectedPorts, Service, UnderAttack,
    error::{Error, Source},
    file::{self, File},
    port::Ports,
    tier,
    value::{Name, Text},
};
use crate::prefix::{Prefix, Written};

pub(super) fn validate(file: File, source: &Source<'_>) -> Result<Config, Error> {
    let mut warnings = Vec::new();
    let (tiers, together) = tier::read(
        file.tier,
        file.policy.is_on(),
        file.under_attack,
        source,
        &mut warnings,
    )?;
    let mut validator = Validator {
        source,
        tiers: &tiers,
        warnings: &mut warnings,
        scopes: 0,
    };
    let protect = validator.protect(file.protect)?;
    let services = validator.services(file.service, &protect)?;
    if file.policy.is_on() {
        validator.raised(&services);
    }
    let feeds = validator.feeds(file.feed)?;
    let attestations = validator.attestations(file.attestation)?;
    let policy = validator.policy(file.policy)?;
    let mut config = Config {
        daemon: file.daemon,
        datapath: file.datapath,
        protect,
        tables: file.tables,
        events: file.events,
        metrics: file.metrics,
        services,
        tiers,
        under_attack: UnderAttack { together },
        feeds,
        check: file.check,
        attestations,
        policy,
        warnings,
    };
    let unheld = config.unheld();
    config.warnings.extend(unheld);
    Ok(config)
}

pub(super) struct Validator<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) tiers: &'a BTreeMap<String, Tier>,
    pub(super) warnings: &'a mut Vec<String>,
    /// Ports times prefixes so far.
    scopes: usize,
}

impl Validator<'_> {
    fn protect(&mut self, written: file::Protect) -> Result<Protect, Error> {
        for prefix in &written.sources {
            let length = prefix.get_ref().0.prefix.length();
            if length == 0 {
                return Err(self.source.refuse(
                    &prefix.span(),
                    "a prefix of length 0 would protect everyone: write the operator's own networks",
                ));
            }
            if length < 8 {
                self.warn(prefix, "is very wide, and nothing in it is ever dropped");
            }
        }
        let mut ports: Vec<ProtectedPorts> = Vec::new();
        for written in written.ports {
            let span = written.span();
            let file::ProtectedPorts { port, from } = written.into_inner();
            if from.as_ref().is_some_and(Vec::is_empty) {
                return Err(self.source.missing(
                    &span,
                    format!("`from` is empty, which protects {} for nobody: name prefixes, or write \"{}\" for everyone", port.0, port.0),
                ));
            }
            let whole = |one: &ProtectedPorts| one.from.is_none() != from.is_none();
            if let Some(other) = ports
                .iter()
                .find(|one| one.ports.overlaps(&port.0) && whole(one))
            {
                self.warnings.push(format!(
                    "{}: {} and {} are one for every source, one for some: what overlaps is protected for every source",
                    self.source.place(&span),
                    other.ports,
                    port.0
                ));
            }
            self.room(&span, from.as_ref().map_or(0, Vec::len) * port.0.count())?;
            ports.push(ProtectedPorts {
                ports: port.0,
                from: from.map(|from| self.prefixes(from)),
            });
        }
        Ok(Protect {
            sources: self.prefixes(written.sources),
            ports,
            ssh_peers: written.ssh_peers,
        })
    }

    fn services(
        &mut self,
        written: Vec<file::Service>,
        protect: &Protect,
    ) -> Result<Vec<Service>, Error> {
        if written.is_empty() {
            self.warnings.push(
                "there is no [[service]]: no port is guarded, only verdicts on sources hold"
                    .to_owned(),
            );
        }
        let mut services: Vec<Service> = Vec::new();
        for written in written {
            let name = self.name(written.name, "service", &[tier::FRAGMENTS], |name| {
                services.iter().any(|service| service.name == name)
            })?;
            if services.len() == MAX_SERVICES - 1 {
                return Err(self.source.too_many(
                    &written.ports.span(),
                    format!(
                        "service {name} is one too many: there may be {}",
                        MAX_SERVICES - 1
                    ),
                ));
            }
            let default_tier = match written.default_tier {
                Some(tier) => self.tier(tier)?,
                None => tier::UNKNOWN.to_owned(),
            };
            let addresses = self.prefixes(written.addresses);
            let place = written.ports.span();
            let ports = self.ports(written.ports, &addresses, &services, protect)?;
            let quic = self.quic(written.quic, &name, (&ports, place))?;
            services.push(Service {
                name,
                ports,
                addresses,
                default_tier,
                observe: written.mode,
                quic,
            });
        }
        Ok(services)
    }

    fn ports(
        &mut self,
        written: Spanned<Vec<Spanned<Text<Ports>>>>,
        addresses: &[Prefix],
        services: &[Service],
        protect: &Protect,
    ) -> Result<Vec<Ports>, Error> {
        if written.get_ref().is_empty() {
            return Err(self.source.missing(
                &written.span(),
                "a service without ports guards nothing: write ports = [\"tcp/443\"]",
            ));
        }
        let mut ports: Vec<Ports> = Vec::new();
        for one in written.into_inner() {
            let span = one.span();
            let one = one.into_inner().0;
            let taken = services.iter().find(|service| {
                overlap(&service.addresses, addresses)
                    && service.ports.iter().any(|ports| ports.overlaps(&one))
            });
            if let Some(other) = taken {
                return Err(self.source.refuse(
                    &span,
                    format!("{one} is service {}'s already: a port belongs to one service, unless their addresses differ", other.name),
                ));
            }
            if let Some(other) = ports.iter().find(|ports| ports.overlaps(&one)) {
                return Err(self.source.refuse(
                    &span,
                    format!("{one} is there twice, the other time in {other}: write it once"),
                ));
            }
            let protected =
                |ports: &&ProtectedPorts| ports.from.is_none() && ports.ports.overlaps(&one);
            if let Some(protected) = protect.ports.iter().find(protected) {
                self.warnings.push(format!(
                    "{}: {one} is guarded, but [protect] ports has {}, and what is protected is never dropped",
                    self.source.place(&span),
                    protected.ports
                ));
            }
            self.room(&span, addresses.len() * one.count())?;
            ports.push(one);
        }
        Ok(ports)
    }

    fn room(&mut self, span: &Range<usize>, scopes: usize) -> Result<(), Error> {
        self.scopes += scopes;
        if self.scopes > MAX_SCOPES {
            return Err(self.source.too_many(
                span,
                format!("ports times prefixes come to {} here, and there is room for {MAX_SCOPES}: write fewer ports or wider prefixes", self.scopes),
            ));
        }
        Ok(())
    }

    pub(super) fn name(
        &self,
        name: Spanned<Text<Name>>,
        what: &str,
        reserved: &[&str],
        taken: impl Fn(&str) -> bool,
    ) -> Result<String, Error> {
        let span = name.span();
        let name = name.into_inner().0.0;
        if reserved.contains(&name.as_str()) {
            return Err(self.source.refuse(
                &span,
                format!("the name {name:?} is weir's own: call this {what} something else"),
            ));
        }
        if taken(&name) {
            return Err(self.source.refuse(
                &span,
                format!("another {what} is called {name:?}: give each a name of its own"),
            ));
        }
        Ok(name)
    }

    pub(super) fn tier(&self, name: Spanned<String>) -> Result<String, Error> {
        if self.tiers.contains_key(name.get_ref()) {
            return Ok(name.into_inner());
        }
        let names: Vec<_> = self.tiers.keys().map(String::as_str).collect();
        Err(Error::NoTier {
            place: self.source.place(&name.span()),
            sentence: format!(
                "there is no tier {:?}: write [tier.{}], or one of {}",
                name.get_ref(),
                name.get_ref(),
                names.join(", ")
            ),
        })
    }

    fn prefixes(&mut self, written: Vec<Spanned<Text<Written>>>) -> Vec<Prefix> {
        written
            .into_iter()
            .map(|prefix| {
                if prefix.get_ref().0.prefix.family() == Family::V4
                    && self.source.text_at(&prefix.span()).contains(':')
                {
                    let text = self
                        .source
                        .text_at(&prefix.span())
                        .trim_matches(['"', '\'']);
                    self.warn(
                        &prefix,
                        &format!("is what {text} means, the IPv4 that it spells: write that"),
                    );
                }
                for (wide, doubt) in not_ipv4() {
                    if wide.covers(&prefix.get_ref().0.prefix) {
                        self.warn(&prefix, doubt);
                    }
                }
                if prefix.get_ref().0.masked {
                    self.warn(&prefix, "is what is meant: bits behind its length were set");
                }
                prefix.into_inner().0.prefix
            })
            .collect()
    }

    fn warn(&mut self, prefix: &Spanned<Text<Written>>, doubt: &str) {
        self.warnings.push(format!(
            "{}: {} {doubt}",
            self.source.place(&prefix.span()),
            prefix.get_ref().0.prefix
        ));
    }
}

/// IPv6 prefixes that carry IPv4 addresses and stay what they are for the filter.
fn not_ipv4() -> [(Prefix, &'static str); 4] {
    let prefix = |high: u64, length| {
        let address = Address {
            family: Family::V6,
            high,
            low: 0,
        };
        Prefix::new(address, length)
    };
    let nat64 = "is of translators (NAT64), whose packets the filter reads as IPv6 here: write the IPv4 prefixes too, if hosts of IPv4 are meant";
    [
        (
            prefix(0x2002 << 48, 16),
            "is 6to4, and means that IPv6 prefix alone: write the IPv4 prefix too, if its host is meant",
        ),
        (
            prefix(0x2001_0000 << 32, 32),
            "is Teredo, and means that IPv6 prefix alone: write the IPv4 prefix too, if its host is meant",
        ),
        (prefix(0x0064_ff9b_0001 << 16, 48), nat64),
        // Whatever lies within the /96 is IPv4.
        (
            prefix(0x0064_ff9b << 32, 64),
            "is wider than 64:ff9b::/96, behind which all is IPv4, and protects nobody there: write the IPv4 prefixes",
        ),
    ]
}

/// Whether two services could both be meant. One for all destinations and one
/// for some can't: the narrower is.
fn overlap(one: &[Prefix], other: &[Prefix]) -> bool {
    if one.is_empty() || other.is_empty() {
        return one.is_empty() && other.is_empty();
    }
    one.iter()
        .any(|one| other.iter().any(|two| one.covers(two) || two.covers(one)))
}

/// Of the 65,536 in the kernel's table; the rest is for peers of SSH sessions.
const MAX_SCOPES: usize = 60_000;
