//! How the daemon is doing.

use std::{
    collections::BTreeMap,
    ops::{Index, IndexMut},
};

use filter_common::{cause::Cause, settings::Mode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use super::{CheckStatus, PolicyStatus, UnderAttackStatus, spelled};

/// Asks how the daemon is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusQuery {}

/// How the daemon and the filter are doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the daemon.
    pub version: String,
    /// Of the daemon.
    pub pid: u32,
    /// Whether drops are carried out.
    #[serde(with = "spelled")]
    pub mode: Mode,
    /// Where the mode comes from: `configuration`, `command line`, `weir mode`.
    pub mode_from: String,
    /// When the mode goes back by itself (RFC 3339); `None`: it doesn't.
    #[serde(default)]
    pub mode_until: Option<String>,
    /// The host is under attack; `None`: it isn't.
    #[serde(default)]
    pub under_attack: Option<UnderAttackStatus>,
    /// Count of patches applied.
    pub generation: u64,
    /// Where the filter is attached.
    pub interfaces: Vec<InterfaceStatus>,
    /// What is in the tables, and what the feeds say that are enforced.
    pub verdicts: VerdictsStatus,
    /// How full the tables of verdicts are.
    #[serde(default)]
    pub tables: TablesStatus,
    /// What the feeds in observe say.
    #[serde(default)]
    pub shadow_verdicts: ShadowVerdicts,
    /// Where claims come from; the operator is the first.
    pub feeds: Vec<FeedStatus>,
    /// What is guarded.
    pub services: Vec<ServiceStatus>,
    /// What the packets came to.
    pub causes: Causes,
    /// What they would have come to by what is in the shadow.
    pub shadow: Causes,
    /// What was told of drops.
    pub events: EventsStatus,
    /// The table of buckets.
    pub buckets: BucketsStatus,
    /// The check endpoint; `None`: there is none.
    #[serde(default)]
    pub check: Option<CheckStatus>,
    /// What follows from observations; `None`: nothing does.
    #[serde(default)]
    pub policy: Option<PolicyStatus>,
    /// What is wrong, a sentence each; empty: nothing is.
    pub problems: Vec<String>,
}

/// An interface that the filter is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// `native` or `generic`.
    pub attach: String,
    /// The kernel's number of the program.
    pub program_id: u32,
}

/// Prefixes in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictsStatus {
    /// IPv4 prefixes.
    pub ipv4: u64,
    /// IPv6 prefixes.
    pub ipv6: u64,
    /// Those that are blocked now.
    pub blocked: u64,
    /// Those that are held to a tier now.
    pub limited: u64,
    /// Those that are allowed now.
    pub allowed: u64,
}

/// How full the tables of verdicts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablesStatus {
    /// IPv4
    pub ipv4: TableStatus,
    /// IPv6
    pub ipv6: TableStatus,
}

/// How full a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Prefixes in it, the protected ones among them.
    pub prefixes: u64,
    /// Prefixes that there is room for.
    pub capacity: u64,
    /// Bytes in use of the half that is in force.
    pub used_bytes: u64,
    /// Bytes of a half.
    pub half_bytes: u64,
}

/// Claims of the feeds in observe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowVerdicts {
    /// Those that would block.
    pub blocked: u64,
    /// Those that would limit.
    pub limited: u64,
    /// Those that would allow.
    pub allowed: u64,
}

/// A feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// Its name.
    pub name: String,
    /// `operator`, `file`, `verdicts`…
    pub kind: String,
    /// `inherit`, or `observe`: a shadow feed.
    pub mode: String,
    /// `ok`, `starting`, `stale`, `failed`, `disabled`…
    pub state: String,
    /// Claims that stand.
    pub claims: u64,
    /// Claims of its last snapshot, and since, that were refused.
    pub refused: u64,
    /// Why, for the first of them: a sentence each.
    pub refusals: Vec<String>,
    /// Seconds since it last said that it is up to date; `None`: never did, or
    /// doesn't age.
    pub age_s: Option<u64>,
    /// What went wrong last, if that still matters.
    pub last_error: Option<String>,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Guarded ports, as `tcp/443`.
    pub ports: Vec<String>,
    /// The tier of a source that no claim speaks of, as it is now.
    pub default_tier: String,
    /// `inherit`, or `observe`: its rates are only counted.
    pub mode: String,
}

