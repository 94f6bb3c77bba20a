//! `[check]`: the endpoint at which a gateway asks about calls.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::value::{self, Absolute};

/// `[check]`: the endpoint at which a gateway asks about calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Check {
    /// The socket that the gateway asks on.
    #[serde(deserialize_with = "value::socket")]
    pub socket: PathBuf,
    /// The group that may open it; empty: the daemon's.
    #[serde(deserialize_with = "group")]
    pub group: String,
    /// A loopback address and its port, beside the socket; `None`: none.
    #[serde(deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// The header in which the gateway says where a call comes from.
    #[serde(deserialize_with = "header")]
    pub source_header: String,
    /// Which address of a list in it; 1 is the last.
    #[serde(deserialize_with = "position")]
    pub source_position: usize,
    /// That address is the one from which this host's interface sees the packets.
    pub source_is_peer: bool,
    /// Answers say why, in a header for the gateway's log.
    pub tell_reason: bool,
    /// Connections that are open at a time.
    #[serde(deserialize_with = "connections")]
    pub connections: usize,
    /// The file with the token of those who send observations.
    #[serde(deserialize_with = "file")]
    pub token_file: Option<PathBuf>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            socket: "/run/weir-check/check.sock".into(),
            group: String::new(),
            listen: None,
            source_header: "X-Real-IP".to_owned(),
            source_position: 1,
            source_is_peer: true,
            tell_reason: true,
            connections: 512,
            token_file: None,
        }
    }
}

/// The name of a header: a token of RFC 9110, section 5.6.2.
pub(super) fn read_header(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_token) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no name of a header: write one such as \"X-Real-IP\""
        ))
    }
}

fn header<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    read_header(&String::deserialize(d)?).map_err(D::Error::custom)
}

fn group<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    let bad = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    if text.contains(bad) {
        return Err(D::Error::custom(format!(
            "{text:?} is no name of a group: write the gateway's, such as \"www-data\""
        )));
    }
    Ok(text)
}

fn listen<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SocketAddr>, D::Error> {
    value::loopback_for(
        d,
        "whoever can ask can say where a call comes from, write \"127.0.0.1:9188\"",
    )
}

fn position<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    value::within(d, 1, 64, "which address of the list is meant, 1 the last")
}

fn connections<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    value::within(d, 1, 65_536, "how many may be open at a time")
}

fn file<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    let absolute: Absolute = text.parse().map_err(D::Error::custom)?;
    Ok(Some(absolute.0))
}
