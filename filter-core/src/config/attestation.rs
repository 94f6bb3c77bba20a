//! `[[attestation]]`: requirements on a call's token.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::{
    endpoint::read_header,
    error::Error,
    feed::is_loopback,
    unit,
    validate::Validator,
    value::{self, Absolute, Name, Text},
};

/// `[[attestation]]`: requirements on a call's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Its name, the only one of it: gateways choose by it.
    pub name: String,
    /// The keys that signatures are checked with.
    pub keys: KeySource,
    /// The header that holds the token.
    pub header: String,
    /// The text before the token in it.
    pub prefix: String,
    /// The header in which clients say why they have none; empty: none.
    pub status_header: String,
    /// The issuer that it must name; `None`: any.
    pub issuer: Option<String>,
    /// The audience that it must name; `None`: any.
    pub audience: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Headers that the token has to be bound to; empty: it isn't looked at.
    pub bind: Vec<String>,
    /// A token that is bound to nothing passes nevertheless.
    pub unbound: bool,
    /// The status that answers a call that proves nothing: 401 or 403.
    pub fail: u16,
    /// Every call passes; what it would have been answered is only counted.
    pub observe: bool,
    /// Calls pass while no key is known.
    pub pass_without_keys: bool,
}

/// The source of an attestation's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A set that the issuer publishes.
    Url {
        /// Its address: https, or this host itself.
        url: Url,
        /// The authorities that are trusted in place of the system's.
        ca_file: Option<PathBuf>,
        /// How often it is fetched.
        refresh: Duration,
    },
    /// A set in a file.
    File(PathBuf),
    /// The account's secret in a file.
    Secret {
        /// The file.
        path: PathBuf,
        /// It has the bytes themselves, not base64 of them.
        raw: bool,
    },
}

impl KeySource {
    /// As it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Url { url, .. } => {
                let mut url = url.clone();
                url.set_query(None);
                url.to_string()
            }
            Self::File(path) | Self::Secret { path, .. } => path.display().to_string(),
        }
    }
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Written {
    name: Spanned<Text<Name>>,
    keys_url: Option<Spanned<String>>,
    keys_file: Option<Spanned<Text<Absolute>>>,
    secret_file: Option<Spanned<Text<Absolute>>>,
    ca_file: Option<Spanned<Text<Absolute>>>,
    refresh: Option<Spanned<String>>,
    secret_encoding: Option<Spanned<String>>,
    header: Option<Spanned<String>>,
    #[serde(default)]
    prefix: String,
    status_header: Option<Spanned<String>>,
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    audience: String,
    leeway: Option<Spanned<String>>,
    #[serde(default)]
    bind: Vec<Spanned<String>>,
    unbound: Option<Spanned<String>>,
    fail: Option<Spanned<i64>>,
    #[serde(default, deserialize_with = "value::answer_mode")]
    mode: bool,
    without_keys: Option<Spanned<String>>,
}