/// What one cause has come to. All but the sources count packets exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CauseCount {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    /// Packets that were dropped (in the shadow: would have been).
    pub dropped_packets: u64,
    /// Bytes that were dropped (in the shadow: would have been).
    pub dropped_bytes: u64,
    /// Sources that a drop hit or would have hit, about.
    pub sources: u64,
    /// New connections that a drop hit or would have hit.
    pub connections: u64,
}

/// A count for every cause: a JSON object in the order of the law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes([CauseCount; Cause::COUNT]);

impl Causes {
    /// Every cause with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, &CauseCount)> {
        Cause::ALL.into_iter().zip(&self.0)
    }
}

impl Index<Cause> for Causes {
    type Output = CauseCount;

    fn index(&self, cause: Cause) -> &CauseCount {
        &self.0[cause as usize]
    }
}

impl IndexMut<Cause> for Causes {
    fn index_mut(&mut self, cause: Cause) -> &mut CauseCount {
        &mut self.0[cause as usize]
    }
}

impl Serialize for Causes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Cause::COUNT))?;
        for (cause, count) in self.iter() {
            map.serialize_entry(cause.name(), count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Causes {
    /// A cause that isn't named counts nothing; one that isn't known is passed
    /// over, since the daemon may be newer than the CLI.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<String, CauseCount>::deserialize(deserializer)?;
        let count = |cause: Cause| named.get(cause.name()).copied().unwrap_or_default();
        Ok(Self(Cause::ALL.map(count)))
    }
}

/// What was told of drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsStatus {
    /// Events that were sent.
    pub sent: u64,
    /// Drops that weren't told, by sampling or for lack of budget.
    pub suppressed: u64,
    /// Events that found no room on their way.
    pub lost: u64,
    /// Drops that no event stands for yet.
    #[serde(default)]
    pub untold: u64,
    /// Readers that follow the events.
    #[serde(default)]
    pub readers: u64,
    /// Events that readers were too slow for, all of them together.
    #[serde(default)]
    pub missed: u64,
}

/// The table of buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketsStatus {
    /// Words there is room for: a source uses one for each rate of its tier.
    pub capacity: u64,
    /// Words that hold something, exactly. None is ever given back: an idle one is
    /// used again.
    pub used: u64,
    /// Words that gave way before they were idle, exactly: their sources began
    /// anew.
    pub evicted: u64,
    /// Packets that found no idle word where they needed one, exactly.
    pub saturated: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_an_object_in_the_order_of_the_law() {
        let mut causes = Causes::default();
        causes[Cause::Blocked].dropped_packets = 7;
        causes[Cause::NotIp].packets = 1;
        let text = serde_json::to_string(&causes).expect("json");
        assert!(text.starts_with(r#"{"not_ip":{"packets":1,"#), "{text}");
        let places: Vec<_> = Cause::ALL
            .map(|cause| text.find(&format!("\"{}\":", cause.name())).expect("named"))
            .to_vec();
        assert!(places.is_sorted(), "{text}");
        assert_eq!(
            serde_json::from_str::<Causes>(&text).expect("causes"),
            causes
        );
    }

    #[test]
    fn causes_of_a_newer_daemon_are_passed_over() {
        let causes: Causes =
            serde_json::from_str(r#"{"blocked": {"packets": 3}, "over_sea": {"packets": 9}}"#)
                .expect("causes");
        assert_eq!(causes[Cause::Blocked].packets, 3);
        assert_eq!(
            causes.iter().map(|(_, count)| count.packets).sum::<u64>(),
            3
        );
    }
}
