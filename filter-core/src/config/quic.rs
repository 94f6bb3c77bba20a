//! Versions of QUIC, as the operator writes them: `v1`, `draft-29`, `0xff00001d`.

use std::{fmt, str::FromStr};

use filter_common::settings::{self, MAX_VERSIONS};
use toml::Spanned;

use super::{
    error::Error,
    port::{HTTP_3, Ports},
    validate::Validator,
    value::Text,
};

/// A version of QUIC that a server may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u32);

impl Version {
    /// Its number in a long header.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether the filter knows its types of packets by itself.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(self.0, V1 | V2) || self.0 & !0xff == DRAFTS
    }
}

/// A text that names no version of QUIC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAVersion {
    /// It names none.
    #[error(
        "{0:?} is no version of QUIC: write \"v1\", \"v2\", a draft from \"draft-01\" to \"draft-34\", or a number of eight digits such as \"0xff00001d\""
    )]
    Unread(String),
    /// Version 0.
    #[error(
        "0x00000000 is what a server answers that speaks no version it was offered (RFC 9000 section 17.2.1): leave it out"
    )]
    Negotiation,
    /// One that no server speaks.
    #[error(
        "{0} is one of the versions that clients offer because no server speaks them (RFC 9000 section 15): leave it out"
    )]
    Reserved(Version),
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let number = match text {
            "v1" => Some(V1),
            "v2" => Some(V2),
            _ => draft(text).or_else(|| number(text)),
        };
        let number = number.ok_or_else(|| NotAVersion::Unread(text.chars().take(64).collect()))?;
        if number == 0 {
            return Err(NotAVersion::Negotiation);
        }
        if number & 0x0f0f_0f0f == 0x0a0a_0a0a {
            return Err(NotAVersion::Reserved(Self(number)));
        }
        Ok(Self(number))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            V1 => f.write_str("v1"),
            V2 => f.write_str("v2"),
            number if number.wrapping_sub(DRAFTS + 1) < LAST_DRAFT => {
                write!(f, "draft-{:02}", number - DRAFTS)
            }
            number => write!(f, "{number:#010x}"),
        }
    }
}

/// `draft-1` and `draft-01` are one.
fn draft(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("draft-")?;
    let plain = digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = plain.then(|| digits.parse().ok())??;
    (1..=LAST_DRAFT).contains(&number).then(|| DRAFTS + number)
}

/// Of all eight digits: with one left out it would be another version.
fn number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    let whole = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| u32::from_str_radix(digits, 16).ok())?
}

impl Validator<'_> {
    /// The versions that a service speaks; `None` where it doesn't say.
    pub(super) fn quic(
        &mut self,
        written: Option<Spanned<Vec<Spanned<Text<Version>>>>>,
        service: &str,
        (ports, place): (&[Ports], std::ops::Range<usize>),
    ) -> Result<Option<Vec<Version>>, Error> {
        let Some(written) = written else {
            if let Some(other) = ports.iter().find(|ports| ports.is_udp_beside(HTTP_3)) {
                self.warnings.push(format!(
                    "{}: service {service} doesn't say whether {other} is QUIC, so that of other versions than 1, 2 and the drafts no connection is counted there: write quic = [] if it isn't, or its versions, such as quic = [\"v1\"]",
                    self.source.place(&place)
                ));
            }
            return Ok(None);
        };
        let span = written.span();
        let mut versions: Vec<Version> = Vec::new();
        for one in written.into_inner() {
            let version = one.get_ref().0;
            if versions.contains(&version) {
                return Err(self.source.refuse(
                    &one.span(),
                    format!("{version} is there twice: write it once"),
                ));
            }
            versions.push(version);
        }
        let other = versions.iter().filter(|version| !version.is_known());
        if other.count() > MAX_VERSIONS {
            return Err(self.source.refuse(
                &span,
                format!("there is room for {MAX_VERSIONS} versions besides v1, v2 and the drafts: write those that clients use"),
            ));
        }
        if !versions.is_empty() && !ports.iter().any(Ports::is_udp) {
            return Err(self.source.refuse(
                &span,
                format!("QUIC is UDP, and service {service} has no such port: add \"udp/443\" to its `ports`, or leave `quic` out"),
            ));
        }
        Ok(Some(versions))
    }
}

