//! Tiers: the built-in ones, what makes a rate of what is written, and the
//! numbers by which claims and the kernel know them.

mod built_in;
mod reader;

use std::{collections::BTreeMap, ops::Range};

use filter_common::{
    bucket::CLASSES,
    rate::{Kind, Rate, Tier},
    settings::MAX_TIERS,
};
use toml::Spanned;

pub(super) use self::built_in::{bootstrap, suspect, unknown};
use self::{
    built_in::{ceiling, scaled, shared_by_two},
    reader::Reader,
};
use super::{
    error::{Error, Source},
    file, tick,
    value::{Name, Text},
};

/// The tier of a service that names none.
pub const UNKNOWN: &str = "unknown";

/// The tier for sources that something speaks against.
pub const SUSPECT: &str = "suspect";

/// The tier of packets whose port can't be read.
pub const FRAGMENTS: &str = "fragments";

/// The tier that leaves a source enough new connections to prove itself, and no
/// more.
pub const BOOTSTRAP: &str = "bootstrap";

/// The tier of a source that proved itself.
pub const ATTESTED: &str = "attested";

/// The tiers that are there even if nobody writes them.
pub const BUILT_IN: [&str; 5] = [UNKNOWN, SUSPECT, FRAGMENTS, BOOTSTRAP, ATTESTED];

/// The tiers that are there where the policy is on: for a source with so many
/// attested devices that does harm besides. Each has four times the connections
/// of the one before, and twice the packets and bytes.
pub const SHARED: [(u32, &str); 7] = [
    (2, "shared-2"),
    (8, "shared-8"),
    (32, "shared-32"),
    (128, "shared-128"),
    (512, "shared-512"),
    (2_048, "shared-2048"),
    (8_192, "shared-8192"),
];

/// The numbers of tiers. A name keeps its number across reloads, since claims
/// and buckets know only that; so does one that left the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers {
    names: Vec<(String, bool)>,
}

/// More tiers than there are numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no number is left for tier {0}: {MAX_TIERS} have one, those that reloads removed among them; restart weir to free them"
)]
pub struct TooManyTiers(String);

impl Tiers {
    /// The numbers after a reload: `names` are the tiers there are now. Those
    /// that were known keep their number, the others get the next ones.
    ///
    /// # Errors
    /// If there are more than [`MAX_TIERS`].
    pub fn extended<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, TooManyTiers> {
        let mut next = self.clone();
        for (_name, present) in &mut next.names {
            *present = false;
        }
        for name in names {
            match next.names.iter().position(|(known, _)| known == name) {
                Some(number) => next.names[number].1 = true,
                None if next.names.len() == MAX_TIERS => return Err(TooManyTiers(name.to_owned())),
                None => next.names.push((name.to_owned(), true)),
            }
        }
        Ok(next)
    }

    /// The number of a tier that there is now.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u8> {
        let found = |(known, present): &(String, bool)| *present && known == name;
        self.names.iter().position(found).map(|number| number as u8)
    }

    /// The name that a number has or had.
    #[must_use]
    pub fn name(&self, number: u8) -> Option<&str> {
        self.names
            .get(usize::from(number))
            .map(|(name, _present)| name.as_str())
    }

    /// Every name, in the order of the numbers, those that were removed too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _present)| name.as_str())
    }
}

