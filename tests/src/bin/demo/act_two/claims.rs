//! The claims of the second act, and whether these came true.

use anyhow::Result;
use serde_json::Value;
use weir_tests::bed::{EdgeApi, edge_api::CARRIER};

use super::{
    Moment,
    callers::{ABUSERS, SHARED, Tallies, abuser_at},
};
use crate::say;

/// Prints how weir explains each abuser, then every claim.
pub(super) fn conclude(
    site: &EdgeApi,
    tallies: &Tallies,
    observed: &Moment,
    enforced: &Moment,
) -> Result<()> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut explained = Vec::new();
    say("")?;
    for (place, name) in ABUSERS.iter().enumerate() {
        // Behind the NAT it is the carrier's address that the host sees.
        let source = match place {
            SHARED => CARRIER.to_string(),
            _ => abuser_at(place).to_string(),
        };
        let said = site.edge.explain(&source);
        say(&format!(
            "weir explain {source:<12} ({name}): {}, {}, tier {}, by the feed {:?} for {:?}",
            word(&said["cause"]),
            word(&said["action"]),
            word(&said["tier"]),
            word(&said["feed"]),
            word(&said["reason"]),
        ))?;
        explained.push(said);
    }
    let blocked = explained[..SHARED]
        .iter()
        .all(|said| said["cause"] == "blocked" && said["feed"] == "attestation");
    let held = &explained[SHARED];
    let tier = word(&held["tier"]);
    let genuine = [tallies.alone.read(), tallies.behind.read()];
    let [alone, behind] = genuine;
    let served: u64 = ABUSERS.iter().map(|name| site.api.served(name)).sum();
    let count = |moment: &Moment, set: &str, cause: &str| {
        let dropped = moment.status[set][cause]["dropped_packets"].as_u64();
        dropped.unwrap_or_default()
    };
    let early = count(observed, "causes", "blocked");
    let would = count(observed, "shadow", "blocked");
    let dropped = count(enforced, "causes", "blocked");
    let over = count(enforced, "causes", "over_connections");
    let claims = [
        (
            format!("in observe nothing was dropped as blocked; {would} packets would have been"),
            early == 0 && would > 0,
        ),
        (
            format!("in enforce {dropped} packets of blocked abusers were dropped in the kernel"),
            dropped > 0,
        ),
        (
            "the three abusers alone are blocked, by feed \"attestation\"".to_owned(),
            blocked,
        ),
        (
            format!(
                "the NAT with an abuser behind it is held to tier {tier}, and not blocked; {over} packets over its new connections were dropped"
            ),
            tier.starts_with("shared-") && held["action"] == "pass" && over > 0,
        ),
        (
            format!(
                "of the {} genuine calls from behind that NAT, {} failed",
                behind.asked, behind.failed
            ),
            behind.asked > 0 && behind.failed == 0,
        ),
        (
            format!(
                "of the {} genuine calls from elsewhere, {} failed",
                alone.asked, alone.failed
            ),
            alone.asked > 0 && alone.failed == 0,
        ),
        (
            format!(
                "the API saw none of the abusers' {} calls",
                enforced.abusers.iter().sum::<u64>()
            ),
            served == 0,
        ),
    ];
    say("")?;
    crate::conclude("the second act", &claims)
}
