//! The callers of the second act: genuine clients and abusers, and how their calls ended.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use hyper::StatusCode;
use tokio::time::sleep;
use weir_tests::bed::{
    EdgeApi,
    edge_api::{Client, Shown, abuser, phone},
};

/// Genuine clients: each calls some five times a second, over its own connection.
pub(super) async fn users(site: &EdgeApi, from: Vec<IpAddr>, tally: &Tally, stop: &AtomicBool) {
    let pace = PACE / u32::try_from(from.len()).unwrap_or(1).max(1);
    let mut users: Vec<Client> = from
        .into_iter()
        .map(|address| {
            let shown = Shown::genuine(&site.issuer, &format!("the telephone of {address}"));
            site.client("genuine", address, shown)
        })
        .collect();
    while !stop.load(SeqCst) {
        for user in &mut users {
            let answer = user.call().await;
            let served = answer.is_some_and(|answer| answer.status == StatusCode::OK);
            tally.add(served);
            sleep(pace).await;
        }
    }
}

/// An abuser: now calls over a connection that it keeps, now over new ones, as
/// fast as it is let.
pub(super) async fn abuse(mut client: Client, tally: &Tally, stop: &AtomicBool) {
    client.patience = SHORT;
    for number in 0_u32.. {
        if stop.load(SeqCst) {
            return;
        }
        let answer = client.call().await;
        tally.add(answer.is_some());
        // Half of the time it keeps its connection.
        if number / 50 % 2 == 1 {
            client.hang_up();
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// The address of an abuser, by its place in [`ABUSERS`].
pub(super) fn abuser_at(place: usize) -> IpAddr {
    match place {
        SHARED => phone(200).into(),
        0 => abuser(1).into(),
        1 => abuser(2).into(),
        _ => abuser(3).into(),
    }
}

#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) alone: Tally,
    pub(super) behind: Tally,
    pub(super) abusers: [Tally; 4],
}

/// Counts of calls.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Calls>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) asked: u64,
    pub(super) failed: u64,
}

impl Calls {
    pub(super) const fn answered(self) -> u64 {
        self.asked - self.failed
    }
}

impl Tally {
    fn add(&self, went_well: bool) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.asked += 1;
        calls.failed += u64::from(!went_well);
    }

    pub(super) fn read(&self) -> Calls {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The abusers' names, and of the last one that it is behind the carrier's NAT.
pub(super) const ABUSERS: [&str; 4] = ["forged", "missing", "stolen", "forged, behind the NAT"];
pub(super) const SHARED: usize = 3;

/// A genuine client's time between two calls.
const PACE: Duration = Duration::from_millis(200);
/// The time that an abuser waits for an answer.
const SHORT: Duration = Duration::from_millis(300);