impl Validator<'_> {
    pub(super) fn attestations(
        &mut self,
        written: Vec<Written>,
    ) -> Result<Vec<Attestation>, Error> {
        let mut all: Vec<Attestation> = Vec::new();
        for one in written {
            let place = self.source.place(&one.name.span());
            let name = self.name(one.name, "attestation", &[], |name| {
                all.iter().any(|other| other.name == name)
            })?;
            let span = match (&one.keys_url, &one.keys_file, &one.secret_file) {
                (Some(one), None, None) => one.span(),
                (None, Some(one), None) | (None, None, Some(one)) => one.span(),
                _ => {
                    return Err(Error::Missing {
                        place,
                        sentence: format!(
                            "attestation {name} needs one of `keys_url`, `keys_file` and `secret_file`: write exactly one"
                        ),
                    });
                }
            };
            if one.keys_url.is_none() {
                self.only("keys_url", "ca_file", one.ca_file.as_ref())?;
                self.only("keys_url", "refresh", one.refresh.as_ref())?;
            }
            if one.secret_file.is_none() {
                self.only(
                    "secret_file",
                    "secret_encoding",
                    one.secret_encoding.as_ref(),
                )?;
            }
            let keys = if let Some(url) = one.keys_url {
                KeySource::Url {
                    url: self.keys_url(&url, one.ca_file.is_some())?,
                    ca_file: one.ca_file.map(|file| file.into_inner().0.0),
                    refresh: self.duration(one.refresh, REFRESH, LEAST_REFRESH)?,
                }
            } else if let Some(file) = one.keys_file {
                KeySource::File(file.into_inner().0.0)
            } else {
                self.warnings.push(format!(
                    "{}: attestation {name} uses the account's secret, and who can read it on this host can mint tokens: have the issuer sign with a key set, and write `keys_url`",
                    self.source.place(&span)
                ));
                let file = one.secret_file.expect("it is the third of three");
                KeySource::Secret {
                    path: file.into_inner().0.0,
                    raw: self.chosen(one.secret_encoding, [("base64", false), ("raw", true)])?,
                }
            };
            if one.mode {
                self.warnings.push(format!(
                    "{place}: attestation {name} is in observe: the gateway is told 200 whatever the token"
                ));
            }
            let pass_without_keys =
                self.chosen(one.without_keys, [("fail", false), ("pass", true)])?;
            if pass_without_keys {
                self.warnings.push(format!(
                    "{place}: every call of attestation {name} passes while its keys can't be had"
                ));
            }
            let fail = match one.fail.as_ref().map(|fail| *fail.get_ref()) {
                None | Some(401) => 401,
                Some(403) => 403,
                Some(other) => {
                    let span = one.fail.expect("it was written").span();
                    return Err(self.source.refuse(
                        &span,
                        format!(
                            "{other} can't be: write 401 or 403, which every gateway passes on"
                        ),
                    ));
                }
            };
            all.push(Attestation {
                name,
                keys,
                header: self.header(one.header, "Approov-Token")?,
                prefix: one.prefix,
                status_header: match one.status_header {
                    Some(none) if none.get_ref().is_empty() => String::new(),
                    written => self.header(written, "Approov-Status")?,
                },
                issuer: Some(one.issuer).filter(|issuer| !issuer.is_empty()),
                audience: Some(one.audience).filter(|audience| !audience.is_empty()),
                leeway: match one.leeway {
                    Some(none) if none.get_ref() == "0s" => Duration::ZERO,
                    written => self.duration(written, LEEWAY, Duration::ZERO)?,
                },
                bind: one
                    .bind
                    .into_iter()
                    .map(|header| self.header(Some(header), ""))
                    .collect::<Result<_, _>>()?,
                unbound: self.chosen(one.unbound, [("fail", false), ("pass", true)])?,
                fail,
                observe: one.mode,
                pass_without_keys,
            });
        }
        Ok(all)
    }

    /// A key that means something beside another one only.
    fn only<T>(&self, with: &str, key: &str, value: Option<&Spanned<T>>) -> Result<(), Error> {
        match value {
            None => Ok(()),
            Some(value) => Err(self.source.refuse(
                &value.span(),
                format!("`{key}` says something of `{with}` only: leave it out"),
            )),
        }
    }

    fn chosen<T: Copy, const N: usize>(
        &self,
        written: Option<Spanned<String>>,
        choices: [(&str, T); N],
    ) -> Result<T, Error> {
        let Some(written) = written else {
            return Ok(choices[0].1);
        };
        let found = choices.iter().find(|(name, _)| name == written.get_ref());
        found.map(|(_name, meant)| *meant).ok_or_else(|| {
            let names = choices.map(|(name, _)| format!("\"{name}\""));
            self.source.refuse(
                &written.span(),
                format!(
                    "{:?} can't be: write {}",
                    written.get_ref(),
                    names.join(" or ")
                ),
            )
        })
    }

    fn header(&self, written: Option<Spanned<String>>, default: &str) -> Result<String, Error> {
        let Some(written) = written else {
            return Ok(default.to_owned());
        };
        read_header(written.get_ref()).map_err(|why| self.source.refuse(&written.span(), why))
    }

    fn duration(
        &self,
        written: Option<Spanned<String>>,
        default: Duration,
        least: Duration,
    ) -> Result<Duration, Error> {
        let Some(written) = written else {
            return Ok(default);
        };
        let read = unit::duration(written.get_ref())
            .map_err(|error| self.source.refuse(&written.span(), error.to_string()))?;
        if read < least {
            return Err(self.source.refuse(
                &written.span(),
                format!("that is too often: write {}s or more", least.as_secs()),
            ));
        }
        Ok(read)
    }

    fn keys_url(&self, written: &Spanned<String>, ca_file: bool) -> Result<Url, Error> {
        let text = written.get_ref();
        let like = "write https://keys.example.net/jwks.json";
        let refuse = |sentence: String| self.source.refuse(&written.span(), sentence);
        let url = Url::parse(text)
            .map_err(|error| refuse(format!("{text:?} is no address ({error}): {like}")))?;
        if !url.has_host() || !matches!(url.scheme(), "https" | "http") {
            return Err(refuse(format!(
                "{text:?} is no address of a key set: {like}"
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "a name and a password don't belong into an address, which is shown and logged: a key set is public".to_owned(),
            ));
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(refuse(
                "whoever is on the way could put keys of their own into it: write https://"
                    .to_owned(),
            ));
        }
        if url.scheme() == "http" && ca_file {
            return Err(refuse(
                "no certificate is ever looked at over http: write https://, or leave out `ca_file`"
                    .to_owned(),
            ));
        }
        Ok(url)
    }
}

const REFRESH: Duration = Duration::from_secs(3600);
const LEAST_REFRESH: Duration = Duration::from_secs(10);
const LEEWAY: Duration = Duration::from_secs(60);
