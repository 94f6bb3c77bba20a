//! How many different devices: sixteen registers of four bits.
//!
//! HyperLogLog, as small as is useful. The standard error is 26 % from some
//! forty on, and less below, where empty registers are counted instead. Steps
//! between tiers are a factor of four, so that it is good enough; whoever uses
//! it takes [`HyperLogLog::at_most`], on the devices' side.
//!
//! See Flajolet and others, "HyperLogLog" (2007).

/// The devices that were seen. The same one counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HyperLogLog(pub(super) [u32; 2]);

impl HyperLogLog {
    /// Adds one, by a hash of it.
    pub(super) fn add(&mut self, hash: u64) {
        let register = (hash >> 60) as u32;
        // The place of the first one bit after the register's number.
        let rank = ((hash << 4 | 8).leading_zeros() + 1).min(15);
        let shift = (register & 7) * 4;
        let word = &mut self.0[(register >> 3) as usize];
        if *word >> shift & 15 < rank {
            *word = *word & !(15 << shift) | rank << shift;
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0[0] == 0 && self.0[1] == 0
    }

    /// About how many there are.
    pub(super) fn estimate(self) -> f32 {
        let ranks = (0..16).map(|register| self.0[register >> 3] >> ((register & 7) * 4) & 15);
        let (mut sum, mut empty) = (0.0, 0);
        for rank in ranks {
            sum += 1.0 / f32::from(1_u16 << rank);
            empty += u32::from(rank == 0);
        }
        let estimate = 0.673 * REGISTERS * REGISTERS / sum;
        if estimate <= 2.5 * REGISTERS && empty > 0 {
            REGISTERS * (REGISTERS / empty as f32).ln()
        } else {
            estimate
        }
    }

    /// So many there may well be: the estimate and half as many again, which is
    /// two standard errors.
    pub(super) fn at_most(self) -> u32 {
        (self.estimate() * 1.5).ceil() as u32
    }
}

const REGISTERS: f32 = 16.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::table::mix;

    #[test]
    fn an_estimate_is_near_and_the_same_device_counts_once() {
        for devices in [1_u64, 2, 5, 10, 30, 50, 200, 1_000, 2_000, 20_000] {
            let mut short = 0;
            let mut sum = 0.0;
            for trial in 0..200 {
                let mut counter = HyperLogLog::default();
                for device in 0..devices {
                    counter.add(mix(device << 16 | trial));
                    counter.add(mix(device << 16 | trial));
                }
                sum += f64::from(counter.estimate()) / devices as f64;
                short += u32::from(u64::from(counter.at_most()) < devices);
            }
            let mean = sum / 200.0;
            assert!((0.9..1.15).contains(&mean), "{devices}: {mean}");
            assert!(short <= 20, "{devices}: too few in {short} of 200");
        }
    }

    #[test]
    fn nobody_is_none() {
        assert!(HyperLogLog::default().is_empty());
        assert_eq!(HyperLogLog::default().at_most(), 0);
    }
}
