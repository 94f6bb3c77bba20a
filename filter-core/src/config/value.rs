//! Values that are read by themselves: each reader refuses texts that mean nothing to it.

use std::{
    fmt,
    marker::PhantomData,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use filter_common::{rate::Rate, settings::Mode, verdict::MAX_CLAIM};
use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _},
};

use super::{Attach, OnStop, unit::PerTime};

/// A value that is read from a string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    /// By a visitor, so that a fault is placed at this value and not at the
    /// list around it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Visitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

/// A name of a service, a tier or a feed: it stands in metrics and on command
/// lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if (1..=64).contains(&text.len()) && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is no name: write 1 to 64 of letters, digits, `-`, `_` and `.`"
            ))
        }
    }
}

struct Interface(String);

impl FromStr for Interface {
    type Err = String;

    /// Accepts the names that the kernel does: `dev_valid_name` in `net/core/dev.c`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0';
        if !(1..=15).contains(&text.len()) || text.contains(bad) || matches!(text, "." | "..") {
            return Err(format!(
                "{text:?} is no name of an interface: write one that `ip link` shows, such as \"eth0\""
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The same names, if each is one of an interface and stands there once.
pub(super) fn each_once(names: Vec<String>) -> Result<Vec<String>, String> {
    for (index, name) in names.iter().enumerate() {
        name.parse::<Interface>()?;
        if names[..index].contains(name) {
            return Err(format!("{name:?} is there twice: write it once"));
        }
    }
    Ok(names)
}

pub(super) fn interfaces<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<Text<Interface>>::deserialize(d)?;
    each_once(names.into_iter().map(|name| name.0.0).collect()).map_err(D::Error::custom)
}

/// A path from `/` on.
#[derive(Clone, Debug)]
pub(super) struct Absolute(pub(super) PathBuf);

impl FromStr for Absolute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if Path::new(text).is_absolute() {
            Ok(Self(text.into()))
        } else if text.contains("://") {
            Err(format!(
                "{text:?} is an address, and this is the path of a file: fetch it into a file, and write that file's path from `/` on"
            ))
        } else {
            Err(format!(
                "{text:?} is a relative path, and the daemon has no folder it could mean: write it from `/` on"
            ))
        }
    }
}

pub(super) fn path<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
    Text::<Absolute>::deserialize(d).map(|path| path.0.0)
}

/// A Unix socket's path has room for 107 bytes: unix(7).
pub(super) fn socket<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
    let path = path(d)?;
    if path.as_os_str().len() > 107 {
        return Err(D::Error::custom(
            "the path of a socket may have 107 bytes at most: write a shorter one",
        ));
    }
    Ok(path)
}

pub(super) fn loopback<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SocketAddr>, D::Error> {
    loopback_for(d, "metrics have no password, write \"127.0.0.1:9187\"")
}

/// A loopback address with a port, or none; `why` says what else to write.
pub(super) fn loopback_for<'de, D: Deserializer<'de>>(
    d: D,
    why: &str,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .ok()
        .filter(|listen: &SocketAddr| listen.ip().is_loopback())
        .map(Some)
        .ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no loopback address with a port: {why}, or \"\" for none"
            ))
        })
}

/// A number between two others.
pub(super) fn within<'de, D: Deserializer<'de>>(
    d: D,
    least: usize,
    most: usize,
    what: &str,
) -> Result<usize, D::Error> {
    let number = i64::deserialize(d)?;
    usize::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "{number} can't be: write {what}, a number from {least} to {most}"
            ))
        })
}

/// A number of entries that claims and the kernel's tables can count.
pub(super) fn room<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(d)?;
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=MAX_CLAIM).contains(number))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "there can't be room for {number}: write a number from 1 to {MAX_CLAIM}"
            ))
        })
}

/// One second's events may come at once. None at all is a rate that isn't set.
pub(super) fn budget<'de, D: Deserializer<'de>>(d: D) -> Result<Rate, D::Error> {
    let PerTime {
        amount,
        nanoseconds,
    } = PerTime::deserialize(d)?;
    if amount.bytes {
        return Err(D::Error::custom(
            "events are counted, not measured: write \"100/s\"",
        ));
    }
    if amount.units == 0 {
        return Ok(Rate::NONE);
    }
    Rate::new(amount.units, nanoseconds, amount.units).ok_or_else(|| {
        D::Error::custom("that rate can't be held: write one event in two minutes or more")
    })
}

pub(super) fn mode<'de, D: Deserializer<'de>>(d: D) -> Result<Mode, D::Error> {
    choose(
        d,
        [Mode::Observe, Mode::Enforce].map(|mode| (mode.name(), mode)),
    )
}

pub(super) fn attach<'de, D: Deserializer<'de>>(d: D) -> Result<Attach, D::Error> {
    choose(
        d,
        [
            ("auto", Attach::Auto),
            ("native", Attach::Native),
            ("generic", Attach::Generic),
        ],
    )
}

pub(super) fn on_stop<'de, D: Deserializer<'de>>(d: D) -> Result<OnStop, D::Error> {
    choose(d, [("keep", OnStop::Keep), ("detach", OnStop::Detach)])
}

pub(super) fn observe<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    choose(d, [("inherit", false), ("observe", true)])
}

/// Of an attestation: whether what it finds is only counted.
pub(super) fn answer_mode<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    choose(d, [("enforce", false), ("observe", true)])
}

pub(super) fn policy_mode<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Mode>, D::Error> {
    choose(
        d,
        [
            ("off", None),
            ("observe", Some(Mode::Observe)),
            ("enforce", Some(Mode::Enforce)),
        ],
    )
}

pub(super) fn rule_mode<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Mode>, D::Error> {
    choose(
        d,
        [
            ("inherit", None),
            ("observe", Some(Mode::Observe)),
            ("enforce", Some(Mode::Enforce)),
        ],
    )
}

fn choose<'de, D: Deserializer<'de>, T: Copy, const N: usize>(
    d: D,
    choices: [(&str, T); N],
) -> Result<T, D::Error> {
    let text = String::deserialize(d)?;
    let found = choices.iter().find(|(name, _meant)| *name == text);
    found.map(|(_name, meant)| *meant).ok_or_else(|| {
        let names = choices.map(|(name, _meant)| format!("\"{name}\""));
        D::Error::custom(format!("{text:?} can't be: write {}", names.join(" or ")))
    })
}
