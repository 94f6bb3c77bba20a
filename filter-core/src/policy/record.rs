//! The record of a source, in 36 bytes.

use super::{
    clock::{BEFORE, HOUR},
    hyperloglog::HyperLogLog,
    rules::MAX_RULES,
    table::Kept,
};

/// The record of a source.
///
/// Counts halve every ten minutes: long enough that two failing calls a minute
/// add up, short enough that a bad quarter of an hour is forgotten in the next
/// one. All halve alike, so that their shares stay what they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    /// Two halves of the key: the record is aligned to four bytes.
    key: [u32; 2],
    /// When a call came last, in seconds.
    seen: u32,
    devices: HyperLogLog,
    attested: Count,
    failing: [Count; MAX_RULES],
    /// When a call was attested last, in units of [`TEN_MINUTES`]; 0: never.
    attested_at: u16,
    /// The devices of the half-day before this one: see [`pack`].
    before: u8,
    /// The counts were halved up to here: eighths of a half-life, the lower bits.
    eighth: u8,
}

/// A decaying count, in sixteenths.
type Count = u16;

impl Record {
    pub(super) fn new(key: u64, now: u32) -> Self {
        Self {
            key: [(key >> 32) as u32, key as u32],
            seen: now,
            eighth: (now / EIGHTH) as u8,
            ..Self::default()
        }
    }

    /// Takes the time: what is old counts less. Failures from before `amnesty`
    /// count nothing.
    pub(super) fn touch(&mut self, now: u32, amnesty: u32) {
        if self.seen < amnesty {
            self.failing = [0; MAX_RULES];
        }
        let half_days = now / HALF_DAY - self.seen.min(now) / HALF_DAY;
        if half_days > 0 {
            self.before = if half_days == 1 {
                pack(self.devices.at_most())
            } else {
                0
            };
            self.devices = HyperLogLog::default();
        }
        let eighths = if now.saturating_sub(self.seen) >= 128 * EIGHTH {
            u32::from(u8::MAX)
        } else {
            u32::from(((now / EIGHTH) as u8).wrapping_sub(self.eighth))
        };
        if eighths > 0 {
            let decay = |count: &mut Count| *count = decayed(*count, eighths);
            decay(&mut self.attested);
            self.failing.iter_mut().for_each(decay);
            self.eighth = (now / EIGHTH) as u8;
        }
        self.seen = self.seen.max(now);
    }

    pub(super) fn attest(&mut self, device: Option<u64>, weight: u32, now: u32) {
        if let Some(device) = device {
            self.devices.add(device);
        } else if self.devices.is_empty() {
            self.devices.add(0);
        }
        self.attested_at = (now / TEN_MINUTES).clamp(1, u32::from(u16::MAX)) as u16;
        self.add(weight, |record| &mut record.attested);
    }

    pub(super) fn fail(&mut self, rule: usize, weight: u32) {
        self.add(weight, |record| &mut record.failing[rule]);
    }

    /// Spends what one rule has counted so far.
    pub(super) const fn spend(&mut self, rule: usize) {
        self.failing[rule] = 0;
    }

    /// Forgets every failing call.
    pub(super) const fn forgive(&mut self) {
        self.failing = [0; MAX_RULES];
    }

    /// Failing calls that one rule is about.
    pub(super) fn evidence(&self, rule: usize) -> u32 {
        u32::from(self.failing[rule] / ONE)
    }

    /// The share of its calls that failed, in thousandths.
    pub(super) fn share(&self) -> u32 {
        let failing: u32 = self.failing.iter().map(|count| u32::from(*count)).sum();
        let all = failing + u32::from(self.attested);
        (failing * 1_000).checked_div(all).unwrap_or(0)
    }

    /// Attested devices of this half-day or the one before, whichever are more.
    /// Of a record that wasn't touched they are those of its time.
    pub(super) fn devices(&self) -> u32 {
        self.devices.at_most().max(unpack(self.before))
    }

    /// When a call was attested last, to ten minutes, and never too early.
    pub(super) fn attested_at(&self) -> Option<u32> {
        (self.attested_at > 0).then(|| (u32::from(self.attested_at) + 1) * TEN_MINUTES - 1)
    }

    /// Whether it was attested within the last `time`.
    pub(super) fn attested_within(&self, time: u32, now: u32) -> bool {
        self.attested_at()
            .is_some_and(|at| now.saturating_sub(at) <= time)
    }

    /// Restores what an earlier run of the policy knew of it.
    pub(super) fn recall(&mut self, attested: u32, devices: u32) {
        self.attested_at = (attested / TEN_MINUTES).clamp(1, u32::from(u16::MAX)) as u16;
        self.before = pack(devices);
    }

