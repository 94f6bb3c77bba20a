//! From rates as they are written to rates that can be held.

use std::ops::Range;

use filter_common::{
    rate::{Kind, Rate, Rates, Tier},
    source::Family,
};
use toml::Spanned;

use crate::config::{
    error::{Error, Source},
    file, tick,
    unit::{Amount, PerTime},
};

pub(super) struct Reader<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) warnings: &'a mut Vec<String>,
    /// The rates in the file, and where they stand.
    pub(super) written: Vec<(Kind, Rate, Range<usize>)>,
}

impl Reader<'_> {
    pub(super) fn tier(&mut self, written: file::Tier, base: &Tier) -> Result<Tier, Error> {
        let file::Tier {
            packets,
            bytes,
            connections,
            neighbourhood: near,
        } = written;
        let wide = file::Level {
            packets: near.packets,
            bytes: near.bytes,
            connections: near.connections,
        };
        let own = file::Level {
            packets,
            bytes,
            connections,
        };
        let source = self.level(own, &base.source)?;
        // With nothing below it: what is written for both families goes before what
        // the tier had for IPv6.
        let both = self.level(wide, &Rates::NONE)?;
        let of = |family| or(&both, base.neighbourhood(family));
        let v6 = self.level(near.ipv6, &of(Family::V6))?;
        Ok(Tier::new(source, of(Family::V4)).with_neighbourhood(Family::V6, v6))
    }

    fn level(&mut self, written: file::Level, base: &Rates) -> Result<Rates, Error> {
        Ok(Rates {
            packets: self.rate(Kind::Packets, written.packets, base.packets)?,
            bytes: self.rate(Kind::Bytes, written.bytes, base.bytes)?,
            connections: self.rate(Kind::Connections, written.connections, base.connections)?,
        })
    }

    pub(super) fn rate(
        &mut self,
        of: Kind,
        written: Option<Spanned<file::Pair>>,
        base: Rate,
    ) -> Result<Rate, Error> {
        let Some(written) = written else {
            return Ok(base);
        };
        let span = written.span();
        let file::Pair { rate, burst } = written.into_inner();
        let PerTime {
            amount,
            nanoseconds,
        } = *rate.get_ref();
        for (one, place) in [(amount, rate.span()), (*burst.get_ref(), burst.span())] {
            if one.bytes && of != Kind::Bytes {
                return Err(self.source.refuse(
                    &place,
                    "packets and connections are counted, not measured: write a number without a unit of bytes",
                ));
            }
            if one.units == 0 {
                return Err(self.source.refuse(
                    &place,
                    "0 would let nothing through: write 1 or more; to stop a source give it the verdict block",
                ));
            }
        }
        self.weigh(of, &burst)?;
        let held = Rate::new(amount.units, nanoseconds, burst.get_ref().units).ok_or_else(|| {
            self.source.refuse(
                &span,
                "this rate can't be held: write one in two minutes or more, and a burst of at most 52 days' worth",
            )
        })?;
        let Some(coarsest) = tick::coarsest(of, &held) else {
            return Err(self.source.refuse(
                &rate.span(),
                format!(
                    "this is faster than can be held within 1 %: write at most {} in this time",
                    tick::fastest(of, amount.units, nanoseconds)
                ),
            ));
        };
        if tick::finest(of, &held).is_none() {
            return Err(self.source.refuse(
                &burst.span(),
                format!(
                    "a burst of {} is longer than can be held within 1 % of this rate: write at most {}, or a slower rate with it",
                    burst.get_ref().units,
                    held.largest_burst(of, coarsest)
                ),
            ));
        }
        self.written.push((of, held, span));
        Ok(held)
    }

    fn weigh(&mut self, of: Kind, burst: &Spanned<Amount>) -> Result<(), Error> {
        let units = burst.get_ref().units;
        if of == Kind::Bytes && units < FRAME {
            return Err(self.source.refuse(
                &burst.span(),
                format!("a burst of {units} bytes is smaller than a frame, so that nothing would get through: write \"64KiB\" or more"),
            ));
        }
        let doubt = match of {
            Kind::Bytes if units < MERGED_BYTES => format!(
                "a burst of {units} bytes is smaller than frames that were merged on their way, which would never get through: write \"64KiB\" or more"
            ),
            Kind::Packets if units < MERGED_PACKETS => format!(
                "where the filter is attached in generic mode, merged frames count as up to {MERGED_PACKETS} packets, and a burst of {units} would never let them through: write {MERGED_PACKETS} or more"
            ),
            _ => return Ok(()),
        };
        self.warnings
            .push(format!("{}: {doubt}", self.source.place(&burst.span())));
        Ok(())
    }
}

/// Each rate, or where it isn't set the other's.
const fn or(own: &Rates, other: &Rates) -> Rates {
    const fn rate(own: Rate, other: Rate) -> Rate {
        if own.is_set() { own } else { other }
    }
    Rates {
        packets: rate(own.packets, other.packets),
        bytes: rate(own.bytes, other.bytes),
        connections: rate(own.connections, other.connections),
    }
}

/// An Ethernet frame of 1,500 bytes, and what rounding may take of a burst.
const FRAME: u64 = 1536;

/// The longest frame that a driver or the stack merges of many.
const MERGED_BYTES: u64 = 64 << 10;

/// As so many packets it counts.
const MERGED_PACKETS: u64 = 44;