/// Every tier: what the file says of it, and for the rest of a built-in one
/// what is built in. Then, as a tier of nothing else, the ceiling of all
/// unattested sources together.
pub(super) fn read(
    written: BTreeMap<Spanned<Text<Name>>, file::Tier>,
    policy: bool,
    under_attack: file::UnderAttack,
    source: &Source<'_>,
    warnings: &mut Vec<String>,
) -> Result<(BTreeMap<String, Tier>, Tier), Error> {
    let mut reader = Reader {
        source,
        warnings,
        written: Vec::new(),
    };
    let mut tiers = BTreeMap::from([
        (UNKNOWN.to_owned(), unknown()),
        (SUSPECT.to_owned(), suspect()),
        (BOOTSTRAP.to_owned(), bootstrap()),
    ]);
    let mut attested = file::Tier::default();
    let mut shared: [file::Tier; SHARED.len()] = Default::default();
    if policy {
        let names = SHARED.map(|(_, name)| (name.to_owned(), Tier::NONE));
        tiers.extend(names);
    }
    let mut fragments = file::Tier::default();
    for (name, tier) in written {
        if name.get_ref().0.0 == FRAGMENTS {
            fragments = tier;
            continue;
        }
        if name.get_ref().0.0 == ATTESTED {
            attested = tier;
            continue;
        }
        let place = SHARED
            .iter()
            .position(|(_, known)| *known == name.get_ref().0.0);
        if let Some(place) = place.filter(|_| policy) {
            shared[place] = tier;
            continue;
        }
        if tiers.len() == MAX_TIERS - 2 && !tiers.contains_key(&name.get_ref().0.0) {
            return Err(source.too_many(
                &name.span(),
                format!("there are more than {MAX_TIERS} tiers, the built-in ones among them: write fewer"),
            ));
        }
        let base = tiers.entry(name.into_inner().0.0).or_insert(Tier::NONE);
        *base = reader.tier(tier, base)?;
    }
    // Whatever `unknown` became: who raises it raises what fragments may do, and
    // what proved itself is never worse off.
    let unknown = tiers[UNKNOWN];
    let raised = scaled(&unknown, 2);
    tiers.insert(ATTESTED.to_owned(), reader.tier(attested, &raised)?);
    if policy {
        let mut base = shared_by_two(&unknown);
        for ((_, name), tier) in SHARED.into_iter().zip(shared) {
            let tier = reader.tier(tier, &base)?;
            base = scaled(&tier, 4);
            tiers.insert(name.to_owned(), tier);
        }
    }
    tiers.insert(FRAGMENTS.to_owned(), reader.tier(fragments, &unknown)?);
    let ceiling = reader.rate(Kind::Connections, under_attack.connections, ceiling())?;
    let together = Tier::NONE.with_together(ceiling);
    if let Err(chosen) = tick::shifts(tiers.values().chain([&together]), &[]) {
        let fits = |(of, rate, _): &&(Kind, Rate, Range<usize>)| !tick::holds(&chosen, *of, rate);
        let place = reader
            .written
            .iter()
            .find(fits)
            .map(|(_, _, place)| place.clone());
        return Err(source.refuse(
            &place.unwrap_or_default(),
            format!(
                "the rates of all tiers lie too far apart: words of buckets count in {CLASSES} different ticks, and this rate would need a fifth; write a smaller burst, or bring it nearer to the others"
            ),
        ));
    }
    Ok((tiers, together))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_keeps_its_number_across_reloads() {
        let first = Tiers::default()
            .extended(["unknown", "suspect", "partner"])
            .expect("room");
        let second = first.extended(["new", "suspect", "unknown"]).expect("room");
        assert_eq!(second.number("unknown"), Some(0));
        assert_eq!(second.number("suspect"), Some(1));
        assert_eq!(second.number("partner"), None);
        assert_eq!(second.name(2), Some("partner"));
        assert_eq!(second.number("new"), Some(3));
        let third = second.extended(["partner"]).expect("room");
        assert_eq!(third.number("partner"), Some(2));
        assert_eq!(third.names().count(), 4);
    }

    #[test]
    fn numbers_run_out() {
        let names: Vec<_> = (0..MAX_TIERS).map(|number| format!("t{number}")).collect();
        let full = Tiers::default()
            .extended(names.iter().map(String::as_str))
            .expect("room for all");
        assert_eq!(
            full.extended(["t0"]).expect("nothing new").number("t0"),
            Some(0)
        );
        let refused = full.extended(["one-more"]).expect_err("no room");
        assert!(refused.to_string().contains("tier one-more"));
    }
}
