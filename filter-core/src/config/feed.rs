//! `[[feed]]`: the keys of each kind, and the addresses that a service may have.

use std::{net::IpAddr, path::PathBuf};

use toml::Spanned;
use url::{Host, Url};

use super::{
    Config, Feed, Kind, Stream, Verdict,
    error::Error,
    example, file,
    validate::Validator,
    value::{Absolute, Text},
};

impl Validator<'_> {
    pub(super) fn feeds(&mut self, written: Vec<file::Feed>) -> Result<Vec<Feed>, Error> {
        let mut feeds: Vec<Feed> = Vec::new();
        for written in written {
            let name = self.name(
                written.name,
                "feed",
                &[OPERATOR, ENFORCED, SHADOW],
                |name| feeds.iter().any(|feed| feed.name == name),
            )?;
            let kind = match written.kind.get_ref() {
                file::Kind::File => {
                    self.foreign("file", "url", &written.url)?;
                    self.foreign("file", "token_file", &written.token_file)?;
                    self.foreign("file", "ca_file", &written.ca_file)?;
                    let path = self.needed(&written.kind, "path", written.path)?;
                    if let Err(sentence) = is_one_file(&path.get_ref().0.0.to_string_lossy()) {
                        return Err(self.source.refuse(&path.span(), sentence));
                    }
                    Kind::File {
                        path: absolute(path),
                        verdict: match written.verdict.map(Spanned::into_inner) {
                            None | Some(file::Verdict::Block) => Verdict::Block,
                            Some(file::Verdict::Allow) => Verdict::Allow,
                            Some(file::Verdict::Limit(tier)) => Verdict::Limit(self.tier(tier)?),
                        },
                    }
                }
                file::Kind::Verdicts => {
                    self.foreign("verdicts", "path", &written.path)?;
                    self.foreign("verdicts", "verdict", &written.verdict)?;
                    let url = self.needed(&written.kind, "url", written.url)?;
                    let url = self.url(&name, &url, written.token_file.is_some())?;
                    if let Some(file) = &written.ca_file
                        && url.scheme() == "http"
                    {
                        return Err(self.source.refuse(
                            &file.span(),
                            "no certificate is ever looked at over http: write an https `url`, or leave out `ca_file`",
                        ));
                    }
                    Kind::Verdicts(Stream {
                        url,
                        token_file: written.token_file.map(absolute),
                        ca_file: written.ca_file.map(absolute),
                    })
                }
            };
            feeds.push(Feed {
                name,
                kind,
                rank: self.rank(written.rank)?,
                observe: written.mode,
                widen_ipv6: self.widen(written.widen_ipv6)?,
            });
        }
        Ok(feeds)
    }

    fn rank(&self, written: Option<Spanned<i64>>) -> Result<u8, Error> {
        let Some(rank) = written else {
            return Ok(DEFAULT_RANK);
        };
        let fits = u8::try_from(*rank.get_ref()).ok().filter(|rank| *rank != 0);
        fits.ok_or_else(|| {
            self.source.refuse(
                &rank.span(),
                format!(
                    "rank {} can't be: write 1 (the strongest) to 255; 0 is the operator's own",
                    rank.get_ref()
                ),
            )
        })
    }

    fn widen(&self, written: Option<Spanned<i64>>) -> Result<u8, Error> {
        let Some(length) = written else {
            return Ok(128);
        };
        match length.get_ref() {
            64 => Ok(64),
            128 => Ok(128),
            other => Err(self.source.refuse(
                &length.span(),
                format!("{other} can't be: write 64 (a claim on an address means its /64) or 128 (it means the address)"),
            )),
        }
    }

    /// A key that the kind of feed can't do without.
    fn needed<T>(
        &self,
        kind: &Spanned<file::Kind>,
        key: &str,
        value: Option<Spanned<T>>,
    ) -> Result<Spanned<T>, Error> {
        value.ok_or_else(|| {
            let name = kind.get_ref().name();
            let like = example::of("feed", key).expect("each key has one");
            self.source.missing(
                &kind.span(),
                format!("a feed of the kind \"{name}\" needs `{key}`: write {key} = {like}"),
            )
        })
    }

    /// A key that means nothing to the kind of feed.
    fn foreign<T>(&self, kind: &str, key: &str, value: &Option<Spanned<T>>) -> Result<(), Error> {
        match value {
            None => Ok(()),
            Some(value) => Err(self.source.refuse(
                &value.span(),
                format!("a feed of the kind \"{kind}\" has no `{key}`: leave it out"),
            )),
        }
    }

    fn url(&mut self, feed: &str, written: &Spanned<String>, token: bool) -> Result<Url, Error> {
        match read_url(written.get_ref(), token) {
            Ok((url, doubt)) => {
                if let Some(doubt) = doubt {
                    let place = self.source.place(&written.span());
                    self.warnings.push(format!("{place}: feed {feed} {doubt}"));
                }
                Ok(url)
            }
            Err(sentence) => Err(self.source.refuse(&written.span(), sentence)),
        }
    }
}