    /// All counts halve where one gets too large: shares stay what they are.
    fn add(&mut self, weight: u32, count: impl Fn(&mut Self) -> &mut Count) {
        let weight = weight.clamp(1, u32::from(Count::MAX / 2 / ONE)) as Count * ONE;
        if count(self).checked_add(weight).is_none() {
            self.attested /= 2;
            self.failing.iter_mut().for_each(|count| *count /= 2);
        }
        let count = count(self);
        *count = count.saturating_add(weight);
    }
}

impl Kept for Record {
    fn key(&self) -> u64 {
        u64::from(self.key[0]) << 32 | u64::from(self.key[1])
    }

    fn seen(&self) -> u32 {
        self.seen
    }
}

/// A count after so many eighths of a half-life. What is less than a quarter of
/// a call goes to nothing, where rounding would keep it for ever.
fn decayed(count: Count, eighths: u32) -> Count {
    let halves = eighths / 8;
    if halves >= 16 {
        return 0;
    }
    let left = f32::from(count >> halves) * (-((eighths % 8) as f32) / 8.0).exp2();
    let rounded = left.round() as Count;
    if rounded < ONE / 4 { 0 } else { rounded }
}

/// A number of devices in a byte: eighths of a power of two, rounded up.
fn pack(devices: u32) -> u8 {
    if devices == 0 {
        return 0;
    }
    ((devices as f32).log2() * 8.0).ceil().clamp(0.0, 254.0) as u8 + 1
}

fn unpack(byte: u8) -> u32 {
    if byte == 0 {
        return 0;
    }
    (f32::from(byte - 1) / 8.0).exp2().ceil() as u32
}

const ONE: Count = 16;

const TEN_MINUTES: u32 = 600;

/// An eighth of the half-life: nearer moments count as one.
const EIGHTH: u32 = TEN_MINUTES / 8;

/// Devices are counted for this long, and known for as long again: a carrier's
/// night follows its day.
pub(super) const HALF_DAY: u32 = 12 * HOUR;

const _: () = assert!(size_of::<Record>() == 36);
const _: () = assert!(BEFORE.is_multiple_of(HALF_DAY));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{clock::DAY, table::mix};

    const START: u32 = BEFORE;

    #[test]
    fn counts_halve_every_ten_minutes_however_often_it_is_touched() {
        for every in [1, 7, 60, 75, 100, 600, 3_000] {
            let mut record = Record::new(1, START);
            for _ in 0..1_000 {
                record.fail(0, 1);
            }
            let mut now = START;
            while now < START + 3_000 {
                now += every;
                record.touch(now.min(START + 3_000), 0);
            }
            let left = record.evidence(0);
            assert!((29..=33).contains(&left), "every {every}: {left}");
        }
        let mut record = Record::new(1, START);
        record.fail(0, 1_000);
        record.touch(START + DAY, 0);
        assert_eq!(record.evidence(0), 0);
    }

    #[test]
    fn shares_stay_what_they_are_however_many_calls_there_are() {
        let mut record = Record::new(1, START);
        for call in 0..100_000 {
            if call % 4 == 0 {
                record.fail(2, 1);
            } else {
                record.attest(None, 1, START);
            }
        }
        assert!((230..270).contains(&record.share()), "{}", record.share());
        record.fail(2, u32::MAX);
        assert!(record.evidence(2) > 1_000);
    }

    #[test]
    fn devices_are_known_for_a_half_day_after_theirs() {
        let mut record = Record::new(1, START);
        for device in 0..300 {
            record.attest(Some(mix(device)), 1, START);
        }
        let there = record.devices();
        assert!((300..700).contains(&there), "{there}");
        record.touch(START + HALF_DAY, 0);
        assert!((there..=there * 11 / 10 + 1).contains(&record.devices()));
        record.touch(START + 2 * HALF_DAY, 0);
        assert_eq!(record.devices(), 0);
        assert!(record.attested_within(7 * DAY, START + 6 * DAY));
        assert!(!record.attested_within(7 * DAY, START + 8 * DAY));
    }

    #[test]
    fn a_byte_holds_a_number_of_devices_and_never_too_few() {
        for devices in 0..100_000 {
            let there = unpack(pack(devices));
            assert!(
                there >= devices && there <= devices + devices / 8 + 2,
                "{devices}: {there}"
            );
        }
    }

    #[test]
    fn an_amnesty_forgets_failures_alone() {
        let mut record = Record::new(1, START);
        record.fail(1, 50);
        record.attest(None, 50, START);
        record.touch(START + 10, START + 5);
        assert_eq!((record.evidence(1), record.share()), (0, 0));
        record.fail(1, 3);
        record.touch(START + 11, START + 5);
        assert_eq!(record.evidence(1), 3);
    }
}
