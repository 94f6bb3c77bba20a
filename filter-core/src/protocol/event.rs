//! Events as they are told: one JSON object a line.

use std::{net::IpAddr, ops::Not};

use filter_common::{
    cause::{Action, Cause},
    settings::Mode,
};
use serde::{Deserialize, Serialize};

use super::spelled;

/// Which events are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Also those to come, until the client goes.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub follow: bool,
    /// An empty line now and then where there is nothing to tell, so that a client
    /// knows a quiet daemon from a dead one.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub keepalive: bool,
}

/// One sampled drop (in observe: what would have been one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When (RFC 3339, UTC).
    pub time: String,
    /// Where it came in.
    pub interface: String,
    /// Where it came from.
    pub source: IpAddr,
    /// Where it went.
    pub destination: IpAddr,
    /// `tcp`, `udp`, `icmp`…, or the protocol's number.
    pub protocol: String,
    /// Destination port; `None`: it couldn't be read.
    pub port: Option<u16>,
    /// The service, if it came as far.
    pub service: Option<String>,
    /// Why.
    #[serde(with = "spelled")]
    pub cause: Cause,
    /// What happened to it.
    #[serde(with = "spelled")]
    pub action: Action,
    /// Whether drops were carried out.
    #[serde(with = "spelled")]
    pub mode: Mode,
    /// The prefix of the claim that judged.
    pub prefix: Option<String>,
    /// The feed of the claim that judged.
    pub feed: Option<String>,
    /// The reason of the claim that judged.
    pub reason: Option<String>,
    /// The tier whose rates judged.
    pub tier: Option<String>,
    /// Count of patches applied when it was decided.
    pub generation: u64,
    /// Drops on its CPU, since the last event, of which none was sent.
    pub suppressed_before: u64,
    /// The first drop of its source for a while.
    #[serde(default)]
    pub first: bool,
    /// Drops that it stands for, itself included.
    #[serde(default)]
    pub weight: u64,
}

/// Stands in the place of events that a reader was too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How many.
    pub missed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_every_key_even_where_nothing_is_known() {
        let event = EventLine {
            time: "2026-11-22T20:00:00Z".into(),
            interface: "eth0".into(),
            source: [192, 0, 2, 7].into(),
            destination: [198, 51, 100, 1].into(),
            protocol: "icmp".into(),
            port: None,
            service: None,
            cause: Cause::Blocked,
            action: Action::Drop,
            mode: Mode::Enforce,
            prefix: None,
            feed: None,
            reason: None,
            tier: None,
            generation: 1,
            suppressed_before: 0,
            first: false,
            weight: 1,
        };
        let value = serde_json::to_value(&event).expect("json");
        let keys: Vec<_> = value.as_object().expect("an object").keys().collect();
        assert_eq!(keys.len(), 18, "{keys:?}");
        assert_eq!(value["cause"], "blocked");
        assert_eq!(value["action"], "drop");
        assert_eq!(value["source"], "192.0.2.7");
        assert_eq!(
            serde_json::from_value::<EventLine>(value).expect("an event"),
            event
        );
        let missed = serde_json::to_string(&Missed { missed: 3 }).expect("json");
        assert_eq!(missed, r#"{"missed":3}"#);
    }
}