impl Stream {
    /// A stream that isn't configured.
    ///
    /// # Errors
    /// If the address can't be a service's, in a sentence.
    pub fn checked(
        url: &str,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, NoStream> {
        let (url, _doubt) = read_url(url, token_file.is_some()).map_err(NoStream)?;
        Ok(Self {
            url,
            token_file,
            ca_file,
        })
    }
}

/// Whether a path can be the one file of a feed, by its spelling alone. Else a sentence with
/// what to write.
fn is_one_file(path: &str) -> Result<(), String> {
    if path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        return Err(format!(
            "{path:?} is a folder: write a file in it, and a [[feed]] for each file"
        ));
    }
    if path.contains(['*', '?', '[']) {
        return Err(format!(
            "{path:?} is a pattern, and a feed reads one file: write its path, and a [[feed]] for each file"
        ));
    }
    Ok(())
}

/// The reason that an address can't be a service's, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoStream(String);

/// Reads a service's address, and returns a doubt about it. Secrets don't belong into
/// it, and aren't sent where others can read them.
fn read_url(text: &str, token: bool) -> Result<(Url, Option<&'static str>), String> {
    let like = "write https://verify.example.net/v1/verdicts";
    let url = Url::parse(text)
        .map_err(|error| format!("{text:?} is no address of a service ({error}): {like}"))?;
    if !url.has_host() || !matches!(url.scheme(), "https" | "http") {
        return Err(format!("{text:?} is no address of a service: {like}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a name and a password don't belong into an address, which is shown and logged: write the secret into a `token_file`".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("no service ever sees what stands behind `#`: leave it out".to_owned());
    }
    let mut keys = url.query_pairs();
    if let Some((key, _)) = keys.find(|(key, _)| matches!(&**key, "after" | "wait")) {
        return Err(format!(
            "`{key}` is what weir itself asks with: leave it out"
        ));
    }
    if url.scheme() == "https" || is_loopback(&url) {
        return Ok((url, None));
    }
    if token {
        return Err(
            "a token travels only over https, or to this host itself: write https://, or leave out `token_file`".to_owned(),
        );
    }
    Ok((
        url,
        Some("comes over http: whoever is on its way can block anyone"),
    ))
}

/// Whether an address means this host itself, whatever a resolver says.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == LOCALHOST,
        None => false,
    }
}

fn absolute(path: Spanned<Text<Absolute>>) -> PathBuf {
    path.into_inner().0.0
}

const OPERATOR: &str = "operator";

/// The feed of the policy's verdicts that hold.
pub const ENFORCED: &str = "attestation";

/// The feed of the policy's verdicts that are only counted.
pub const SHADOW: &str = "attestation-shadow";

/// The rank of both.
const POLICY_RANK: u8 = 50;

impl Config {
    /// Every feed: those of the file, and the policy's if there is one.
    #[must_use]
    pub fn all_feeds(&self) -> Vec<Feed> {
        let mut feeds = self.feeds.clone();
        if self.policy.is_on() {
            feeds.extend(
                [(ENFORCED, false), (SHADOW, true)].map(|(name, observe)| Feed {
                    name: name.to_owned(),
                    kind: Kind::Policy,
                    rank: POLICY_RANK,
                    observe,
                    widen_ipv6: 128,
                }),
            );
        }
        feeds
    }
}

/// The name that always means this host itself (RFC 6761, 6.3).
pub const LOCALHOST: &str = "localhost";

const DEFAULT_RANK: u8 = 50;
