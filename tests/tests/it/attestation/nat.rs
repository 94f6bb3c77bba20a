//! Genuine users and abusers behind one address: the address is held to the tier
//! of its genuine devices, and they go on without noticing.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use hyper::StatusCode;
use serde_json::json;
use tokio::time::sleep;
use weir_tests::bed::{
    EdgeApi,
    edge_api::{
        CARRIER, Client, SetOnDrop, Shown,
        api::ORDER,
        phone,
        proof::{SHORT, flood},
    },
    until,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn genuine_users_behind_an_abusers_nat_lose_no_call_and_the_abuser_is_held() {
    let site = EdgeApi::new("[policy]\nmode = \"enforce\"\n");
    let _daemon = site.start();
    let _gateway = site.gateway();
    let over = AtomicBool::new(false);
    let users: Vec<_> = (1..=USERS)
        .map(|number| {
            let shown = Shown::genuine(&site.issuer, &format!("telephone {number}"));
            site.client("a user", phone(number), shown)
        })
        .collect();
    let carrier = CARRIER.to_string();
    let raised = json!({"limit": "attested"});
    thread::scope(|scope| {
        let end = SetOnDrop(&over);
        let genuine = scope.spawn(|| site.at(phone(1), async || go_on(users, &over).await));
        // Who hasn't come yet would come to the stricter tier as a stranger does:
        // his first packet waits a second.
        until("all that are behind it have proven themselves", || {
            site.api.served("a user") >= 2 * u64::from(USERS)
                && site.edge.explain(&carrier)["verdict"] == raised
        });

        let mut abuser = site.client("an abuser", phone(100), Shown::forged());
        let calls = site.at(phone(100), async || {
            let mut calls = 0;
            // Twice what would block a source of his own, many times over.
            for _ in 0..2_000 {
                let answer = abuser.call().await;
                calls += u32::from(answer.is_some_and(|it| it.status == StatusCode::UNAUTHORIZED));
            }
            calls
        });
        // His one connection is let be: what a tier holds is new ones.
        assert_eq!(calls, 2_000);
        until("the address is held", || {
            let tier = site.edge.explain(&carrier)["tier"].to_string();
            tier.contains("shared-")
        });
        let explained = site.edge.explain(&carrier);
        assert_eq!(
            explained["verdict"],
            json!({"limit": "shared-32"}),
            "{explained}"
        );
        assert_eq!(explained["feed"], "attestation", "{explained}");
        assert_eq!(explained["reason"], "tok_badsig", "{explained}");
        assert_eq!(explained["action"], "pass", "{explained}");

        let mut flooder = site.client("an abuser", phone(100), Shown::forged());
        flooder.patience = SHORT;
        let got = site.at(phone(100), async || flood(&flooder, FLOOD).await);
        // 64 a second, and no burst for who comes to a stricter tier.
        assert!(got < FLOOD / 2, "{got} of {FLOOD} connections");

        // However long all that took.
        let before = site.api.served("a user");
        until("genuine users go on behind the same address", || {
            genuine.is_finished() || site.api.served("a user") >= before + u64::from(USERS) * 20
        });
        drop(end);
        let served = genuine.join().expect("no call failed");
        assert!(served >= before + u64::from(USERS) * 20, "{served}");
        assert_eq!(site.api.served("a user"), served);
    });
    assert_eq!(site.api.served("an abuser"), 0);
    let causes = site.edge.status()["causes"].clone();
    let held = causes["over_connections"]["dropped_packets"].as_u64();
    assert!(held >= Some(FLOOD as u64 / 2), "{causes}");
    let blocked = causes["blocked"]["dropped_packets"].as_u64();
    assert_eq!(blocked.unwrap_or_default(), 0, "{causes}");
}

/// Every user calls again and again over its own connection until it is over;
/// each call must be served. How many there were.
async fn go_on(users: Vec<Client>, over: &AtomicBool) -> u64 {
    let mut served = 0;
    let mut users = users;
    while !over.load(SeqCst) {
        for user in &mut users {
            let answer = user.call().await.expect("a genuine call is answered");
            assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ORDER));
            served += 1;
        }
        // As people do.
        sleep(Duration::from_millis(20)).await;
    }
    served
}

/// Genuine users behind the carrier.
const USERS: u8 = 12;

const FLOOD: usize = 600;