/// The service's setting in the law: which UDP packets open a connection, and the
/// versions that the law doesn't know by itself.
#[must_use]
pub fn of_the_law(versions: Option<&[Version]>) -> (u8, [u32; MAX_VERSIONS]) {
    let mut other = [0; MAX_VERSIONS];
    let quic = match versions {
        None => settings::Service::QUIC_AT_443,
        Some([]) => settings::Service::NO_QUIC,
        Some(versions) => {
            let unknown = versions.iter().filter(|version| !version.is_known());
            for (place, version) in other.iter_mut().zip(unknown) {
                *place = version.number();
            }
            settings::Service::QUIC
        }
    };
    (quic, other)
}

/// RFC 9000 section 15.
const V1: u32 = 1;
/// RFC 9369 section 3.1.
const V2: u32 = 0x6b33_43cf;
/// `draft-ietf-quic-transport-NN` is version 0xff0000NN.
const DRAFTS: u32 = 0xff00_0000;
const LAST_DRAFT: u32 = 34;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_written() {
        for (text, number, shown, known) in [
            ("v1", 1, "v1", true),
            ("0x00000001", 1, "v1", true),
            ("v2", 0x6b33_43cf, "v2", true),
            ("0x6B3343CF", 0x6b33_43cf, "v2", true),
            ("draft-1", 0xff00_0001, "draft-01", true),
            ("draft-29", 0xff00_001d, "draft-29", true),
            ("0xff00001d", 0xff00_001d, "draft-29", true),
            ("draft-34", 0xff00_0022, "draft-34", true),
            ("0xff000023", 0xff00_0023, "0xff000023", true),
            ("0xff000000", 0xff00_0000, "0xff000000", true),
            ("0x51303436", 0x5130_3436, "0x51303436", false),
            ("0xfaceb002", 0xface_b002, "0xfaceb002", false),
        ] {
            let version: Version = text.parse().expect(text);
            assert_eq!(version.number(), number, "{text}");
            assert_eq!(version.to_string(), shown, "{text}");
            assert_eq!(version.is_known(), known, "{text}");
            assert_eq!(shown.parse(), Ok(version));
        }
    }

    #[test]
    fn what_names_no_version_is_refused() {
        for text in [
            "",
            "1",
            "v3",
            "V1",
            "draft-0",
            "draft-00",
            "draft-35",
            "draft-029",
            "draft-+9",
            "draft-",
            "0x1",
            "0x",
            "0x000000001",
            "ff00001d",
            "0x+f00001d",
            "0X00000001",
        ] {
            let refused = text.parse::<Version>();
            assert_eq!(refused, Err(NotAVersion::Unread(text.to_owned())));
        }
        let zero = "0x00000000".parse::<Version>();
        assert_eq!(zero, Err(NotAVersion::Negotiation));
        for reserved in ["0x0a0a0a0a", "0x1a2a3a4a", "0xfafafafa"] {
            let refused = reserved.parse::<Version>().expect_err(reserved);
            assert!(refused.to_string().starts_with(reserved), "{refused}");
        }
    }

    #[test]
    fn the_law_is_told_only_what_it_does_not_know() {
        let versions = |texts: &[&str]| -> Vec<Version> {
            let read = texts.iter().map(|text| text.parse().expect(text));
            read.collect()
        };
        assert_eq!(of_the_law(None), (settings::Service::QUIC_AT_443, [0; 4]));
        assert_eq!(of_the_law(Some(&[])), (settings::Service::NO_QUIC, [0; 4]));
        let known = versions(&["v2", "draft-29"]);
        assert_eq!(of_the_law(Some(&known)), (settings::Service::QUIC, [0; 4]));
        let more = versions(&["v1", "0x51303436", "0xfaceb002"]);
        let told = [0x5130_3436, 0xface_b002, 0, 0];
        assert_eq!(of_the_law(Some(&more)), (settings::Service::QUIC, told));
    }
}
