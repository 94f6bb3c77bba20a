//! Assertions on callers.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use hyper::StatusCode;
use tokio::task::JoinSet;

use super::{Client, EdgeApi, Shown, api::ORDER};

/// Calls until it isn't answered any more, and asserts that it is blocked for
/// this reason, within so many calls as the policy promises.
///
/// # Panics
/// If it isn't so.
pub fn ends_as_a_drop(site: &EdgeApi, name: &str, from: IpAddr, shown: Shown, reason: &str) {
    let mut abuser = site.client(name, from, shown);
    abuser.patience = SHORT;
    let before = dropped(site);
    site.at(from, async || {
        for number in 1..=20 {
            let answer = abuser.call().await;
            let status = answer.map(|answer| answer.status);
            assert_eq!(status, Some(StatusCode::UNAUTHORIZED), "{name}: {number}");
        }
        // What comes while the twentieth is judged may still be answered.
        let crossed = Instant::now();
        while abuser.call().await.is_some() {
            assert!(crossed.elapsed() < Duration::from_secs(1), "{name} goes on");
        }
    });
    assert_eq!(site.api.served(name), 0, "the API never sees {name}");
    let explained = site.edge.explain(&from.to_string());
    assert_eq!(explained["cause"], "blocked", "{name}: {explained}");
    assert_eq!(explained["action"], "drop", "{name}: {explained}");
    assert_eq!(explained["feed"], "attestation", "{name}: {explained}");
    assert_eq!(explained["reason"], reason, "{name}: {explained}");
    assert!(explained["evidence"].as_u64() >= Some(20), "{explained}");
    let left = explained["expires_in_s"].as_u64();
    assert!(left.is_some_and(|left| left <= 61), "{explained}");
    assert!(dropped(site) > before, "{name}: packets are dropped");
}

/// Packets dropped because their source is blocked.
fn dropped(site: &EdgeApi) -> u64 {
    let status = site.edge.status();
    let dropped = status["causes"]["blocked"]["dropped_packets"].as_u64();
    dropped.unwrap_or_default()
}

/// Makes so many calls, all of which must be served.
///
/// # Panics
/// If one isn't.
pub async fn served(client: &mut Client, calls: u32) {
    client.hang_up();
    for _ in 0..calls {
        let answer = client.call().await.expect("it is answered");
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ORDER));
    }
    client.hang_up();
}

/// Makes so many calls at most, until one isn't answered; those that are must be
/// 401. Gives how many were.
///
/// # Panics
/// If one is answered otherwise.
pub async fn called(client: &mut Client, calls: u32) -> u32 {
    client.hang_up();
    let mut answered = 0;
    for _ in 0..calls {
        let Some(answer) = client.call().await else {
            break;
        };
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        answered += 1;
    }
    client.hang_up();
    answered
}

/// Opens so many connections at once; how many came about.
pub async fn flood(client: &Client, connections: usize) -> usize {
    let mut open = JoinSet::new();
    for _ in 0..connections {
        let client = client.unconnected();
        open.spawn(async move { client.connect().await });
    }
    open.join_all().await.into_iter().flatten().count()
}

/// The time that abusers wait for an answer.
pub const SHORT: Duration = Duration::from_millis(500);
