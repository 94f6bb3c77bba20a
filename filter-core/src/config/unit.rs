//! Numbers with units, as the operator writes them: durations, sizes, rates.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// Reads `90s`, `15m`, `1h` or `7d`.
///
/// # Errors
/// If it is none of them, nothing, or more than 136 years.
pub fn duration(text: &str) -> Result<Duration, NotADuration> {
    let (number, unit) = split(text);
    let second: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => 0,
    };
    number
        .and_then(|number| number.checked_mul(second))
        .filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| NotADuration(excerpt(text)))
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no duration: write 90s, 15m, 1h or 7d")]
pub struct NotADuration(String);

/// So many at once: a number, or a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) units: u64,
    /// It was written with a unit of bytes.
    pub(super) bytes: bool,
}

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PerTime {
    pub(super) amount: Amount,
    pub(super) nanoseconds: u64,
}

impl Amount {
    fn read(text: &str) -> Option<Self> {
        let (number, unit) = split(text);
        let of = match unit {
            "" | "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        Some(Self {
            units: number?.checked_mul(of)?,
            bytes: !unit.is_empty(),
        })
    }
}

impl TryFrom<String> for PerTime {
    type Error = NotARate;

    fn try_from(text: String) -> Result<Self, NotARate> {
        let read = || {
            let (amount, time) = text.split_once('/')?;
            let seconds = match time {
                "s" => 1,
                "m" => 60,
                _ => return None,
            };
            Some(Self {
                amount: Amount::read(amount)?,
                nanoseconds: seconds * 1_000_000_000,
            })
        };
        read().ok_or_else(|| NotARate(excerpt(&text)))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 40000 or a size such as \"64MiB\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                let units = u64::try_from(number)
                    .map_err(|_error| E::custom(format!("{number} is less than nothing")))?;
                Ok(Amount {
                    units,
                    bytes: false,
                })
            }

            fn visit_u64<E: de::Error>(self, units: u64) -> Result<Amount, E> {
                Ok(Amount {
                    units,
                    bytes: false,
                })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Amount::read(text).ok_or_else(|| E::custom(NotASize(excerpt(text))))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rate: write \"20000/s\" or \"600/m\", of bytes \"32MiB/s\" (B, KB, MB, GB, KiB, MiB, GiB)"
)]
pub(super) struct NotARate(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no size: write a number, or one with B, KB, MB, GB, KiB, MiB or GiB, such as \"64MiB\""
)]
struct NotASize(String);

/// The number before the unit, and the unit.
fn split(text: &str) -> (Option<u64>, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.parse().ok(), unit)
}

fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_minutes_hours_and_days() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("1h", 3_600),
            ("7d", 604_800),
            ("4294967295s", 4_294_967_295),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "0s",
            "90",
            "1w",
            "-1s",
            "1.5h",
            "1h30m",
            " 1h",
            "1 h",
            "4294967296s",
            "99999999999999999999s",
            "1H",
        ] {
            let refused = duration(text).expect_err(text);
            assert!(refused.to_string().contains("write 90s, 15m, 1h or 7d"));
        }
    }

    #[test]
    fn rates_count_or_measure() {
        for (text, units, bytes, seconds) in [
            ("20000/s", 20_000, false, 1),
            ("600/m", 600, false, 60),
            ("32MiB/s", 32 << 20, true, 1),
            ("5KiB/s", 5 << 10, true, 1),
            ("2GiB/s", 2 << 30, true, 1),
            ("9B/s", 9, true, 1),
            ("5KB/s", 5_000, true, 1),
            ("5MB/m", 5_000_000, true, 60),
            ("1GB/s", 1_000_000_000, true, 1),
        ] {
            let meant = PerTime {
                amount: Amount { units, bytes },
                nanoseconds: seconds * 1_000_000_000,
            };
            assert_eq!(PerTime::try_from(text.to_owned()), Ok(meant), "{text}");
        }
        for text in [
            "",
            "/",
            "/s",
            "20000",
            "20000/",
            "20000/h",
            "20000/sec",
            "-1/s",
            "1.5/s",
            "20 /s",
            "1kB/s",
            "1Mbit/s",
            "99999999999GiB/s",
            "1/s/s",
        ] {
            assert!(PerTime::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
